"""The sandbox EMR's words into ours, ours into its, and what its faults mean. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Create,
    EmrError,
    Entry,
    FindFreeTime,
    FreeTime,
    Kind,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    Span,
    Status,
    from_wall,
    repeated,
    to_wall,
)
from plugins.sandbox import settings

ZONE = ZoneInfo(settings.ZONE)

STAGES = {
    "PLANNED": Status.BOOKED,
    "UNCONFIRMED": Status.AWAITING,
    "AWAITING_CODE": Status.AWAITING,
    "DONE": Status.COMPLETED,
    "ANNULLED": Status.CANCELLED,
    "MOVED": Status.CANCELLED,
    "ABSENT": Status.NO_SHOW,
}
"""Any other stage is OTHER. A moved booking's own record is over: its successor is another one."""

REGISTERS = {Kind.CARE_UNIT: "sites", Kind.RESOURCE: "staff", Kind.SERVICE: "kinds", Kind.PATIENT: "people"}

Json = Mapping[str, Any]


# -- theirs into ours -------------------------------------------------------------------------------------------------


def appointment(view: Json) -> Appointment:
    """A booking, or the request to annul one."""
    return Appointment(
        id=view["ref"],
        start=instant(view["begins"]),
        end=instant(view["ends"]),
        status=STAGES.get(view["stage"], Status.OTHER),
        patient_id=view["who"],
        resource_id=view["with"],
        healthcare_service_id=view["kind"],
        care_unit_id=view["place"],
        comment=view["memo"] or None,
        confirmed=view["agreed"],
        version=view["rev"],
        slot_ids=tuple(_listed(view["slots"])),
        code_to_cancel=view["annul_asks_code"],
        confirms=view.get("about"),
        native={"moved_to": view["moved_to"]} if view["moved_to"] else {},
    )


