"""Hours of a week, as the clock of a zone shows them, the year round."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.plugin import Span, hours, weekday, worked

ZONE = ZoneInfo("America/Los_Angeles")
SUNDAY = 6
SPRING, AUTUMN = datetime(2027, 3, 14, tzinfo=ZONE), datetime(2027, 11, 7, tzinfo=ZONE)
"""Sundays on which the clock goes from 2 to 3, and from 2 to 1."""
WEEK = {0: [hours("08:00", "12:00"), hours("13:00", "17:00")], 3: [hours("09:30", "24:00")], 5: [hours("0:00", "2:15")]}


def spans(week, day: datetime, days: int = 1) -> list[str]:
    found = worked(week, Span(day, (day.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=ZONE)), ZONE)
    return [f"{one.start:%d %H:%M}-{one.end:%d %H:%M}" for one in found]


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        ("08:00", "17:30", (480, 1050)),
        ("8:00:00", "17:30:59.5", (480, 1050)),
        ("00:00", "24:00", (0, 1440)),
        ("00:00:00", "00:00:00", (0, 1440)),
    ],
)
def test_times_of_day_are_minutes_and_a_day_ends_at_midnight(start, end, minutes):
    assert hours(start, end) == minutes


@pytest.mark.parametrize(
    ("start", "end"),
    [("17:00", "08:00"), ("08:00", "08:00"), ("08:00", "24:01"), ("8", "9"), ("08:60", "10:00"), ("-1:00", "10:00"),
     ("08:00", None), (8, 17), ("08:00 pm", "10:00 pm"), ("24:00", "00:00")],
)  # fmt: skip
def test_hours_that_make_no_sense_are_not_guessed_at(start, end):
    with pytest.raises((TypeError, ValueError)):
        hours(start, end)


def test_weekdays_are_counted_from_monday():
    assert [weekday(name) for name in ("Monday", "Thursday", "Sunday")] == [0, 3, 6]
    for none in ("Someday", "", None, 1):
        with pytest.raises((TypeError, ValueError)):
            weekday(none)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)), st.integers(1, 20 * 24 * 60))
def test_they_are_those_of_the_day_that_the_clock_shows(first, minutes):
    span = Span(first.replace(tzinfo=UTC), first.replace(tzinfo=UTC) + timedelta(minutes=minutes))
    found = worked(WEEK, span, ZONE)
    assert [one.key for one in found] == sorted(one.key for one in found)
    assert all(one.overlaps(span) for one in found)
    for n in range(0, minutes, 37):
        moment = span.start + timedelta(minutes=n)
        local = moment.astimezone(ZONE)
        clock = local.hour * 60 + local.minute + (local.second + local.microsecond / 1e6) / 60
        is_worked = any(start <= clock < end for start, end in WEEK.get(local.weekday(), []))
        assert any(one.start <= moment < one.end for one in found) is is_worked


def test_hours_are_there_whole_wherever_they_are_touched():
    noon = datetime(2027, 3, 1, 11, tzinfo=ZONE)
    (found,) = worked(WEEK, Span(noon, noon + timedelta(hours=2)), ZONE)
    assert found == Span(datetime.combine(noon, time(8), ZONE), datetime.combine(noon, time(12), ZONE))


def test_they_are_by_the_clock_even_where_it_jumps():
    assert spans({SUNDAY: [hours("01:00", "04:00")]}, SPRING) == ["14 01:00-14 04:00"]
    (longer,) = worked({SUNDAY: [hours("00:30", "04:00")]}, Span(AUTUMN, AUTUMN + timedelta(hours=20)), ZONE)
    assert longer.length == timedelta(hours=4, minutes=30)


def test_hours_that_the_clock_skips_are_none():
    assert spans({SUNDAY: [hours("02:00", "03:00"), hours("02:30", "03:00")]}, SPRING) == []
    assert spans({SUNDAY: [hours("02:00", "03:00")]}, SPRING, days=8) == ["21 02:00-21 03:00"]
