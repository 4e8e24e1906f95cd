"""Medplum's scheduling operations, on a fake of them and request by request."""

from __future__ import annotations

import json

import httpx
import pytest

from gateway.plugin import Account, Cancel, Change, Confirm, Create, Door, FindFreeTime, Refused, Slot, Span, Status
from plugins.fhir import Settings, emr_open
from tests.plugins.fhir.dialects.medplum import FakeMedplum, clinic
from tests.plugins.fhir.fake import BASE, outcome
from tests.plugins.fhir.samples import at

ANNA, BO = "Practitioner/d1", "Practitioner/d2"


@pytest.fixture
def fake():
    fake = FakeMedplum()
    for resource in clinic():
        fake.put(resource)
    return fake


@pytest.fixture
async def opened(fake):
    door = Door(httpx.ASGITransport(app=fake.app))
    told = {"base_url": BASE, "zone": "Europe/Stockholm", "dialect": "medplum", "care_units": "none"}
    yield lambda **more: emr_open(Account("fhir", Settings.model_validate({**told, **more}), door))
    await door.aclose()


@pytest.fixture
def emr(opened):
    return opened()


async def free(emr, who, start, end, *ignoring):
    return (await emr.free_time(FindFreeTime(Span(start, end), who, "h1", None, ignoring))).slots


def last(fake):
    request = fake.writes[-1]
    return request.method, request.url.path, json.loads(request._body) if request._body else None


@pytest.mark.parametrize("wrapped", [False, True])
async def test_free_time_is_what_find_proposes(emr, fake, wrapped):
    fake.wrapped = wrapped
    slots = await free(emr, ANNA, at(8, 30), at(10))
    assert [(s.start, s.end, s.resource_id) for s in slots] == [
        (at(8, 30), at(9), ANNA),
        (at(9, 30), at(10), ANNA),
    ]
    assert fake.seen[-1].url.path == "/r4/Appointment/$find"
    assert fake.seen[-1].query_params.multi_items() == [
        ("start", "2027-03-02T07:30:00Z"),
        ("end", "2027-03-02T09:00:00Z"),
        ("service-type-reference", "HealthcareService/h1"),
        ("schedule", "Schedule/s-d1"),
        ("_count", "1000"),
    ]


async def test_the_own_time_is_proposed_where_it_is_ignored(emr):
    own = await emr.appointment("a1")
    assert [s.start for s in await free(emr, ANNA, at(9), at(10), own)] == [at(9), at(9, 30)]


async def test_two_months_are_asked_for_in_parts(emr, fake):
    await free(emr, ANNA, at(8).replace(month=2), at(8).replace(month=4))
    asked = [r for r in fake.seen if r.url.path.endswith("$find")]
    assert len(asked) == 2
    assert asked[0].query_params["end"] == asked[1].query_params["start"]


async def test_a_move_is_a_reschedule(emr, fake):
    before = await emr.appointment("a1")
    slots = await free(emr, BO, at(10), at(10, 30))
    step = Change(chain="a1", before=before, span=Span(at(10), at(10, 30)), resource_id=BO, slots=slots)
    now = (await emr.change(step)).appointment
    assert last(fake) == (
        "POST",
        "/r4/Appointment/a1/$reschedule",
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "start", "valueDateTime": at(10).isoformat()},
                {"name": "schedule", "valueReference": {"reference": "Schedule/s-d2"}},
            ],
        },
    )
    assert (now.id, now.start, now.resource_id, now.patient_id) == ("a1", at(10), BO, "p1")
    assert "s1" not in fake.store["Slot"]


async def test_a_move_can_be_taken_back_by_the_old_image(emr):
    before = await emr.appointment("a1")
    step = Change(chain="a1", before=before, span=Span(at(10), at(10, 30)), resource_id=BO)
    now = (await emr.change(step)).appointment
    slots = (Slot(before.start, before.end, ANNA, id="s1"),)
    back = await emr.change(Change(chain="a1", before=now, span=before.span, resource_id=ANNA, slots=slots))
    assert (back.appointment.start, back.appointment.resource_id) == (at(9), ANNA)


