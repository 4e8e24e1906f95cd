"""What comes out when the connection or the vendor breaks: every method of the port, every fault."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import product
from re import escape, search

import pytest

from gateway.domain.model import Appointment, Kind, Slot
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, MarkSlot, Step
from gateway.port import Emr, EmrError, Refused
from gateway.testing.claims import case, changes
from gateway.testing.faults import CORE, SECRET, Fault, Faulty, is_plain_read, is_write, without_waiting
from gateway.testing.practice import Practice
from gateway.testing.watched import Watched

Call = Callable[[Emr], Awaitable[object]]
NEVER = 1_000_000


class FailingCases:
    @case()
    async def test_a_read_that_breaks_says_so(self, at: Practice) -> None:
        """At whichever of its requests: what was not read is never told as if nothing were there."""
        made = await at.book()
        for method, call in reads(at, made):
            whole = Faulty(at.world.transport, fault=CORE[0], at=NEVER, which=is_plain_read)
            assert await failure(at, call, whole) is None, f"{method} fails though nothing is broken"
            for n, fault in product(range(1, whole.requests + 1), CORE):
                faulty = Faulty(at.world.transport, fault=fault, at=n, which=is_plain_read)
                error = await failure(at, call, faulty)
                verdict(at, f"{method}, {fault.name}", fault, error, made, tolerant=fault.bent)

    @pytest.mark.parametrize("fault", CORE, ids=[fault.name for fault in CORE])
    @case(agrees=False)
    async def test_a_write_that_breaks_says_what_may_have_become_of_it(self, at: Practice, fault: Fault) -> None:
        async for method, call, about in writes(at):
            faulty = Faulty(at.world.transport, fault=fault, which=is_write)
            error = await failure(at, call, faulty)
            assert faulty.broken, f"{method} sent no write through the account's transport"
            verdict(at, f"{method}, {fault.name}", fault, error, about, tolerant=fault.senseless)


async def failure(at: Practice, call: Call, faulty: Faulty) -> EmrError | None:
    """What comes out of it, if it is not an answer. Anything but the port's errors fails the case by itself."""
    with without_waiting():
        try:
            await call(Watched(at.world.open_over(faulty)))
        except EmrError as error:
            return error
    return None


def verdict(
    at: Practice, what: str, fault: Fault, error: EmrError | None, about: Appointment | None, *, tolerant: bool
) -> None:
    """Is it what must come out of this fault? `tolerant`: an answer may come out, too."""
    if error is None:
        assert tolerant, f"{what} was taken for an answer"
    else:
        _check(at, what, fault, error, about)


def _check(at: Practice, what: str, fault: Fault, error: EmrError, about: Appointment | None) -> None:
    said = type(error).__name__
    assert isinstance(error, fault.means), f"{what}: it came out as {said}, and it means {fault.means.__name__}"
    if fault.name == "401" and fault.means is Refused:
        assert isinstance(error, Refused)
        assert error.reason == "credentials", f'{what}: it came out as "{error.reason}"'
    ids = {at.world.patient_id, *at.world.resource_ids} | ({about.id} if about else set())
    for text in _texts(error):
        assert not any(part in text for part in SECRET.split()), f"{what}: the error tells what the vendor's body said"
        for id in ids:
            assert not search(rf"(?<![\w-]){escape(id)}(?![\w-])", text), f"{what}: the error tells an id"


def _texts(error: BaseException | None) -> Iterator[str]:
    """All that a log could show of an error and of what it was made from."""
    told: list[BaseException] = []
    # An error may be raised from itself.
    while error is not None and error not in told:
        yield f"{error} {error.args} {getattr(error, 'emr_code', None)}"
        told.append(error)
        error = error.__cause__


# -- every method --------------------------------------------------------------------------------------------------


