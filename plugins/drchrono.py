"""DrChrono, over its REST API: changed in place, in wall time, by whoever of the practice has let the gateway in."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr

import gateway.plugin as gw
from gateway.plugin import Kind, Status, given

HEADERS = {"Accept": "application/json", "X-DRC-API-Version": "v4"}
HOLIDAY = timedelta(days=60)
"""The longest: one may have begun long before, and no document says by which of its days it is found."""
MINUTE_S = 60
CANCELLED, CONFIRMED = "Cancelled", "Confirmed"
STATUS = {
    "": Status.BOOKED,
    "Not Confirmed": Status.BOOKED,
    CONFIRMED: Status.BOOKED,
    "Complete": Status.COMPLETED,
    CANCELLED: Status.CANCELLED,
    "No Show": Status.NO_SHOW,
}
"""Whoever has arrived is OTHER, and so are a practice's own words."""


class Settings(gw.AccountSettings):
    """One practice group, seen by whoever of it has let the gateway in."""

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    practice_group: str = Field(min_length=1)
    """Its doctors' `practice_group`: whoever has the same one shares appointments."""
    zone: gw.Zone
    """Of the practice, whose wall time is spoken."""
    office_id: str | None = Field(default=None, pattern=r"^\d+$")
    """Which office is meant where a request names no care unit."""
    exam_room: int = Field(default=1, ge=1)
    """Where somebody is booked who continues no other appointment: the room's number within its office."""
    calls_per_hour: int = Field(default=500, ge=1)
    """What the application is allowed; or its share, where several accounts are of one application."""
    calls_per_second: float = Field(default=9.0, gt=0)
    """From ten on it throttles."""
    scope: str = "calendar:read calendar:write user:read patients:summary:read"
    """No more than is used: of patients that is their names."""
    base_url: gw.BaseUrl = "https://app.drchrono.com"


FULL = gw.Capabilities(
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
    start_unit_s=MINUTE_S,
    length_unit_s=MINUTE_S,
    concurrency=4,
    quota=500,
)


def is_gone(row: gw.Row) -> bool:
    return bool(row.get("archived") or row.get("is_account_suspended"))


