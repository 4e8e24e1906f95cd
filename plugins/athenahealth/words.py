"""athenahealth's words and ours: every slot is a record, and an appointment is the slot that it was booked into. Pure.

Dates are MM/DD/YYYY and times HH:MM by the department's clock, without an offset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import httpx

import gateway.plugin as gw
from gateway.plugin import Status

Form = Mapping[str, str | None]

YES = "true"
BEYOND_WEB = {"ignoreschedulablepermission": YES}
"""What is said to see or take also what the practice does not open to scheduling over the web."""
OPEN, CANCELLED = "o", "x"
STATUS = {"f": Status.BOOKED, "3": Status.COMPLETED, "4": Status.COMPLETED, CANCELLED: Status.CANCELLED}
"""Whoever is checked in (`2`), and any letter that there is not today, is OTHER. `o` is a slot."""

# -- theirs into ours -------------------------------------------------------------------------------------------------


def appointment(row: gw.Row, zone: ZoneInfo, confirmed_id: str | None) -> gw.Appointment:
    """A row of a list of booked ones. One by itself, which may be a slot, and one in an answer to a write show less."""
    id, span = gw.id_of(row["appointmentid"]), _span(row, zone)
    moved_to = gw.id_or_none(row.get("rescheduledappointmentid"))
    made = gw.Appointment(
        id=id,
        start=span.start,
        end=span.end,
        status=_status(row),
        patient_id=gw.id_or_none(row.get("patientid")),
        resource_id=gw.id_of(row["providerid"]),
        healthcare_service_id=gw.id_or_none(row.get("appointmenttypeid")),
        care_unit_id=gw.id_of(row["departmentid"]),
        confirmed=None if confirmed_id is None else gw.id_or_none(row.get("appointmentconfirmationid")) == confirmed_id,
        version=row.get("lastmodified"),
        slot_ids=(id,),
        native={"is_slot": row["appointmentstatus"] == OPEN, "moved_to": moved_to},
    )
    return _commented(made, row.get("appointmentnotes") or (), "id", "text")


def with_notes(found: gw.Appointment, answer: httpx.Response) -> gw.Appointment:
    return _commented(found, answer.json()["notes"], "noteid", "notetext")


def _commented(made: gw.Appointment, notes: Sequence[gw.Row], id: str, text: str) -> gw.Appointment:
    """The newest note is the comment; older ones lie below it."""
    told = [(int(gw.id_of(row[id])), gw.text(row[text])) for row in notes]
    newest, comment = max(told, default=(None, ""))
    return replace(made, comment=comment or None, native={**made.native, "note": newest, "below": len(told) > 1})


def zone(row: gw.Row) -> tuple[str, str]:
    """Of a department. One that tells no zone is nobody's: when something is there would be a guess."""
    return gw.id_of(row["departmentid"]), gw.text(row.get("timezonename") or "")


def _status(row: gw.Row) -> Status:
    """Who did not come is cancelled for a reason that says so."""
    letter = gw.text(row["appointmentstatus"])
    has_not_come = letter == CANCELLED and str(row.get("cancelreasonnoshow")).lower() == YES
    return Status.NO_SHOW if has_not_come else STATUS.get(letter, Status.OTHER)


def slot(row: gw.Row, zone: ZoneInfo, service: str | None) -> gw.Slot | None:
    """`None`: nobody can be booked there, or it is not certain when it is."""
    span, kind = _span(row, zone), gw.id_of(row["appointmenttypeid"])
    place = (gw.id_of(row["providerid"]), service or kind, gw.id_of(row["departmentid"]))
    shown = gw.Slot(span.start, span.end, *place, id=gw.id_of(row["appointmentid"]))
    is_skipped = span.start.replace(tzinfo=None) != _wall(row)
    is_certain = not (is_skipped or gw.repeated(span.start, zone) or gw.repeated(span.end, zone))
    return shown if is_certain and not row.get("frozen") else None


def _wall(row: gw.Row) -> datetime:
    month, day, year = map(int, row["date"].split("/"))
    return datetime.combine(date(year, month, day), time.fromisoformat(row["starttime"]))


def _span(row: gw.Row, zone: ZoneInfo) -> gw.Span:
    start = gw.from_wall(_wall(row), zone)
    return gw.Span(start, gw.minutes_after(start, row["duration"]))


# -- answers to writes ------------------------------------------------------------------------------------------------


def placed(wanted: gw.Appointment, slot_id: str | None, zone: ZoneInfo, answer: httpx.Response) -> gw.Receipt:
    """What was booked or moved, as a list of one. It shows too little to be the appointment: only where it tells of
    another place than the wanted one is it kept, as proof that this is the EMR's own doing. The comment goes along."""
    (row,) = answer.json()
    made = appointment(row, zone, None)
    if (made.id, made.resource_id) == (slot_id, wanted.resource_id) and made.span.same(wanted.span):
        return gw.Receipt(id=made.id)
    return gw.Receipt(appointment=replace(made, comment=wanted.comment))


def opened(answer: httpx.Response) -> str:
    """The id of a slot that was made, by which its time is told."""
    ((id, _),) = answer.json()["appointmentids"].items()
    return gw.id_of(id)


def done(answer: httpx.Response) -> None:
    """Raises Refused for a "no" that comes as a success, and ValueError for an answer of which nobody knows."""
    body = answer.json()
    told = body[0] if isinstance(body, list) else body
    if told.get("success") in (False, "false"):
        raise gw.Refused("rule")
    if "error" in told or not {"success", "status"} & set(told):
        raise ValueError("neither done nor refused")


# -- ours into theirs -------------------------------------------------------------------------------------------------


def booked(first: date, last: date, unit: str | None, provider: str | None, patient: str | None = None) -> gw.Query:
    """Cancelled ones, too."""
    ids = gw.given({"departmentid": unit, "providerid": provider, "patientid": patient})
    return [*_days(first, last), *ids.items(), ("showcancelled", YES)]


def to_be_booked(wanted: gw.FindFreeTime, units: Sequence[str], zone: ZoneInfo, *, beyond: bool) -> gw.Query:
    """`beyond`: also what the practice does not open to scheduling over the web."""
    kind = wanted.healthcare_service_id
    what = {"reasonid": "-1"} if kind is None else {"appointmenttypeid": kind}
    where = {"departmentid": ",".join(units), **gw.given({"providerid": wanted.resource_id})}
    how = {**BEYOND_WEB, "bypassscheduletimechecks": YES} if beyond else {}
    return [*_days(*gw.local_days(wanted.span, zone)), *what.items(), *where.items(), *how.items()]


def _days(first: date, last: date) -> gw.Query:
    return [("startdate", f"{first:%m/%d/%Y}"), ("enddate", f"{last:%m/%d/%Y}")]


def booking(step: gw.Create, slot: gw.Slot, *, is_quiet: bool) -> Form:
    kind, unit = step.healthcare_service_id or slot.healthcare_service_id, step.care_unit_id or slot.care_unit_id
    quiet = {"donotsendconfirmationemail": YES} if is_quiet else {}
    return {"patientid": step.patient_id, "appointmenttypeid": kind, **quiet, "departmentid": unit}


def new_slot(wanted: gw.Slot, zone: ZoneInfo) -> Form:
    wall, kind = gw.to_wall(wanted.start, zone, each_s=60), wanted.healthcare_service_id
    place = {"departmentid": wanted.care_unit_id, "providerid": wanted.resource_id, "appointmenttypeid": kind}
    return {"appointmentdate": f"{wall:%m/%d/%Y}", "appointmenttime": f"{wall:%H:%M}", **place}
