"""What each vendor's documents say of an error is what the gateway is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.plugin import Cancel, Emr, EmrError, MaybeDone, Refused, Span, Throttled
from gateway.testing import without_waiting
from tests.plugins.fhir.dialects.test_contract import Vendor, canvas_clinic, medplum_clinic, millennium_clinic
from tests.plugins.fhir.fake import BASE, FakeFhir, outcome
from tests.plugins.fhir.samples import at, clinic

CLINICS: dict[str, Callable[[str], Vendor]] = {
    "standard": lambda base: Vendor(FakeFhir(base=base), clinic()),
    "millennium": millennium_clinic,
    "canvas": canvas_clinic,
    "medplum": medplum_clinic,
}
EVERYWHERE = [
    (401, "unknown", "credentials"),
    (403, "forbidden", "credentials"),
    (404, "not-found", "not_found"),
    (423, "lock-error", "later"),
    (429, "throttled", "later"),
    (500, "exception", "maybe done"),
    (503, "transient", "maybe done"),
]
OWN = {
    "standard": [
        (409, "conflict", "stale"),
        (412, "conflict", "stale"),
        (410, "deleted", "not_found"),
        (422, "processing", "invalid"),
        (422, "business-rule", "rule"),
        (424, "processing", "rule"),
    ],
    "millennium": [
        (400, "required", "invalid"),
        (406, "not-supported", "unsupported"),
        (409, "conflict", "stale"),
        (422, "business-rule", "rule"),
        (422, "extension", "invalid"),
        (422, "not-supported", "unsupported"),
        (424, "processing", "rule"),
    ],
    "canvas": [
        (400, "invalid", "invalid"),
        (405, "not-supported", "unsupported"),
        (412, "conflict", "stale"),
        (422, "business-rule", "rule"),
    ],
    "medplum": [
        (400, "invalid", "invalid"),
        (409, "conflict", "stale"),
    ],
}
CASES = [
    pytest.param(dialect, *told, id=f"{dialect}: {told[0]} {told[1]}")
    for dialect, own in OWN.items()
    for told in [*EVERYWHERE, *own]
]
"""To the cancellation of what can be cancelled: status, issue code, meaning."""


async def standing(vendor: Vendor, emr: Emr) -> Cancel:
    books = getattr(vendor.fake, "books", None)
    id = "a1" if books is None else await books(Span(at(9), at(9) + timedelta(minutes=30)), "Practitioner/d1")
    found = await emr.appointment(id)
    assert found is not None
    return Cancel(chain=id, before=found)


def meaning(error: EmrError) -> str:
    match error:
        case Refused():
            return error.reason
        case Throttled():
            return "later"
        case MaybeDone():
            return "maybe done"
    raise AssertionError(f"{type(error).__name__} means nothing here")


@pytest.mark.parametrize(("dialect", "status", "code", "means"), CASES)
async def test_an_error_means_what_the_vendor_says(dialect, status, code, means):
    vendor = CLINICS[dialect](BASE)
    emr = vendor.opened()
    step = await standing(vendor, emr)
    await emr.probe()

    def refuses(request):
        return outcome(status, code) if request.method != "GET" else None

    # Enough of them for what is tried again.
    vendor.fake.faults = [refuses] * 9
    with without_waiting(), pytest.raises(EmrError) as no:
        await emr.cancel(step)
    assert meaning(no.value) == means
    assert no.value.emr_code in (code, None)
    vendor.fake.faults = []
    assert await emr.appointment(step.before.id) == step.before


async def test_a_condition_that_was_not_there_was_not_stale():
    """Millennium wants one with every patch."""
    vendor = millennium_clinic(BASE)
    emr = vendor.opened()
    before = (await standing(vendor, emr)).before
    with pytest.raises(Refused) as no:
        await emr.cancel(Cancel(chain="a1", before=replace(before, version=None)))
    assert no.value.reason == "invalid"
