"""Local wall time without an offset, for EMRs that speak it. Zones are IANA's, from the pinned tzdata package."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway import clock
from gateway.domain.model import Span
from gateway.port import Refused


def today(zone: ZoneInfo) -> date:
    """The date that the zone's calendars show just now."""
    return clock.now().astimezone(zone).date()


def is_past(instant: datetime) -> bool:
    """Is it over?"""
    return instant.timestamp() <= clock.now().timestamp()


def repeated(instant: datetime, zone: ZoneInfo) -> bool:
    """Does the zone's clock show this wall time twice, so that it can't be said without an offset?"""
    wall = instant.astimezone(zone).replace(tzinfo=None)
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    # In a gap the two also differ, but an instant never shows a wall time that does not exist.
    return first.utcoffset() != second.utcoffset()


def to_wall(instant: datetime, zone: ZoneInfo, *, each_s: int = 0) -> datetime:
    """An instant as naive wall time of `zone`, to be said in multiples of so many seconds (60: as HH:MM; 0: any).

    Raises Refused("invalid") in the hour that a clock change repeats, where it would be a guess which of the two is
    meant, and between the multiples, where it would be rounded. Never gives a time that the clock skips.
    """
    if repeated(instant, zone):
        raise Refused("invalid", "a time in the repeated hour of a clock change can't be said without an offset")
    if each_s and instant.timestamp() % each_s:
        raise Refused("invalid", "a time that lies between those that can be said")
    return instant.astimezone(zone).replace(tzinfo=None)


def from_wall(wall: datetime, zone: ZoneInfo) -> datetime:
    """Naive wall time as an aware time of `zone`. A repeated time is read as its first occurrence, a time that the
    clock skips as the instant at which the skipping clock would have shown it (PEP 495, fold=0)."""
    aware = wall.replace(tzinfo=zone, fold=0)
    return aware.astimezone(UTC).astimezone(zone)


def day_bounds(day: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first instant of the local day that `day` lies in, and of the next: 23, 24 or 25 hours apart."""
    local = day.astimezone(zone)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    after = (start.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    return start, after


def local_days(span: Span, zone: ZoneInfo) -> tuple[date, date]:
    """The first and the last date of the zone's calendars that a span touches."""
    return span.start.astimezone(zone).date(), (span.end.astimezone(zone) - timedelta.resolution).date()
