"""DrChrono, over its REST API: changed in place, in wall time, by whoever of the practice has let the gateway in."""

from __future__ import annotations

from gateway.plugin import Account, AuthorizationCode, BadAccount, Edition, Emr, Vendor, hookimpl
from plugins.drchrono import words
from plugins.drchrono.emr import FULL, DrChronoEmr
from plugins.drchrono.settings import Settings, consent

__all__ = ["DrChronoEmr", "Settings", "emr_open", "emr_vendor"]

VERSION = "v4"
EDITION = Edition(title="DrChrono", capabilities=FULL, against="the vendor's OpenAPI document v4 (Hunt Valley)")


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="drchrono",
        name="DrChrono",
        settings=Settings,
        emr=DrChronoEmr,
        capabilities=FULL,
        editions=(EDITION,),
        consent=consent,
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    if account.grant is None:
        raise BadAccount("somebody has to let the gateway in, which is kept in its own store")
    http = account.door.http(
        base_url=f"{settings.base_url}/api",
        auth=AuthorizationCode(consent(settings), account.grant, account.door.beside),
        headers={"Accept": "application/json", "X-DRC-API-Version": VERSION},
        problem=words.problem,
    )
    return DrChronoEmr(http, settings)
