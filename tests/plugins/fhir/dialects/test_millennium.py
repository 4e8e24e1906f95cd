"""Millennium's dialect, on a fake of it and request by request."""

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
from tests.plugins.fhir.dialects.millennium import SERVICE, FakeMillennium, clinic
from tests.plugins.fhir.fake import BASE, outcome
from tests.plugins.fhir.samples import at

TOKEN = f"{SERVICE['system']}|{SERVICE['code']}"
ANNA, BO = "Practitioner/d1", "Practitioner/d2"


@pytest.fixture
def fake():
    fake = FakeMillennium(answers="minimal")
    for resource in clinic():
        fake.put(resource)
    return fake


@pytest.fixture
async def emr(fake):
    door = Door(httpx.ASGITransport(app=fake.app))
    told = {"base_url": BASE, "zone": "Europe/Stockholm", "dialect": "millennium", "services": "serviceType"}
    yield emr_open(Account("fhir", Settings.model_validate(told), door, cancel_reason="pat-crs"))
    await door.aclose()


async def free(emr, who, start, end, *ignoring):
    found = await emr.free_time(FindFreeTime(Span(start, end), who, TOKEN, "u1", ignoring))
    return found.slots


def last(fake):
    request = fake.writes[-1]
    return request, json.loads(request._body)


def booking(slots, **more):
    span = Span(slots[0].start, slots[0].end)
    return Create(
        chain="n",
        span=span,
        patient_id="p2",
        resource_id=ANNA,
        healthcare_service_id=TOKEN,
        care_unit_id="u1",
        slots=slots,
        marker="m",
        **more,
    )


async def test_a_move_replaces_the_slot_alone_over_the_version(emr, fake):
    before = await emr.appointment("a1")
    slots = await free(emr, BO, at(10), at(10, 30))
    receipt = await emr.change(
        Change(chain="a1", before=before, span=Span(at(10), at(10, 30)), resource_id=BO, slots=slots)
    )
    request, body = last(fake)
    assert (request.method, request.url.path) == ("PATCH", "/r4/Appointment/a1")
    assert request.headers["content-type"] == "application/json-patch+json"
    assert request.headers["if-match"] == 'W/"1"'
    assert body == [{"op": "replace", "path": "/slot", "value": [{"reference": "Slot/d2-1000"}]}]
    assert (receipt.appointment, receipt.id) == (None, None)
    now = await emr.appointment("a1")
    assert (now.start, now.resource_id, now.slot_ids) == (at(10), BO, ("d2-1000",))
    assert fake.get("Slot", "d1-0900")["status"] == "free"


async def test_a_comment_is_not_written_by_itself(emr, fake):
    assert not emr.capabilities.comment
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=await emr.appointment("a1"), comment="alone"))
    assert (no.value.reason, fake.writes) == ("unsupported", [])


async def test_a_cancellation_bears_one_coded_reason_and_an_action_comment(emr, fake):
    await emr.cancel(Cancel(chain="a1", before=await emr.appointment("a1"), comment="ill"))
    _, body = last(fake)
    system = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
    comment = "https://fhir-ehr.cerner.com/r4/StructureDefinition/action-comment"
    assert body == [
        {"op": "replace", "path": "/status", "value": "cancelled"},
        {"op": "add", "path": "/cancelationReason", "value": {"coding": [{"system": system, "code": "pat-crs"}]}},
        {"op": "replace", "path": "/extension", "value": [{"url": comment, "valueString": "ill"}]},
    ]
    now = await emr.appointment("a1")
    assert (now.status, now.comment) == (Status.CANCELLED, "ill")
    assert fake.get("Slot", "d1-0900")["status"] == "free"


async def test_a_tentative_patient_is_confirmed_by_the_patients_status(emr, fake):
    body = fake.get("Appointment", "a1")
    patient, *others = body["participant"]
    fake.put({**body, "participant": [{**patient, "status": "tentative"}, *others]})
    before = await emr.appointment("a1")
    assert before.confirmed is False
    await emr.confirm(Confirm(chain="a1", before=before))
    assert last(fake)[1] == [{"op": "replace", "path": "/patient-status", "value": "accepted"}]
    assert (await emr.appointment("a1")).confirmed is True


async def test_a_proposal_can_not_be_confirmed(emr, fake):
    fake.put({**fake.get("Appointment", "a1"), "status": "proposed"})
    with pytest.raises(Refused) as no:
        await emr.confirm(Confirm(chain="a1", before=await emr.appointment("a1")))
    assert (no.value.reason, fake.writes) == ("state", [])


