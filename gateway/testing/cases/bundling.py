"""Several writes as one: all of them, or none."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.model import Appointment, Status
from gateway.domain.steps import Change, Create, MarkSlot, Step
from gateway.testing.cases.refused import refused
from gateway.testing.claims import case
from gateway.testing.practice import Practice


class BundleCases:
    @case("bundle_max")
    async def test_a_bundle_is_carried_out_as_a_whole(self, at: Practice) -> None:
        steps = await _moves(at, [await at.book(0, on) for on in (0, 1)])
        receipts = await at.emr.bundle(steps)
        for step, receipt in zip(steps, receipts, strict=True):
            if isinstance(step, Change):
                now = await at.shown(step, receipt)
                assert receipt.appointment in (None, now), "a bundle answered with another appointment than is read"
            elif isinstance(step, MarkSlot):
                found = await at.emr.slot(step.slot)
                assert found is not None
                assert found[0] == step.state, "a slot in a bundle was not marked"
                assert receipt.slot is None or receipt.slot.version in (None, found[1].version)

    @case("bundle_max", "version_check", "comment")
    async def test_a_bundle_with_a_stale_step_leaves_nothing(self, at: Practice) -> None:
        """Whichever of its appointments it is."""
        made = [await at.book(0, on) for on in (0, 1)]
        for which, one in enumerate(made):
            steps = await _moves(at, made)
            made[which] = await at.write(await at.changing(one, comment=f"changed meanwhile, {which}"))
            await refused(at.emr.bundle(steps), "stale")
            await _untouched(at, made, steps)

    @case("bundle_max", "version_check", "comment", "create")
    async def test_a_booking_stands_and_falls_with_its_bundle(self, at: Practice) -> None:
        made, booking = await at.book(0, 0), await at.creation(at.openings[1], 0)
        late = await at.changing(made, comment="late")
        now = await at.write(await at.changing(made, comment="changed meanwhile"))
        taking = _marks(at, booking)
        orders: list[list[Step]] = [[*taking, booking, late], [late, *taking, booking]]
        for order in orders:
            await refused(at.emr.bundle(order), "stale")
            await _untouched(at, [now], order)
        again = await at.changing(now, comment="in time")
        await at.emr.bundle([*taking, booking, again])
        found = await at.emr.find_own(booking)
        assert found is not None, "a booking in a bundle is not found by its marker"
        assert (found.status, found.span.key) == (Status.BOOKED, booking.span.key)
        assert (await at.there(made.id)).comment == "in time"

    @case("bundle_max")
    async def test_no_more_is_bundled_than_is_claimed(self, at: Practice) -> None:
        (step, *_) = await _moves(at, [await at.book(0, 0)])
        await refused(at.emr.bundle([step] * (at.can.bundle_max + 1)), "unsupported")


async def _moves(at: Practice, made: Sequence[Appointment]) -> list[Step]:
    """Each to the second opening of its resource, with the slots around it; or a word to each, where none can move."""
    if at.can.move == "none":
        return [await at.changing(one, comment="a word") for one in made]
    changes = [await at.changing(one, span=at.openings[1]) for one in made]
    takes = [mark for change in changes for mark in _marks(at, change)]
    gives = [MarkSlot(chain=one.id, slot=slot, state="free") for one in made for slot in await at.held(one)]
    return [*takes, *changes, *gives]


def _marks(at: Practice, step: Change | Create) -> list[MarkSlot]:
    slots = step.slots if at.can.slot_records else ()
    return [MarkSlot(chain=step.chain, slot=slot, state="busy") for slot in slots]


async def _untouched(at: Practice, made: Sequence[Appointment], steps: Sequence[Step]) -> None:
    """The appointments are the very ones that they were, the slots too, and nobody was booked."""
    for one in made:
        assert await at.there(one.id) == one, "a bundle was refused, and an appointment in it was changed"
    for step in steps:
        if isinstance(step, MarkSlot):
            found = await at.emr.slot(step.slot)
            assert found is not None
            assert found[1].version == step.slot.version, "a bundle was refused, and a slot in it was marked"
        elif isinstance(step, Create):
            assert await at.emr.find_own(step) is None, "a bundle was refused, and a booking in it stands"
