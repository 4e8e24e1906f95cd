"""Many at once: of eight who want one thing, one gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import pytest

from gateway import clock
from gateway.domain.commands import Book, Intent, Reschedule, Update
from gateway.domain.errors import BadRequest, Conflict
from gateway.domain.model import Slot, Status
from gateway.domain.steps import MarkSlot
from gateway.execute.run import Run
from gateway.port import MaybeDone
from gateway.testing.cases.refused import refusal, refused
from gateway.testing.claims import case, moves, reassigns
from gateway.testing.faults import CORE, Faulty, is_write
from gateway.testing.practice import Practice

T = TypeVar("T")
STATES: tuple[Literal["busy", "free"], ...] = ("busy", "free")
EIGHT = 8
LOST = next(fault for fault in CORE if fault.name == "dropped, carried out")


class RaceCases:
    @case("racing for one slot")
    async def test_of_eight_who_want_one_slot_one_gets_it(self, at: Practice) -> None:
        wishes = await _wishes(at)
        ends = await asyncio.gather(*(at.desk.do(wish) for wish in wishes), return_exceptions=True)
        assert [type(end) for end in ends].count(Run) == 1, f"of {len(wishes)} it was not one who got it: {ends}"
        for end in ends:
            if not isinstance(end, Run):
                assert isinstance(end, BadRequest | Conflict), f"a loser was told {end!r}"
                assert [p.error_code for p in end.problems] == ["NO_TIMESLOTS_AVAILABLE"]
        there = [a for a in await at.standing(0) if a.span.overlaps(at.openings[0])]
        assert len(there) == 1 or not at.can.lists, f"on the slot there stand {len(there)}"

    @case("version_check", "comment")
    async def test_of_eight_writes_over_one_version_one_counts(self, at: Practice) -> None:
        before = await at.book()
        steps = [await at.changing(before, comment=f"number {n}") for n in range(EIGHT)]
        ends = await asyncio.gather(*(refusal(at.send(step), "stale", "taken") for step in steps))
        won = [n for n, end in enumerate(ends) if end is None]
        # What is only accepted is not written yet, and may still be dropped.
        assert won if at.can.settles_within_s else len(won) == 1, f"of eight over one version {len(won)} counted"
        now = await _settled(at, lambda: at.there(before.id), lambda a: a.version != before.version)
        assert now.comment in [f"number {n}" for n in won]

    @case("slot_records")
    async def test_of_eight_who_take_one_slot_record_one_gets_it(self, at: Practice) -> None:
        slot = await _record(at)
        for state in STATES:
            now = await at.emr.slot(slot)
            assert now is not None
            step = MarkSlot(chain="x", slot=now[1], state=state)
            ends = await asyncio.gather(*(refusal(at.send(step), "stale", "taken") for _ in range(EIGHT)))
            assert ends.count(None) == 1, "it is not one who marked the slot"
            after = await at.emr.slot(slot)
            assert after is not None
            assert after[0] == state
            assert after[1].version != now[1].version, "a slot record was marked and kept its version"

    @case("slot_records")
    async def test_a_slot_record_is_taken_and_given_back(self, at: Practice) -> None:
        slot = await _record(at)
        taken = (await at.send(MarkSlot(chain="x", slot=slot, state="busy"))).slot
        assert taken is not None
        await at.expect(at.openings[0], free=False)
        await refused(at.send(MarkSlot(chain="x", slot=slot, state="busy")), "stale", "taken")
        await at.send(MarkSlot(chain="x", slot=taken, state="free"))
        await at.expect(at.openings[0], free=True)
        nobody = Slot(slot.start, slot.end, slot.resource_id, id=at.world.unknown_id)
        assert await at.emr.slot(nobody) is None

    @case("create")
    async def test_a_booking_whose_answer_is_lost_is_found_and_not_made_twice(self, at: Practice) -> None:
        step = await at.creation(at.openings[0])
        broken = at.world.open_over(Faulty(at.world.transport, fault=LOST, which=is_write))
        if at.can.slot_records:
            await at.mark(step.slots, busy=True)
        try:
            await broken.create(step)
        except MaybeDone:
            pass
        else:
            pytest.fail("a booking whose answer was lost is told as if the answer had come")
        found = await _settled(at, lambda: at.emr.find_own(step), lambda a: a is not None)
        assert found is not None, "a booking whose answer was lost is not found by its marker"
        assert found.span.same(step.span)
        assert len([a for a in await at.standing(0) if a.span.overlaps(step.span)]) == at.can.lists

    @case("move", "comment", "free_time")
    async def test_one_is_rescheduled_by_one_command(self, at: Practice) -> None:
        first = await at.book(0)
        await at.desk.do(Reschedule((first.id,), at.openings[1], None, "new"))
        now = await at.there(await at.desk.current(first.id))
        assert (now.status, now.span.key, now.comment) == (Status.BOOKED, at.openings[1].key, "new")


async def _wishes(at: Practice) -> list[Intent]:
    """Eight who want the first opening: those who stand next to it, as far as they can be moved, and new ones."""
    places = [(n, on) for on in (0, 1) for n in range(len(at.openings)) if (n, on) != (0, 0)]
    movable = [(n, on) for n, on in places if moves(at.can) and (on == 0 or reassigns(at.can))]
    standing = [await at.book(n, on) for n, on in movable[: EIGHT // 2]]
    there, resource = at.openings[0], at.resource(0)
    wishes: list[Intent] = [Update((a.id,), there, None if a.resource_id == resource else resource) for a in standing]
    if at.can.create:
        new = Book(there, at.world.patient_id, resource, at.world.healthcare_service_id)
        wishes += [new] * (EIGHT - len(wishes))
    return wishes


async def _record(at: Practice) -> Slot:
    """The record of the first opening, as it is offered."""
    offered = await at.offered(at.openings[0])
    assert offered, "the first opening is not offered"
    assert offered[0].id is not None, "slots are records, and one is offered without an id"
    assert offered[0].version is not None, "slots are records, and one is offered without a version"
    return offered[0]


async def _settled(at: Practice, read: Callable[[], Awaitable[T]], shows: Callable[[T], bool]) -> T:
    """What is read once it shows, or when it should have shown."""
    deadline = clock.monotonic() + at.can.settles_within_s
    while True:
        found = await read()
        if shows(found) or clock.monotonic() >= deadline:
            return found
        await asyncio.sleep(0.01)
