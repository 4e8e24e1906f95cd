"""The port of a GNU Health server. One record is either a free slot or an appointment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Capabilities,
    Change,
    Create,
    Discard,
    Emr,
    EmrError,
    Entry,
    FindFreeTime,
    FreeTime,
    Kind,
    MarkSlot,
    MaybeDone,
    Page,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    Span,
    VendorHttp,
    bookable,
    by_cursor,
)
from plugins.gnuhealth import rpc, words
from plugins.gnuhealth.settings import Settings
from plugins.gnuhealth.words import Json, Record

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
    cancel_reasons=frozenset(words.CANCELLED),
    comment=True,
    answers_with="nothing",
    late_write_s=10.0,
    version_check=True,
    concurrency=4,
)
APPOINTMENT = "gnuhealth.appointment"
MODELS = {
    Kind.CARE_UNIT: "gnuhealth.institution",
    Kind.RESOURCE: "gnuhealth.healthprofessional",
    Kind.SERVICE: "gnuhealth.specialty",
    Kind.PATIENT: "gnuhealth.patient",
}
BY_ID = [["id", "ASC"]]

Domain = list[Any]
T = TypeVar("T")

_sleep = asyncio.sleep


class GnuHealthEmr(Emr):
    def __init__(
        self, http: VendorHttp, settings: Settings, session: rpc.Session, *, tenant: str, cancelled_by: str
    ) -> None:
        super().__init__(replace(FULL, late_write_s=settings.late_write_s), tenant)
        self._http, self._settings, self._session = http, settings, session
        self._cancelled = words.CANCELLED[cancelled_by]
        self._giving: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, Appointment | None]:
        known = [int(id) for id in ids if words.is_id(id)]
        listed = await self._records([["id", "in", known]]) if known else []
        found = {a.id: a for a in listed if isinstance(a, Appointment)}
        if not found.keys() <= set(ids):
            raise MaybeDone("asked for some records, it showed others")
        return {id: found.get(id) for id in ids}

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        ids = {"healthprof": wanted.resource_id, "patient": wanted.patient_id, "institution": wanted.care_unit_id}
        listed = await self._during(wanted.span, ids)
        return [a for a in listed if isinstance(a, Appointment) and wanted.takes(a)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        listed = await self._during(wanted.span, {"healthprof": wanted.resource_id})
        if any(wanted.resource_id not in (None, one.resource_id) for one in listed):
            raise MaybeDone("asked for one resource's time, it showed another's")
        free = [slot for slot in listed if isinstance(slot, Slot)]
        return bookable(wanted, free, [a for a in listed if isinstance(a, Appointment)])

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        return await self._listed(_entry, MODELS[kind], [], "rec_name")

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        known = [["id", "=", int(id)]] if words.is_id(id) else None
        found = await self._listed(_entry, MODELS[kind], known, "rec_name") if known else []
        if any(entry.id != id for entry in found):
            raise MaybeDone("asked for one record, it showed another")
        return found[0] if found else None

    async def find_own(self, step: Create | Change) -> Appointment | None:
        """No field of a record can bear a marker: it is known by all that the step says, and by who has made it."""
        if not isinstance(step, Create):
            raise Refused("unsupported")
        booking = words.booking(step)
        found = await self._records(_equal({name: booking[name] for name in words.IDENTIFYING}))
        own = [a for a in found if isinstance(a, Appointment) and a.native["made_by"] == self._session.user_id]
        return own[-1] if own else None

    async def slot(self, slot: Slot) -> tuple[Literal["busy", "free"], Slot] | None:
        """Free is time for which there is a free record, and busy what has none."""
        if slot.id != words.stretch(slot.resource_id, slot.span) or not words.is_id(slot.resource_id):
            return None
        found = await self._free_record(slot)
        return ("busy", replace(slot, version=None)) if found is None else ("free", found)

    async def probe(self) -> Capabilities:
        """The gateway's user may not be allowed everything. Slots can be kept only by one who may do it all."""
        write, create, delete = await self._ask(_rights, "model.ir.model.access.get_access", [APPOINTMENT])
        can = self.capabilities
        if not (write and create and delete):
            can = replace(can, move="none", reassign="none", slot_records=False, create=False, discard=False)
        return can if write else replace(can, cancel=False, cancel_comment="none", cancel_reasons="none", comment=False)

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        values = {} if step.span is None else words.times(step.span)
        # Named again, a professional with a calendar would get the event a second time.
        if step.resource_id not in (None, step.before.resource_id):
            values["healthprof"] = words.number(step.resource_id)
        if step.comment is not None:
            values["comments"] = step.comment
        return await self._over(step.before, "write", values)

    async def cancel(self, step: Cancel) -> Receipt:
        values = {"state": self._cancelled}
        if step.comment is not None:
            values["comments"] = step.comment
        return await self._over(step.before, "write", values)

    async def discard(self, step: Discard) -> Receipt:
        return await self._over(step.before, "delete")

    async def create(self, step: Create) -> Receipt:
        return Receipt(id=await self._create(words.booking(step)))

    async def mark_slot(self, step: MarkSlot) -> Receipt:
        return await (self._take(step.slot) if step.state == "busy" else self._give_back(step.slot))

    async def _over(self, before: Appointment, method: str, *values: Any) -> Receipt:
        await self._write_over(before.id, before, method, *values)
        return Receipt(id=before.id)

    async def _take(self, slot: Slot) -> Receipt:
        """A free record goes. Of many who delete it, the server lets one."""
        if "record" not in slot.native:
            raise Refused("taken")
        try:
            await self._write_over(str(slot.native["record"]), slot, "delete")
        except Refused as no:
            if no.reason in ("not_found", "stale"):
                raise Refused("taken", emr_code=no.emr_code) from no
            raise
        # What it was besides its time stays known for the case that it is given back.
        return Receipt(slot=replace(slot, version=None, native={"nature": slot.native["nature"]}))

    async def _give_back(self, slot: Slot) -> Receipt:
        """A new free record. The server would take any number of equal ones, so one at a time looks first."""
        async with self._giving.setdefault(slot.id or "", asyncio.Lock()):
            if await self._free_record(slot) is not None:
                raise Refused("stale")
            await self._create(words.free_record(slot))
            return Receipt(slot=await self._made(slot))

    async def _made(self, slot: Slot) -> Slot:
        """Whatever becomes of this read: the record was made."""
        try:
            made = await self._free_record(slot)
        except EmrError as error:
            raise MaybeDone("a free record was made, and could not be read") from error
        if made is None:
            raise MaybeDone("a free record was made, and is not there")
        return made

    # -- records -----------------------------------------------------------------------------------------------

    async def _ask(self, parse: Callable[[httpx.Response], T], method: str, *params: Any) -> T:
        return await self._http.read("/", parse, method="POST", json=rpc.call(method, *params, {}))

    async def _listed(
        self, parse: Callable[[Json, float | None], T], model: str, domain: Domain, *fields: str
    ) -> list[T]:
        """In order of the ids and from id to id: what is made or goes meanwhile shifts none."""
        size = self._settings.page_size

        def page(answer: httpx.Response) -> Page[T]:
            at = rpc.told_at(answer)
            items = [(int(row["id"]), parse(row, at)) for row in rpc.result(answer)]
            return Page(items, next=str(items[-1][0]) if len(items) == size else None)

        async def ask(last: str | None) -> Page[T]:
            beyond = [*domain, ["id", ">", int(last or 0)]]
            return await self._ask(page, f"model.{model}.search_read", beyond, 0, size, BY_ID, fields)

        return await by_cursor(ask)

    async def _records(self, domain: Domain) -> list[Record]:
        read = partial(words.record, self._settings)
        return [one for one in await self._listed(read, APPOINTMENT, domain, *words.FIELDS) if one is not None]

    async def _during(self, span: Span, ids: Mapping[str, str | None]) -> list[Record]:
        """Those that overlap the span; none where an id can't be anybody's."""
        given = {field: id for field, id in ids.items() if id is not None}
        if not all(map(words.is_id, given.values())):
            return []
        ends = ["appointment_date_end", ">", words.instant(span.start)]
        # One that has no end is as long as the settings say.
        late = ["appointment_date", ">", words.instant(span.start - self._settings.default_length)]
        within = [["appointment_date", "<", words.instant(span.end)], ["OR", ends, late]]
        domain = [*_equal({field: int(id) for field, id in given.items()}), *within]
        return [one for one in await self._records(domain) if one.span.overlaps(span)]

    async def _free_record(self, slot: Slot) -> Slot | None:
        """The free record that is exactly this time, for the slot's service and care unit if it has them; of equal ones
        always the same, so that nobody gets the second."""
        place = {**words.times(slot.span), "healthprof": words.number(slot.resource_id), "state": words.FREE}
        for field, id in (("speciality", slot.healthcare_service_id), ("institution", slot.care_unit_id)):
            place |= {} if id is None else {field: words.number(id)}
        return next((one for one in await self._records(_equal(place)) if isinstance(one, Slot)), None)

    async def _create(self, values: Mapping[str, Any]) -> str:
        return await self._write(lambda answer: str(int(rpc.result(answer)[0])), "create", [values], {})

    async def _write_over(self, id: str, read: Record, method: str, *values: Any) -> None:
        """Raises Refused("stale") where what was read is not the newest version."""
        only = [["id", "=", words.number(id)]]
        if read.native.get("leaks"):
            await self._outlive(only, read.version)
        context = {"_timestamp": {f"{APPOINTMENT},{id}": read.native.get("token")}}
        try:
            await self._write(_done, method, [words.number(id)], *values, context)
        except Refused as no:
            if no.emr_code == rpc.RULE_OR_MISSING and not await self._records(only):
                raise Refused("not_found", emr_code=no.emr_code) from no
            raise

    async def _outlive(self, only: Domain, version: str | None) -> None:
        """A token of whole seconds that was read in its own second does not show another write in it. Wait until any
        further write would show, and look whether there was one."""
        await _sleep(words.LATE_S)
        now = await self._records(only)
        if not now or now[0].version != version:
            raise Refused("stale" if now else "not_found")

    async def _write(self, parse: Callable[[httpx.Response], T], method: str, *params: Any) -> T:
        return await self._http.write("POST", "/", parse, json=rpc.call(f"model.{APPOINTMENT}.{method}", *params))


def _equal(values: Mapping[str, Any]) -> Domain:
    return [[name, "=", value] for name, value in values.items()]


def _entry(row: Json, _: float | None) -> Entry:
    return Entry(str(row["id"]), row["rec_name"])


def _rights(answer: httpx.Response) -> tuple[bool, bool, bool]:
    may = rpc.result(answer)[APPOINTMENT]
    return bool(may["write"]), bool(may["create"]), bool(may["delete"])


def _done(answer: httpx.Response) -> None:
    """That there is a result is all that there is in it."""
    rpc.result(answer)
