"""Open Dental's words into ours, and ours into Open Dental's. Pure.

A resource is a chair (operatory) with whom works there (provider): `{OperatoryNum}-{ProvNum}`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.plugin import (
    Appointment,
    Change,
    Create,
    Entry,
    Kind,
    ReadCalendar,
    Refused,
    Slot,
    Span,
    Status,
    from_wall,
    given,
    to_wall,
    units,
)

Json = Mapping[str, Any]

STATUSES = {
    "Scheduled": Status.BOOKED,
    "Complete": Status.COMPLETED,
    "Broken": Status.CANCELLED,
    "UnschedList": Status.CANCELLED,
}
PLANNED = "Planned"
REASONS = frozenset({"Missed", "Cancelled"})
UNIT_S = 300
LONGEST_UNITS = 108
"""Nine hours: what is longer is cut by it."""
LONGEST = timedelta(seconds=UNIT_S * LONGEST_UNITS)
FORM = "%Y-%m-%d %H:%M:%S"


# -- theirs into ours -------------------------------------------------------------------------------------------------


def is_id(id: str | None) -> bool:
    return id is not None and re.fullmatch(r"[1-9][0-9]{0,18}", id) is not None


def place(resource_id: str | None) -> tuple[int, int] | None:
    """A resource's chair and provider; `None`: it can't be one."""
    chair, _, provider = (resource_id or "").partition("-")
    return (int(chair), int(provider)) if is_id(chair) and is_id(provider) else None


def resource(chair: int, provider: int) -> str:
    return f"{chair}-{provider}"


def appointment(row: Json, zone: ZoneInfo, confirmed: Collection[int] = ()) -> Appointment | None:
    """`None`: it has no time, as what is only planned may have none."""
    if _text(row, "AptDateTime").startswith("0001-"):
        return None
    start = instant(row["AptDateTime"], zone)
    length = len(_pattern(row, "Pattern")) * timedelta(seconds=UNIT_S)
    return Appointment(
        id=str(number(row, "AptNum")),
        start=start,
        end=_later(start, length),
        status=STATUSES.get(_text(row, "AptStatus"), Status.OTHER),
        patient_id=_id(row, "PatNum"),
        resource_id=_resource(row),
        healthcare_service_id=_id(row, "AppointmentTypeNum"),
        care_unit_id=_id(row, "ClinicNum"),
        comment=_text(row, "Note") or None,
        confirmed=number(row, "Confirmed") in confirmed if confirmed else None,
        version=_text(row, "DateTStamp"),
        native=_native(row),
    )


def in_the_book(row: Json, zone: ZoneInfo, confirmed: Collection[int]) -> Appointment | None:
    """`None`: it is only planned, and holds no time."""
    return None if _text(row, "AptStatus") == PLANNED else appointment(row, zone, confirmed)


def window(row: Json, zone: ZoneInfo) -> Slot:
    start, end = instant(row["DateTimeStart"], zone), instant(row["DateTimeEnd"], zone)
    return Slot(start, end, resource(number(row, "OpNum"), number(row, "ProvNum")))


def chairs(row: Json) -> list[Entry]:
    """A chair with its own dentist, and with its own hygienist."""
    name, unit, chair = _text(row, "OpName"), _id(row, "ClinicNum"), number(row, "OperatoryNum")
    dentist, hygienist = number(row, "ProvDentist"), number(row, "ProvHygienist")
    own = {dentist: name} | ({} if hygienist == dentist else {hygienist: f"{name} (hygienist)"})
    return [Entry(resource(chair, who), name, unit) for who, name in own.items() if who]


def chair_of(row: Json, provider: int) -> Entry:
    return Entry(resource(number(row, "OperatoryNum"), provider), _text(row, "OpName"), _id(row, "ClinicNum"))


def entry(kind: Kind, row: Json) -> Entry:
    match kind:
        case Kind.CARE_UNIT:
            return Entry(str(number(row, "ClinicNum")), _text(row, "Description"))
        case Kind.SERVICE:
            return Entry(str(number(row, "AppointmentTypeNum")), _text(row, "AppointmentTypeName"))
        case _:
            return Entry(str(number(row, "PatNum")), f"{_text(row, 'FName')} {_text(row, 'LName')}".strip())


def is_hidden(row: Json) -> bool:
    return _is(row, "IsHidden")


def instant(text: str, zone: ZoneInfo) -> datetime:
    return from_wall(datetime.strptime(text, FORM), zone)  # noqa: DTZ007  it has none


def _later(start: datetime, length: timedelta) -> datetime:
    """By the clock that never changes."""
    return datetime.fromtimestamp(start.timestamp() + length.total_seconds(), start.tzinfo)


def _resource(row: Json) -> str | None:
    chair, dentist, hygienist = (number(row, name) for name in ("Op", "ProvNum", "ProvHyg"))
    who = hygienist if _is(row, "IsHygiene") and hygienist else dentist
    return resource(chair, who) if chair else None


def _native(row: Json) -> dict[str, object]:
    second = {} if "PatternSecondary" not in row else {"PatternSecondary": _pattern(row, "PatternSecondary")}
    by = "ProvHyg" if _is(row, "IsHygiene") and row["ProvHyg"] else "ProvNum"
    return {"Pattern": row["Pattern"], **second, "by": by, "ProvNum": row["ProvNum"]}


def _pattern(row: Json, name: str) -> str:
    if not re.fullmatch(r"[X/]+", _text(row, name)):
        raise ValueError("a length that is none")
    return _text(row, name)


def _text(row: Json, name: str) -> str:
    told = row[name]
    if not isinstance(told, str):
        raise TypeError("something else than a text")
    return told


def number(row: Json, name: str) -> int:
    told = row[name]
    if not isinstance(told, int) or isinstance(told, bool):
        raise TypeError("something else than a number")
    return told


def _id(row: Json, name: str) -> str | None:
    """0 is nobody."""
    return str(number(row, name)) if number(row, name) else None


def _is(row: Json, name: str) -> bool:
    told = _text(row, name)
    if told not in ("true", "false"):
        raise ValueError("neither yes nor no")
    return told == "true"


def is_made_by(one: Appointment, step: Create) -> bool:
    """No field can bear a marker: it is known by all that the step says."""
    words = ((one.comment or "").split(), (step.comment or "").split())
    told = (one.healthcare_service_id, one.span.key, one.status)
    return words[0] == words[1] and told == (step.healthcare_service_id, step.span.key, Status.BOOKED)


# -- ours into theirs -------------------------------------------------------------------------------------------------


def asked(wanted: ReadCalendar, zone: ZoneInfo) -> dict[str, str]:
    """By the day on which they begin: what began up to nine hours before may still go on. Not by provider: a chair is
    held by whoever works there."""
    first, last = wanted.span.start - LONGEST, wanted.span.end - timedelta.resolution
    chair = place(wanted.resource_id)
    ids = {"Op": str(chair[0]) if chair else None, "PatNum": wanted.patient_id, "ClinicNum": wanted.care_unit_id}
    return {"dateStart": _day(first, zone), "dateEnd": _day(last, zone)} | given(ids)


def _day(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).date().isoformat()


def changed(step: Change, zone: ZoneInfo) -> dict[str, Any]:
    where = {} if step.resource_id is None else _placed(step.resource_id, str(step.before.native["by"]))
    when = {} if step.span is None else {"AptDateTime": _said(step.span.start, zone)} | _lengths(step, step.span)
    return where | when | given({"Note": step.comment})


def booking(step: Create, zone: ZoneInfo) -> dict[str, Any]:
    """As the one that it stands beside, where there is one: of a hygienist, and with its pattern."""
    native = {} if step.like is None else step.like.native
    by = str(native.get("by", "ProvNum"))
    hygiene = {"ProvNum": native["ProvNum"], "IsHygiene": "true"} if by == "ProvHyg" else {}
    ids = {"ClinicNum": step.care_unit_id, "AppointmentTypeNum": step.healthcare_service_id}
    return {
        "PatNum": _whole(step.patient_id),
        **hygiene,
        **_placed(step.resource_id, by),
        "AptDateTime": _said(step.span.start, zone),
        "Pattern": _resized(str(native.get("Pattern", "X")), _units(step.span)),
        **{name: _whole(id) for name, id in given(ids).items()},
        **given({"Note": step.comment}),
    }


def _said(start: datetime, zone: ZoneInfo) -> str:
    return to_wall(start, zone, each_s=1).strftime(FORM)


def _units(span: Span) -> int:
    count = units(span, each_s=UNIT_S)
    if count > LONGEST_UNITS:
        raise Refused("invalid", "longer than an appointment can be")
    return count


def _lengths(step: Change, span: Span) -> dict[str, str]:
    """Nothing where the length stays. On the way back it gets the very pattern that it had."""
    native, like = step.before.native, step.before if step.restores is None else step.restores
    count = _units(span)
    names = [name for name in ("Pattern", "PatternSecondary") if name in native]
    resized = {name: _resized(str(like.native.get(name, native[name])), count) for name in names}
    return {} if all(resized[name] == native[name] for name in names) else resized


def _resized(pattern: str, count: int) -> str:
    """Longer or shorter in the middle: how it begins and ends is the assistant's, as a rule."""
    head = (min(len(pattern), count) + 1) // 2
    tail = min(len(pattern), count) - head
    return pattern[:head] + pattern[head - 1] * (count - head - tail) + pattern[len(pattern) - tail :]


def _placed(resource_id: str, by: str) -> dict[str, int]:
    found = place(resource_id)
    if found is None:
        raise Refused("invalid", "a resource that can't be one")
    return {"Op": found[0], by: found[1]}


def _whole(id: str) -> int:
    if not is_id(id):
        raise Refused("invalid", "an id that can't be one")
    return int(id)
