"""NexHealth's words into ours, and ours into NexHealth's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Create,
    Entry,
    FindFreeTime,
    Kind,
    Page,
    ReadCalendar,
    Refused,
    Slot,
    Span,
    Status,
    given,
)
from plugins.nexhealth.settings import Settings

Json = Mapping[str, Any]
Params = list[tuple[str, str]]

DIRECTORIES = {Kind.RESOURCE: "providers", Kind.SERVICE: "appointment_types", Kind.PATIENT: "patients"}
LONGEST = timedelta(days=1)
"""A list is of what begins in a range: what has begun before it is asked for, too."""
QUARTER = 15
"""Minutes of a slot where nothing else says how long it should be."""


# -- theirs into ours -------------------------------------------------------------------------------------------------


def is_id(id: str | None, *, most: int = 2**31) -> bool:
    return id is not None and re.fullmatch(r"[1-9][0-9]{0,18}", id) is not None and int(id) < most


def is_appointment_id(id: str) -> bool:
    return is_id(id, most=2**63)


def data(answer: httpx.Response) -> Any:
    body = answer.json()
    if body["code"] is not True:
        raise ValueError("a success that says to be none")
    return body["data"]


def appointment(row: Json, settings: Settings) -> Appointment | None:
    """`None`: it blocks time and is nobody's, or it is of another location."""
    if row["unavailable"] or _id(row["location_id"]) != settings.location_id:
        return None
    return Appointment(
        id=_due(row["id"]),
        start=instant(row["start_time"], settings.zone),
        end=instant(row["end_time"], settings.zone),
        status=status(row),
        patient_id=_id(row["patient_id"]),
        resource_id=_id(row["provider_id"]),
        healthcare_service_id=_id(row["appointment_type_id"]),
        care_unit_id=settings.location_id,
        comment=row["note"] or None,
        confirmed=_flag(row["confirmed"]),
        version=row["updated_at"],
        pending=is_pending(row, settings),
        native=given(
            {"marker": row.get("referrer"), "operatory_id": _id(row["operatory_id"]), "by_us": _is_booked(row)}
        ),
    )


def status(row: Json) -> Status:
    if _flag(row["cancelled"]):
        return Status.CANCELLED
    if _flag(row["patient_missed"]):
        return Status.NO_SHOW
    if _flag(row["checked_out"]):
        return Status.COMPLETED
    return Status.BOOKED if row["checkin_at"] is None else Status.OTHER


def is_pending(row: Json, settings: Settings) -> bool:
    """It has no id of the practice's system yet, or was changed after that was read for the last time."""
    read = row["last_sync_time"]
    if settings.written == "copy":
        return row["foreign_id"] is None and not row["cancelled"]
    if row["foreign_id"] is None or read is None:
        return True
    since = instant(row["updated_at"], settings.zone).timestamp() - instant(read, settings.zone).timestamp()
    return since > settings.slack_s


def _is_booked(row: Json) -> bool | None:
    """Through NexHealth, by whomever; `None`: no, or it does not tell."""
    return (row.get("misc") or {}).get("is_booked_on_nexhealth") is True or row["foreign_id"] is None or None


def is_made(one: Appointment, step: Create) -> bool:
    """Is an answer about this booking? Where it does not bear our mark, if it says all that the booking said."""
    told = one.native.get("marker")
    said = (step.patient_id, step.resource_id, step.healthcare_service_id, step.span.key, step.comment or "")
    shown = (one.patient_id, one.resource_id, one.healthcare_service_id, one.span.key, one.comment or "")
    return told == marker(step) if told else said == shown


def is_found(one: Appointment, step: Create) -> bool:
    """Is it this booking, of all that there are? Where it bears no mark, none that the practice has made itself."""
    booked = one.status is not Status.CANCELLED and one.native.get("by_us") is True
    return is_made(one, step) and (bool(one.native.get("marker")) or booked)


def is_up(syncs: Iterable[Json]) -> bool:
    return all(sync["write_status"] == "green" and sync["read_status"] == "green" for sync in syncs)


def holds(row: Json, one: Appointment) -> bool:
    """Does it, whatever it is, hold the time of the provider or of the operatory?"""
    if _flag(row["cancelled"]):
        return False
    there = Span(instant(row["start_time"], UTC), instant(row["end_time"], UTC))
    room = _id(row["operatory_id"])
    same = _id(row["provider_id"]) == one.resource_id or (room is not None and room == room_of(one))
    return same and there.overlaps(one.span)


def slots(groups: Iterable[Json], wanted: FindFreeTime, settings: Settings) -> list[Slot]:
    """One for each time: of several operatories the one that the appointment has already, or else the first."""
    own = {room_of(one) for one in wanted.ignoring} - {None}
    each: dict[tuple[float, float], Slot] = {}
    for group in groups:
        for row in group["slots"]:
            found = _slot({**group, **row}, wanted, settings)
            if found is not None and (found.span.key not in each or room_of(found) in own):
                each[found.span.key] = found
    return list(each.values())


