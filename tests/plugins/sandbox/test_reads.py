"""The plugin reads the sandbox EMR, whatever its personality."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.plugin import (
    Cancel,
    Change,
    Create,
    FindFreeTime,
    Kind,
    MarkSlot,
    ReadCalendar,
    Span,
    Status,
)
from plugins.sandbox.declared import DECLARED
from tests.plugins.sandbox.asking import ALL, DAY, STOCKHOLM, at, book, control


async def test_directories_name_what_exists(emr):
    assert [e.name for e in await emr.directory(Kind.SERVICE)] == ["Follow-up visit", "Video visit"]
    assert len(await emr.directory(Kind.PATIENT)) >= 4
    units, resources = await emr.directory(Kind.CARE_UNIT), await emr.directory(Kind.RESOURCE)
    assert len(units) == 2
    assert {r.care_unit_id for r in resources} == {units[0].id}


async def test_one_entry_is_looked_up_byte_for_byte(emr):
    assert (await emr.look_up(Kind.RESOURCE, "D2")).name == "Nurse Spade Hink"
    for unknown in ("d2", "D2 ", "", "D2&ref=D1", "../D2"):
        assert await emr.look_up(Kind.RESOURCE, unknown) is None


async def test_many_appointments_are_read_at_once_and_unknown_ones_are_none(emr):
    ids = ["B1001", "b1001", "B1002", "", "../B1001", "B1001,B1002", *(f"X{n}" for n in range(100))]
    found = await emr.appointments(ids)
    assert list(found) == ids
    assert [id for id, a in found.items() if a is not None] == ["B1001", "B1002"]
    assert await emr.appointments([]) == {}
    assert await emr.appointment("B9") is None


async def test_an_appointment_carries_its_zone(emr):
    first = await emr.appointment("B1001")
    assert first.start == datetime(2026, 11, 24, 9, tzinfo=STOCKHOLM)
    assert first.start.utcoffset() == timedelta(hours=1)
    assert first.status is Status.BOOKED
    assert (first.patient_id, first.resource_id, first.healthcare_service_id, first.care_unit_id) == (
        "P1",
        "D1",
        "K1",
        "U1",
    )
    assert (first.comment, first.confirmed, first.version, first.code_to_cancel) == (
        "First of three.",
        None,
        "1",
        False,
    )


@pytest.mark.parametrize("personality", ALL)
async def test_a_calendar_lists_what_overlaps(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9, minutes=60))
    for wanted in ({}, {"resource_id": "D1"}, {"patient_id": "P4"}, {"care_unit_id": "U1"}):
        assert [a.id for a in await emr.calendar(ReadCalendar(at(9, 30), **wanted))] == [made.id]
    for wanted in ({"resource_id": "D2"}, {"patient_id": "P1"}, {"care_unit_id": "U2"}):
        assert await emr.calendar(ReadCalendar(at(9, 30), **wanted)) == []
    assert await emr.calendar(ReadCalendar(at(10))) == []


async def test_a_calendar_knows_every_status(emr):
    listed = await emr.calendar(ReadCalendar(Span(DAY.start - timedelta(days=30), DAY.end)))
    assert {a.status for a in listed} == set(Status)


@pytest.mark.parametrize("personality", [p for p in ALL if DECLARED[p].free_time == "slots"])
async def test_free_time_in_slots(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9, minutes=60))
    free = await emr.free_time(FindFreeTime(at(8, 30, minutes=120), "D1", "K1", "U1"))
    if emr.capabilities.slot_records:
        for record in (await emr.free_time(FindFreeTime(at(9, minutes=60), "D1"))).slots:
            await emr.mark_slot(MarkSlot(chain="x", slot=record, state="busy"))
        free = await emr.free_time(FindFreeTime(at(8, 30, minutes=120), "D1", "K1", "U1"))
    assert free.shape == "slots"
    assert [s.span for s in free.slots] == [at(8, 30), at(10)]
    assert {(s.resource_id, s.healthcare_service_id, s.care_unit_id) for s in free.slots} == {("D1", "K1", "U1")}
    own = await emr.free_time(FindFreeTime(at(8, 30, minutes=120), "D1", ignoring=(made,)))
    assert [s.span for s in own.slots] == [at(8, 30), at(9), at(9, 30), at(10)]
    assert own.slots[0].healthcare_service_id is None
    assert (await emr.free_time(FindFreeTime(DAY, "D1", "K9"))).slots == ()
    assert (await emr.free_time(FindFreeTime(DAY, "D1", None, "U2"))).slots == ()


@pytest.mark.parametrize("personality", ["windows", "windows-new-id"])
async def test_free_time_in_windows_is_cut_to_what_was_asked_for(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9, 10, minutes=25))
    asked = at(8, 50, minutes=70)
    free = await emr.free_time(FindFreeTime(asked, "D1", "K1"))
    assert free.shape == "windows"
    assert [s.span for s in free.slots] == [at(8, 50, minutes=20), at(9, 35, minutes=25)]
    own = await emr.free_time(FindFreeTime(asked, "D1", ignoring=(made,)))
    assert [s.span for s in own.slots] == [asked]


async def test_a_question_may_end_in_the_repeated_hour(emr):
    inside = datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("UTC"))
    assert await emr.calendar(ReadCalendar(Span(inside, inside + timedelta(minutes=10)))) == []
    assert (await emr.free_time(FindFreeTime(Span(inside - timedelta(hours=1), inside)))).slots == ()


async def test_an_old_id_is_over_and_leads_to_its_successor(opened):
    emr = opened("new-id")
    made = await book(emr, at(9))
    step = Change(chain=made.id, before=made, span=at(11), new_id=True)
    assert await emr.find_own(step) is None
    moved = (await emr.change(step)).appointment
    assert moved.id != made.id
    assert (await emr.appointment(made.id)).status is Status.CANCELLED
    assert await emr.find_own(step) == moved


async def test_nothing_of_ones_own_is_found_where_nothing_was_made(emr):
    step = Create(chain="new/0", span=at(9), patient_id="P4", resource_id="D1", marker="m-9")
    assert await emr.find_own(step) is None


async def test_a_double_booking_is_seen_where_nothing_refuses_it(opened):
    emr = opened("no-refusal")
    first = await book(emr, at(9, minutes=60))
    assert await emr.conflicts(first) is False
    second = await book(emr, at(9, 30), marker="m-2")
    assert await emr.conflicts(first) is True
    await emr.cancel(Cancel(chain="x", before=second))
    assert await emr.conflicts(first) is False


async def test_a_broken_read_is_tried_again(emr):
    await control(emr, fail_reads=2)
    assert (await emr.appointment("B1001")).id == "B1001"
