"""Local time without an offset, in all zones that there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import clock
from gateway.plugin import Refused, Span, day_bounds, from_wall, local_days, to_wall, today

NAMES = sorted(available_timezones() - {"localtime"})
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
FROM, UNTIL = datetime(1995, 1, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC)


def offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset()


@cache
def changes(name: str) -> list[tuple[datetime, timedelta]]:
    """The instants (by steps and bisection) at which a zone's clock is set, and by how much."""
    zone, found = ZoneInfo(name), []
    step, at = timedelta(days=7), FROM
    while at < UNTIL:
        low, high = at, at + step
        if offset(low, zone) != offset(high, zone):
            while high - low > SECOND:
                middle = low + (high - low) // 2
                low, high = (middle, high) if offset(middle, zone) == offset(low, zone) else (low, middle)
            high = high.replace(microsecond=0)
            found.append((high, offset(high, zone) - offset(high - SECOND, zone)))
        at += step
    return found


@given(st.sampled_from(NAMES), st.datetimes(datetime(1995, 1, 1), datetime(2036, 12, 31)))
@settings(max_examples=300)
def test_local_time_in_is_local_time_out_or_refused(name, wall):
    """Told apart by what the zone itself shows of the two readings of a wall time (PEP 495)."""
    zone = ZoneInfo(name)
    readings = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    shown = [instant.astimezone(zone).replace(tzinfo=None) for instant in readings]
    read = from_wall(wall, zone)
    assert read.astimezone(UTC) == readings[0]
    if readings[0] == readings[1]:
        assert to_wall(read, zone) == wall
    elif shown == [wall, wall]:
        for instant in readings:
            with pytest.raises(Refused):
                to_wall(instant, zone)
    else:
        assert to_wall(read, zone) != wall


@pytest.mark.parametrize(
    "name", ["Europe/Stockholm", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"]
)
def test_around_every_change_the_skipped_is_never_said_and_the_repeated_is_refused(name):
    zone, seen = ZoneInfo(name), set()
    for instant, by in changes(name):
        seen.add(by > timedelta(0))
        shown = instant.astimezone(zone).replace(tzinfo=None)
        if by > timedelta(0):
            assert to_wall(instant, zone) == shown
            for skipped in (shown - by, shown - SECOND):
                assert to_wall(from_wall(skipped, zone), zone) != skipped
        else:
            for twice in (instant + by, instant, instant - by - SECOND):
                with pytest.raises(Refused, match="repeated hour"):
                    to_wall(twice, zone)
            assert to_wall(instant - by, zone) == shown - by
        assert to_wall(instant - abs(by) - SECOND, zone)
    assert True in seen


def set_in(name: str) -> Iterator[datetime]:
    """Moments of 2026 in the half day after which a zone's clock is set."""
    zone = ZoneInfo(name)
    weeks = [datetime(2026, 1, 1, tzinfo=UTC) + n * timedelta(days=7) for n in range(54)]
    for early, late in itertools.pairwise(weeks):
        if offset(early, zone) != offset(late, zone):
            days = [early + n * 12 * HOUR for n in range(15)]
            yield from (low for low, high in itertools.pairwise(days) if offset(low, zone) != offset(high, zone))


def test_every_zone_that_sets_its_clock_keeps_both_rules():
    """Both changes of a year, in all zones; the walk through all years of five is above."""
    tried = 0
    for name in NAMES:
        zone = ZoneInfo(name)
        for low in set_in(name):
            tried += 1
            moments = [low + n * HOUR / 2 for n in range(-6, 31)]
            walls = [m.astimezone(zone).replace(tzinfo=None, fold=0) for m in moments]
            twice = {wall for wall in walls if walls.count(wall) > 1}
            for moment, wall in zip(moments, walls, strict=True):
                if wall in twice:
                    with pytest.raises(Refused):
                        to_wall(moment, zone)
                else:
                    assert to_wall(moment, zone) == wall
                    assert from_wall(wall, zone) == moment.astimezone(zone)
            later = offset(low + 12 * HOUR, zone) > offset(low, zone)
            assert bool(twice) is not later, name
    assert tried > 200


def test_a_time_between_those_that_can_be_said_is_refused():
    zone, instant = ZoneInfo("Europe/Stockholm"), datetime(2026, 6, 1, 9, 0, 30, tzinfo=UTC)
    assert to_wall(instant, zone) == datetime(2026, 6, 1, 11, 0, 30)
    with pytest.raises(Refused) as no:
        to_wall(instant, zone, each_s=60)
    assert no.value.reason == "invalid"


def test_today_is_the_zones_own(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 6, 1, 12, 30, tzinfo=UTC))
    assert today(ZoneInfo("Pacific/Auckland")) == date(2026, 6, 2)
    assert today(ZoneInfo("Pacific/Honolulu")) == date(2026, 6, 1)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 3, 30), 24), ((2026, 10, 25), 25)])
def test_a_day_is_as_long_as_its_clock_makes_it(day, hours):
    zone = ZoneInfo("Europe/Stockholm")
    start, after = day_bounds(datetime(*day, 15, tzinfo=zone), zone)
    assert after.timestamp() - start.timestamp() == hours * 3600


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (datetime(2026, 5, 31, 22), datetime(2026, 6, 1, 22), (1, 1)),  # midnight to midnight
        (datetime(2026, 5, 31, 21, 59), datetime(2026, 6, 1, 22, 1), (31, 2)),
        (datetime(2026, 6, 1, 9), datetime(2026, 6, 1, 10), (1, 1)),
    ],
)
def test_a_span_touches_the_days_of_the_zones_calendar_and_not_the_one_at_whose_beginning_it_ends(start, end, days):
    first, last = local_days(Span(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)), ZoneInfo("Europe/Stockholm"))
    assert (first.day, last.day) == days