def _slot(row: Json, wanted: FindFreeTime, settings: Settings) -> Slot | None:
    provider = _id(row.get("provider_id")) or _id(row.get("pid"))
    if provider != wanted.resource_id or _id(row["lid"]) != settings.location_id:
        return None
    start, end = (instant(row[name], settings.zone) for name in ("time", "end_time"))
    place = (wanted.resource_id, wanted.healthcare_service_id, settings.location_id)
    return Slot(start, end, *place, native=given({"operatory_id": _id(row.get("operatory_id"))}))


def room_of(one: Appointment | Slot) -> str | None:
    told = one.native.get("operatory_id")
    return None if told is None else str(told)


def entry(row: Json) -> Entry:
    return Entry(_due(row["id"]), row["name"])


def next_page(told: Json) -> str | None:
    if told["has_next_page"] is False:
        return None
    if not isinstance(told["end_cursor"], str) or not told["end_cursor"]:
        raise TypeError("there is more, and no cursor to it")
    return told["end_cursor"]


def page(answer: httpx.Response) -> Page[Json]:
    found = [(_due(row["id"]), row) for row in data(answer)]
    return Page(found, next=next_page(answer.json()["page_info"]))


def instant(text: str, zone: Any) -> datetime:
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError("a time without an offset")
    return read.astimezone(zone)


def _id(told: object) -> str | None:
    """None, or 0, is how one says that there is none."""
    if told is None or told == 0:
        return None
    return _due(told)


def _due(told: object) -> str:
    if not isinstance(told, int) or isinstance(told, bool):
        raise TypeError("an id that is no number")
    return str(told)


def _flag(told: object) -> bool:
    if told is not None and not isinstance(told, bool):
        raise TypeError("neither yes nor no")
    return bool(told)


# -- ours into theirs -------------------------------------------------------------------------------------------------


def said(instant: datetime) -> str:
    """In UTC."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def times(span: Span) -> dict[str, str]:
    return {"start_time": said(span.start), "end_time": said(span.end)}


def filters(wanted: ReadCalendar, location: str) -> Params:
    asked = [("location_id", location), ("start", said(wanted.span.start - LONGEST)), ("end", said(wanted.span.end))]
    ids = {"provider_ids[]": wanted.resource_id, "patient_ids[]": wanted.patient_id}
    return [*asked, *given(ids).items()]


def opening(wanted: FindFreeTime, location: str, provider: str) -> Params:
    """As long as the appointment type is; where there is none, as what is to be moved, if that is one."""
    asked = [("lids[]", location), ("pids[]", provider), ("overlapping_operatory_slots", "true")]
    if wanted.healthcare_service_id is not None:
        return [*asked, ("appointment_type_id", wanted.healthcare_service_id)]
    lengths = {one.span.length // timedelta(minutes=1) for one in wanted.ignoring}
    return [*asked, ("slot_length", str(lengths.pop() if len(lengths) == 1 else QUARTER))]


def marker(step: Create) -> str:
    """The field is for where a booking comes from."""
    return f"emr-gateway:{step.marker}"


def booking(step: Create) -> dict[str, Any]:
    """Raises Refused("invalid") for ids that can be none."""
    ids = {
        "patient_id": step.patient_id,
        "provider_id": step.resource_id,
        "appointment_type_id": step.healthcare_service_id,
        "operatory_id": operatory(step.slots, step.like),
    }
    named = {name: number(id) for name, id in given(ids).items()}
    return {"appt": {**named, **times(step.span), "referrer": marker(step), **given({"note": step.comment})}}


def changed(step: Change) -> dict[str, Any]:
    """An undo leads back to where it was, and not only to when."""
    where = room_of(step.restores) if step.restores is not None else operatory(step.slots, step.before)
    moved = where is not None and where != room_of(step.before)
    placed = {} if step.span is None else times(step.span)
    return {"appt": {**placed, **given({"note": step.comment}), **({"operatory_id": number(where)} if moved else {})}}


def cancellation(step: Cancel) -> dict[str, Any]:
    return {"appt": {"cancelled": True, **given({"note": step.comment})}}


def number(id: str | None) -> int:
    if id is None or not is_appointment_id(id):
        raise Refused("invalid", "an id that is no number")
    return int(id)


def operatory(taken: Iterable[Slot], like: Appointment | None) -> str | None:
    """The one in which all of the slots are; what an appointment holds already is where that one is.

    Raises Refused("taken") if they are in several, as an appointment can't be.
    """
    own = None if like is None else room_of(like)
    rooms = {room_of(slot) or own for slot in taken}
    if len(rooms) > 1:
        raise Refused("taken", "the time is free only in parts of several operatories")
    return rooms.pop() if rooms else own
