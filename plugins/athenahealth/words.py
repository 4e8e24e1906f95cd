"""athenahealth's words and ours: every slot is a record, and an appointment is the slot that it was booked into. Pure.

Dates are MM/DD/YYYY and times HH:MM by the department's clock, without an offset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from gateway.plugin import Appointment, Entry, Kind, Receipt, Refused, Slot, Span, Status, from_wall, repeated, to_wall

Json = Mapping[str, Any]

OPEN, FUTURE, CANCELLED = "o", "f", "x"
STATUS = {FUTURE: Status.BOOKED, "3": Status.COMPLETED, "4": Status.COMPLETED, CANCELLED: Status.CANCELLED}
"""Whoever is checked in (`2`), and any letter that there is not today, is OTHER. `o` is a slot."""
DIRECTORIES = {
    Kind.CARE_UNIT: ("departments", "departmentid", ("name",)),
    Kind.RESOURCE: ("providers", "providerid", ("displayname",)),
    Kind.SERVICE: ("appointmenttypes", "appointmenttypeid", ("name",)),
}
YES = "true"
ALL = {Kind.CARE_UNIT: {"showalldepartments": YES}, Kind.SERVICE: {"hidenonpatient": "false"}}
"""What is said to see all of a directory."""

# -- theirs into ours -------------------------------------------------------------------------------------------------


def is_id(id: str | None) -> bool:
    return id is not None and re.fullmatch(r"[1-9][0-9]{0,17}", id) is not None


def id_of(value: object) -> str:
    """Ids are numbers in some answers and texts in others. Raises TypeError for what is none."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if text is None or not is_id(text):
        raise TypeError("not an id")
    return text


def _id_or_none(row: Json, name: str) -> str | None:
    """Where there is none, it is left out or empty."""
    return None if row.get(name) in (None, "") else id_of(row[name])


@dataclass(frozen=True, slots=True)
class Record:
    """What is told of one record by itself: which it is, and where the lists have it."""

    id: str
    status: str
    day: date
    department_id: str
    provider_id: str
    moved_to: str | None

    @classmethod
    def of(cls, row: Json) -> Record:
        department, provider = id_of(row["departmentid"]), id_of(row["providerid"])
        id, status, moved_to = id_of(row["appointmentid"]), row["appointmentstatus"], _moved_to(row)
        if not isinstance(status, str):
            raise TypeError("a status is a letter")
        return cls(id, status, day_of(row["date"]), department, provider, moved_to)


def _moved_to(row: Json) -> str | None:
    return _id_or_none(row, "rescheduledappointmentid")


def appointment(row: Json, zone: ZoneInfo, confirmed_id: str | None) -> Appointment:
    """A row of a list of booked ones, or of an answer, which shows less."""
    span = _span(row, zone)
    id, notes = id_of(row["appointmentid"]), [_note(note) for note in row.get("appointmentnotes") or ()]
    confirmed = None if confirmed_id is None else _id_or_none(row, "appointmentconfirmationid") == confirmed_id
    made = Appointment(
        id=id,
        start=span.start,
        end=span.end,
        status=_status(row),
        patient_id=_id_or_none(row, "patientid"),
        resource_id=id_of(row["providerid"]),
        healthcare_service_id=_id_or_none(row, "appointmenttypeid"),
        care_unit_id=id_of(row["departmentid"]),
        confirmed=confirmed,
        version=row.get("lastmodified"),
        slot_ids=(id,),
        native={"moved": _moved_to(row) is not None},
    )
    return commented(made, notes)


def commented(made: Appointment, notes: list[tuple[int, str]]) -> Appointment:
    """The newest note is the comment; older ones lie below it."""
    id, text = max(notes, default=(None, ""))
    native = {**made.native, "note": None if id is None else str(id), "below": len(notes) > 1}
    return replace(made, comment=text or None, native=native)


def notes(answer: httpx.Response) -> list[tuple[int, str]]:
    return [_note({"id": note["noteid"], "text": note["notetext"]}) for note in answer.json()["notes"]]


