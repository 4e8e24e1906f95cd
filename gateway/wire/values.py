"""Single values as a client writes them: times, ids, comments. Sentences about them never repeat them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from gateway.domain.model import Span

ID_TYPES = ("emr_id", "se_personal_number", "no_personal_number", "hsa_id", "nhs_number")
"""The only words that are a type when they stand before a colon; anything else belongs to the id."""
MAX_ID = 512
ID_SCHEMA: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
}
FIRST_YEAR, LAST_YEAR = 1970, 2200
_CLOCK_CHANGE = timedelta(hours=1)

_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Unreadable(ValueError):
    """A value is not what it has to be. The sentence says what it has to be, never what it was."""


def instant(text: str) -> datetime:
    """An RFC 3339 date-time, with its offset. Digits finer than a microsecond are dropped. Raises Unreadable."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise Unreadable("Must be an RFC 3339 date and time with an offset or Z.")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Unreadable(f"Must be a time of the years {FIRST_YEAR} to {LAST_YEAR}.")
    fraction = int((match[7] or "").ljust(6, "0")[:6])
    zone = _zone(match)
    try:
        return datetime(year, month, day, hour, minute, second, fraction, tzinfo=zone)
    except ValueError:
        raise Unreadable("Must be a date and time that exists.") from None


def _zone(match: re.Match[str]) -> timezone:
    if match[8] is None:
        return UTC
    hours, minutes = int(match[9]), int(match[10])
    if hours > 23 or minutes > 59:
        raise Unreadable("Must have an offset of at most 23:59.")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if match[8] == "-" else offset)


def span(start: datetime, end: datetime, longest: timedelta) -> Span:
    """From `start` to `end`, in UTC. Raises Unreadable unless it has a length and not more than `longest`.

    Days are the client's: a month in which the clock goes back is no longer than another one.
    """
    if end <= start:
        raise Unreadable("Must be after the start.")
    shift = (start.utcoffset() or timedelta()) - (end.utcoffset() or timedelta())
    if end - start > longest + min(max(shift, timedelta()), _CLOCK_CHANGE):
        raise Unreadable(f"Must be at most {longest.days} days after the start.")
    return Span(start.astimezone(UTC), end.astimezone(UTC))


def typed_id(id: str) -> tuple[str, str]:
    """(type, value) of an id: `hsa_id:X` is ("hsa_id", "X"), a bare `X` is ("emr_id", "X")."""
    kind, colon, value = id.partition(":")
    return (kind, value) if colon and kind in ID_TYPES else ("emr_id", id)


def opaque_id(text: str) -> str:
    """An id as it is meant: `emr_id:X` is `X`, except where `X` itself looks typed. Raises Unreadable."""
    kind, value = typed_id(text)
    if not value or len(text) > MAX_ID or _CONTROL.search(text):
        raise Unreadable(f"Must be an id: 1 to {MAX_ID} characters, no control characters.")
    return value if kind == "emr_id" and typed_id(value) == ("emr_id", value) else text


def free_text(text: str) -> str:
    """A comment: any text, but no control characters other than tabs and line ends. Raises Unreadable."""
    if _UNPRINTABLE.search(text):
        raise Unreadable("Must not contain control characters other than tabs and line ends.")
    return text


def sendable(text: str) -> str:
    """Text that can be sent as UTF-8: half characters, which an EMR's JSON may hold, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
