"""The port of a NexHealth account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Capabilities,
    Change,
    Confirm,
    Create,
    Emr,
    Entry,
    FindFreeTime,
    FreeTime,
    Kind,
    MaybeDone,
    NotSent,
    Page,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    VendorHttp,
    by_cursor,
    by_days,
    if_there,
    sense,
    today,
)
from plugins.nexhealth import words
from plugins.nexhealth.declared import declared, edition
from plugins.nexhealth.settings import Settings

APPOINTMENTS = "/appointments"
DAYS = 14
"""No more should be asked for at once."""
MOST = "300"
"""Rows on a page."""
ASLEEP_S = 60.0
"""When to ask again for a practice that can't be written to, in seconds."""

T = TypeVar("T")


class NexHealthEmr(Emr):
    def __init__(self, http: VendorHttp, settings: Settings) -> None:
        tenant = f"{settings.base_url} {settings.subdomain}"
        super().__init__(declared(settings), tenant=tenant, edition=edition(settings).name)
        self._http, self._settings, self._here = http, settings, settings.location_id

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        if not words.is_appointment_id(id):
            return None
        found = await self._one(f"{APPOINTMENTS}/{id}", lambda answer: self._read(words.data(answer)))
        if found is not None and found.id != id:
            raise MaybeDone("asked for one appointment, it showed another")
        return found

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        rows = await self._rows(wanted)
        found = [sense(self._read, row) for row in rows]
        return [one for one in found if one is not None and wanted.takes(one)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        who, what, zone = wanted.resource_id, wanted.healthcare_service_id, self._settings.zone
        if who is None:
            raise Refused("unsupported", "free time is of a provider")
        if not words.is_id(who) or not (what is None or words.is_id(what)) or not self._is_here(wanted.care_unit_id):
            return FreeTime("slots")
        asked = words.opening(wanted, self._here, who)

        async def ask(first: date, last: date) -> list[Slot]:
            days = [("start_date", str(first)), ("days", str((last - first).days + 1))]

            def read(answer: httpx.Response) -> list[Slot]:
                return words.slots(words.data(answer), wanted, self._settings)

            return await self._asked("/available_slots", read, [*days, *asked])

        return FreeTime("slots", tuple(await by_days(ask, wanted.span, zone, most=DAYS, earliest=today(zone))))

    async def conflicts(self, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
        """With blocked time, and with others' appointments in the same operatory."""
        rows = await self._rows(ReadCalendar(appointment.span))
        others = [row for row in rows if str(row["id"]) not in (appointment.id, *ignoring)]
        return any(sense(lambda row: words.holds(row, appointment), row) for row in others)

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        if kind is Kind.CARE_UNIT:
            return [await self._location()]
        path, where = f"/{words.DIRECTORIES[kind]}", [("location_id", self._here)]
        if kind is Kind.SERVICE:
            return await self._asked(path, lambda answer: [words.entry(row) for row in words.data(answer)], where)
        return [sense(words.entry, row) for row in await self._listed(path, where)]

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        if not words.is_id(id):
            return None
        if kind is Kind.CARE_UNIT:
            return await self._location() if id == self._here else None
        path = f"/{words.DIRECTORIES[kind]}/{id}"
        found = await self._one(path, lambda answer: words.entry(words.data(answer)))
        if found is not None and found.id != id:
            raise MaybeDone("asked for one record, it showed another")
        return found

    async def find_own(self, step: Create | Change) -> Appointment | None:
        if not isinstance(step, Create):
            raise Refused("unsupported")
        wanted = ReadCalendar(step.span, resource_id=step.resource_id, patient_id=step.patient_id)
        return next((one for one in await self.calendar(wanted) if words.is_found(one, step)), None)

    async def probe(self) -> Capabilities:
        """A location that takes no bookings keeps them in NexHealth's copy, and the practice never sees them."""
        takes = await self._http.read(f"/locations/{self._here}", lambda a: words.data(a)["insert_appt_client"])
        return self.capabilities if takes is True else replace(self.capabilities, create=False)

    # -- writes ------------------------------------------------------------------------------------------------

    async def create(self, step: Create) -> Receipt:
        if not self._is_here(step.care_unit_id):
            raise Refused("invalid", "a booking at another location")

        def made(answer: httpx.Response) -> Receipt:
            found = self._read(words.data(answer)["appt"])
            if found is None or not words.is_made(found, step):
                raise ValueError("the answer is about another booking")
            return Receipt(id=found.id)

        body = words.booking(step)
        await self._awake()
        params = [("subdomain", self._settings.subdomain), ("location_id", self._here)]
        return await self._http.write("POST", APPOINTMENTS, made, params=[*params], json=body)

    async def change(self, step: Change) -> Receipt:
        if step.resource_id is not None or self.capabilities.move == "none":
            raise Refused("unsupported", "a change that would not reach the practice")
        return await self._patch(step.before.id, words.changed(step))

    async def cancel(self, step: Cancel) -> Receipt:
        return await self._patch(step.before.id, words.cancellation(step))

    async def confirm(self, step: Confirm) -> Receipt:
        return await self._patch(step.before.id, {"appt": {"confirmed": True}})

    async def _patch(self, id: str, body: dict[str, Any]) -> Receipt:
        if not words.is_appointment_id(id):
            raise Refused("not_found")

        def same(answer: httpx.Response) -> Receipt:
            if str(words.data(answer)["appt"]["id"]) != id:
                raise ValueError("the answer is about another appointment")
            return Receipt(id=id)

        await self._awake()
        whose = [("subdomain", self._settings.subdomain)]
        return await self._http.write("PATCH", f"{APPOINTMENTS}/{id}", same, params=[*whose], json=body)

    async def _awake(self) -> None:
        """Raises NotSent: what is accepted meanwhile would be written whenever the practice wakes up, hours later."""
        if not self._settings.only_awake:
            return
        where = [("location_ids[]", self._here)]
        try:
            is_up = await self._asked("/sync_status", lambda answer: words.is_up(words.data(answer)), where)
        except MaybeDone:
            raise NotSent("it could not be asked whether the practice can be written to") from None
        if not is_up:
            raise NotSent("the practice can't be written to just now", retry_after=ASLEEP_S)

    # -- asking ------------------------------------------------------------------------------------------------

    def _read(self, row: words.Json) -> Appointment | None:
        return words.appointment(row, self._settings)

    def _is_here(self, care_unit_id: str | None) -> bool:
        return care_unit_id in (None, self._here)

    async def _location(self) -> Entry:
        return await self._http.read(f"/locations/{self._here}", lambda answer: words.entry(words.data(answer)))

    async def _rows(self, wanted: ReadCalendar) -> list[words.Json]:
        ids = (wanted.resource_id, wanted.patient_id)
        if not all(words.is_id(id) for id in ids if id is not None) or not self._is_here(wanted.care_unit_id):
            return []
        return await self._listed(APPOINTMENTS, words.filters(wanted, self._here))

    async def _listed(self, path: str, params: words.Params) -> list[words.Json]:
        async def ask(cursor: str | None) -> Page[words.Json]:
            further = [] if cursor is None else [("end_cursor", cursor)]
            return await self._asked(path, words.page, [*params, ("per_page", MOST), *further])

        return await by_cursor(ask)

    async def _asked(self, path: str, parse: Callable[[httpx.Response], T], params: words.Params) -> T:
        return await self._http.read(path, parse, params=[("subdomain", self._settings.subdomain), *params])

    async def _one(self, path: str, parse: Callable[[httpx.Response], T]) -> T | None:
        return await if_there(self._asked(path, parse, []))
