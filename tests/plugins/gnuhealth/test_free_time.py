"""What is offered, and what is kept in order: free records, and the time of the command's own appointments."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from gateway.plugin import FindFreeTime, MarkSlot, ReadCalendar, Refused, Slot, Span, Status
from tests.plugins.gnuhealth.conftest import opened
from tests.plugins.gnuhealth.samples import HALF_HOUR, at, half_hour

MORNING = Span(at(10), at(12))


async def offered(emr, practice, *ignoring, who=None, span=MORNING, **more):
    found = await emr.free_time(FindFreeTime(span, str(who or practice.anna), ignoring=ignoring, **more))
    return [f"{slot.start:%H:%M}" for slot in found.slots]


async def there(emr, id):
    found = await emr.appointment(str(id))
    assert found is not None
    return found


async def test_free_records_are_offered_in_the_practices_own_time(emr, practice):
    assert await offered(emr, practice) == ["10:00", "10:30", "11:00", "11:30"]
    assert await offered(emr, practice, span=Span(at(10, 15), at(11, 15))) == ["10:30"]


async def test_time_beside_which_the_staff_have_booked_is_not_offered(emr, practice):
    _squeezed_in(practice, at(10, 15))
    assert await offered(emr, practice) == ["11:00", "11:30"]


@pytest.mark.parametrize("state", ["user_cancelled", "center_cancelled"])
async def test_what_is_cancelled_holds_no_time(emr, practice, state):
    _squeezed_in(practice, at(10, 15), state=state)
    assert await offered(emr, practice) == ["10:00", "10:30", "11:00", "11:30"]


@pytest.mark.parametrize("state", ["confirmed", "checked_in", "done", "no_show", None])
async def test_whatever_else_stands_holds_its_time(emr, practice, state):
    _squeezed_in(practice, at(10, 15), state=state)
    assert await offered(emr, practice) == ["11:00", "11:30"]


async def test_a_record_without_an_end_is_as_long_as_is_configured(practice):
    _squeezed_in(practice, at(10), appointment_date_end=None)
    assert await offered(opened(practice, default_minutes=60), practice) == ["11:00", "11:30"]
    assert await offered(opened(practice, default_minutes=30), practice) == ["10:30", "11:00", "11:30"]


async def test_ones_own_time_is_shown_unless_somebody_lies_there_or_a_free_record_does(emr, practice):
    own = await there(emr, practice.book(practice.anna, at(10)))
    assert await offered(emr, practice) == ["10:30", "11:00", "11:30"]
    assert await offered(emr, practice, own) == ["10:00", "10:30", "11:00", "11:30"]
    other = _squeezed_in(practice, at(10))
    assert "10:00" not in await offered(emr, practice, own)
    practice.fake.touch(other, state="user_cancelled")
    practice.open(practice.anna, at(10))
    (slot,) = (await emr.free_time(FindFreeTime(half_hour(at(10)), own.resource_id, ignoring=(own,)))).slots
    assert "record" in slot.native


async def test_of_equal_records_everybody_is_offered_the_same(emr, practice):
    first = practice.fake.rows(state="free", healthprof=practice.anna)[0]["id"]
    practice.open(practice.anna, at(10))
    slots = (await emr.free_time(FindFreeTime(MORNING, str(practice.anna)))).slots
    assert [slot.native["record"] for slot in slots if slot.start == at(10)] == [first]


async def test_a_slot_of_another_service_or_care_unit_is_not_offered(emr, practice):
    practice.open(practice.anna, at(14), speciality=99, institution=98)
    practice.open(practice.anna, at(15), speciality=None, institution=None)
    afternoon = Span(at(14), at(16))
    assert await offered(emr, practice, span=afternoon) == ["14:00", "15:00"]
    asked = {"healthcare_service_id": str(practice.service), "care_unit_id": str(practice.unit)}
    assert await offered(emr, practice, span=afternoon, **asked) == ["15:00"]


@pytest.mark.parametrize("field", ["speciality", "institution"])
async def test_time_that_is_free_twice_is_given_back_for_whom_it_was_taken(emr, practice, field):
    """A professional may offer the same half hour for two services, or in two care units."""
    own = await there(emr, practice.book(practice.anna, at(10)))
    other = practice.open(practice.anna, at(10), **{field: 99})
    (slot,) = (await emr.free_time(FindFreeTime(own.span, own.resource_id, ignoring=(own,)))).slots
    assert "record" not in slot.native
    assert (await emr.slot(slot))[0] == "busy"
    practice.fake.touch(int(own.id), state="user_cancelled")
    await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="free"))
    free = practice.fake.rows(state="free", appointment_date=at(10).astimezone(UTC), healthprof=practice.anna)
    assert [(row["speciality"], row["institution"]) for row in free if row["id"] != other] == [
        (practice.service, practice.unit)
    ]


async def test_resources_that_are_no_numbers_have_no_time_and_no_appointments(emr, practice):
    assert await offered(emr, practice, who="12 or 1=1") == []
    assert not await emr.calendar(ReadCalendar(MORNING, resource_id="Practitioner/1"))
    assert practice.fake.calls == []


async def test_without_a_resource_everybodys_time_is_offered(emr, practice):
    found = await emr.free_time(FindFreeTime(half_hour(at(10))))
    assert {slot.resource_id for slot in found.slots} == {str(practice.anna), str(practice.bo)}


# -- records ----------------------------------------------------------------------------------------------------------


async def test_what_somebody_else_took_first_is_taken(emr, practice):
    (slot, *_) = (await emr.free_time(FindFreeTime(MORNING, str(practice.anna)))).slots
    practice.book(practice.anna, at(10))
    before = practice.fake.rows()
    for state in ("stale", "gone"):
        with pytest.raises(Refused) as no:
            await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="busy"))
        assert no.value.reason == "taken"
        if state == "stale":
            assert practice.fake.rows() == before
            del practice.fake.tables["gnuhealth.appointment"][slot.native["record"]]


async def test_a_rule_against_deleting_is_no_slot_that_was_taken(emr, practice):
    (slot, *_) = (await emr.free_time(FindFreeTime(MORNING, str(practice.anna)))).slots
    practice.fake.access["delete"] = 0
    with pytest.raises(Refused) as no:
        await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="busy"))
    assert no.value.reason == "rule"


async def test_time_without_a_record_can_not_be_taken(emr, practice):
    own = await there(emr, practice.book(practice.anna, at(10)))
    (slot,) = (await emr.free_time(FindFreeTime(own.span, own.resource_id, ignoring=(own,)))).slots
    with pytest.raises(Refused) as no:
        await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="busy"))
    assert no.value.reason == "taken"


async def test_time_is_given_back_for_the_service_and_the_care_unit_that_had_it(emr, practice):
    own = await there(emr, practice.book(practice.anna, at(10)))
    (slot,) = (await emr.free_time(FindFreeTime(own.span, own.resource_id, ignoring=(own,)))).slots
    practice.fake.touch(int(own.id), state="user_cancelled")
    await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="free"))
    (made,) = practice.fake.rows(state="free", appointment_date=at(10).astimezone(UTC), healthprof=practice.anna)
    assert (made["speciality"], made["institution"], made["patient"]) == (practice.service, practice.unit, None)
    assert (made["name"], made["comments"], made["urgency"]) == (None, None, "a")
    with pytest.raises(Refused) as no:
        await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="free"))
    assert no.value.reason == "stale"


async def test_a_slot_is_known_by_its_time_and_by_nothing_else(emr, practice):
    (slot, *_) = (await emr.free_time(FindFreeTime(MORNING, str(practice.anna)))).slots
    state, found = await emr.slot(Slot(slot.start, slot.end, slot.resource_id, id=slot.id))
    assert (state, found) == ("free", slot)
    assert await emr.slot(Slot(slot.start, slot.end + HALF_HOUR, slot.resource_id, id=slot.id)) is None
    assert await emr.slot(Slot(slot.start, slot.end, "nobody", id=f"nobody@{slot.id}")) is None


# -- appointments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("confirmed", Status.BOOKED),
        ("checked_in", Status.OTHER),
        ("done", Status.COMPLETED),
        ("user_cancelled", Status.CANCELLED),
        ("center_cancelled", Status.CANCELLED),
        ("no_show", Status.NO_SHOW),
        ("a word of next year", Status.OTHER),
        (None, Status.OTHER),
    ],
)
async def test_every_state_has_its_word(emr, practice, state, status):
    id = practice.book(practice.anna, at(10))
    practice.fake.touch(id, state=state)
    assert (await there(emr, id)).status is status


async def test_a_free_record_and_one_without_a_time_are_no_appointments(emr, practice):
    free = practice.fake.rows(state="free")[0]["id"]
    timeless = practice.fake.put_appointment(state="confirmed", patient=practice.kim, healthprof=practice.anna)
    assert await emr.appointments([str(free), str(timeless)]) == {str(free): None, str(timeless): None}


async def test_an_end_before_its_start_is_none(emr, practice):
    id = practice.book(practice.anna, at(10))
    practice.fake.touch(id, appointment_date_end=at(10).astimezone(UTC))
    assert (await there(emr, id)).span == half_hour(at(10))


async def test_an_own_booking_is_not_one_that_the_staff_have_made_just_so(emr, practice):
    from gateway.plugin import Create

    step = Create(chain="n", span=half_hour(at(10)), patient_id=str(practice.kim), resource_id=str(practice.anna))
    _squeezed_in(practice, at(10))
    assert await emr.find_own(step) is None
    made = await emr.create(step)
    assert (await emr.find_own(step)).id == made.id


async def test_what_the_user_may_not_do_is_not_claimed(emr, practice):
    practice.fake.access |= {"create": 0}
    can = await emr.probe()
    assert (can.move, can.reassign, can.create, can.slot_records) == ("none", "none", False, False)
    assert (can.cancel, can.comment, can.lists) == (True, True, True)
    practice.fake.access |= {"write": 0}
    can = await emr.probe()
    assert (can.cancel, can.cancel_comment, can.comment) == (False, "none", False)


def _squeezed_in(practice, start, **more):
    """An appointment beside the free records."""
    utc = start.astimezone(UTC)
    times = {"appointment_date": utc, "appointment_date_end": utc + timedelta(minutes=30)}
    people = {"patient": practice.kim, "healthprof": practice.anna, "state": "confirmed"}
    id = practice.fake.put_appointment(**{**times, **people, **more})
    practice.fake.now += timedelta(minutes=5)
    return id
