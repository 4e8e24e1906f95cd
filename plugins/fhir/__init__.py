"""Any EMR with a FHIR R4 door: Appointments changed by JSON Patch, Slots taken and given back by the gateway."""

from __future__ import annotations

from gateway.plugin import Account, BadAccount, Emr, Vendor, hookimpl
from plugins.fhir.credentials import consent, credentials
from plugins.fhir.declared import FULL
from plugins.fhir.editions import EDITIONS
from plugins.fhir.emr import FhirEmr
from plugins.fhir.patches import CANCEL_REASON
from plugins.fhir.problems import problem
from plugins.fhir.settings import Settings

__all__ = ["FhirEmr", "Settings", "emr_open", "emr_vendor"]


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="fhir",
        name="FHIR R4 server",
        settings=Settings,
        emr=FhirEmr,
        capabilities=FULL,
        editions=EDITIONS,
        consent=consent,
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    if account.cancel_reason is None and "cancel_reason_system" in settings.model_fields_set:
        raise BadAccount("settings.cancel_reason_system needs a code of it, as the account's cancel_reason")
    http = account.door.http(
        base_url=settings.base_url,
        auth=credentials(settings, account),
        headers={"Accept": "application/fhir+json"},
        problem=problem,
    )
    return FhirEmr(http, settings, account.cancel_reason or CANCEL_REASON)
