"""An account whose every answer is checked against what the port promises of all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeVar

from gateway.domain.capabilities import Capabilities
from gateway.domain.model import Appointment, Entry, FreeTime, Kind, Slot, Status
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, MarkSlot, Receipt, Step
from gateway.manners.meter import meter
from gateway.port import Emr

T = TypeVar("T")


class Watched(Emr):
    """Passes everything on to a plugin's account. What it answers with is right in itself, or the case fails."""

    def __init__(self, emr: Emr) -> None:
        super().__init__(emr.capabilities, emr.tenant, emr.edition)
        self._emr = emr

    # -- reads -----------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        found = await self._emr.appointment(id)
        if found is not None:
            check(found)
            assert found.id == id, "appointment() answered with another appointment than was asked for"
        return found

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, Appointment | None]:
        found = await self._emr.appointments(ids)
        assert set(ids) <= set(found), "appointments() left out an id"
        for id in ids:
            one = found[id]
            if one is not None:
                check(one)
                assert one.id == id, "appointments() put an appointment under another id"
        return found

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        found = await self._emr.calendar(wanted)
        for one in found:
            check(one)
            assert one.span.overlaps(wanted.span), "calendar() listed what does not overlap the span"
            assert wanted.resource_id in (None, one.resource_id), "calendar() listed another resource"
            assert wanted.patient_id in (None, one.patient_id), "calendar() listed another patient"
        assert _distinct(a.id for a in found), "calendar() listed an appointment twice"
        return found

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        found = await self._emr.free_time(wanted)
        assert found.shape == self.capabilities.free_time, "free_time() came in another shape than is declared"
        for slot in found.slots:
            check_slot(slot)
            # What sticks out is cut by the gateway; what lies elsewhere was never asked for.
            assert slot.span.overlaps(wanted.span), "free_time() offered what lies outside the span"
            if wanted.resource_id is not None:
                assert slot.resource_id in (None, wanted.resource_id), "free_time() offered another resource"
        return found

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        found = await self._emr.directory(kind)
        for entry in found:
            check_entry(entry)
        assert _distinct(e.id for e in found), "directory() listed an entry twice"
        return found

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        found = await self._emr.look_up(kind, id)
        if found is not None:
            check_entry(found)
            assert found.id == id, "look_up() found another entry than was asked for"
        return found

    async def resolve(self, kind: Kind, id_type: str, value: str) -> str | None:
        return await self._emr.resolve(kind, id_type, value)

    async def conflicts(self, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
        return await self._emr.conflicts(appointment, ignoring)

    async def find_own(self, step: Create | Change) -> Appointment | None:
        found = await self._emr.find_own(step)
        if found is not None:
            check(found)
        return found

    async def slot(self, slot: Slot) -> tuple[Literal["busy", "free"], Slot] | None:
        found = await self._emr.slot(slot)
        if found is not None:
            check_slot(found[1])
            assert found[0] in ("busy", "free"), "slot() told neither busy nor free"
            assert found[1].id == slot.id, "slot() answered with another record than was asked for"
        return found

    async def probe(self) -> Capabilities:
        return await self._emr.probe()

    # -- writes ----------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        return await _written(step, self._emr.change(step))

    async def create(self, step: Create) -> Receipt:
        return await _written(step, self._emr.create(step))

    async def cancel(self, step: Cancel) -> Receipt:
        return await _written(step, self._emr.cancel(step))

    async def confirm(self, step: Confirm) -> Receipt:
        return await _written(step, self._emr.confirm(step))

    async def discard(self, step: Discard) -> Receipt:
        return await _written(step, self._emr.discard(step))

    async def mark_slot(self, step: MarkSlot) -> Receipt:
        receipt = await _written(step, self._emr.mark_slot(step))
        assert receipt.slot is not None, "mark_slot() did not answer with the slot and its new version"
        return receipt

    async def bundle(self, steps: Sequence[Step]) -> Sequence[Receipt]:
        receipts = await _by_one_write("a bundle", self._emr.bundle(steps))
        assert len(receipts) == len(steps), "bundle() did not answer with a receipt for each step"
        for receipt in receipts:
            _check(receipt)
        return receipts


async def _written(step: Step, writing: Awaitable[Receipt]) -> Receipt:
    receipt = await _by_one_write(step.kind, writing)
    _check(receipt)
    return receipt


async def _by_one_write(what: str, writing: Awaitable[T]) -> T:
    with meter() as spent:
        answer = await writing
    assert spent.writes == 1, f"{what} took {spent.writes} writes through the account's door; it must be one"
    return answer


def _check(receipt: Receipt) -> None:
    if receipt.appointment is not None:
        check(receipt.appointment)
    if receipt.slot is not None:
        check_slot(receipt.slot)


def check(appointment: Appointment) -> None:
    """Is it an appointment as the port describes it, whatever it says?"""
    check_span(appointment.start, appointment.end)
    assert isinstance(appointment.id, str), "an id is not a text"
    assert appointment.id, "an id is empty"
    assert isinstance(appointment.status, Status), "a status is none of the gateway's words"
    _check_texts(appointment, *TEXTS, "comment", "version", "confirms")
    assert appointment.confirmed in (None, True, False), "confirmed is neither true nor false nor unknown"
    assert isinstance(appointment.slot_ids, tuple), "slot_ids are not a tuple"
    assert all(isinstance(id, str) for id in appointment.slot_ids), "a slot's id is not a text"


def check_slot(slot: Slot) -> None:
    check_span(slot.start, slot.end)
    _check_texts(slot, *TEXTS[1:], "id", "version")


def check_entry(entry: Entry) -> None:
    assert isinstance(entry.id, str), "an entry's id is not a text"
    assert entry.id, "an entry has no id"
    assert isinstance(entry.name, str), "an entry has no name"
    _check_texts(entry, "care_unit_id")


TEXTS = ("patient_id", "resource_id", "healthcare_service_id", "care_unit_id")


def _check_texts(thing: object, *names: str) -> None:
    for name in names:
        value = getattr(thing, name)
        assert value is None or isinstance(value, str), f"{name} is not a text"


def check_span(start: datetime, end: datetime) -> None:
    assert start.utcoffset() is not None, "a start is naive: it must be aware, in the care unit's zone"
    assert end.utcoffset() is not None, "an end is naive: it must be aware, in the care unit's zone"
    assert start.timestamp() < end.timestamp(), "something ends before it starts"


def _distinct(ids: Iterable[str]) -> bool:
    listed = list(ids)
    return len(set(listed)) == len(listed)
