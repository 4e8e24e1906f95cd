"""athenahealth (athenaOne), over its REST API: an appointment is moved onto an open slot, whose id it then has."""

from __future__ import annotations

from gateway.plugin import Account, ClientCredentials, Edition, Emr, Vendor, hookimpl
from plugins.athenahealth.emr import FULL, AthenaEmr
from plugins.athenahealth.settings import Settings

__all__ = ["AthenaEmr", "Settings", "emr_open", "emr_vendor"]

EDITION = Edition(title="athenaOne", capabilities=FULL, against="athenahealth's REST API (v1)")
SCOPE = "athena/service/Athenanet.MDP.*"


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="athenahealth",
        name="athenahealth",
        settings=Settings,
        emr=AthenaEmr,
        capabilities=FULL,
        editions=(EDITION,),
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    login = ClientCredentials(f"{settings.base_url}/oauth2/v1/token", settings.client_id, settings.client_secret, SCOPE)
    base = f"{settings.base_url}/v1/{settings.practice_id}"
    http = account.door.http(base_url=base, auth=login, headers={"Accept": "application/json"})
    return AthenaEmr(http, account, tenant=base)