async def test_each_search_ignores_one_appointment(emr, fake):
    other = {**fake.get("Appointment", "a1"), "id": "a2", "slot": [{"reference": "Slot/s2"}]}
    fake.put({**fake.get("Slot", "s1"), "id": "s2", "start": at(9, 30).isoformat(), "end": at(10).isoformat()})
    fake.put({**other, "start": at(9, 30).isoformat(), "end": at(10).isoformat()})
    own = list((await emr.appointments(["a1", "a2"])).values())
    assert [s.start for s in await free(emr, ANNA, at(9), at(10), *own)] == [at(9), at(9, 30)]
    asked = [r.query_params.getlist("ignore-appointment") for r in fake.seen if r.url.path.endswith("$find")]
    assert sorted(asked) == [["Appointment/a1"], ["Appointment/a2"]]
    assert await free(emr, BO, at(9), at(9, 30), *own)
    assert fake.seen[-1].query_params.getlist("ignore-appointment") == []


async def test_the_service_is_the_one_that_the_service_type_refers_to(emr, fake):
    assert (await emr.appointment("a1")).healthcare_service_id == "h1"
    fake.put({**fake.get("Appointment", "a1"), "serviceType": [{"coding": [{"code": "visit"}]}]})
    assert (await emr.appointment("a1")).healthcare_service_id is None


async def test_a_move_goes_to_the_schedule_that_was_proposed(emr, fake):
    fake.put({**fake.get("Schedule", "s-d2"), "id": "s-d2-too"})
    before = await emr.appointment("a1")
    chosen = await free(emr, BO, at(10), at(10, 30))
    await emr.change(Change(chain="a1", before=before, span=Span(at(10), at(10, 30)), resource_id=BO, slots=chosen))
    proposed = chosen[0].native["proposal"]["contained"][0]["schedule"]["reference"]
    assert proposed == "Schedule/s-d2-too"
    assert last(fake)[2]["parameter"][1]["valueReference"] == {"reference": proposed}


async def test_an_appointment_on_several_schedules_is_left_alone(emr, fake):
    """A move would lose those that it does not name."""
    fake.put({**fake.get("Slot", "s1"), "id": "s2", "schedule": {"reference": "Schedule/s-d2"}})
    both = [{"reference": "Slot/s1"}, {"reference": "Slot/s2"}]
    fake.put({**fake.get("Appointment", "a1"), "slot": both})
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=await emr.appointment("a1"), span=Span(at(10), at(10, 30))))
    assert (no.value.reason, fake.writes) == ("unsupported", [])


async def test_buffers_on_the_same_schedule_go_along(emr, fake):
    fake.put({**fake.get("Slot", "s1"), "id": "s2", "status": "busy-unavailable", "start": at(8, 30).isoformat()})
    both = [{"reference": "Slot/s1"}, {"reference": "Slot/s2"}]
    fake.put({**fake.get("Appointment", "a1"), "slot": both})
    now = await emr.change(Change(chain="a1", before=await emr.appointment("a1"), span=Span(at(10), at(10, 30))))
    assert now.appointment.start == at(10)


async def test_a_length_that_the_service_does_not_have_is_not_asked_for(emr, fake):
    before = await emr.appointment("a1")
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, span=Span(at(10), at(11))))
    assert (no.value.reason, fake.writes) == ("unsupported", [])


async def test_a_time_that_is_gone_is_told_as_taken(emr, fake):
    slots = await free(emr, ANNA, at(10), at(10, 30))
    step = Change(chain="a1", before=await emr.appointment("a1"), span=Span(at(10), at(10, 30)), slots=slots)
    fake.put({**fake.get("Slot", "s1"), "id": "s2", "start": at(10).isoformat(), "end": at(10, 30).isoformat()})
    with pytest.raises(Refused) as no:
        await emr.change(step)
    assert no.value.reason == "taken"
    assert fake.get("Appointment", "a1")["start"] == at(9).isoformat()


async def test_what_was_cancelled_meanwhile_is_told_as_a_status(emr, fake):
    before, slots = await emr.appointment("a1"), await free(emr, ANNA, at(10), at(10, 30))
    await emr.cancel(Cancel(chain="a1", before=before))
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, span=Span(at(10), at(10, 30)), slots=slots))
    assert no.value.reason == "state"


