"""GNU Health HIS 5 (Tryton), over JSON-RPC: appointments changed in place, free records taken and made anew."""

from __future__ import annotations

from urllib.parse import quote

from gateway.plugin import Account, Edition, Emr, Vendor, hookimpl
from plugins.gnuhealth.emr import FULL, GnuHealthEmr
from plugins.gnuhealth.rpc import Session
from plugins.gnuhealth.settings import Settings

__all__ = ["GnuHealthEmr", "Settings", "emr_open", "emr_vendor"]


EDITION = Edition(
    title="GNU Health HIS 5",
    capabilities=FULL,
    tested="live",
    against="GNU Health HIS 5.0.6 on SQLite and PostgreSQL",
)


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="gnuhealth",
        name="GNU Health HIS",
        settings=Settings,
        emr=GnuHealthEmr,
        capabilities=FULL,
        editions=(EDITION,),
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    session = Session(settings.username, settings.password)
    base = f"{settings.base_url}/{quote(settings.database, safe='')}"
    http = account.door.http(base_url=base, auth=session)
    return GnuHealthEmr(http, settings, session, tenant=base, cancelled_by=account.cancel_reason or "patient")
