"""GNU Health's words and ours: one record is an appointment or, in the state `free`, a slot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.plugin import Appointment, Create, Refused, Slot, Span, Status
from plugins.gnuhealth.settings import Settings

Json = Mapping[str, Any]

FREE = "free"
CANCELLED = {"patient": "user_cancelled", "centre": "center_cancelled"}
STATUS = {
    "confirmed": Status.BOOKED,
    "done": Status.COMPLETED,
    **dict.fromkeys(CANCELLED.values(), Status.CANCELLED),
    "no_show": Status.NO_SHOW,
}
"""`checked_in`, and any word that GNU Health does not have today, is OTHER."""

NATURE = ("appointment_type", "visit_type", "urgency", "consultations", "insurance")
"""What a record is besides its time and people: a new one takes it from the one that it replaces or stands beside."""
FIELDS = (
    "state", "patient", "healthprof", "speciality", "institution", "appointment_date", "appointment_date_end",
    "comments", *NATURE, "create_uid", "create_date", "write_date", "_timestamp",
)  # fmt: skip

IDENTIFYING = (
    "state", "patient", "healthprof", "speciality", "institution", "appointment_date", "appointment_date_end",
)  # fmt: skip

LATE_S = 2.0
"""Where versions have whole seconds (SQLite): beyond this age another write certainly makes another version."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `gnuhealth.appointment` that has a time."""

    row: Json
    span: Span
    version: str
    """To the microsecond, also where the server compares whole seconds only."""
    guard: Mapping[str, Any]
    """What a write over this version needs: Tryton's token, and whether another write might bear the same one."""

    @property
    def is_free(self) -> bool:
        return bool(self.row["state"] == FREE)

    @property
    def holds_time(self) -> bool:
        return not self.is_free and self.row["state"] not in CANCELLED.values()


def record(row: Json, at: float | None, settings: Settings) -> Record | None:
    """A row that was read `at` a moment of the server's clock; `None`: without a time it is neither an appointment nor
    a slot. Raises any LookupError, ValueError or TypeError: it is no such row."""
    known = {name: row[name] for name in ("id", *FIELDS)}
    if known["appointment_date"] is None:
        return None
    start, end = moment(known["appointment_date"]), known["appointment_date_end"]
    ends = start if end is None else moment(end)
    ends = ends if ends > start else start + settings.default_length
    span = Span(start.astimezone(settings.zone), ends.astimezone(settings.zone))
    version = moment(known["write_date"] or known["create_date"]).isoformat()
    return Record(known, span, version, _guard(known["_timestamp"], at))


def _guard(token: str, at: float | None) -> dict[str, Any]:
    seconds, _, fraction = token.partition(".")
    age = None if at is None else at - int(seconds)
    return {"token": token, "leaks": not fraction.strip("0") and (age is None or age < LATE_S)}


def appointment(record: Record) -> Appointment | None:
    if record.is_free:
        return None
    row = record.row
    resource_id = text(row["healthprof"])
    return Appointment(
        id=str(row["id"]),
        start=record.span.start,
        end=record.span.end,
        status=STATUS.get(row["state"], Status.OTHER),
        patient_id=text(row["patient"]),
        resource_id=resource_id,
        healthcare_service_id=text(row["speciality"]),
        care_unit_id=text(row["institution"]),
        comment=row["comments"] or None,
        version=record.version,
        slot_ids=(stretch(resource_id, record.span),),
        native={**record.guard, "nature": {name: row[name] for name in NATURE}},
    )


def slot(record: Record) -> Slot:
    """The time of a record. Only a free one has a record and a version that it can be taken over."""
    row = record.row
    free = {"record": row["id"], **record.guard, "nature": {name: row[name] for name in (*NATURE, "comments")}}
    return Slot(
        start=record.span.start,
        end=record.span.end,
        resource_id=text(row["healthprof"]),
        healthcare_service_id=text(row["speciality"]),
        care_unit_id=text(row["institution"]),
        id=stretch(text(row["healthprof"]), record.span),
        version=record.version if record.is_free else None,
        native=free if record.is_free else {},
    )


def stretch(resource_id: str | None, span: Span) -> str:
    """Names a slot for good: its record goes when the time is taken, and is another one when it is given back."""
    start, end = (round(edge) for edge in span.key)
    return f"{resource_id}@{start}-{end}"


def placed(span: Span) -> dict[str, Any]:
    """Always both: a start behind the old end is refused."""
    return {"appointment_date": instant(span.start), "appointment_date_end": instant(span.end)}


def free_record(slot: Slot) -> dict[str, Any]:
    return {
        **_nature(slot),
        "state": FREE,
        "patient": None,
        "healthprof": number(slot.resource_id),
        "speciality": optional(slot.healthcare_service_id),
        "institution": optional(slot.care_unit_id),
        **placed(slot.span),
    }


def booking(step: Create) -> dict[str, Any]:
    """With all that a professional with a calendar needs, too: without `comments` the server stumbles."""
    slot = step.slots[0] if step.slots else None
    return {
        **_nature(step.like or slot),
        "state": "confirmed",
        "patient": number(step.patient_id),
        "healthprof": number(step.resource_id),
        "speciality": optional(step.healthcare_service_id or (slot.healthcare_service_id if slot else None)),
        "institution": optional(step.care_unit_id or (slot.care_unit_id if slot else None)),
        "comments": step.comment or "",
        **placed(step.span),
    }


def _nature(of: Appointment | Slot | None) -> dict[str, Any]:
    nature = of.native.get("nature") if of is not None else None
    return dict(nature) if isinstance(nature, Mapping) else {}


# -- values -----------------------------------------------------------------------------------------------------------


def moment(value: Json) -> datetime:
    """Tryton's datetime, which is in UTC and does not say so."""
    if value["__class__"] != "datetime":
        raise ValueError("not a datetime")
    date = datetime(value["year"], value["month"], value["day"], tzinfo=UTC)
    hour, minute, second = value["hour"], value["minute"], value["second"]
    return date.replace(hour=hour, minute=minute, second=second, microsecond=value["microsecond"])


def instant(value: datetime) -> dict[str, Any]:
    utc = value.astimezone(UTC)
    return {
        "__class__": "datetime",
        "year": utc.year,
        "month": utc.month,
        "day": utc.day,
        "hour": utc.hour,
        "minute": utc.minute,
        "second": utc.second,
        "microsecond": utc.microsecond,
    }


def is_id(id: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,9}", id) is not None and int(id) < 2**31


def number(id: str | None) -> int:
    """Raises Refused("invalid") for what is no id of Tryton's."""
    if id is None or not is_id(id):
        raise Refused("invalid", "not an id of this EMR")
    return int(id)


def optional(id: str | None) -> int | None:
    return None if id is None else number(id)


def text(id: int | None) -> str | None:
    return None if id is None else str(id)
