"""The port of a GNU Health server. One record is either a free slot or an appointment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from weakref import WeakValueDictionary

from gateway.plugin import (
    Appointment,
    Cancel,
    Capabilities,
    Change,
    Create,
    Discard,
    Emr,
    Entry,
    FindFreeTime,
    FreeTime,
    Kind,
    MarkSlot,
    MaybeDone,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    VendorHttp,
)
from plugins.gnuhealth import rpc, words
from plugins.gnuhealth.free import free_time
from plugins.gnuhealth.session import Session
from plugins.gnuhealth.settings import Settings
from plugins.gnuhealth.table import APPOINTMENT, Domain, Table, equal

FULL = Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    own_time_shown=True,
    move="in_place",
    reassign="in_place",
    refuses_overlap=False,
    slots_per_appointment="one",
    slot_records=True,
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    comment=True,
    answers_with="nothing",
    late_write_s=10.0,
    version_check=True,
    concurrency=4,
)
MODELS = {
    Kind.CARE_UNIT: "gnuhealth.institution",
    Kind.RESOURCE: "gnuhealth.healthprofessional",
    Kind.SERVICE: "gnuhealth.specialty",
    Kind.PATIENT: "gnuhealth.patient",
}


class GnuHealthEmr(Emr):
    def __init__(self, http: VendorHttp, settings: Settings, session: Session, *, tenant: str) -> None:
        super().__init__(replace(FULL, late_write_s=settings.late_write_s), tenant)
        self._table, self._settings, self._session = Table(http, settings), settings, session
        self._giving: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        return (await self.appointments([id]))[id]

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, Appointment | None]:
        known = [int(id) for id in ids if words.is_id(id)]
        listed = await self._table.records([["id", "in", known]]) if known else []
        found = {str(record.row["id"]): words.appointment(record) for record in listed}
        return {id: found.get(id) for id in ids}

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        whose = _whose(healthprof=wanted.resource_id, patient=wanted.patient_id)
        if whose is None:
            return ()
        listed = [words.appointment(record) for record in await self._table.overlapping(wanted.span, whose)]
        return [a for a in listed if a is not None and wanted.care_unit_id in (None, a.care_unit_id)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        whose = _whose(healthprof=wanted.resource_id)
        if whose is None:
            return FreeTime("slots")
        return free_time(wanted, await self._table.overlapping(wanted.span, whose))

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        return await self._table.listed(_entry, MODELS[kind], [], "rec_name")

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        if not words.is_id(id):
            return None
        found = await self._table.listed(_entry, MODELS[kind], [["id", "=", int(id)]], "rec_name")
        return found[0] if found else None

    async def find_own(self, step: Create | Change) -> Appointment | None:
        """No field of a record can bear a marker: it is known by all that the step says, and by who has made it."""
        if not isinstance(step, Create):
            raise Refused("unsupported")
        booking = words.booking(step)
        found = await self._table.records(equal({name: booking[name] for name in words.IDENTIFYING}))
        own = [record for record in found if record.row["create_uid"] == self._session.user_id]
        return words.appointment(own[-1]) if own else None

    async def slot(self, slot: Slot) -> tuple[Literal["busy", "free"], Slot] | None:
        """Free is time for which there is a free record, and busy what has none."""
        if slot.id != words.stretch(slot.resource_id, slot.span) or not words.is_id(slot.resource_id or ""):
            return None
        found = await self._table.free_record(slot)
        return ("busy", replace(slot, version=None)) if found is None else ("free", found)

    async def probe(self) -> Capabilities:
        """The gateway's user may not be allowed everything. Slots can be kept only by one who may do it all."""
        write, create, delete = await self._table.ask(_rights, "model.ir.model.access.get_access", [APPOINTMENT])
        can = self.capabilities
        if not (write and create and delete):
            can = replace(can, move="none", reassign="none", slot_records=False, create=False, discard=False)
        return can if write else replace(can, cancel=False, cancel_comment="none", comment=False)

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        values: dict[str, Any] = {} if step.span is None else words.placed(step.span)
        # Named again, a professional with a calendar would get the event a second time.
        if step.resource_id not in (None, step.before.resource_id):
            values["healthprof"] = words.number(step.resource_id)
        if step.comment is not None:
            values["comments"] = step.comment
        return await self._over(step.before, "write", values)

    async def cancel(self, step: Cancel) -> Receipt:
        values = {"state": words.CANCELLED[self._settings.cancelled_by]}
        if step.comment is not None:
            values["comments"] = step.comment
        return await self._over(step.before, "write", values)

    async def discard(self, step: Discard) -> Receipt:
        return await self._over(step.before, "delete")

    async def create(self, step: Create) -> Receipt:
        return Receipt(id=await self._table.create(words.booking(step)))

    async def mark_slot(self, step: MarkSlot) -> Receipt:
        return await (self._take(step.slot) if step.state == "busy" else self._give_back(step.slot))

    async def _over(self, before: Appointment, method: str, *values: Any) -> Receipt:
        await self._table.write_over(method, before.id, before.version, before.native, *values)
        return Receipt(id=before.id)

    async def _take(self, slot: Slot) -> Receipt:
        """A free record goes. Of many who delete it, the server lets one."""
        if "record" not in slot.native:
            raise Refused("taken")
        try:
            await self._table.write_over("delete", str(slot.native["record"]), slot.version, slot.native)
        except Refused as no:
            if no.reason in ("not_found", "stale"):
                raise Refused("taken", emr_code=no.emr_code) from no
            raise
        # What it was besides its time stays known for the case that it is given back.
        return Receipt(slot=replace(slot, version=None, native={"nature": slot.native["nature"]}))

    async def _give_back(self, slot: Slot) -> Receipt:
        """A new free record. The server would take any number of equal ones, so one at a time looks first."""
        async with self._giving.setdefault(slot.id or "", asyncio.Lock()):
            if await self._table.free_record(slot) is not None:
                raise Refused("stale")
            await self._table.create(words.free_record(slot))
            made = await self._table.free_record(slot)
        if made is None:
            raise MaybeDone("a free record was made, and is not there")
        return Receipt(slot=made)


def _whose(**ids: str | None) -> Domain | None:
    """A domain by the ids that are given; `None` where one can't be anybody's."""
    given = {field: id for field, id in ids.items() if id is not None}
    return equal({field: int(id) for field, id in given.items()}) if all(map(words.is_id, given.values())) else None


def _entry(row: words.Json, _: float | None) -> Entry:
    return Entry(str(row["id"]), str(row["rec_name"]))


def _rights(answer: rpc.Answer) -> tuple[bool, bool, bool]:
    may = answer.result[APPOINTMENT]
    return bool(may["write"]), bool(may["create"]), bool(may["delete"])
