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
from tests.plugins.fhir.dialects.canvas import FakeCanvas, appointment, clinic
from tests.plugins.fhir.fake import BASE, outcome
from tests.plugins.fhir.samples import at

ANNA, BO = "Practitioner/d1", "Practitioner/d2"


@pytest.fixture
def fake():
    fake = FakeCanvas()
    for resource in (appointment(), *clinic()):
        fake.put(resource)
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


async def test_a_video_meeting_keeps_its_link_and_what_can_not_be_written_is_left_out(emr, fake):
    meeting = {
        "resourceType": "Endpoint",
        "id": "appointment-meeting-endpoint-0",
        "address": "https://meet.example.com/1",
    }
    around = [
        {"reference": "Location/u1", "type": "Location"},
        {"reference": "#appointment-meeting-endpoint-0", "type": "Endpoint"},
        {"reference": "Encounter/e1", "type": "Encounter"},
    ]
    fake.put(appointment(contained=[meeting], supportingInformation=around))
    before = await emr.appointment("a1")
    assert before.care_unit_id == "u1"
    await emr.cancel(Cancel(chain="a1", before=before))
    body = last(fake)[1]
    assert body["contained"] == [meeting]
    assert [one["reference"] for one in body["supportingInformation"]] == [one["reference"] for one in around[:2]]


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


async def test_a_time_that_is_gone_is_told_as_taken_and_another_rule_as_a_rule(emr, fake):
    fake.double_booking = False
    before, span = await emr.appointment("a1"), Span(at(10), at(10, 30))
    await fake.books(span, ANNA)
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, span=span))
    assert no.value.reason == "taken"
    fake.faults = [lambda _: outcome(422, "business-rule")]
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, span=Span(at(11), at(11, 30))))
    assert no.value.reason == "rule"


async def test_a_part_of_a_second_is_no_change_meanwhile(emr, fake):
    stored = fake.get("Appointment", "a1")
    stored["meta"]["lastUpdated"] = "2027-03-01T08:01:00.250000+00:00"
    await emr.cancel(Cancel(chain="a1", before=await emr.appointment("a1")))
    assert last(fake)[0].headers["if-unmodified-since"] == "Mon, 01 Mar 2027 08:01:01 GMT"
    stored = fake.put(appointment())
    stored["meta"]["lastUpdated"] = "2027-03-01T08:01:00.250000"
    await emr.cancel(Cancel(chain="a1", before=await emr.appointment("a1")))
    assert "if-unmodified-since" not in last(fake)[0].headers


async def test_a_cancellation_can_not_be_taken_back(emr, fake):
    fake.put(appointment(status="cancelled"))
    with pytest.raises(Refused) as no:
        await emr.confirm(Confirm(chain="a1", before=await emr.appointment("a1")))
    assert no.value.reason == "rule"


async def test_slots_are_asked_for_by_the_name_of_the_schedule_and_have_no_ids(emr, fake):
    found = await emr.free_time(FindFreeTime(Span(at(9), at(10)), ANNA, None, "u1"))
    assert [(s.start, s.end, s.id, s.resource_id) for s in found.slots] == [(at(9, 30), at(9, 50), None, ANNA)]
    assert fake.seen[-1].query_params.multi_items() == [
        ("schedule", "Location.u1-Staff.d1"),
        ("start", "2027-03-02T08:00:00Z"),
        ("end", "2027-03-02T09:00:00Z"),
        ("duration", "20"),
    ]
    with pytest.raises(Refused):
        await emr.free_time(FindFreeTime(Span(at(9), at(10)), ANNA))


async def test_slots_are_as_long_as_what_is_placed(emr, fake):
    """The appointment as it is, and as long as the time is that it is to have."""
    own = await emr.appointment("a1")
    found = await emr.free_time(FindFreeTime(Span(at(10), at(11)), ANNA, None, "u1", (own,)))
    assert sorted(r.query_params["duration"] for r in fake.seen if r.url.path.endswith("/Slot")) == ["30", "60"]
    assert (at(10), at(11)) in [(s.start, s.end) for s in found.slots]
    assert (at(10, 15), at(10, 45)) in [(s.start, s.end) for s in found.slots]
    fake.seen.clear()
    await emr.free_time(FindFreeTime(Span(at(8), at(8).replace(day=9)), ANNA, None, "u1", (own,)))
    assert [r.query_params["duration"] for r in fake.seen] == ["30"]


async def test_a_statement_without_patches_leaves_what_is_done_by_updates(emr):
    assert await emr.probe() == emr.capabilities


async def test_a_calendar_is_asked_for_by_the_practitioner(emr, fake):
    found = await emr.calendar(ReadCalendar(Span(at(8), at(12)), resource_id=ANNA))
    assert [a.id for a in found] == ["a1"]
    assert ("practitioner", ANNA) in fake.seen[-1].query_params.multi_items()
    assert await emr.calendar(ReadCalendar(Span(at(8), at(12)), resource_id=BO)) == []