async def test_a_booking_is_a_patient_and_a_slot_and_is_found_again_by_them(emr, fake):
    step = booking(await free(emr, ANNA, at(11), at(11, 30)))
    assert await emr.find_own(step) is None
    receipt = await emr.create(step)
    _, body = last(fake)
    assert body == {
        "resourceType": "Appointment",
        "status": "booked",
        "slot": [{"reference": "Slot/d1-1100"}],
        "participant": [{"actor": {"reference": "Patient/p2"}, "status": "accepted"}],
    }
    made = await emr.appointment(receipt.id)
    assert (made.start, made.resource_id, made.care_unit_id, made.healthcare_service_id) == (at(11), ANNA, "u1", TOKEN)
    assert await emr.find_own(step) == made


async def test_a_booking_takes_no_comment(emr, fake):
    with pytest.raises(Refused) as no:
        await emr.create(booking(await free(emr, ANNA, at(11), at(11, 30)), comment="x"))
    assert (no.value.reason, fake.writes) == ("unsupported", [])


async def test_a_slot_that_is_gone_is_told_as_taken_and_another_rule_as_a_rule(emr, fake):
    before, slots = await emr.appointment("a1"), await free(emr, ANNA, at(10), at(10, 30))
    step = Change(chain="a1", before=before, span=Span(at(10), at(10, 30)), slots=slots)
    fake.put({**fake.get("Slot", "d1-1000"), "status": "busy"})
    with pytest.raises(Refused) as no:
        await emr.change(step)
    assert no.value.reason == "taken"
    assert await emr.appointment("a1") == before
    fake.put({**fake.get("Slot", "d1-1000"), "status": "free"})
    fake.faults = [lambda _: outcome(422, "business-rule")]
    with pytest.raises(Refused) as no:
        await emr.change(step)
    assert no.value.reason == "rule"


async def test_a_stale_version_is_told_as_such_though_it_answers_409(emr, fake):
    before = await emr.appointment("a1")
    fake.put(fake.get("Appointment", "a1"))
    with pytest.raises(Refused) as no:
        await emr.cancel(Cancel(chain="a1", before=before))
    assert no.value.reason == "stale"


async def test_slots_are_asked_for_by_service_time_practitioner_and_place(emr, fake):
    slots = await free(emr, ANNA, at(9), at(10))
    assert [slot.id for slot in slots] == ["d1-0930"]
    asked = next(r for r in fake.seen if r.url.path.endswith("/Slot"))
    assert asked.query_params.multi_items() == [
        ("service-type", TOKEN),
        ("start", "ge2027-03-02T08:00:00Z"),
        ("start", "lt2027-03-02T09:00:00Z"),
        ("schedule.actor", ANNA),
        ("-location", "u1"),
        ("_include", "Slot:schedule"),
        ("_count", "200"),
    ]


async def test_a_slot_says_itself_where_it_is(emr, fake):
    found = await emr.free_time(FindFreeTime(Span(at(9), at(10)), ANNA, TOKEN))
    assert [(slot.resource_id, slot.care_unit_id) for slot in found.slots] == [(ANNA, "u1")]


async def test_the_own_slot_is_shown_as_free(emr):
    slots = await free(emr, ANNA, at(9), at(10), await emr.appointment("a1"))
    assert [slot.id for slot in slots] == ["d1-0900", "d1-0930"]


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ({"resource_id": ANNA}, ("practitioner", "d1")),
        ({"patient_id": "p1"}, ("patient", "p1")),
        ({"patient_id": "p1", "resource_id": ANNA}, ("patient", "p1")),
        ({"care_unit_id": "u1"}, ("location", "u1")),
    ],
)
async def test_a_calendar_is_asked_for_by_one_party(emr, fake, wanted, first):
    found = await emr.calendar(ReadCalendar(Span(at(8), at(12)), **wanted))
    assert [a.id for a in found] == ["a1"]
    asked = fake.seen[-1].query_params.multi_items()
    assert asked[0] == first
    assert [name for name, _ in asked[1:]] == ["date", "date", "_count"]


async def test_what_can_not_be_asked_is_refused(emr):
    with pytest.raises(Refused):
        await emr.calendar(ReadCalendar(Span(at(8), at(12))))
    with pytest.raises(Refused):
        await emr.free_time(FindFreeTime(Span(at(8), at(12)), ANNA))


async def test_the_probe_asks_for_a_slot_by_its_id_only(emr, fake):
    assert await emr.probe() == emr.capabilities
    assert fake.seen[-1].query_params.multi_items() == [("_id", "0")]
    assert fake.writes == []
