"""What an account is: itself and no other, and no more than it says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from uuid import uuid4

from gateway.declared import mistakes_of
from gateway.domain.editions import beyond
from gateway.domain.model import Appointment, Kind, Slot, Status
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, MarkSlot
from gateway.port import Refused
from gateway.testing.cases.refused import refused
from gateway.testing.claims import case, changes
from gateway.testing.practice import Practice
from gateway.testing.watched import Watched


class AccountCases:
    @case()
    async def test_what_is_declared_is_what_is_implemented(self, at: Practice) -> None:
        vendor = at.world.vendor
        assert not list(mistakes_of(vendor.key, vendor))
        assert isinstance(at.world.emr, vendor.emr), "the account is of another class than the plugin introduces"
        edition = vendor.edition(at.world.emr.edition)
        assert edition is not None, "the account is of no edition that the plugin introduces"
        more = list(beyond(at.can, edition.capabilities))
        assert not more, f"the account claims more than the plugin declares: {', '.join(more)}"

    @case()
    async def test_a_probe_proves_the_account_and_adds_nothing(self, at: Practice) -> None:
        more = list(beyond(await at.emr.probe(), at.can))
        assert not more, f"the probe adds what the account does not claim: {', '.join(more)}"

    @case()
    async def test_what_is_not_declared_is_refused(self, at: Practice) -> None:
        for asking in _undeclared(at):
            await refused(asking, "unsupported")

    @case("comment")
    async def test_a_move_that_is_not_declared_is_refused(self, at: Practice) -> None:
        made = await at.book(0)
        if at.can.move == "none":
            step = Change(chain=made.id, before=made, span=at.openings[1])
            await refused(at.send(step), "unsupported")
        if at.can.reassign == "none":
            step = Change(chain=made.id, before=made, resource_id=at.resource(1))
            await refused(at.send(step), "unsupported")
        assert await at.there(made.id) == made

    @case()
    async def test_two_accounts_side_by_side_never_see_each_other(self, at: Practice) -> None:
        other = Watched(at.world.other)
        assert at.emr.tenant != other.tenant, "two practices bear the name of one tenant"
        before = await _seen(at, other)
        made = await at.book(comment=f"only here {uuid4().hex}" if at.can.comment else None)
        theirs = await _found(other, made.id)
        assert theirs != made, "the other account shows an appointment that is not its own"
        assert await _seen(at, other) == before, "a write on one account is seen on the other"
        for n, found in enumerate(await _interleaved(at.emr, other, made.id)):
            assert found == (theirs if n % 2 else made), "asked at the same time, two accounts mix up their answers"
        await _alter(at, made)
        assert await _seen(at, other) == before, "a write on one account is seen on the other"
        assert await _found(other, made.id) == theirs

    @case("create")
    async def test_a_marker_is_found_on_its_own_account_only(self, at: Practice) -> None:
        step = await at.creation(at.openings[0])
        await at.carry_out(step)
        if at.world.other.capabilities.create:
            assert await at.world.other.find_own(step) is None


async def _alter(at: Practice, made: Appointment) -> None:
    if at.can.comment:
        made = await at.write(await at.changing(made, comment=f"changed here {uuid4().hex}"))
    if at.can.cancel:
        await at.cancelled(made)


async def _found(emr: Watched, id: str) -> Appointment | None:
    try:
        return await emr.appointment(id)
    except Refused:
        return None


async def _interleaved(one: Watched, other: Watched, id: str) -> list[Appointment | None]:
    return list(await asyncio.gather(*(_found(emr, id) for _ in range(4) for emr in (one, other))))


async def _seen(at: Practice, emr: Watched) -> list[object]:
    """All that an account tells of the day, asked by the first one's ids."""
    seen: list[object] = []
    for on in (0, 1):
        if emr.capabilities.lists:
            seen.append(await _or_refusal(emr.calendar(ReadCalendar(at.day, resource_id=at.resource(on)))))
        if emr.capabilities.free_time != "none":
            seen.append(await _or_refusal(emr.free_time(FindFreeTime(at.day, at.resource(on)))))
    return seen


async def _or_refusal(asking: Awaitable[object]) -> object:
    """An id of the one practice may well be refused by the other."""
    try:
        return await asking
    except Refused as no:
        return no.reason


def _undeclared(at: Practice) -> Iterator[Awaitable[object]]:
    """Each method that nothing declares, asked for something harmless."""
    span, emr, can = at.openings[0], at.emr, at.can
    nobody = Appointment(at.world.unknown_id, span.start, span.end, Status.BOOKED)
    if not can.lists:
        yield emr.calendar(ReadCalendar(span, resource_id=at.resource(0)))
    if can.free_time == "none":
        yield emr.free_time(FindFreeTime(span, at.resource(0)))
    yield from (emr.directory(kind) for kind in set(Kind) - can.directories)
    if not changes(can):
        yield emr.change(Change(chain="x", before=nobody, comment="x"))
    if not can.create:
        yield emr.create(Create(chain="x", span=span, patient_id=at.world.patient_id, resource_id=at.resource(0)))
    if not can.cancel:
        yield emr.cancel(Cancel(chain="x", before=nobody))
    if can.confirm == "none":
        yield emr.confirm(Confirm(chain="x", before=nobody))
    if not can.discard:
        yield emr.discard(Discard(chain="x", before=nobody))
    if not can.slot_records:
        slot = Slot(span.start, span.end, at.resource(0), id=at.world.unknown_id)
        yield emr.mark_slot(MarkSlot(chain="x", slot=slot, state="busy"))
    if not can.bundle_max:
        yield emr.bundle([Change(chain="x", before=nobody, comment="x"), Cancel(chain="y", before=nobody)])
