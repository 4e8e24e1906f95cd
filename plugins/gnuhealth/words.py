"""GNU Health's words and ours: a row of `gnuhealth.appointment` is an appointment or, in the state `free`, a slot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.plugin import Appointment, Create, Refused, Slot, Span, Status
from plugins.gnuhealth.settings import Settings

Json = Mapping[str, Any]
Record = Appointment | Slot

FREE = "free"
CANCELLED = {"patient": "user_cancelled", "centre": "center_cancelled"}
STATUS = {
    "confirmed": Status.BOOKED,
    "done": Status.COMPLETED,
    **dict.fromkeys(CANCELLED.values(), Status.CANCELLED),
    "no_show": Status.NO_SHOW,
}
"""`checked_in`, and any word that GNU Health does not have today, is OTHER."""

IDENTIFYING = (
    "state", "patient", "healthprof", "speciality", "institution", "appointment_date", "appointment_date_end",
)  # fmt: skip
NATURE = ("appointment_type", "visit_type", "urgency", "consultations", "insurance")
"""What a record is besides its time and people: a new one takes it from the one that it replaces or stands beside."""
FIELDS = (*IDENTIFYING, *NATURE, "comments", "create_uid", "create_date", "write_date", "_timestamp")

LATE_S = 2.0
"""Where versions have whole seconds (SQLite): beyond this age another write certainly makes another version."""

# -- theirs into ours -------------------------------------------------------------------------------------------------


def record(settings: Settings, row: Json, at: float | None) -> Record | None:
    """A row that was read `at` a moment of the server's clock; `None`: without a time it is neither an appointment nor
    a slot. Raises any LookupError, ValueError or TypeError: it is no such row."""
    if not isinstance(row["state"], str | None) or not isinstance(row["comments"], str | None):
        raise TypeError("a state is a word, and comments are a text")
    for name in ("id", "patient", "healthprof", "speciality", "institution", "create_uid"):
        text(row[name])
    if row["appointment_date"] is None:
        return None
    span, resource_id = _span(row, settings), text(row["healthprof"])
    place: dict[str, Any] = {
        "resource_id": resource_id,
        "healthcare_service_id": text(row["speciality"]),
        "care_unit_id": text(row["institution"]),
        # To the microsecond, also where the server compares whole seconds only.
        "version": moment(row["write_date"] or row["create_date"]).isoformat(),
    }
    nature = {name: row[name] for name in NATURE}
    guard = {"record": row["id"], **_guard(row["_timestamp"], at), "nature": nature}
    if row["state"] == FREE:
        native = {**guard, "nature": {**nature, "comments": row["comments"]}}
        return Slot(span.start, span.end, **place, id=stretch(resource_id, span), native=native)
    return Appointment(
        id=str(row["id"]),
        start=span.start,
        end=span.end,
        status=STATUS.get(row["state"] or "", Status.OTHER),
        patient_id=text(row["patient"]),
        **place,
        comment=row["comments"] or None,
        slot_ids=(stretch(resource_id, span),),
        native={**guard, "made_by": row["create_uid"]},
    )


def _span(row: Json, settings: Settings) -> Span:
    start, end = moment(row["appointment_date"]), row["appointment_date_end"]
    ends = start if end is None else moment(end)
    ends = ends if ends > start else start + settings.default_length
    return Span(start.astimezone(settings.zone), ends.astimezone(settings.zone))


def _guard(token: str, at: float | None) -> dict[str, Any]:
    """What a write over this version needs: Tryton's token, and whether another write might bear the same one."""
    seconds, _, fraction = token.partition(".")
    age = None if at is None else at - int(seconds)
    return {"token": token, "leaks": not fraction.strip("0") and (age is None or age < LATE_S)}


def stretch(resource_id: str | None, span: Span) -> str:
    """Names a slot for good: its record goes when the time is taken, and is another one when it is given back."""
    start, end = (round(edge) for edge in span.key)
    return f"{resource_id}@{start}-{end}"


# -- ours into theirs -------------------------------------------------------------------------------------------------


def times(span: Span) -> dict[str, Any]:
    """Always both: a start behind the old end is refused."""
    return {"appointment_date": instant(span.start), "appointment_date_end": instant(span.end)}


def free_record(slot: Slot) -> dict[str, Any]:
    place = _place(slot.span, slot.resource_id, slot.healthcare_service_id, slot.care_unit_id)
    return {**_nature(slot), **place, "state": FREE, "patient": None}


def booking(step: Create) -> dict[str, Any]:
    """With all that a professional with a calendar needs, too: without `comments` the server stumbles."""
    slot = step.slots[0] if step.slots else Slot(step.span.start, step.span.end)
    service, unit = step.healthcare_service_id, step.care_unit_id
    place = _place(step.span, step.resource_id, service or slot.healthcare_service_id, unit or slot.care_unit_id)
    people = {"state": "confirmed", "patient": number(step.patient_id), "comments": step.comment or ""}
    return {**_nature(step.like or slot), **place, **people}


def _place(span: Span, resource_id: str | None, service: str | None, unit: str | None) -> dict[str, Any]:
    return {
        "healthprof": number(resource_id),
        "speciality": None if service is None else number(service),
        "institution": None if unit is None else number(unit),
        **times(span),
    }


def _nature(of: Record) -> dict[str, Any]:
    nature = of.native.get("nature")
    return dict(nature) if isinstance(nature, Mapping) else {}


# -- values -----------------------------------------------------------------------------------------------------------

PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")


def moment(value: Json) -> datetime:
    """Tryton's datetime, which is in UTC and does not say so."""
    if value["__class__"] != "datetime":
        raise ValueError("not a datetime")
    return datetime(**{part: value[part] for part in PARTS}, tzinfo=UTC)


def instant(value: datetime) -> dict[str, Any]:
    utc = value.astimezone(UTC)
    return {"__class__": "datetime", **{part: getattr(utc, part) for part in PARTS}}


def is_id(id: str | None) -> bool:
    return id is not None and re.fullmatch(r"[1-9][0-9]{0,9}", id) is not None and int(id) < 2**31


def number(id: str | None) -> int:
    """Raises Refused("invalid") for what is no id of Tryton's."""
    if id is None or not is_id(id):
        raise Refused("invalid", "not an id of this EMR")
    return int(id)


def text(id: object) -> str | None:
    """Raises TypeError for what is no id."""
    if not isinstance(id, int | None):
        raise TypeError("an id is a number")
    return None if id is None else str(id)