def reads(at: Practice, made: Appointment) -> Iterator[tuple[str, Call]]:
    """The reads of what the account declares."""
    can, span, resource = at.can, at.day, at.resource(0)
    yield "appointment", lambda emr: emr.appointment(made.id)
    yield "appointments", lambda emr: emr.appointments([made.id, at.world.unknown_id])
    yield "probe", lambda emr: emr.probe()
    if can.lists:
        yield "calendar", lambda emr: emr.calendar(ReadCalendar(span, resource_id=resource))
        yield "conflicts", lambda emr: emr.conflicts(made)
    if can.free_time != "none":
        asked = FindFreeTime(span, resource, at.world.healthcare_service_id, at.world.care_unit_id, ignoring=(made,))
        yield "free_time", lambda emr: emr.free_time(asked)
    for kind in sorted(can.directories):
        yield f"directory of {kind}", _listing(kind)
        yield f"look_up in {kind}", _looking_up(kind, at.world.unknown_id)
    if can.create:
        step = Create(chain="x", span=made.span, patient_id=at.world.patient_id, resource_id=resource, marker="m")
        yield "find_own of a booking", lambda emr: emr.find_own(step)
    if "new_id" in (can.move, can.reassign):
        moved = Change(chain="x", before=made, span=at.openings[1], new_id=True)
        yield "find_own of a change", lambda emr: emr.find_own(moved)
    if can.slot_records:
        slot = Slot(made.start, made.end, resource, id=made.slot_ids[0])
        yield "slot", lambda emr: emr.slot(slot)


def _listing(kind: Kind) -> Call:
    return lambda emr: emr.directory(kind)


def _looking_up(kind: Kind, id: str) -> Call:
    return lambda emr: emr.look_up(kind, id)


async def writes(at: Practice) -> AsyncIterator[tuple[str, Call, Appointment | None]]:
    """The writes that the account declares, each made ready only when its turn comes.

    Whatever became of the ones before: each is about an appointment or an opening of its own.
    """
    can, made = at.can, await at.book(0, 0)
    if changes(can):
        change = await _touching(at, made)
        yield "change", lambda emr: emr.change(change), made
    if can.bundle_max:
        bundle = await _bundle(at, made.id)
        yield "bundle", lambda emr: emr.bundle(bundle), made
    if can.cancel:
        cancel = Cancel(chain="x", before=await at.there(made.id))
        yield "cancel", lambda emr: emr.cancel(cancel), made
    if can.slot_records:
        mark = await _marking(at, made)
        yield "mark_slot", lambda emr: emr.mark_slot(mark), made
    if can.create:
        create = await at.creation(at.openings[0], 1)
        yield "create", lambda emr: emr.create(create), None
    if can.create and can.discard:
        step = await at.creation(at.openings[1], 0)
        discard = Discard(chain="x", before=await at.carry_out(step), marker=step.marker)
        yield "discard", lambda emr: emr.discard(discard), discard.before
    if can.confirm != "none":
        waiting = await at.unconfirmed(1, 1)
        confirm = Confirm(chain="x", before=waiting, code=at.codes().right if can.confirm == "code" else None)
        yield "confirm", lambda emr: emr.confirm(confirm), waiting


async def _touching(at: Practice, made: Appointment) -> Change:
    """A change, if only to where it is already."""
    if at.can.comment:
        return await at.changing(made, comment="a word")
    moves = at.can.move != "none"
    return await at.changing(made, span=made.span if moves else None, on=None if moves else 0)


async def _bundle(at: Practice, id: str) -> list[Step]:
    """A word, and where there are slot records one of them."""
    made = await at.there(id)
    return [await _touching(at, made), *([await _marking(at, made)] if at.can.slot_records else [])]


async def _marking(at: Practice, made: Appointment) -> MarkSlot:
    """The other state than it has, over its version."""
    found = await at.emr.slot(Slot(made.start, made.end, at.resource(0), id=made.slot_ids[0]))
    assert found is not None, "an appointment holds a slot record that is not there"
    return MarkSlot(chain="x", slot=found[1], state="free" if found[0] == "busy" else "busy")