class DrChronoEmr(gw.OpenHoursEmr):
    """It offers no free time that its documents describe: that is worked out."""

    most_days, longest = 180, timedelta(days=1)
    """No more than 190 days may be asked for at once. What began the day before may last until then."""
    places = {
        Kind.CARE_UNIT: gw.Directory("/offices", is_gone=is_gone),
        Kind.RESOURCE: gw.Directory("/doctors", ("first_name", "last_name"), is_gone=is_gone),
        Kind.SERVICE: gw.Directory("/appointment_profiles", is_gone=is_gone),
        Kind.PATIENT: gw.Directory("/patients_summary", ("first_name", "last_name"), is_gone=is_gone),
    }

    def __init__(self, http: gw.VendorHttp, settings: Settings) -> None:
        paced = replace(FULL, min_interval_s=1 / settings.calls_per_second, quota=settings.calls_per_hour)
        can = replace(paced, local_zone=settings.zone.key, late_write_s=settings.late_write_s)
        tenant = f"{settings.base_url} {settings.practice_group}"
        super().__init__(http, can, tenant, zone=settings.zone, care_unit_id=settings.office_id)
        self._group, self._room = settings.practice_group, settings.exam_room

    # -- theirs into ours ------------------------------------------------------------------------------------------

    def can_be(self, kind: Kind | None, id: str) -> bool:
        """Appointments of a series that are not written down yet have a date in theirs."""
        return re.fullmatch(r"[0-9A-Za-z_-]{1,64}" if kind is None else r"[0-9]{1,18}", id) is not None

    def read(self, row: gw.Row) -> gw.Appointment | None:
        """A break, too: it has no patient. `None`: it was deleted, which is how one is withdrawn."""
        if row.get("deleted_flag"):
            return None
        start, word = gw.wall(row["scheduled_time"], self.zone), row["status"] or ""
        status = STATUS.get(word, Status.OTHER)
        return gw.Appointment(
            id=gw.id_of(row["id"]),
            start=start,
            end=gw.minutes_after(start, row["duration"]),
            status=status,
            patient_id=gw.id_or_none(row["patient"]),
            resource_id=gw.id_or_none(row["doctor"]),
            healthcare_service_id=gw.id_or_none(row.get("profile")),
            care_unit_id=gw.id_or_none(row["office"]),
            comment=row["notes"] or None,
            confirmed=word == CONFIRMED if status is Status.BOOKED else None,
            version=row["updated_at"],
            native={"room": row["exam_room"], "series": _is_series(row)},
        )

    def is_shown(self, one: gw.Appointment) -> bool:
        return one.patient_id is not None

    def is_made_by(self, one: gw.Appointment, step: gw.Create) -> bool:
        return super().is_made_by(one, step) and not one.native["series"]

    async def rows(self, path: str, query: gw.Query = (), *, by: str = "id") -> list[gw.Row]:
        def page(answer: httpx.Response) -> gw.Page[gw.Row]:
            body = answer.json()
            return gw.Page([(row[by], row) for row in _rows(body)], next=body.get("next"))

        return await gw.by_link(self.http, path, page, params=[*query, ("page_size", "250")])

    # -- reads -----------------------------------------------------------------------------------------------------

    def query(self, wanted: gw.ReadCalendar) -> gw.Query:
        ids = {"doctor": wanted.resource_id, "patient": wanted.patient_id, "office": wanted.care_unit_id}
        return list(given(ids).items())

    def days(self, first: date, last: date) -> gw.Query:
        return [("date_range", f"{first}/{last}")]

    async def week(self, resource_id: str, care_unit_id: str) -> gw.Week:
        """The doctor's own hours at the office, where any are noted, else those of the office."""
        doctor = await self.about(Kind.RESOURCE, resource_id, lambda row: _scheduled(row, "doctor", care_unit_id))
        office = await self.about(Kind.CARE_UNIT, care_unit_id, _week_of_office)
        return {} if doctor is None or office is None else doctor or office

    async def blocked(self, resource_id: str, span: gw.Span) -> list[gw.Span]:
        """In whichever office."""

        def block(row: gw.Row) -> gw.Slot:
            start, end = (gw.wall(row[name], self.zone) for name in ("start_time", "end_time"))
            return gw.Slot(start, end, gw.id_of(row["provider"]), id=gw.id_of(row["id"]))

        found = await self.on_days("/schedule_blocks", block, span, [("doctor", resource_id)], longest=HOLIDAY)
        return [one.span for one in found if one.resource_id == resource_id]

    async def probe(self) -> gw.Capabilities:
        """Is it the practice group that the account says to be of?"""

        def groups(answer: httpx.Response) -> set[str]:
            return {str(row["practice_group"]) for row in _rows(answer.json()) if row["practice_group"] is not None}

        if await self.http.read("/doctors", groups, params=[("page_size", "1")]) - {self._group}:
            raise gw.Refused("invalid", "whoever has let the gateway in is of another practice group")
        return self.capabilities

    # -- writes ----------------------------------------------------------------------------------------------------

    def at(self, step: gw.Change | gw.Cancel | gw.Confirm | gw.Discard, below: str = "") -> str:
        path = super().at(step, below)
        if step.before.native.get("series"):
            raise gw.Refused("rule", "a write to one of a series might be one to all of it", emr_code="RECURRING")
        return path

    async def change(self, step: gw.Change) -> gw.Receipt:
        doctor = None if step.resource_id is None else gw.as_number(step.resource_id)
        moved = {} if step.span is None else times(step.span, self.zone)
        return await self.over("PATCH", step, json=given({"doctor": doctor, "notes": step.comment}) | moved)

    async def cancel(self, step: gw.Cancel) -> gw.Receipt:
        """It has no field for a reason: the comment is the note, in the same write."""
        return await self.over("PATCH", step, json={"status": CANCELLED} | given({"notes": step.comment}))

    async def confirm(self, step: gw.Confirm) -> gw.Receipt:
        return await self.over("PATCH", step, json={"status": CONFIRMED})

    async def discard(self, step: gw.Discard) -> gw.Receipt:
        return await self.over("DELETE", step)

    async def create(self, step: gw.Create) -> gw.Receipt:
        """In the room of the one that it continues, if that is of the same office."""
        like = step.like
        office = step.care_unit_id or (like and like.care_unit_id) or self.care_unit_id
        room = like.native.get("room") if like and like.care_unit_id == office else None
        ids = {"doctor": step.resource_id, "patient": step.patient_id, "office": office}
        who = {name: gw.as_number(id) for name, id in (ids | given({"profile": step.healthcare_service_id})).items()}
        what = {"exam_room": room or self._room, **times(step.span, self.zone), **given({"notes": step.comment})}
        return await self.http.write("POST", self.path, self.shown, json=who | what)


