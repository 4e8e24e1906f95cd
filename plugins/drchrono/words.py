"""DrChrono's words into ours, and ours into DrChrono's. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Create,
    EmrError,
    Entry,
    Kind,
    Refused,
    Span,
    Status,
    Throttled,
    from_wall,
    given,
    to_wall,
    units,
)

Json = Mapping[str, Any]

DIRECTORIES = {
    Kind.CARE_UNIT: "offices",
    Kind.RESOURCE: "doctors",
    Kind.SERVICE: "appointment_profiles",
    Kind.PATIENT: "patients_summary",
}
NAMES = {
    Kind.CARE_UNIT: ("name",),
    Kind.RESOURCE: ("first_name", "last_name"),
    Kind.SERVICE: ("name",),
    Kind.PATIENT: ("first_name", "last_name"),
}
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
MINUTE_S = 60

_LATER = re.compile(r"\bin (\d{1,6}) seconds?\b")


# -- theirs into ours -------------------------------------------------------------------------------------------------


def is_id(id: str | None) -> bool:
    return id is not None and re.fullmatch(r"[0-9]{1,18}", id) is not None


def is_appointment_id(id: str) -> bool:
    """Those of a series that are not written down yet have a date in theirs."""
    return re.fullmatch(r"[0-9A-Za-z_-]{1,64}", id) is not None


def appointment(row: Json, zone: ZoneInfo) -> Appointment | None:
    """A break, too: it has no patient. `None`: it was deleted, which is how one is withdrawn."""
    if row.get("deleted_flag"):
        return None
    start, word = instant(row["scheduled_time"], zone), row["status"] or ""
    status = STATUS.get(word, Status.OTHER)
    return Appointment(
        id=_text(row["id"]),
        start=start,
        end=_after(start, _minutes(row["duration"])),
        status=status,
        patient_id=_number(row["patient"]),
        resource_id=_number(row["doctor"]),
        healthcare_service_id=_number(row.get("profile")),
        care_unit_id=_number(row["office"]),
        comment=row["notes"] or None,
        confirmed=word == CONFIRMED if status is Status.BOOKED else None,
        version=row["updated_at"],
        native={"room": row["exam_room"], "series": _is_series(row)},
    )


def _is_series(row: Json) -> bool:
    """It stands for more than itself, or is not written down yet: a write to it might be one to all of its series."""
    recurs = row.get("recurring_appointment") and not row.get("base_recurring_appointment")
    return bool(recurs or row.get("is_virtual_base")) or not is_id(row["id"])


def block(row: Json, zone: ZoneInfo) -> Span:
    return Span(instant(row["start_time"], zone), instant(row["end_time"], zone))


def entry(kind: Kind, row: Json) -> Entry | None:
    """`None`: it is not to be used any more."""
    if row.get("archived") or row.get("is_account_suspended"):
        return None
    name = " ".join(row[name] or "" for name in NAMES[kind]).strip()
    id = _number(row["id"])
    assert id is not None
    return Entry(id, name)


def instant(text: str, zone: ZoneInfo) -> datetime:
    read = datetime.fromisoformat(text)
    return from_wall(read, zone) if read.tzinfo is None else read.astimezone(zone)


def _after(start: datetime, minutes: int) -> datetime:
    return (start.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(start.tzinfo)


def _minutes(told: object) -> int:
    if not isinstance(told, int) or isinstance(told, bool) or told <= 0:
        raise TypeError("an appointment without a length")
    return told


def _number(id: object) -> str | None:
    if id is None:
        return None
    if not isinstance(id, int) or isinstance(id, bool) or id < 0:
        raise TypeError("an id that is no number")
    return str(id)


def _text(id: object) -> str:
    if not isinstance(id, str) or not id:
        raise TypeError("an id that is no text")
    return id


def is_made_by(one: Appointment, step: Create) -> bool:
    made = (one.patient_id, one.healthcare_service_id, one.comment or "", one.span.key, one.status)
    asked = (step.patient_id, step.healthcare_service_id, step.comment or "", step.span.key, Status.BOOKED)
    return made == asked and step.care_unit_id in (None, one.care_unit_id) and not one.native["series"]


def problem(response: httpx.Response) -> EmrError | None:
    """What its answers mean beyond their status. When to come again it says in its prose alone."""
    if response.status_code == 409:
        return Refused("taken")
    if response.status_code == 429 and (found := _LATER.search(response.json()["detail"])):
        return Throttled("it answered 429", retry_after=float(found[1]))
    return None


# -- when somebody works ----------------------------------------------------------------------------------------------

Week = Mapping[int, list[tuple[int, int]]]
"""By weekday, from Monday (0): from and to, in minutes since midnight by the clock."""
DAY = 24 * 60
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def week_of_doctor(row: Json, office_id: str) -> Week | None:
    """At this office; empty where no hours of their own are noted. `None`: not to be booked any more."""
    return None if row.get("is_account_suspended") else _schedule(row.get("doctor_work_schedule"), office_id)


def week_of_office(row: Json) -> Week | None:
    """Its schedule, else the hours that its calendar has. `None`: not to be used any more."""
    if row.get("archived"):
        return None
    always = [_between(row["start_time"], row["end_time"])]
    return _schedule(row.get("office_work_schedule"), str(row["id"])) or dict.fromkeys(range(7), always)


def _schedule(schedule: Json | None, office_id: str) -> Week:
    if not schedule or str(schedule["office"]) != office_id:
        return {}
    enabled = [day for day in schedule["work_days"] if day["enabled"]]
    return {WEEKDAYS.index(day["iso_weekday"]): _enabled(day["work_hours"]) for day in enabled}


def _enabled(hours: list[Json]) -> list[tuple[int, int]]:
    return [_between(one["start_time"], one["end_time"]) for one in hours if one["enabled"]]


def _between(start: str, end: str) -> tuple[int, int]:
    first, last = _of_clock(start), _of_clock(end) or DAY
    if not first < last <= DAY:
        raise ValueError("hours that end before they begin")
    return first, last


def _of_clock(text: str) -> int:
    hour, minute, *_ = map(int, text.split(":"))
    return hour * 60 + minute


def worked(week: Week, day: date, zone: ZoneInfo) -> list[Span]:
    """The hours of that day's weekday, as instants."""
    midnight = datetime.combine(day, time())
    ends = [
        [from_wall(midnight + timedelta(minutes=end), zone) for end in ends] for ends in week.get(day.weekday(), ())
    ]
    return [Span(start, end) for start, end in ends]


