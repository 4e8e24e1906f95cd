"""Open Dental, over its REST API: changed in place, slowly, and read back after every write."""

from __future__ import annotations

from pydantic import SecretStr

from gateway.plugin import Account, ApiKey, Edition, Emr, Vendor, hookimpl
from plugins.opendental.emr import FULL, OpenDentalEmr, problem
from plugins.opendental.settings import Settings

__all__ = ["OpenDentalEmr", "Settings", "emr_open", "emr_vendor"]

EDITION = Edition(title="Open Dental", capabilities=FULL, against="the vendor's API pages of 2025")
LONGEST_S = 65.0
"""It gives up by itself after 60 seconds, and then says so."""


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="opendental",
        name="Open Dental",
        settings=Settings,
        emr=OpenDentalEmr,
        capabilities=FULL,
        editions=(EDITION,),
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    keys = f"{settings.developer_key.get_secret_value()}/{settings.customer_key.get_secret_value()}"
    http = account.door.http(
        base_url=settings.base_url,
        auth=ApiKey("Authorization", SecretStr(f"ODFHIR {keys}")),
        headers={"Content-Type": "application/json"},
        problem=problem,
        timeout_s=LONGEST_S,
    )
    return OpenDentalEmr(http, settings, account.cancel_reason)
