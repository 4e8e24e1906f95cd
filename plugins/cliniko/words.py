"""Cliniko's words into ours, and ours into Cliniko's. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Create,
    Entry,
    Kind,
    ReadCalendar,
    Refused,
    Slot,
    Span,
    Status,
    given,
    is_past,
)

Json = Mapping[str, Any]

DIRECTORIES = {
    Kind.CARE_UNIT: "businesses",
    Kind.RESOURCE: "practitioners",
    Kind.SERVICE: "appointment_types",
    Kind.PATIENT: "patients",
}
REASONS = frozenset({"10", "20", "30", "31", "40", "50", "60"})
OTHER = "50"
EVEN_CANCELLED = ("q[]", "cancelled_at:*")
"""Otherwise they are hidden."""


# -- theirs into ours -------------------------------------------------------------------------------------------------


def is_id(id: str | None) -> bool:
    return id is not None and re.fullmatch(r"[0-9]{1,19}", id) is not None


def appointment(row: Json, zone: ZoneInfo) -> Appointment | None:
    """`None`: it was archived or deleted, which is how one is withdrawn."""
    if row["archived_at"] is not None or row["deleted_at"] is not None:
        return None
    start, end = instant(row["starts_at"], zone), instant(row["ends_at"], zone)
    cancelled = row["cancelled_at"] is not None
    note = row["cancellation_note"] if cancelled else None
    return Appointment(
        id=_text(row["id"]),
        start=start,
        end=end,
        status=Status.CANCELLED if cancelled else _status(row, end),
        patient_id=_linked(row["patient"]),
        resource_id=_linked(row["practitioner"]),
        healthcare_service_id=_linked(row["appointment_type"]),
        care_unit_id=_linked(row["business"]),
        comment=(row["notes"] if note is None else note) or None,
        version=row["updated_at"],
    )


def _status(row: Json, end: datetime) -> Status:
    """It has no status of its own: whoever has arrived is with the practitioner until it is over."""
    if row["did_not_arrive"]:
        return Status.NO_SHOW
    if row["patient_arrived"]:
        return Status.COMPLETED if is_past(end) else Status.OTHER
    return Status.BOOKED


def slot(row: Json, zone: ZoneInfo, place: tuple[str, str, str], minutes: int) -> Slot:
    """Only the start is told; how long it is, the appointment type says."""
    start = instant(row["appointment_start"], UTC)
    end = start + timedelta(minutes=minutes)
    return Slot(start.astimezone(zone), end.astimezone(zone), *place)


def minutes(row: Json) -> int:
    told = row["duration_in_minutes"]
    if not isinstance(told, int) or isinstance(told, bool) or told <= 0:
        raise TypeError("a type without a length")
    return told


def entry(kind: Kind, row: Json) -> Entry:
    names = {
        Kind.CARE_UNIT: ("business_name",),
        Kind.RESOURCE: ("display_name",),
        Kind.SERVICE: ("name",),
        Kind.PATIENT: ("first_name", "last_name"),
    }
    return Entry(_text(row["id"]), " ".join(row[name] or "" for name in names[kind]).strip())


def instant(text: str, zone: tzinfo) -> datetime:
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError("a time without an offset")
    return read.astimezone(zone)


def exists(answer: Json) -> bool:
    told = answer["conflicts"]["exist"]
    if not isinstance(told, bool):
        raise TypeError("neither yes nor no")
    return told


def _text(id: object) -> str:
    if not isinstance(id, str) or not id:
        raise TypeError("an id that is no text")
    return id


def _linked(related: Json | None) -> str | None:
    """Others are named by links only; their id is the last of the path."""
    return None if not related else _text(related["links"]["self"].rpartition("/")[2])


def is_made_by(one: Appointment, step: Create) -> bool:
    made = (one.healthcare_service_id, one.comment or "", one.span.key, one.status)
    return made == (step.healthcare_service_id, step.comment or "", step.span.key, Status.BOOKED)


# -- ours into theirs -------------------------------------------------------------------------------------------------


def said(instant: datetime) -> str:
    """In UTC, to the second."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def filters(wanted: ReadCalendar) -> list[tuple[str, str]]:
    ids = {"practitioner_id": wanted.resource_id, "patient_id": wanted.patient_id, "business_id": wanted.care_unit_id}
    times = {"starts_at": f"<{said(wanted.span.end)}", "ends_at": f">{said(wanted.span.start)}"}
    asked = times | {name: f"={id}" for name, id in given(ids).items()}
    return [("q[]", f"{name}:{value}") for name, value in asked.items()] + [EVEN_CANCELLED]


def booking(step: Create, business_id: str | None) -> dict[str, Any]:
    """Raises Refused("invalid") where nothing says in which business."""
    business = step.care_unit_id or (step.like and step.like.care_unit_id) or business_id
    if business is None or step.healthcare_service_id is None:
        raise Refused("invalid", "a booking needs a business and an appointment type")
    who = {
        "patient_id": step.patient_id,
        "practitioner_id": step.resource_id,
        "appointment_type_id": step.healthcare_service_id,
        "business_id": business,
    }
    return who | times(step.span) | given({"notes": step.comment})


def changed(step: Change) -> dict[str, Any]:
    notes: dict[str, Any] = {} if step.comment is None else {"notes": step.comment or None}
    return given({"practitioner_id": step.resource_id}) | ({} if step.span is None else times(step.span)) | notes


def cancellation(step: Cancel, reason: str) -> dict[str, Any]:
    """Of this one, never of the series that it may belong to."""
    return {"cancellation_reason": int(reason), "apply_to_repeats": False} | given({"cancellation_note": step.comment})


def times(span: Span) -> dict[str, str]:
    """Both: a start alone would have the end set anew, to the appointment type's length."""
    return {"starts_at": said(span.start), "ends_at": said(span.end)}
