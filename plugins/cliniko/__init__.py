"""Cliniko, over its REST API: changed in place, double bookings looked for after the write, as it refuses none."""

from __future__ import annotations

from pydantic import SecretStr

from gateway.plugin import Account, Basic, Edition, Emr, Vendor, hookimpl
from plugins.cliniko import words
from plugins.cliniko.emr import FULL, ClinikoEmr
from plugins.cliniko.settings import Settings

__all__ = ["ClinikoEmr", "Settings", "emr_open", "emr_vendor"]

EDITION = Edition(title="Cliniko", capabilities=FULL, against="the vendor's OpenAPI document of 2024")
LONGEST_S = 35.0
"""It gives up by itself after 30 seconds, and then says so."""


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="cliniko",
        name="Cliniko",
        settings=Settings,
        emr=ClinikoEmr,
        capabilities=FULL,
        editions=(EDITION,),
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    http = account.door.http(
        base_url=settings.address,
        auth=Basic(settings.api_key.get_secret_value(), SecretStr("")),
        headers={"Accept": "application/json", "User-Agent": f"emr-gateway ({settings.contact})"},
        timeout_s=LONGEST_S,
    )
    return ClinikoEmr(http, settings, reason=account.cancel_reason or words.OTHER)
