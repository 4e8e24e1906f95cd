"""The port of an Open Dental account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    EmrError,
    Entry,
    FindFreeTime,
    FreeTime,
    Kind,
    MaybeDone,
    Page,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    Status,
    VendorHttp,
    by_days,
    by_offset,
    given,
    if_there,
    nothing,
    the_same,
    today,
)
from plugins.opendental import words
from plugins.opendental.settings import Settings

FULL = Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="windows",
    free_time_by=frozenset({Kind.RESOURCE}),
    move="in_place",
    reassign="in_place",
    refuses_overlap=False,
    create=True,
    cancel=True,
    cancel_comment="before",
    cancel_reasons=words.REASONS,
    comment=True,
    confirm="flag",
    confirmed_flag=True,
    answers_with="nothing",
    late_write_s=60.0,
    joins_lines=True,
    length_unit_s=words.UNIT_S,
    concurrency=1,
    min_interval_s=1.0,
)
DAYS = 14
"""What it shows if it is asked for no days."""
MOST = 100
"""Rows on a page."""
DIRECTORIES = {
    Kind.CARE_UNIT: ("/clinics", "ClinicNum"),
    Kind.SERVICE: ("/appointmenttypes", "AppointmentTypeNum"),
    Kind.PATIENT: ("/patients/Simple", "PatNum"),
}
CHAIRS = ("/operatories", "OperatoryNum")
PROVIDERS = ("/providers", "ProvNum")
APPOINTMENTS = "/appointments"

Params = Mapping[str, str]
T = TypeVar("T")


class Explained(MaybeDone):
    """400, with prose: a value that it did not accept, or the office that could not be reached in time."""


def problem(answer: httpx.Response) -> EmrError | None:
    is_page = "html" in answer.headers.get("content-type", "") or answer.text.lstrip().startswith("<")
    if answer.status_code == 400 and not is_page:
        return Explained("it answered 400")
    # No record is gone by it: the whole of a resource is.
    return Refused("unsupported", "it answered 410") if answer.status_code == 410 else None


class OpenDentalEmr(Emr):
    def __init__(self, http: VendorHttp, settings: Settings, reason: str | None = None) -> None:
        can = replace(
            FULL,
            local_zone=settings.zone.key,
            late_write_s=settings.late_write_s,
            min_interval_s=FULL.min_interval_s if settings.is_remote else 0.0,
        )
        if not settings.confirmed:
            can = replace(can, confirm="none", confirmed_flag=False)
        super().__init__(can, tenant=f"opendental {settings.office}")
        self._http, self._settings, self._reason = http, settings, reason

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        def parse(answer: httpx.Response) -> Appointment | None:
            return words.appointment(answer.json(), self._settings.zone, self._settings.confirmed)

        return the_same(id, await if_there(self._http.read(f"{APPOINTMENTS}/{id}", parse))) if words.is_id(id) else None

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        ids = (wanted.patient_id, wanted.care_unit_id)
        is_nowhere = wanted.resource_id is not None and words.place(wanted.resource_id) is None
        if is_nowhere or not all(words.is_id(id) for id in ids if id is not None):
            return []
        return [one for one in await self._in_the_book(wanted) if wanted.takes(one)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        if wanted.resource_id is None:
            raise Refused("unsupported", "free time is of a chair and a provider")
        where, zone = words.place(wanted.resource_id), self._settings.zone
        if where is None:
            return FreeTime("windows")
        place = {"OpNum": str(where[0]), "ProvNum": str(where[1])}

        async def ask(first: date, last: date) -> list[Slot]:
            def named(row: words.Json) -> tuple[object, Slot]:
                return (row["DateTimeStart"], row["OpNum"], row["ProvNum"]), words.window(row, zone)

            days = {"dateStart": str(first), "dateEnd": str(last)}
            return await self._listed(f"{APPOINTMENTS}/Slots", named, {**days, **place})

        found = await by_days(ask, wanted.span, zone, most=DAYS, earliest=today(zone))
        return FreeTime("windows", tuple(slot for slot in found if slot.resource_id == wanted.resource_id))

    async def conflicts(self, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
        """Of the chair, whoever works there: a provider goes to and fro between several."""
        chair = words.place(appointment.resource_id)
        if chair is None:
            return False
        there = await self._in_the_book(ReadCalendar(appointment.span, resource_id=appointment.resource_id))
        return any(
            one.id not in (appointment.id, *ignoring)
            and one.status is not Status.CANCELLED
            and one.span.overlaps(appointment.span)
            and (words.place(one.resource_id) or chair)[0] == chair[0]
            for one in there
        )

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        if kind is Kind.RESOURCE:
            chairs = await self._shown(CHAIRS, words.chairs)
            return [one for chair in chairs for one in chair]
        return await self._shown(DIRECTORIES[kind], lambda row: words.entry(kind, row))

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        if kind is Kind.RESOURCE:
            return await self._resource(id)
        if kind is Kind.PATIENT and words.is_id(id):
            path = f"/patients/{id}"
            return the_same(id, await if_there(self._http.read(path, lambda answer: words.entry(kind, answer.json()))))
        return await super().look_up(kind, id) if words.is_id(id) else None

    async def find_own(self, step: Create | Change) -> Appointment | None:
        """The youngest, if there are several."""
        if not isinstance(step, Create):
            raise Refused("unsupported")
        wanted = ReadCalendar(step.span, resource_id=step.resource_id, patient_id=step.patient_id)
        own = [one for one in await self.calendar(wanted) if words.is_made_by(one, step)]
        return max(own, key=lambda one: int(one.id), default=None)

    async def probe(self) -> Capabilities:
        await self._http.read("/operatories", _rows, params={"Limit": "1"})
        return self.capabilities

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        return await self._put(step, "", words.changed(step, self._settings.zone), _said_nothing_else(step.before.id))

    async def create(self, step: Create) -> Receipt:
        def made(answer: httpx.Response) -> Receipt:
            return Receipt(id=str(words.number(answer.json(), "AptNum")))

        return await self._http.write("POST", APPOINTMENTS, made, json=words.booking(step, self._settings.zone))

    async def cancel(self, step: Cancel) -> Receipt:
        to = "true" if self._settings.unscheduled_list else "false"
        body = {"sendToUnscheduledList": to} | given({"breakType": self._reason})
        try:
            return await self._put(step, "/Break", body, nothing)
        except Explained:
            if not await self._is_cancelled(step.before.id):
                raise
            return Receipt(id=step.before.id)

    async def confirm(self, step: Confirm) -> Receipt:
        if not self._settings.confirmed:
            raise Refused("unsupported")
        return await self._put(step, "/Confirm", {"defNum": self._settings.confirmed[0]}, nothing)

    async def _put(
        self, step: Change | Cancel | Confirm, below: str, body: Any, parse: Callable[[httpx.Response], None]
    ) -> Receipt:
        """What it answers is not believed: the stamp in it is none."""
        if not words.is_id(step.before.id):
            raise Refused("not_found")
        await self._http.write("PUT", f"{APPOINTMENTS}/{step.before.id}{below}", parse, json=body)
        return Receipt(id=step.before.id)

    async def _is_cancelled(self, id: str) -> bool:
        """What is cancelled already it refuses to cancel, by the same 400 that says nothing else."""
        try:
            found = await self.appointment(id)
        except EmrError:
            return False
        return found is not None and found.status is Status.CANCELLED

    # -- lists -------------------------------------------------------------------------------------------------

    async def _in_the_book(self, wanted: ReadCalendar) -> list[Appointment]:
        zone, confirmed = self._settings.zone, self._settings.confirmed

        def named(row: words.Json) -> tuple[object, Appointment | None]:
            return row["AptNum"], words.in_the_book(row, zone, confirmed)

        listed = await self._listed(APPOINTMENTS, named, words.asked(wanted, zone))
        return [one for one in listed if one is not None]

    async def _resource(self, id: str) -> Entry | None:
        """Whosever chair it is: all providers may work in it."""
        where = words.place(id)
        if where is None:
            return None

        def parse(row: words.Json) -> list[Entry]:
            return [*words.chairs(row), words.chair_of(row, where[1])]

        chairs = await self._shown(CHAIRS, parse)
        found = [one for chair in chairs for one in chair if one.id == id]
        if len(found) > 1 or not found:
            return found[0] if found else None
        providers = await self._shown(PROVIDERS, lambda row: words.number(row, PROVIDERS[1]))
        return found[0] if where[1] in providers else None

    async def _shown(self, where: tuple[str, str], parse: Callable[[words.Json], T]) -> list[T]:
        """What is not hidden; patients can't be."""
        path, key = where

        def named(row: words.Json) -> tuple[int, T | None]:
            is_shown = key == "PatNum" or not words.is_hidden(row)
            return words.number(row, key), parse(row) if is_shown else None

        return [one for one in await self._listed(path, named) if one is not None]

    async def _listed(
        self, path: str, named: Callable[[words.Json], tuple[Any, T]], params: Params | None = None
    ) -> list[T]:
        async def ask(offset: int) -> Page[T]:
            asked = {**(params or {}), "Offset": str(offset), "Limit": str(MOST)}
            return await self._http.read(path, lambda a: Page([named(row) for row in _rows(a)]), params=asked)

        return await by_offset(ask, size=MOST)


def _rows(answer: httpx.Response) -> list[words.Json]:
    rows = answer.json()
    if not isinstance(rows, list):
        raise TypeError("something else than a list")
    return rows


def _said_nothing_else(id: str) -> Callable[[httpx.Response], None]:
    """By some of its documents an update is answered with the appointment, by others with nothing."""

    def parse(answer: httpx.Response) -> None:
        if answer.content and str(words.number(answer.json(), "AptNum")) != id:
            raise ValueError("another appointment than was written")

    return parse
