"""NexHealth, over its API v3.0.0: a copy of what a practice has in its own system, which is written minutes later."""

from __future__ import annotations

from gateway.plugin import Account, Emr, Vendor, hookimpl
from plugins.nexhealth.declared import EDITIONS, FULL
from plugins.nexhealth.emr import NexHealthEmr
from plugins.nexhealth.login import VERSION, Tokens
from plugins.nexhealth.settings import Settings

__all__ = ["NexHealthEmr", "Settings", "emr_open", "emr_vendor"]


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="nexhealth",
        name="NexHealth",
        settings=Settings,
        emr=NexHealthEmr,
        capabilities=FULL,
        editions=EDITIONS,
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    http = account.door.http(
        base_url=settings.base_url,
        auth=Tokens(settings.base_url, settings.api_key),
        headers={"Accept": "application/json", **VERSION},
    )
    return NexHealthEmr(http, settings)
