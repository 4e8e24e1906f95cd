"""The plugin writes to the sandbox EMR, whatever its personality; and into its troubles."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.plugin import (
    Cancel,
    Change,
    Create,
    Discard,
    FindFreeTime,
    MarkSlot,
    MaybeDone,
    Refused,
    Slot,
    Span,
    Status,
)
from plugins.sandbox.declared import DECLARED
from plugins.sandbox.emr.faults import OTHER_TEXT
from tests.plugins.sandbox.asking import ALL, STOCKHOLM, at, book, refusal, settled

MOVING = [p for p in ALL if DECLARED[p].move != "none" and not DECLARED[p].slot_records]


@pytest.mark.parametrize("personality", ALL)
async def test_what_was_booked_can_be_found_again_and_withdrawn(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9, minutes=60), comment="Bring the spade.")
    assert (made.span, made.patient_id, made.resource_id, made.healthcare_service_id) == (
        at(9, minutes=60), "P4", "D1", "K1",
    )  # fmt: skip
    assert (made.status, made.comment, made.confirmed) == (Status.BOOKED, "Bring the spade.", None)
    step = Create(chain="new/0", span=made.span, patient_id="P4", resource_id="D1", marker="m-1")
    assert await emr.find_own(step) == made == await emr.appointment(made.id)
    assert len(made.slot_ids) == (2 if emr.capabilities.slot_records else 0)
    await emr.discard(Discard(chain="new/0", before=made, marker="m-1"))
    assert await emr.appointment(made.id) is None


async def test_only_what_is_as_we_left_it_is_withdrawn(emr):
    made = await book(emr, at(9))
    await emr.change(Change(chain="x", before=made, comment="from the staff"))
    assert await refusal(emr.discard(Discard(chain="x", before=made, marker="m-1"))) == "stale"


@pytest.mark.parametrize("personality", MOVING)
async def test_time_resource_and_comment_change_in_one_write(opened, personality):
    emr = opened(personality)
    new_id = emr.capabilities.move == "new_id"
    made = await book(emr, at(9), comment="old")
    step = Change(chain="x", before=made, span=at(11, minutes=60), resource_id="D2", comment="", new_id=new_id)
    moved = await settled(emr, step, await emr.change(step))
    assert (moved.span, moved.resource_id, moved.comment) == (at(11, minutes=60), "D2", None)
    assert (moved.id != made.id) == new_id
    back = replace(step, before=moved, span=made.span, resource_id="D1", comment="old")
    restored = await settled(emr, back, await emr.change(back))
    assert (restored.span, restored.resource_id, restored.comment) == (made.span, "D1", "old")


@pytest.mark.parametrize("personality", ALL)
async def test_a_comment_alone_keeps_the_id_everywhere(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9))
    step = Change(chain="x", before=made, comment="  spaces stay \n")
    changed = await settled(emr, step, await emr.change(step))
    assert (changed.id, changed.comment) == (made.id, "  spaces stay \n")
    assert changed.version != made.version


async def test_an_emr_that_cannot_move_says_so(opened):
    emr = opened("no-move")
    made = await book(emr, at(9))
    assert await refusal(emr.change(Change(chain="x", before=made, span=at(11)))) == "unsupported"


@pytest.mark.parametrize("personality", ALL)
async def test_a_write_over_an_old_version_is_refused(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9))
    step = Change(chain="x", before=made, comment="theirs")
    await settled(emr, step, await emr.change(step))
    assert await refusal(emr.change(Change(chain="x", before=made, comment="ours"))) == "stale"
    assert await refusal(emr.cancel(Cancel(chain="x", before=made))) == "stale"


@pytest.mark.parametrize("personality", [p for p in ALL if DECLARED[p].refuses_overlap])
async def test_taken_time_is_refused(opened, personality):
    emr = opened(personality)
    await book(emr, at(9, minutes=60))
    assert await refusal(book(emr, at(9, 30), marker="m-2")) == "taken"
    other = await book(emr, at(11), marker="m-3")
    wanted = "unsupported" if emr.capabilities.move == "none" else "taken"
    assert await refusal(emr.change(Change(chain="x", before=other, span=at(9)))) == wanted


async def test_time_that_is_not_offered_is_refused(emr):
    assert await refusal(book(emr, at(7))) == "taken"
    assert await refusal(book(emr, at(9, minutes=20))) == "taken"


async def test_the_repeated_hour_cannot_be_said(opened):
    emr = opened("windows")
    made = await book(emr, at(9))
    twice = datetime(2027, 10, 31, 1, 15, tzinfo=ZoneInfo("UTC"))
    span = Span(twice, twice + timedelta(hours=2))
    assert await refusal(book(emr, span)) == "invalid"
    assert await refusal(emr.change(Change(chain="x", before=made, span=span))) == "invalid"


async def test_seconds_can_be_said_where_time_is_open(opened):
    emr = opened("windows")
    start = datetime(2026, 11, 30, 9, 0, 1, 5, tzinfo=STOCKHOLM)
    made = await book(emr, Span(start, start + timedelta(minutes=7)))
    assert made.span == Span(start, start + timedelta(minutes=7))


@pytest.mark.parametrize(
    "wrong", [{"resource": "D9"}, {"service": "K9"}, {"patient_id": "P9"}, {"comment": "x" * 1001}]
)
async def test_a_value_that_the_emr_does_not_know_is_refused(emr, wrong):
    assert await refusal(book(emr, at(9), **wrong)) == "invalid"


@pytest.mark.parametrize("personality", ALL)
async def test_a_cancellation_takes_its_comment_along(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9), comment="old")
    step = Cancel(chain="x", before=made, comment="new")
    cancelled = await settled(emr, step, await emr.cancel(step))
    assert (cancelled.id, cancelled.status, cancelled.comment) == (made.id, Status.CANCELLED, "new")
    assert await refusal(emr.cancel(Cancel(chain="x", before=cancelled))) == "state"


async def test_slot_records_are_taken_and_given_back_over_their_version(opened):
    emr = opened("slot-records")
    (free,) = (await emr.free_time(FindFreeTime(at(9), "D1"))).slots
    busy = (await emr.mark_slot(MarkSlot(chain="x", slot=free, state="busy"))).slot
    assert (busy.id, busy.span) == (free.id, free.span)
    assert busy.version != free.version
    assert await emr.slot(free) == ("busy", busy)
    assert await refusal(emr.mark_slot(MarkSlot(chain="y", slot=free, state="busy"))) == "stale"
    again = (await emr.mark_slot(MarkSlot(chain="x", slot=busy, state="free"))).slot
    assert await emr.slot(busy) == ("free", again)
    assert await emr.slot(replace(free, id="D9-x")) is None


async def test_a_move_names_the_slot_records_of_its_new_time(opened):
    emr = opened("slot-records")
    made = await book(emr, at(9))
    slots = (await emr.free_time(FindFreeTime(at(11, minutes=60), "D2"))).slots
    step = Change(chain="x", before=made, span=at(11, minutes=60), resource_id="D2", slots=slots)
    moved = (await emr.change(step)).appointment
    assert moved.slot_ids == tuple(s.id for s in slots)
    named_only = tuple(Slot(made.start, made.end, "D1", id=id) for id in made.slot_ids)
    back = replace(step, before=moved, span=made.span, resource_id="D1", slots=named_only)
    assert (await emr.change(back)).appointment.slot_ids == made.slot_ids


# -- trouble -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memo", ["!error", "!drop", "!lost", "!late"])
async def test_an_answer_that_tells_nothing_leaves_it_open(emr, memo):
    made = await book(emr, at(9))
    with pytest.raises(MaybeDone):
        await emr.change(Change(chain="x", before=made, comment=memo))
    if memo == "!lost":
        assert (await emr.appointment(made.id)).comment == memo
    if memo in ("!error", "!drop"):
        assert await emr.appointment(made.id) == made


async def test_a_lost_booking_is_found_by_its_mark(emr):
    with pytest.raises(MaybeDone):
        await book(emr, at(9), comment="!lost")
    found = await emr.find_own(Create(chain="x", span=at(9), patient_id="P4", resource_id="D1", marker="m-1"))
    assert found is not None
    assert found.span == at(9)


async def test_a_rule_of_the_emrs_own_is_told_by_its_code(emr):
    made = await book(emr, at(9))
    with pytest.raises(Refused) as refused:
        await emr.change(Change(chain="x", before=made, comment="!refuse"))
    assert (refused.value.reason, refused.value.emr_code) == ("rule", "RULE_REFUSED")


async def test_busy_is_later_and_not_never(emr):
    made = await book(emr, at(9))
    assert (await emr.change(Change(chain="x", before=made, comment="!busy"))).appointment.comment == "!busy"


async def test_another_text_is_shown_as_it_was_stored(emr):
    made = await book(emr, at(9))
    assert (await emr.change(Change(chain="x", before=made, comment="!other"))).appointment.comment == OTHER_TEXT