# -- ours into theirs -------------------------------------------------------------------------------------------------


def number(id: str | None) -> int:
    if id is None or not is_id(id):
        raise Refused("invalid", "an id that can be nobody's")
    return int(id)


def times(span: Span, zone: ZoneInfo) -> dict[str, Any]:
    """Wall time of the practice, to the minute. Raises Refused("invalid") for what can't be said so."""
    to_wall(span.end, zone, each_s=MINUTE_S)
    return {
        "scheduled_time": to_wall(span.start, zone, each_s=MINUTE_S).isoformat(timespec="seconds"),
        "duration": units(span, each_s=MINUTE_S),
    }


def booking(step: Create, zone: ZoneInfo, office_id: str | None, room: int) -> dict[str, Any]:
    """Raises Refused("invalid") where nothing says in which office."""
    like = step.like
    office = step.care_unit_id or (like and like.care_unit_id) or office_id
    if like is not None and like.care_unit_id == office:
        room = int(str(like.native.get("room", room)))
    place = {"office": number(office), "exam_room": room}
    who = {"doctor": number(step.resource_id), "patient": number(step.patient_id)}
    profile = None if step.healthcare_service_id is None else number(step.healthcare_service_id)
    return {**who, **place, **times(step.span, zone), **given({"profile": profile, "notes": step.comment})}


def changed(step: Change, zone: ZoneInfo) -> dict[str, Any]:
    doctor = None if step.resource_id is None else number(step.resource_id)
    moved = {} if step.span is None else times(step.span, zone)
    return given({"doctor": doctor, "notes": step.comment}) | moved


def cancellation(step: Cancel) -> dict[str, Any]:
    """It has no field for a reason: the comment is the note, in the same write."""
    return {"status": CANCELLED} | given({"notes": step.comment})
