"""Canvas's dialect, on a fake of it and request by request."""

from __future__ import annotations

import json

import httpx
import pytest

from gateway.plugin import (
    Account,
    Cancel,
    Change,
    Confirm,
    Create,
    Door,
    FindFreeTime,
    ReadCalendar,
    Refused,
    Span,
    Status,
)
from plugins.fhir import Settings, emr_open
from tests.plugins.fhir.dialects.canvas import FakeCanvas, appointment
from tests.plugins.fhir.fake import BASE
from tests.plugins.fhir.samples import at

ANNA, BO = "Practitioner/d1", "Practitioner/d2"


@pytest.fixture
def fake():
    fake = FakeCanvas()
    fake.put(appointment())
    return fake


@pytest.fixture
async def emr(fake):
    door = Door(httpx.ASGITransport(app=fake.app))
    told = {"base_url": BASE, "zone": "Europe/Stockholm", "dialect": "canvas"}
    yield emr_open(Account("fhir", Settings.model_validate(told), door))
    await door.aclose()


def last(fake):
    request = fake.writes[-1]
    return request, json.loads(request._body)


async def test_a_move_is_a_put_of_what_an_update_needs_over_the_date_that_was_read(emr, fake):
    before = await emr.appointment("a1")
    assert (before.care_unit_id, before.version) == ("u1", "2027-03-01T08:01:00+00:00")
    receipt = await emr.change(Change(chain="a1", before=before, span=Span(at(10), at(10, 30)), resource_id=BO))
    request, body = last(fake)
    assert (request.method, request.url.path) == ("PUT", "/r4/Appointment/a1")
    assert request.headers["content-type"] == "application/fhir+json"
    assert request.headers["if-unmodified-since"] == "Mon, 01 Mar 2027 08:01:00 GMT"
    assert "if-match" not in request.headers
    assert body == {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "supportingInformation": [{"reference": "Location/u1"}],
        "start": at(10).isoformat(),
        "end": at(10, 30).isoformat(),
        "participant": [
            {"actor": {"reference": BO}, "status": "accepted"},
            {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
        ],
    }
    assert (receipt.appointment, receipt.id) == (None, None)
    now = await emr.appointment("a1")
    assert (now.start, now.resource_id, now.patient_id) == (at(10), BO, "p1")
    assert "appointmentType" in fake.get("Appointment", "a1")


async def test_a_cancellation_and_a_confirmation_set_the_status(emr, fake):
    fake.put(appointment(status="proposed"))
    await emr.confirm(Confirm(chain="a1", before=await emr.appointment("a1")))
    now = await emr.appointment("a1")
    assert (now.status, now.confirmed) == (Status.BOOKED, True)
    await emr.cancel(Cancel(chain="a1", before=now))
    assert (await emr.appointment("a1")).status is Status.CANCELLED


async def test_there_is_no_comment(emr, fake):
    fake.put(appointment(comment="not theirs to show"))
    before = await emr.appointment("a1")
    assert before.comment is None
    assert (emr.capabilities.comment, emr.capabilities.cancel_comment) == (False, "none")
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, comment="x"))
    assert (no.value.reason, fake.writes) == ("unsupported", [])


async def test_nothing_is_booked(emr, fake):
    step = Create(chain="n", span=Span(at(10), at(10, 30)), patient_id="p1", resource_id=ANNA)
    with pytest.raises(Refused) as no:
        await emr.create(step)
    assert (no.value.reason, fake.writes) == ("unsupported", [])


async def test_what_was_changed_later_is_told_as_stale(emr, fake):
    before = await emr.appointment("a1")
    fake.put(appointment(description="staff"))
    with pytest.raises(Refused) as no:
        await emr.cancel(Cancel(chain="a1", before=before))
    assert no.value.reason == "stale"
    assert fake.get("Appointment", "a1")["status"] == "booked"


async def test_a_time_that_is_gone_is_told_as_taken(emr, fake):
    fake.full = (at(10).isoformat(),)
    before = await emr.appointment("a1")
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, span=Span(at(10), at(10, 30))))
    assert no.value.reason == "taken"


async def test_a_cancellation_can_not_be_taken_back(emr, fake):
    fake.put(appointment(status="cancelled"))
    with pytest.raises(Refused) as no:
        await emr.confirm(Confirm(chain="a1", before=await emr.appointment("a1")))
    assert no.value.reason == "rule"


async def test_slots_are_asked_for_by_the_name_of_the_schedule_and_have_no_ids(emr, fake):
    found = await emr.free_time(FindFreeTime(Span(at(9), at(10)), ANNA, None, "u1"))
    assert [(s.start, s.end, s.id, s.resource_id) for s in found.slots] == [
        (at(9), at(9, 30), None, ANNA),
        (at(9, 30), at(10), None, ANNA),
    ]
    assert fake.seen[-1].query_params.multi_items() == [
        ("schedule", "Location.u1-Staff.d1"),
        ("start", "2027-03-02T08:00:00Z"),
        ("end", "2027-03-02T09:00:00Z"),
    ]
    with pytest.raises(Refused):
        await emr.free_time(FindFreeTime(Span(at(9), at(10)), ANNA))


async def test_a_calendar_is_asked_for_by_the_practitioner(emr, fake):
    found = await emr.calendar(ReadCalendar(Span(at(8), at(12)), resource_id=ANNA))
    assert [a.id for a in found] == ["a1"]
    assert ("practitioner", ANNA) in fake.seen[-1].query_params.multi_items()
    assert await emr.calendar(ReadCalendar(Span(at(8), at(12)), resource_id=BO)) == []