def _rows(body: gw.Row) -> list[gw.Row]:
    """Its OpenAPI document names them so, and its prose otherwise."""
    return gw.records(body["data"] if "data" in body else body["results"])


def _is_series(row: gw.Row) -> bool:
    """It stands for more than itself, or is not written down yet: a write to it might be one to all of its series."""
    recurs = row.get("recurring_appointment") and not row.get("base_recurring_appointment")
    return bool(recurs or row.get("is_virtual_base")) or not row["id"].isdecimal()


def _week_of_office(row: gw.Row) -> gw.Week:
    """Its schedule, else the hours that its calendar has."""
    always = [gw.hours(row["start_time"], row["end_time"])]
    return _scheduled(row, "office", gw.id_of(row["id"])) or dict.fromkeys(range(7), always)


def _scheduled(row: gw.Row, whose: str, office_id: str) -> gw.Week:
    """Empty where no hours at this office are noted. Those that are not enabled are none."""
    schedule = row.get(f"{whose}_work_schedule")
    if not schedule or gw.id_of(schedule["office"]) != office_id:
        return {}

    def hours(day: gw.Row) -> list[tuple[int, int]]:
        return [gw.hours(one["start_time"], one["end_time"]) for one in day["work_hours"] if one["enabled"]]

    return {gw.weekday(day["iso_weekday"]): hours(day) for day in schedule["work_days"] if day["enabled"]}


def times(span: gw.Span, zone: ZoneInfo) -> dict[str, Any]:
    """Wall time of the practice, to the minute. Raises Refused("invalid") for what can't be said so."""
    gw.to_wall(span.end, zone, each_s=MINUTE_S)
    start = gw.to_wall(span.start, zone, each_s=MINUTE_S)
    return {"scheduled_time": start.isoformat(timespec="seconds"), "duration": gw.units(span, each_s=MINUTE_S)}


def problem(answer: httpx.Response) -> gw.EmrError | None:
    """What its answers mean beyond their status. When to come again it says in its prose alone."""
    if answer.status_code == 409:
        return gw.Refused("taken")
    if answer.status_code == 429 and (found := re.search(r"\bin (\d{1,6}) seconds?\b", answer.json()["detail"])):
        return gw.Throttled("it answered 429", retry_after=float(found[1]))
    return None


# -- introduction ------------------------------------------------------------------------------------------------------
def consent(settings: Settings) -> gw.Consent:
    """OAuth 2, authorization code: somebody lets the gateway in, with their own rights."""
    return gw.Consent(
        authorize_url=f"{settings.base_url}/o/authorize/",
        token_url=f"{settings.base_url}/o/token/",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        style="post",
        scope=settings.scope,
    )


@gw.hookimpl
def emr_vendor() -> gw.Vendor:
    edition = gw.Edition(title="DrChrono", capabilities=FULL, against="the vendor's OpenAPI document v4 (Hunt Valley)")
    return gw.Vendor(
        key="drchrono",
        name="DrChrono",
        settings=Settings,
        emr=DrChronoEmr,
        capabilities=FULL,
        editions=(edition,),
        consent=consent,
    )


@gw.hookimpl
def emr_open(account: gw.Account) -> gw.Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    login = gw.AuthorizationCode.of(account, consent(settings))
    http = account.door.http(base_url=f"{settings.base_url}/api", auth=login, headers=HEADERS, problem=problem)
    return DrChronoEmr(http, settings)
