"""The records of an athenahealth practice, as they are read: all in lists but for the one that is known by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeVar

import httpx

from gateway.plugin import (
    Appointment,
    Entry,
    FindFreeTime,
    Kind,
    MaybeDone,
    Page,
    Slot,
    Status,
    VendorHttp,
    by_offset,
    given,
    if_there,
)
from plugins.athenahealth import words
from plugins.athenahealth.settings import Settings
from plugins.athenahealth.words import YES, Json, Record

T = TypeVar("T")


def beyond_web(beyond: bool, *more: str) -> dict[str, str]:
    """What is said to see or take also what the practice does not open to scheduling over the web."""
    return dict.fromkeys(("ignoreschedulablepermission", *more), YES) if beyond else {}


class Records:
    def __init__(self, http: VendorHttp, settings: Settings) -> None:
        self._http, self._settings, self._zone = http, settings, settings.zone
        self._zones: Mapping[str, str | None] = {}
        """Of each department, by its id."""

    # -- appointments and slots ----------------------------------------------------------------------------------

    async def record(self, id: str) -> Record | None:
        """An appointment or a slot, whatever has become of it."""
        found = await self._one("appointments", id, Record.of)
        if found is not None and found.id != id:
            raise MaybeDone("asked for one record, it showed another")
        return found

    async def whole(self, records: Sequence[Record]) -> dict[str, Appointment]:
        """By itself a record shows too little: they are read where lists show them, a provider's day at a time."""
        days = dict.fromkeys((record.day, record.department_id, record.provider_id) for record in records)
        listed = await asyncio.gather(*(self._on(*day) for day in days))
        found = {one.id: one for day in listed for one in day}
        if any(record.id not in found for record in records):
            raise MaybeDone("an appointment is in no list")
        shown = await asyncio.gather(*(self._with_hidden_notes(found[record.id]) for record in records))
        return {one.id: one for one in shown}

    async def _on(self, day: date, department_id: str, provider_id: str) -> list[Appointment]:
        place = {"departmentid": department_id, "providerid": provider_id}
        return await self.booked({"startdate": words.said(day), "enddate": words.said(day), **place})

    async def booked(self, where: Mapping[str, str]) -> list[Appointment]:
        """The account's own, cancelled ones too."""

        def read(row: Json) -> tuple[str, Appointment]:
            made = words.appointment(row, self._zone, self._settings.confirmed_id)
            return made.id, made

        listed = await self._listed("/appointments/booked", "appointments", read, {**where, "showcancelled": YES})
        ours = await self.ours({one.care_unit_id or "" for one in listed})
        return [one for one in listed if one.care_unit_id in ours]

    async def _with_hidden_notes(self, found: Appointment) -> Appointment:
        """The notes of one that was cancelled are hidden; those of one that was moved went along."""
        if found.status not in (Status.CANCELLED, Status.NO_SHOW) or found.native["moved"]:
            return found
        path = f"/appointments/{found.id}/notes"
        return words.commented(found, await self._http.read(path, words.notes, params={"showdeleted": YES}))

    async def open(self, wanted: FindFreeTime, *, beyond: bool) -> list[Slot]:
        """Of the named department, or of all that are the account's."""
        ids = (wanted.resource_id, wanted.healthcare_service_id, wanted.care_unit_id)
        ours = await self.ours(None if wanted.care_unit_id is None else {wanted.care_unit_id})
        if not ours or not all(words.is_id(id) for id in ids if id is not None):
            return []
        what = {"reasonid": "-1"} if ids[1] is None else {"appointmenttypeid": ids[1]}
        where = {"departmentid": ",".join(ours), **given({"providerid": wanted.resource_id})}
        params = {**words.days(wanted.span, self._zone), **what, **where}

        def read(row: Json) -> tuple[str, Slot | None]:
            return words.id_of(row["appointmentid"]), words.slot(row, self._zone, wanted.healthcare_service_id)

        params |= beyond_web(beyond, "bypassscheduletimechecks")
        found = await self._listed("/appointments/open", "appointments", read, params)
        return [slot for slot in found if slot is not None and wanted.resource_id in (None, slot.resource_id)]

    # -- directories ---------------------------------------------------------------------------------------------

    async def directory(self, kind: Kind) -> list[Entry]:
        name, _, _ = words.DIRECTORIES[kind]

        def read(row: Json) -> tuple[str, Entry]:
            found = words.entry(kind, row)
            return found.id, found

        found = await self._listed(f"/{name}", name, read, words.ALL.get(kind, {}))
        if kind is not Kind.CARE_UNIT:
            return found
        ours = await self.ours({entry.id for entry in found})
        return [entry for entry in found if entry.id in ours]

    async def entry(self, kind: Kind, id: str) -> Entry | None:
        name, _, _ = words.DIRECTORIES[kind]
        found = await self._one(name, id, lambda row: words.entry(kind, row))
        if found is not None and found.id != id:
            raise MaybeDone("asked for one entry, it showed another")
        return found

    async def ours(self, department_ids: Iterable[str] | None = None) -> list[str]:
        """Which of the departments, or of all, are in the account's zone. For one that is new all are asked for."""
        wanted = None if department_ids is None else set(department_ids)
        if not self._zones or not (wanted or set()) <= set(self._zones):
            await self.read_zones()
        all_ours = [id for id, zone in self._zones.items() if zone == self._zone.key]
        return [id for id in all_ours if wanted is None or id in wanted]

    async def read_zones(self) -> None:
        def read(row: Json) -> tuple[str, tuple[str, str | None]]:
            """One that tells no zone is nobody's: when something is there would be a guess."""
            id, zone = words.id_of(row["departmentid"]), row.get("timezonename")
            if not isinstance(zone, str | None):
                raise TypeError("a zone is a name")
            return id, (id, zone)

        params = words.ALL[Kind.CARE_UNIT]
        self._zones = dict(await self._listed("/departments", "departments", read, params))

    # -- one, and many -------------------------------------------------------------------------------------------

    async def _one(self, name: str, id: str, parse: Callable[[Json], T]) -> T | None:
        if not words.is_id(id):
            return None
        return await if_there(self._http.read(f"/{name}/{id}", lambda answer: parse(_only(answer))))

    async def _listed(
        self, path: str, name: str, read: Callable[[Json], tuple[str, T]], params: Mapping[str, str]
    ) -> list[T]:
        size = self._settings.page_size

        def page(answer: httpx.Response) -> Page[T]:
            body = answer.json()
            return Page([read(row) for row in body[name]], total=body["totalcount"])

        async def ask(offset: int) -> Page[T]:
            return await self._http.read(path, page, params={**params, "limit": str(size), "offset": str(offset)})

        return await by_offset(ask, size=size)


def _only(answer: httpx.Response) -> Json:
    """One is told as a list of one."""
    (row,) = answer.json()
    found: Json = row
    return found
