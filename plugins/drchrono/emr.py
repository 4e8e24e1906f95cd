"""The port of a DrChrono account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, TypeVar

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Capabilities,
    Change,
    Confirm,
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
    Span,
    Status,
    VendorHttp,
    by_days,
    by_link,
    if_there,
    nothing,
    the_same,
    without,
)
from plugins.drchrono import words
from plugins.drchrono.settings import Settings

FULL = Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="windows",
    free_time_by=frozenset({Kind.RESOURCE, Kind.CARE_UNIT}),
    own_time_shown=True,
    move="in_place",
    reassign="in_place",
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    comment=True,
    confirm="flag",
    confirmed_flag=True,
    answers_with="nothing",
    late_write_s=30.0,
    start_unit_s=60,
    length_unit_s=60,
    concurrency=4,
    quota=500,
)
DAYS = 180
"""No more than 190 may be asked for at once."""
HOLIDAY = timedelta(days=60)
"""The longest."""
MOST = "250"
"""Rows on a page."""
APPOINTMENTS = "/appointments"

Params = Sequence[tuple[str, str]]
T = TypeVar("T")


def _of(settings: Settings) -> Capabilities:
    by = FULL.free_time_by if settings.office_id is None else FULL.free_time_by - {Kind.CARE_UNIT}
    return replace(
        FULL,
        free_time_by=by,
        local_zone=settings.zone.key,
        late_write_s=settings.late_write_s,
        min_interval_s=1 / settings.calls_per_second,
        quota=settings.calls_per_hour,
    )


class DrChronoEmr(Emr):
    def __init__(self, http: VendorHttp, settings: Settings) -> None:
        super().__init__(_of(settings), tenant=f"{settings.base_url} {settings.practice_group}")
        self._http, self._settings, self._zone = http, settings, settings.zone

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        if not words.is_appointment_id(id):
            return None
        found = the_same(id, await self._one(f"{APPOINTMENTS}/{id}", self._appointment))
        return None if found is None or found.patient_id is None else found

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        ids = {"doctor": wanted.resource_id, "patient": wanted.patient_id, "office": wanted.care_unit_id}
        asked = [(name, id) for name, id in ids.items() if id is not None]
        if not all(words.is_id(id) for _, id in asked):
            return []
        found = await self._standing(wanted.span, asked)
        return [one for one in found if one.patient_id is not None and wanted.takes(one)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        """When the doctor works there, less what is in the way: it offers no free time that its documents describe."""
        who, where = wanted.resource_id, wanted.care_unit_id or self._settings.office_id
        if who is None or where is None:
            raise Refused("unsupported", "free time is of an office and a doctor")
        worked = await self._worked(who, where, wanted.span)
        own = [a for a in wanted.ignoring if a.resource_id == who and _holds(a, wanted.span)]
        if not (worked or own):
            return FreeTime("windows")
        place = (who, wanted.healthcare_service_id, where)
        there = await self._standing(wanted.span, [("doctor", who)])
        ignored = {a.id for a in own}
        open_ = without(_windows(worked, place), await self._blocked(who, wanted.span))
        mine = _windows([a.span for a in own], place)
        others = [a.span for a in there if a.id not in ignored and _holds(a, wanted.span)]
        free = without(FreeTime("windows", (*open_.slots, *mine.slots)), others)
        return FreeTime("windows", tuple(one for one in free.slots if one.span.overlaps(wanted.span)))

    async def conflicts(self, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
        """With breaks and blocked time, too."""
        who, span = appointment.resource_id or "", appointment.span
        there = await self._standing(span, [("doctor", who)])
        others = [a for a in there if a.id not in (appointment.id, *ignoring) and _holds(a, span)]
        return bool(others) or bool(await self._blocked(who, span))

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        def named(row: words.Json) -> tuple[str, Entry | None]:
            return row["id"], words.entry(kind, row)

        found = await self._listed(f"/{words.DIRECTORIES[kind]}", named)
        return [one for one in found if one is not None]

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
        return max(own, key=lambda one: int(one.id), default=None)

    async def probe(self) -> Capabilities:
        """Is it the practice group that the account says to be of?"""

        def groups(answer: httpx.Response) -> set[str]:
            told = [row["practice_group"] for row in _rows(answer.json())]
            return {str(group) for group in told if group is not None}

        seen = await self._http.read("/doctors", groups, params=[("page_size", "1")])
        if seen - {self._settings.practice_group}:
            raise Refused("invalid", "whoever has let the gateway in is of another practice group")
        return self.capabilities

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        return await self._patched(step, words.changed(step, self._zone))

    async def cancel(self, step: Cancel) -> Receipt:
        return await self._patched(step, words.cancellation(step))

    async def confirm(self, step: Confirm) -> Receipt:
        return await self._patched(step, {"status": words.CONFIRMED})

    async def create(self, step: Create) -> Receipt:
        body = words.booking(step, self._zone, self._settings.office_id, self._settings.exam_room)
        return await self._http.write("POST", APPOINTMENTS, self._made, json=body)

    async def discard(self, step: Discard) -> Receipt:
        await self._http.write("DELETE", _path(step), nothing)
        return Receipt(id=step.before.id)

    async def _patched(self, step: Change | Cancel | Confirm, body: dict[str, Any]) -> Receipt:
        await self._http.write("PATCH", _path(step), nothing, json=body)
        return Receipt(id=step.before.id)

    # -- answers -----------------------------------------------------------------------------------------------

    def _appointment(self, answer: httpx.Response) -> Appointment | None:
        return words.appointment(answer.json(), self._zone)

    def _made(self, answer: httpx.Response) -> Receipt:
        return Receipt(appointment=self._appointment(answer))

    async def _standing(self, span: Span, params: Params) -> list[Appointment]:
        """Whatever overlaps the span, breaks too. What begins the day before may last until then."""

        def named(row: words.Json) -> tuple[str, Appointment | None]:
            return row["id"], words.appointment(row, self._zone)

        async def ask(first: date, last: date) -> list[Appointment]:
            found = await self._listed(APPOINTMENTS, named, [("date_range", f"{first}/{last}"), *params])
            return [one for one in found if one is not None]

        before = Span(span.start - timedelta(days=1), span.end)
        return [one for one in await by_days(ask, before, self._zone, most=DAYS) if one.span.overlaps(span)]

    async def _blocked(self, who: str, span: Span) -> list[Span]:
        """What keeps others out of the doctor's calendar, in whichever office.

        A holiday may have begun long before, and no document says by which of its days it is found.
        """

        def named(row: words.Json) -> tuple[int, Slot]:
            told = words.block(row, self._zone)
            return row["id"], Slot(told.start, told.end, str(row["provider"]), id=str(row["id"]))

        async def ask(first: date, last: date) -> list[Slot]:
            return await self._listed("/schedule_blocks", named, [("date_range", f"{first}/{last}"), ("doctor", who)])

        before = Span(span.start - HOLIDAY, span.end)
        found = await by_days(ask, before, self._zone, most=DAYS)
        return [one.span for one in found if one.resource_id == who and one.span.overlaps(span)]

    async def _worked(self, who: str, where: str, span: Span) -> list[Span]:
        """None, where either is not there."""
        if not (words.is_id(who) and words.is_id(where)):
            return []
        doctor = await self._one(f"/doctors/{who}", lambda answer: words.week_of_doctor(answer.json(), where))
        office = await self._one(f"/offices/{where}", lambda answer: words.week_of_office(answer.json()))
        if doctor is None or office is None:
            return []
        week = doctor or office

        async def on(day: date, _: date) -> list[Slot]:
            return [Slot(worked.start, worked.end) for worked in words.worked(week, day, self._zone)]

        return [one.span for one in await by_days(on, span, self._zone, most=1)]

    async def _one(self, path: str, parse: Callable[[httpx.Response], T]) -> T | None:
        return await if_there(self._http.read(path, parse))

    async def _listed(self, path: str, named: Callable[[words.Json], tuple[Any, T]], params: Params = ()) -> list[T]:
        def page(answer: httpx.Response) -> Page[T]:
            body = answer.json()
            return Page([named(row) for row in _rows(body)], next=body.get("next"))

        return await by_link(self._http, path, page, params=[*params, ("page_size", MOST)])


def _rows(body: words.Json) -> Sequence[words.Json]:
    """Its OpenAPI document names them so, and its prose otherwise."""
    rows: Sequence[words.Json] = body["data"] if "data" in body else body["results"]
    return rows


def _path(step: Change | Cancel | Confirm | Discard) -> str:
    """Raises Refused for what is no single appointment."""
    if not words.is_appointment_id(step.before.id):
        raise Refused("not_found")
    if step.before.native.get("series"):
        raise Refused("rule", "a write to one of a series might be one to all of it", emr_code="RECURRING")
    return f"{APPOINTMENTS}/{step.before.id}"


def _windows(spans: Iterable[Span], place: tuple[str, str | None, str]) -> FreeTime:
    return FreeTime("windows", tuple(Slot(span.start, span.end, *place) for span in spans))


def _holds(one: Appointment, span: Span) -> bool:
    return one.status is not Status.CANCELLED and one.span.overlaps(span)
