"""Exactly what goes over the wire to Acme, and what is made of what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx

import emr_acme
from gateway.plugin import Account, Appointment, Cancel, Change, Create, Discard, Door, Refused, Span, Status

URL = "https://acme.test"
ZONE = ZoneInfo("Europe/Stockholm")
ONE = f"{URL}/visits/v-1"
ROW = {
    "id": "v-1", "starts": "2027-03-02T08:00:00Z", "ends": "2027-03-02T08:30:00Z", "state": "planned", "note": "a word",
    "patient": "pa-4", "clinician": "cl-1", "visit_type": "vt-3", "site": "si-2", "reference": None, "revision": 7,
}  # fmt: skip


@pytest.fixture
def vendor() -> Iterator[respx.MockRouter]:
    with respx.MockRouter(assert_all_called=True) as router:
        yield router


@pytest.fixture
def emr(vendor: respx.MockRouter) -> emr_acme.AcmeEmr:
    settings = emr_acme.Settings.model_validate({"base_url": URL, "api_key": "invented-key", "zone": ZONE.key})
    opened = emr_acme.emr_open(Account("clinic", settings, Door(httpx.MockTransport(vendor.async_handler))))
    assert isinstance(opened, emr_acme.AcmeEmr)
    return opened


def at(hour: int, minute: int = 0) -> datetime:
    """On the second of March."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)


@pytest.fixture
def booked(emr: emr_acme.AcmeEmr) -> Appointment:
    return emr.read(ROW)


def sent(router: respx.MockRouter) -> tuple[httpx.Headers, Any]:
    request = router.calls.last.request
    return request.headers, json.loads(request.content) if request.content else None


async def test_an_appointment_is_read_by_its_id(vendor: respx.MockRouter, emr: emr_acme.AcmeEmr) -> None:
    vendor.get(ONE).respond(json=ROW)
    assert await emr.appointment("v-1") == Appointment(
        id="v-1",
        start=at(9),
        end=at(9, 30),
        status=Status.BOOKED,
        patient_id="pa-4",
        resource_id="cl-1",
        healthcare_service_id="vt-3",
        care_unit_id="si-2",
        comment="a word",
        version="7",
    )
    assert sent(vendor)[0]["x-api-key"] == "invented-key"


@pytest.mark.parametrize(
    ("state", "status"),
    [("planned", "booked"), ("done", "completed"), ("void", "cancelled"), ("missed", "no_show"), ("news", "other")],
)
def test_what_its_states_are_called(emr: emr_acme.AcmeEmr, state: str, status: str) -> None:
    assert emr.read({**ROW, "state": state}).status == status


async def test_a_move_says_both_ends_and_what_it_goes_over(
    vendor: respx.MockRouter, emr: emr_acme.AcmeEmr, booked: Appointment
) -> None:
    vendor.patch(ONE).respond(json=ROW)
    await emr.change(Change(chain="x", before=booked, span=Span(at(13), at(13, 30))))
    headers, body = sent(vendor)
    assert headers["if-match"] == "7"
    assert body == {"starts": "2027-03-02T12:00:00Z", "ends": "2027-03-02T12:30:00Z"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"resource_id": "cl-2"}, {"clinician": "cl-2"}), ({"comment": ""}, {"note": ""})],
)
async def test_a_change_says_what_changes(
    vendor: respx.MockRouter, emr: emr_acme.AcmeEmr, booked: Appointment, fields: Any, said: Any
) -> None:
    vendor.patch(ONE).respond(json=ROW)
    await emr.change(Change(chain="x", before=booked, **fields))
    assert sent(vendor)[1] == said


async def test_a_booking_bears_its_marker(vendor: respx.MockRouter, emr: emr_acme.AcmeEmr, booked: Appointment) -> None:
    vendor.post(f"{URL}/visits").respond(201, json=ROW)
    step = Create(chain="x", span=Span(at(9), at(9, 30)), patient_id="pa-4", resource_id="cl-1", marker="m1")
    assert (await emr.create(step)).appointment == booked
    times = {"starts": "2027-03-02T08:00:00Z", "ends": "2027-03-02T08:30:00Z"}
    assert sent(vendor)[1] == {**times, "patient": "pa-4", "clinician": "cl-1", "reference": "m1"}


async def test_a_cancellation_says_why(vendor: respx.MockRouter, emr: emr_acme.AcmeEmr, booked: Appointment) -> None:
    vendor.post(f"{ONE}/void").respond(json={**ROW, "state": "void"})
    await emr.cancel(Cancel(chain="x", before=booked, comment="ill"))
    assert sent(vendor)[1] == {"note": "ill"}


async def test_what_was_booked_is_withdrawn(
    vendor: respx.MockRouter, emr: emr_acme.AcmeEmr, booked: Appointment
) -> None:
    vendor.delete(ONE).respond(204)
    await emr.discard(Discard(chain="x", before=booked))
    assert sent(vendor)[1] is None


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [(409, "time_taken", "taken"), (409, "closed", "state"), (409, "too_late", "rule"), (412, "stale", "stale"),
     (422, "invalid", "invalid"), (401, "no_access", "credentials")],
)  # fmt: skip
async def test_what_refusals_mean(
    vendor: respx.MockRouter, emr: emr_acme.AcmeEmr, booked: Appointment, status: int, code: str, reason: str
) -> None:
    vendor.patch(ONE).respond(status, json={"error": code, "message": "prose"})
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="x", before=booked, comment="new"))
    assert (no.value.reason, "prose" in str(no.value)) == (reason, False)
