"""Acme, over its REST API: changed in place, slots asked for beforehand. The introduction, by two hooks."""

from __future__ import annotations

from emr_acme import words
from emr_acme.emr import FULL, AcmeEmr
from emr_acme.settings import Settings
from gateway.plugin import Account, ApiKey, Edition, Emr, Vendor, hookimpl

__all__ = ["AcmeEmr", "Settings", "emr_open", "emr_vendor"]

EDITION = Edition(title="Acme", capabilities=FULL, against="a fake that was made up with this plugin")


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="acme",
        name="Acme",
        settings=Settings,
        emr=AcmeEmr,
        capabilities=FULL,
        editions=(EDITION,),
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    http = account.door.http(
        base_url=settings.base_url,
        auth=ApiKey("X-Api-Key", settings.api_key),
        headers={"Accept": "application/json"},
        problem=words.problem,
    )
    return AcmeEmr(http, settings)
