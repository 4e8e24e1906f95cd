"""Questions that an EMR takes for so many local days at most: asked in pieces, at the same time, and put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from datetime import date, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from gateway.domain.model import Appointment, Slot, Span
from gateway.execute.together import together
from gateway.vendor.local_time import local_days

T = TypeVar("T", Appointment, Slot)

_DAY = timedelta(days=1)


async def by_days(
    ask: Callable[[date, date], Awaitable[Sequence[T]]],
    span: Span,
    zone: ZoneInfo,
    *,
    most: int,
    earliest: date | None = None,
    longest: timedelta = timedelta(0),
) -> list[T]:
    """What overlaps `span`, in order of start, each once however often it is shown, and as it was shown last.

    `ask` is given the first and the last day of a piece, both included, by the calendar of `zone`: never more than
    `most` days, and none before `earliest` (an EMR that refuses questions about the past). Where it shows what begins
    on those days, it is asked as far back as what lasts `longest` can begin. Raises what `ask` raises, once all pieces
    have ended.
    """
    pieces = days_of(Span(span.start - longest, span.end), zone, most=most, earliest=earliest)
    found = await together(*(ask(first, last) for first, last in pieces))
    each = {_name(one): one for piece in found for one in piece if one.span.overlaps(span)}
    return sorted(each.values(), key=lambda one: one.span.key)


def days_of(span: Span, zone: ZoneInfo, *, most: int, earliest: date | None = None) -> Iterator[tuple[date, date]]:
    """The local days that `span` touches, in pieces of `most` at most: the first and the last day of each."""
    day, end = local_days(span, zone)
    if earliest is not None:
        day = max(day, earliest)
    while day <= end:
        last = min(day + (most - 1) * _DAY, end)
        yield day, last
        day = last + _DAY


def _name(one: Appointment | Slot) -> Hashable:
    if isinstance(one, Appointment):
        return one.id
    return (one.id, one.resource_id, one.healthcare_service_id, one.care_unit_id, one.span.key)
