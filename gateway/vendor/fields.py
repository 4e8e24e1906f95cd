"""Fields of an answer, read strictly: what is something else than is due raises TypeError or ValueError, and is told as
an answer that made no sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.domain.model import later
from gateway.vendor.local_time import from_wall


def text(told: object, form: str | None = None) -> str:
    """A text, which may be empty; where a pattern is given, one that is all of that form."""
    if not isinstance(told, str):
        raise TypeError("something else than a text")
    if form is not None and not re.fullmatch(form, told):
        raise ValueError("a text of another form")
    return told


def number(told: object) -> int:
    """A whole number."""
    if not isinstance(told, int) or isinstance(told, bool):
        raise TypeError("something else than a number")
    return told


def flag(told: object) -> bool:
    """Yes or no, and nothing that only seems to be one."""
    if not isinstance(told, bool):
        raise TypeError("neither yes nor no")
    return told


def id_of(told: object) -> str:
    """An id, which some EMRs show as a number and some as a text."""
    id = told if isinstance(told, str) else str(number(told))
    if not id or id.startswith("-"):
        raise ValueError("no id")
    return id


def id_or_none(told: object) -> str | None:
    """An id, where null, an empty text or 0 says that there is none."""
    is_none = told is None or told == "" or (type(told) is int and told == 0)
    return None if is_none else id_of(told)


def ids_of(told: object) -> tuple[str, ...]:
    """A list of ids, and nothing else that could be gone through as if it were one."""
    if not isinstance(told, list):
        raise TypeError("something else than a list")
    return tuple(id_of(one) for one in told)


def number_id(told: object) -> str:
    """An id of an EMR that shows them all as numbers."""
    return id_of(number(told))


def number_id_or_none(told: object) -> str | None:
    """Likewise, where null or 0 says that there is none."""
    return None if told is None else id_or_none(number(told))


def records(told: object) -> list[Mapping[str, Any]]:
    """A list of records, and nothing else that could be gone through as if it were one and empty."""
    if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
        raise TypeError("something else than a list of records")
    return told


def instant(told: object, zone: ZoneInfo) -> datetime:
    """A time that bears its offset (ISO 8601), as one of `zone`."""
    read = datetime.fromisoformat(text(told))
    if read.tzinfo is None:
        raise ValueError("a time without an offset")
    return read.astimezone(zone)


def wall(told: object, zone: ZoneInfo) -> datetime:
    """A time by the clock of `zone` (ISO 8601), as `from_wall` understands it; one that bears an offset is believed."""
    said = text(told)
    read = datetime.fromisoformat(said)
    if len(said) <= len("2027-03-02"):
        raise ValueError("a day without a time")
    return from_wall(read, zone) if read.tzinfo is None else read.astimezone(zone)


def minutes_after(start: datetime, minutes: object) -> datetime:
    """The end of what lasts so many minutes, in the zone of `start` and whatever its clock does meanwhile."""
    length = number(minutes)
    if length <= 0:
        raise ValueError("a length that is none")
    return later(start, timedelta(minutes=length))


def in_utc(instant: datetime) -> str:
    """How an instant is said where offsets are understood: in UTC, with a `Z` (RFC 3339), as exactly as it is."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
