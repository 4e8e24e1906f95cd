"""Working hours that come again every week, by the clock of a zone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.domain.model import Span
from gateway.vendor.fields import text
from gateway.vendor.local_time import from_wall
from gateway.vendor.stretches import days_of

Week = Mapping[int, Sequence[tuple[int, int]]]
"""By weekday, from Monday (0): from and to, in minutes since midnight by the clock."""

_DAY = 24 * 60
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d)(?::[0-5]\d(?:\.\d+)?)?")


def weekday(name: object) -> int:
    """By its English name, as a `Week` has it. Raises TypeError or ValueError for what is none."""
    return _WEEKDAYS.index(text(name))


def hours(start: object, end: object) -> tuple[int, int]:
    """From and to (HH:MM; seconds are passed over), as a `Week` has them. A day ends at 24:00 or 00:00.

    Raises TypeError or ValueError for what is no time of day, and for hours that end before they begin."""
    first, last = _minute(start), _minute(end) or _DAY
    if not first < last <= _DAY:
        raise ValueError("hours that end before they begin")
    return first, last


def worked(week: Week, span: Span, zone: ZoneInfo) -> list[Span]:
    """The hours that overlap `span`, as instants and in order. Hours that the clock skips altogether are none."""
    days = (day for day, _ in days_of(span, zone, most=1))
    return sorted({one for day in days for one in _on(day, week, zone) if one.overlaps(span)}, key=lambda one: one.key)


def _on(day: date, week: Week, zone: ZoneInfo) -> Iterator[Span]:
    midnight = datetime.combine(day, time())
    for ends in week.get(day.weekday(), ()):
        start, end = (from_wall(midnight + timedelta(minutes=minute), zone) for minute in ends)
        if start.timestamp() < end.timestamp():
            yield Span(start, end)


def _minute(told: object) -> int:
    found = _CLOCK.fullmatch(text(told))
    if found is None:
        raise ValueError("no time of day")
    return int(found[1]) * 60 + int(found[2])