def _listed(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def appointments(response: httpx.Response) -> list[Appointment]:
    return [appointment(view) for view in response.json()["bookings"]]


def receipt(response: httpx.Response) -> Receipt:
    """What a write's answer proves: a booking or request; nothing, where it is empty or only a ticket."""
    if not response.content:
        return Receipt()
    body = response.json()
    return Receipt() if "ticket" in body else Receipt(appointment=appointment(body))


def slot(view: Json, service_id: str | None = None, *, ends: str = "ends") -> Slot:
    """A stretch of free time. A start without an end `ends` where it begins."""
    return Slot(
        start=instant(view["begins"]),
        end=instant(view[ends]),
        resource_id=view["with"],
        healthcare_service_id=service_id,
        care_unit_id=view["place"],
        id=view.get("ref"),
        version=view.get("rev"),
    )


def slot_state(response: httpx.Response, asked: Slot) -> tuple[Literal["busy", "free"], Slot]:
    """A slot record, and whether it is taken."""
    view = response.json()
    if view["ref"] != asked.id:
        raise ValueError("another slot than was asked for")
    return "free" if view["state"] == "free" else "busy", slot(view, asked.healthcare_service_id)


def marked(response: httpx.Response, asked: Slot) -> Receipt:
    return Receipt(slot=slot_state(response, asked)[1])


def free_time(response: httpx.Response, wanted: FindFreeTime) -> FreeTime:
    """Slots that lie within the span, or open windows as far as they do."""
    body, service = response.json(), wanted.healthcare_service_id
    if "windows" in body:
        windows = (_cut(slot(view, service), wanted.span) for view in body["windows"])
        return FreeTime("windows", tuple(w for w in windows if w.span.key[0] < w.span.key[1] and _is_there(w, wanted)))
    return _within(wanted, FreeTime("slots", tuple(slot(view, service) for view in body["slots"])))


def starts(response: httpx.Response, wanted: FindFreeTime) -> list[Slot]:
    return [slot(view, wanted.healthcare_service_id, ends="begins") for view in response.json()["starts"]]


def from_starts(found: Sequence[Slot], lengths: Mapping[str, timedelta], wanted: FindFreeTime) -> FreeTime:
    """Starts as slots of the service's length; of the shortest one's, where any service will do."""
    service = wanted.healthcare_service_id
    length = min(lengths.values(), default=None) if service is None else lengths.get(service)
    return FreeTime("slots") if length is None else _within(wanted, FreeTime.from_starts(found, length))


def entries(kind: Kind, response: httpx.Response) -> list[Entry]:
    return [_entry(row) for row in response.json()[REGISTERS[kind]]]


def _entry(row: Json) -> Entry:
    return Entry(id=row["ref"], name=row["title"], care_unit_id=row.get("site"))


def lengths(response: httpx.Response) -> dict[str, timedelta]:
    """How long a visit of each healthcare service takes."""
    rows = response.json()["kinds"]
    return {entry.id: timedelta(minutes=row["minutes"]) for entry, row in zip(map(_entry, rows), rows, strict=True)}


def instant(wall: str) -> datetime:
    return from_wall(datetime.fromisoformat(wall), ZONE)


def _within(wanted: FindFreeTime, free: FreeTime) -> FreeTime:
    return replace(free, slots=tuple(s for s in free.slots if wanted.span.contains(s.span) and _is_there(s, wanted)))


def _is_there(one: Slot, wanted: FindFreeTime) -> bool:
    return wanted.resource_id in (None, one.resource_id)


def _cut(window: Slot, span: Span) -> Slot:
    start = max(window.start, span.start, key=datetime.timestamp)
    end = min(window.end, span.end, key=datetime.timestamp)
    return replace(window, start=start.astimezone(ZONE), end=end.astimezone(ZONE))


# -- ours into theirs -------------------------------------------------------------------------------------------------


def question(wanted: FindFreeTime | ReadCalendar) -> dict[str, Any]:
    """A question about a stretch of time. It may reach too far: what it brings is held against the span again."""
    end = wanted.span.end.astimezone(ZONE).replace(tzinfo=None)
    if repeated(wanted.span.end, ZONE):
        end += timedelta(hours=1)
    asked: dict[str, Any] = {
        "from": _text(wanted.span.start.astimezone(ZONE).replace(tzinfo=None)),
        "until": _text(end),
        "with": wanted.resource_id,
        "site": wanted.care_unit_id,
    }
    if isinstance(wanted, ReadCalendar):
        return _given(asked | {"who": wanted.patient_id})
    ignoring = [own.id for own in wanted.ignoring]
    return _given(asked | {"kind": wanted.healthcare_service_id, "ignoring": ignoring or None})


def new_booking(step: Create) -> dict[str, Any]:
    """Raises Refused("invalid") in the hour that a clock change repeats."""
    return _given(
        {
            "who": step.patient_id,
            "with": step.resource_id,
            "kind": step.healthcare_service_id,
            "memo": step.comment,
            "mark": step.marker or None,
            "slots": _slot_ids(step.slots),
        }
        | _times(step.span)
    )


def changed(step: Change) -> dict[str, Any]:
    """Raises Refused("invalid") in the hour that a clock change repeats."""
    times = {} if step.span is None else _times(step.span)
    return over(step, {"with": step.resource_id, "memo": step.comment, "slots": _slot_ids(step.slots)} | times)


def over(step: Change | Cancel, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is given of the fields, to be written over the revision that was read."""
    return _given({**fields, "if_rev": step.before.version})


def _times(span: Span) -> dict[str, str]:
    return {"begins": _text(to_wall(span.start, ZONE)), "ends": _text(to_wall(span.end, ZONE))}


def _text(wall: datetime) -> str:
    return wall.isoformat() if wall.second or wall.microsecond else wall.isoformat(timespec="minutes")


def _slot_ids(slots: Sequence[Slot]) -> list[str] | None:
    """Only where slots are records: elsewhere they have no id."""
    return [s.id for s in slots if s.id is not None] or None


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# -- faults -----------------------------------------------------------------------------------------------------------


def problem(response: httpx.Response) -> EmrError | None:
    """What a fault means; `None` where its status says it all (later, broken)."""
    word = response.json()["fault"]
    match word:
        case "TIME_TAKEN" | "NOT_OFFERED":
            return Refused("taken", emr_code=word)
        case "STALE":
            return Refused("stale", emr_code=word)
        case "UNKNOWN_REF":
            return Refused("not_found", emr_code=word)
        case "WRONG_CODE":
            return Refused("wrong_code", emr_code=word)
        case "EXPIRED_CODE":
            return Refused("expired_code", emr_code=word)
        case "WRONG_STAGE" | "ALREADY":
            return Refused("state", emr_code=word)
        case "BAD_VALUE":
            return Refused("invalid", emr_code=word)
        case "NOT_POSSIBLE":
            return Refused("unsupported", emr_code=word)
        case _ if re.fullmatch(r"RULE[A-Z_]{0,40}", word):
            return Refused("rule", emr_code=word)
        case _:
            return None
