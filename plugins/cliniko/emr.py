"""The port of a Cliniko account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar

import httpx

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
    Page,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    VendorHttp,
    by_days,
    by_link,
    if_there,
    nothing,
    the_same,
    today,
)
from plugins.cliniko import words
from plugins.cliniko.settings import Settings

FULL = Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    free_time_by=frozenset({Kind.RESOURCE, Kind.SERVICE, Kind.CARE_UNIT}),
    move="in_place",
    reassign="in_place",
    refuses_overlap=False,
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    cancel_reasons=words.REASONS,
    comment=True,
    answers_with="nothing",
    late_write_s=30.0,
    concurrency=4,
    quota=200,
    quota_window_s=60.0,
)
DAYS = 7
"""No more may be asked for at once."""
MOST = "100"
"""Rows on a page."""
APPOINTMENTS = "/individual_appointments"
OLDEST_FIRST = ("sort", "created_at:asc")
"""What comes while a list is read comes at its end."""

Params = Sequence[tuple[str, str]]
T = TypeVar("T")


class ClinikoEmr(Emr):
    def __init__(self, http: VendorHttp, settings: Settings, *, reason: str) -> None:
        by = FULL.free_time_by if settings.business_id is None else FULL.free_time_by - {Kind.CARE_UNIT}
        can = replace(FULL, late_write_s=settings.late_write_s, free_time_by=by)
        super().__init__(can, tenant=f"{settings.address} {settings.subdomain}")
        self._http, self._settings, self._reason = http, settings, reason

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        if not words.is_id(id):
            return None
        return the_same(id, await self._one(f"{APPOINTMENTS}/{id}", self._appointment, [words.EVEN_CANCELLED]))

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        ids = (wanted.resource_id, wanted.patient_id, wanted.care_unit_id)
        if not all(words.is_id(id) for id in ids if id is not None):
            return []
        return [one for one in await self._individual(words.filters(wanted)) if wanted.takes(one)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        who, what = wanted.resource_id, wanted.healthcare_service_id
        where = wanted.care_unit_id or self._settings.business_id
        if who is None or what is None or where is None:
            raise Refused("unsupported", "free time is of a business, a practitioner and an appointment type")
        if not all(map(words.is_id, (who, what, where))):
            return FreeTime("slots")
        minutes = await self._one(f"/appointment_types/{what}", lambda answer: words.minutes(answer.json()))
        if minutes is None:
            return FreeTime("slots")
        path = f"/businesses/{where}/practitioners/{who}/appointment_types/{what}/available_times"
        zone = self._settings.zone

        async def ask(first: date, last: date) -> list[Slot]:
            def named(row: words.Json) -> tuple[str, Slot]:
                return row["appointment_start"], words.slot(row, zone, (who, what, where), minutes)

            return await self._listed("available_times", path, named, [("from", str(first)), ("to", str(last))])

        pieces = by_days(ask, wanted.span, zone, most=DAYS, earliest=today(zone))
        return FreeTime("slots", tuple(await if_there(pieces) or ()))

    async def conflicts(self, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
        """With group appointments and blocked time, too. It does not tell whose it is: where one is to be ignored, the
        calendar says who else is there."""
        if ignoring:
            return await super().conflicts(appointment, ignoring)
        return await self._http.read(f"{APPOINTMENTS}/{appointment.id}/conflicts", lambda a: words.exists(a.json()))

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        def named(row: words.Json) -> tuple[str, Entry]:
            return row["id"], words.entry(kind, row)

        return await self._listed(words.DIRECTORIES[kind], f"/{words.DIRECTORIES[kind]}", named, [OLDEST_FIRST])

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        if not words.is_id(id):
            return None
        path = f"/{words.DIRECTORIES[kind]}/{id}"
        return the_same(id, await self._one(path, lambda answer: words.entry(kind, answer.json())))

    async def find_own(self, step: Create | Change) -> Appointment | None:
        """No field can bear a marker: it is known by all that the step says. The youngest, if there are several."""
        if not isinstance(step, Create):
            raise Refused("unsupported")
        wanted = ReadCalendar(step.span, resource_id=step.resource_id, patient_id=step.patient_id)
        own = [one for one in await self.calendar(wanted) if words.is_made_by(one, step)]
        return own[-1] if own else None

    async def probe(self) -> Capabilities:
        await self._http.read("/businesses", lambda answer: answer.json()["businesses"], params=[("per_page", "1")])
        return self.capabilities

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        return await self._http.write("PATCH", _path(step), self._written, json=words.changed(step))

    async def create(self, step: Create) -> Receipt:
        booking = words.booking(step, self._settings.business_id)
        return await self._http.write("POST", APPOINTMENTS, self._written, json=booking)

    async def cancel(self, step: Cancel) -> Receipt:
        body = words.cancellation(step, self._reason)
        await self._http.write("PATCH", f"{_path(step)}/cancel", nothing, json=body)
        return Receipt(id=step.before.id)

    async def discard(self, step: Discard) -> Receipt:
        await self._http.write("POST", f"{_path(step)}/archive", nothing)
        return Receipt(id=step.before.id)

    # -- answers -----------------------------------------------------------------------------------------------

    def _appointment(self, answer: httpx.Response) -> Appointment | None:
        return words.appointment(answer.json(), self._settings.zone)

    def _written(self, answer: httpx.Response) -> Receipt:
        return Receipt(appointment=self._appointment(answer))

    async def _individual(self, params: Params) -> list[Appointment]:
        def named(row: words.Json) -> tuple[str, Appointment | None]:
            return row["id"], words.appointment(row, self._settings.zone)

        found = await self._listed("individual_appointments", APPOINTMENTS, named, [*params, OLDEST_FIRST])
        return [one for one in found if one is not None]

    async def _one(self, path: str, parse: Callable[[httpx.Response], T], params: Params = ()) -> T | None:
        return await if_there(self._http.read(path, parse, params=[*params]))

    async def _listed(
        self, name: str, path: str, named: Callable[[words.Json], tuple[str, T]], params: Params
    ) -> list[T]:
        def page(answer: httpx.Response) -> Page[T]:
            body = answer.json()
            return Page([named(row) for row in body[name]], next=body["links"].get("next"), total=body["total_entries"])

        return await by_link(self._http, path, page, params=[*params, ("per_page", MOST)])


def _path(step: Change | Cancel | Discard) -> str:
    if not words.is_id(step.before.id):
        raise Refused("not_found")
    return f"{APPOINTMENTS}/{step.before.id}"
