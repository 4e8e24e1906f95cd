"""Where a case takes place: what a gateway does with an account, step by step, so that a case says only what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import uuid4

import pytest

from gateway import clock
from gateway.domain.availability import Offer, holds_time, offer
from gateway.domain.compare import deviations
from gateway.domain.model import Appointment, Slot, Span, Status
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, MarkSlot, Receipt, Step
from gateway.testing.desk import Desk
from gateway.testing.watched import Watched
from gateway.testing.world import CodeService, World

T = TypeVar("T")
Written = Create | Change | Cancel | Confirm
"""The steps that are about an appointment and leave one."""


class Practice:
    """One account, with what its world tells. Resources are 0 and 1, openings are counted from 0."""

    def __init__(self, world: World) -> None:
        self.world, self.emr, self.can = world, Watched(world.emr), world.emr.capabilities
        self.desk = Desk(self.emr)
        self.openings = world.openings
        self.day = Span(world.openings[0].start, world.openings[-1].end)
        self._known: set[str] = set()

    # -- what is there ---------------------------------------------------------------------------------------------

    def resource(self, number: int) -> str:
        return self.world.resource_ids[number]

    def need(self, thing: T | None, what: str, why: str) -> T:
        """Something that the world may leave out, where it is not needed."""
        if thing is None:
            pytest.fail(f"the world has no {what}, without which it can't be proven that the account {why}")
        return thing

    def codes(self) -> CodeService:
        return self.need(self.world.code_service, "code_service", "asks the patient for a code")

    async def there(self, id: str) -> Appointment:
        """An appointment that must exist."""
        found = await self.emr.appointment(id)
        assert found is not None, "an appointment is not found under its own id"
        return found

    async def offered(self, span: Span, on: int = 0, *ignoring: Appointment) -> tuple[Slot, ...] | None:
        """The slots that an appointment over `span` would hold; `None` where it does not fit."""
        return (await self._offer(span, on, *ignoring)).cover(span)

    async def _offer(self, span: Span, on: int, *ignoring: Appointment) -> Offer:
        where = (self.resource(on), self.world.healthcare_service_id, self.world.care_unit_id)
        found = await self.emr.free_time(FindFreeTime(span, *where, ignoring=ignoring))
        return offer(found, ignoring, (), self.resource(on), self.can)

    async def expect(self, span: Span, on: int = 0, *, free: bool) -> None:
        """Is the time offered, or not? Nothing is asked of an account that offers none."""
        if self.can.free_time != "none":
            is_free = await self.offered(span, on) is not None
            assert is_free is free, "time is not offered that is free" if free else "time is offered that is taken"

    async def standing(self, on: int) -> list[Appointment]:
        """Everybody's appointments on the day, or those that are known of where the account lists none."""
        if self.can.lists:
            wanted = ReadCalendar(self.day, resource_id=self.resource(on), care_unit_id=self.world.care_unit_id)
            found = list(await self.emr.calendar(wanted))
        else:
            read = (await self.emr.appointments(sorted(self._known))).values()
            found = [a for a in read if a is not None and a.resource_id == self.resource(on)]
        return [a for a in found if holds_time(a) and a.confirms is None and a.span.overlaps(self.day)]

    async def agree(self) -> None:
        """Slots and appointments say the same of every opening."""
        if self.can.free_time == "none":
            return
        for on in (0, 1):
            standing, offered = await self.standing(on), await self._offer(self.day, on)
            for opening in self.openings:
                taken = any(a.span.overlaps(opening) for a in standing)
                is_free = offered.cover(opening) is not None
                assert is_free is not taken, (
                    "after this case a slot is offered on which an appointment stands"
                    if taken
                    else "after this case a slot is not offered though no appointment stands on it"
                )

    # -- steps -----------------------------------------------------------------------------------------------------

    async def creation(
        self, span: Span, on: int = 0, *, service: str | None = None, comment: str | None = None
    ) -> Create:
        """The step that books time which is free now."""
        return Create(
            chain="new/0",
            span=span,
            patient_id=self.world.patient_id,
            resource_id=self.resource(on),
            healthcare_service_id=service or self.world.healthcare_service_id,
            care_unit_id=self.world.care_unit_id,
            comment=comment,
            slots=await self._slots(span, on),
            marker=uuid4().hex,
        )

    async def changing(
        self, before: Appointment, *, span: Span | None = None, on: int | None = None, comment: str | None = None
    ) -> Change:
        """The step that changes what is given, onto time that is free now or the appointment's own."""
        moved, elsewhere = span is not None, on is not None
        target = on if on is not None else self.world.resource_ids.index(before.resource_id or "")
        slots = await self._slots(span or before.span, target, before) if moved or elsewhere else ()
        return Change(
            chain=before.id,
            before=before,
            span=span,
            resource_id=None if on is None else self.resource(on),
            comment=comment,
            slots=slots,
            new_id=(moved and self.can.move == "new_id") or (elsewhere and self.can.reassign == "new_id"),
        )

    async def _slots(self, span: Span, on: int, *ignoring: Appointment) -> tuple[Slot, ...]:
        if self.can.free_time == "none":
            return ()
        found = await self.offered(span, on, *ignoring)
        assert found is not None, "time is not offered that should be free"
        return found

    async def send(self, step: Step) -> Receipt:
        """The write alone. Raises EmrError."""
        match step:
            case Change():
                return await self.emr.change(step)
            case Create():
                return await self.emr.create(step)
            case Cancel():
                return await self.emr.cancel(step)
            case Confirm():
                return await self.emr.confirm(step)
            case Discard():
                return await self.emr.discard(step)
            case MarkSlot():
                return await self.emr.mark_slot(step)

    async def write(self, step: Written) -> Appointment:
        """The write, and the appointment as it then is: as asked for, and read as answered. Raises EmrError."""
        receipt = await self.send(step)
        now = receipt.appointment
        if self.can.answers_with == "appointment":
            assert now is not None, f"{step.kind}() did not answer with the appointment, as the account claims"
        shown = await self.shown(step, receipt)
        if now is not None:
            assert now == shown, f"{step.kind}() answered with another appointment than is read afterwards"
        self._known.add(shown.id)
        return shown

    async def shown(self, step: Written, receipt: Receipt) -> Appointment:
        """Read until the write shows, for as long as the account claims that this may take."""
        deadline = clock.monotonic() + self.can.settles_within_s
        differing: tuple[str, ...] = ("everything",)
        while True:
            late = clock.monotonic() >= deadline
            now = await self._find(step, receipt)
            if now is not None and not (differing := deviations(step, now, self.can)) and not now.pending:
                return now
            if late:
                pytest.fail(
                    f"after {step.kind}() the EMR shows something else than was asked for: {', '.join(differing)}"
                    if differing
                    else f"after {step.kind}() the EMR has still not written what it accepted"
                )
            await asyncio.sleep(0.01)

    async def _find(self, step: Written, receipt: Receipt) -> Appointment | None:
        known = receipt.appointment.id if receipt.appointment is not None else receipt.id
        if known is not None:
            return await self.emr.appointment(known)
        if isinstance(step, Create) or (isinstance(step, Change) and step.new_id):
            return await self.emr.find_own(step)
        return await self.emr.appointment(step.before.id)

    async def carry_out(self, step: Written) -> Appointment:
        """The write with the slot records around it: taken before, given back after. Raises EmrError."""
        before = None if isinstance(step, Create) else step.before
        places = not isinstance(step, Confirm) and not (isinstance(step, Change) and not _places(step))
        held = await self.held(before) if places else ()
        wanted = step.slots if isinstance(step, Create | Change) and self.can.slot_records else ()
        await self.mark([s for s in wanted if s.id not in {h.id for h in held}], busy=True)
        now = await self.write(step)
        if now.status is not Status.AWAITING or isinstance(step, Create | Change):
            await self.mark([h for h in held if h.id not in {s.id for s in wanted}], busy=False)
        return now

    async def discard(self, step: Create, made: Appointment) -> None:
        """Withdraw what `step` has made, and give its slots back."""
        held = await self.held(made)
        await self.send(Discard(chain=step.chain, before=made, marker=step.marker))
        await self.mark(held, busy=False)

    async def give_back(self, before: Appointment) -> None:
        """Its slot records, where it holds any."""
        await self.mark(await self.held(before), busy=False)

    async def held(self, before: Appointment | None) -> tuple[Slot, ...]:
        """The slot records of an appointment, with their versions."""
        if before is None or not self.can.slot_records:
            return ()
        held = []
        for id in before.slot_ids:
            found = await self.emr.slot(Slot(before.start, before.end, before.resource_id, id=id))
            assert found is not None, "an appointment holds a slot record that is not there"
            held.append(found[1])
        return tuple(held)

    async def mark(self, slots: Sequence[Slot], *, busy: bool) -> None:
        for slot in slots:
            await self.emr.mark_slot(MarkSlot(chain="x", slot=slot, state="busy" if busy else "free"))

    # -- what cases begin with -------------------------------------------------------------------------------------

    async def book(self, opening: int | Span = 0, on: int = 0, *, comment: str | None = None) -> Appointment:
        """An appointment that stands: made by the account, or by the staff where the account can't."""
        span = self.openings[opening] if isinstance(opening, int) else opening
        if self.can.create:
            along, comment = (comment, None) if self.can.books_comment else (None, comment)
            made = await self._confirmed(await self.carry_out(await self.creation(span, on, comment=along)))
        else:
            booking = self.need(self.world.book_directly, "book_directly", "does anything with an appointment")
            made = await self.there(await booking(span, self.resource(on)))
        self._known.add(made.id)
        return made if comment is None else await self.write(await self.changing(made, comment=comment))

    async def _confirmed(self, made: Appointment) -> Appointment:
        """Some accounts hold what they book until it is confirmed."""
        held = self.can.confirm == "flag" and made.status is Status.AWAITING
        return await self.write(Confirm(chain=made.id, before=made)) if held else made

    async def unconfirmed(self, opening: int = 0, on: int = 0) -> Appointment:
        """An appointment that waits for its confirmation."""
        span, codes = self.openings[opening], self.world.code_service
        if codes is not None and self.can.create:
            made = await self.carry_out(await self.creation(span, on, service=codes.id))
        else:
            making = self.need(self.world.make_unconfirmed, "make_unconfirmed", "confirms what waits for it")
            made = await self.there(await making(span, self.resource(on)))
        self._known.add(made.id)
        assert self.waits(made), "what should wait for its confirmation does not"
        return made

    def waits(self, made: Appointment) -> bool:
        """For its confirmation: some EMRs book at once, and ask the patient afterwards."""
        asked = self.can.confirm == "flag" and made.status is Status.BOOKED and made.confirmed is False
        return made.status is Status.AWAITING or asked

    async def cancelled(self, made: Appointment) -> Appointment:
        return await self.carry_out(Cancel(chain=made.id, before=made))

    def nobody(self, like: Appointment) -> Appointment:
        """An appointment that does not exist, as it might have been read."""
        return replace(like, id=self.world.unknown_id)


def _places(step: Change) -> bool:
    return step.span is not None or step.resource_id is not None