def _note(row: Json) -> tuple[int, str]:
    if not isinstance(row["text"], str):
        raise TypeError("a note is a text")
    return int(id_of(row["id"])), row["text"]


def _status(row: Json) -> Status:
    """Who did not come is cancelled for a reason that says so."""
    letter = row["appointmentstatus"]
    if letter == CANCELLED and str(row.get("cancelreasonnoshow")).lower() == YES:
        return Status.NO_SHOW
    return STATUS.get(letter, Status.OTHER)


def slot(row: Json, zone: ZoneInfo, service: str | None) -> Slot | None:
    """`None`: nobody can be booked there, or it is not certain when it is."""
    span, kind = _span(row, zone), id_of(row["appointmenttypeid"])
    place = (id_of(row["providerid"]), service or kind, id_of(row["departmentid"]))
    shown = Slot(span.start, span.end, *place, id=id_of(row["appointmentid"]), native={"type": kind})
    certain = span.start.replace(tzinfo=None) == _wall(row) and not any(repeated(end, zone) for end in span_ends(span))
    return shown if certain and not row.get("frozen") else None


def span_ends(span: Span) -> tuple[datetime, datetime]:
    return span.start, span.end


def _wall(row: Json) -> datetime:
    return datetime.combine(day_of(row["date"]), time.fromisoformat(row["starttime"]))


def _span(row: Json, zone: ZoneInfo) -> Span:
    minutes = row["duration"]
    if not isinstance(minutes, int) or isinstance(minutes, bool) or minutes <= 0:
        raise TypeError("no length")
    start = from_wall(_wall(row), zone)
    return Span(start, (start.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(zone))


def day_of(text: str) -> date:
    month, day, year = map(int, text.split("/"))
    return date(year, month, day)


def entry(kind: Kind, row: Json) -> Entry:
    _, id, names = DIRECTORIES[kind]
    return Entry(id_of(row[id]), " ".join(row[name] for name in names))


# -- answers to writes ------------------------------------------------------------------------------------------------


def placed(wanted: Slot, zone: ZoneInfo, comment: str | None, answer: httpx.Response) -> Receipt:
    """What was booked or moved, as a list of one. It shows too little to be the appointment: only where it tells of
    another place than the wanted one is it kept, as proof that this is the EMR's own doing. The comment goes along."""
    (row,) = answer.json()
    made = appointment(row, zone, None)
    if (made.id, made.resource_id) == (wanted.id, wanted.resource_id) and made.span.same(wanted.span):
        return Receipt(id=made.id)
    return Receipt(appointment=replace(made, comment=comment))


def opened(answer: httpx.Response) -> str:
    """The id of a slot that was made, by which its time is told."""
    ((id, _),) = answer.json()["appointmentids"].items()
    return id_of(id)


def done(answer: httpx.Response) -> None:
    """Raises Refused for a "no" that comes as a success, and ValueError for an answer of which nobody knows."""
    body = answer.json()
    told = body[0] if isinstance(body, list) else body
    if told.get("success") in (False, "false"):
        raise Refused("rule")
    if "error" in told or not {"success", "status"} & set(told):
        raise ValueError("neither done nor refused")


# -- ours into theirs -------------------------------------------------------------------------------------------------


def said(day: date) -> str:
    return f"{day:%m/%d/%Y}"


def days(span: Span, zone: ZoneInfo, *, from_before: bool = False) -> dict[str, str]:
    """The local days that a span touches; `from_before`: and the one before, from which something may reach into it."""
    first = span.start.astimezone(zone).date() - timedelta(days=from_before)
    last = (span.end.astimezone(zone) - timedelta.resolution).date()
    return {"startdate": said(first), "enddate": said(max(first, last))}


def new_slot(span: Span, zone: ZoneInfo, provider: str | None, kind: str | None, department: str | None) -> Json:
    wall = to_wall(span.start, zone, each_s=60)
    place = {"departmentid": department, "providerid": provider, "appointmenttypeid": kind}
    return {"appointmentdate": said(wall.date()), "appointmenttime": f"{wall:%H:%M}", **place}