async def test_a_lost_race_is_told_as_a_change_meanwhile(emr, fake):
    before = await emr.appointment("a1")
    fake.faults = [lambda _: outcome(409, "conflict")]
    with pytest.raises(Refused) as no:
        await emr.cancel(Cancel(chain="a1", before=before))
    assert no.value.reason == "stale"


async def test_a_comment_is_an_ordinary_patch(emr, fake):
    before = await emr.appointment("a1")
    await emr.change(Change(chain="a1", before=before, comment="by patch"))
    assert last(fake) == ("PATCH", "/r4/Appointment/a1", [{"op": "add", "path": "/comment", "value": "by patch"}])
    assert not emr.capabilities.combines
    assert emr.capabilities.cancel_comment == "before"


async def test_a_booking_is_a_proposal_with_its_patient(emr, fake):
    slots = await free(emr, ANNA, at(11), at(11, 30))
    step = Create(
        chain="n",
        span=Span(at(11), at(11, 30)),
        patient_id="p2",
        resource_id=ANNA,
        healthcare_service_id="h1",
        comment="first",
        slots=slots,
        marker="m1",
    )
    assert await emr.find_own(step) is None
    made = (await emr.create(step)).appointment
    method, path, body = last(fake)
    assert (method, path) == ("POST", "/r4/Appointment/$book")
    (parameter,) = body["parameter"]
    assert parameter["name"] == "appointment"
    assert parameter["resource"]["participant"][0] == {"actor": {"reference": "Patient/p2"}, "status": "accepted"}
    assert parameter["resource"]["contained"] == slots[0].native["proposal"]["contained"]
    assert (made.status, made.patient_id, made.resource_id, made.comment) == (Status.BOOKED, "p2", ANNA, "first")
    assert await emr.find_own(step) == made
    stored = fake.get("Appointment", made.id)
    del stored["identifier"]
    assert await emr.find_own(step) == made


async def test_a_booking_may_be_held_until_it_is_confirmed(opened, fake):
    emr = opened(holds=True)
    slots = await free(emr, ANNA, at(11), at(11, 30))
    made = await emr.create(Create(chain="n", span=slots[0].span, patient_id="p2", resource_id=ANNA, slots=slots))
    assert last(fake)[:2] == ("POST", "/r4/Appointment/$hold")
    assert (made.appointment.status, made.appointment.confirmed) == (Status.AWAITING, False)
    (held,) = made.appointment.slot_ids
    assert fake.get("Slot", held)["status"] == "busy-tentative"
    now = (await emr.confirm(Confirm(chain="n", before=made.appointment))).appointment
    assert (now.status, now.confirmed, fake.get("Slot", held)["status"]) == (Status.BOOKED, True, "busy")


@pytest.mark.parametrize("wrapped", [False, True])
async def test_an_answer_may_be_a_parameter(emr, fake, wrapped):
    fake.wrapped = wrapped
    now = (await emr.cancel(Cancel(chain="a1", before=await emr.appointment("a1")))).appointment
    assert (now.id, now.status) == ("a1", Status.CANCELLED)


async def test_confirm_and_cancel_are_operations_without_a_body(emr, fake):
    fake.put({**fake.get("Appointment", "a1"), "status": "pending"})
    now = (await emr.confirm(Confirm(chain="a1", before=await emr.appointment("a1")))).appointment
    assert last(fake) == ("POST", "/r4/Appointment/a1/$confirm", None)
    assert now.status is Status.BOOKED
    now = (await emr.cancel(Cancel(chain="a1", before=now))).appointment
    assert last(fake) == ("POST", "/r4/Appointment/a1/$cancel", None)
    assert (now.status, fake.store["Slot"]) == (Status.CANCELLED, {})


async def test_what_is_over_is_told_as_a_status(emr):
    over = (await emr.cancel(Cancel(chain="a1", before=await emr.appointment("a1")))).appointment
    for write in (emr.cancel(Cancel(chain="a1", before=over)), emr.confirm(Confirm(chain="a1", before=over))):
        with pytest.raises(Refused) as no:
            await write
        assert no.value.reason == "state"


async def test_what_was_never_proposed_is_not_booked(emr, fake):
    step = Create(chain="n", span=Span(at(11), at(11, 30)), patient_id="p2", resource_id=ANNA)
    with pytest.raises(Refused) as no:
        await emr.create(step)
    assert (no.value.reason, fake.writes) == ("invalid", [])
