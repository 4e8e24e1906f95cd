"""Wall time without an offset, the year round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.plugin import Change, Refused, Span, repeated
from plugins.drchrono import times
from tests.plugins.drchrono.wire import ZONE, booked

YEAR = range(525_600)
SPRING, AUTUMN = datetime(2027, 3, 14, 10, tzinfo=UTC), datetime(2027, 11, 7, 9, tzinfo=UTC)
"""When the clock goes from 2 to 3, and from 2 to 1."""


def minutes(instant: datetime) -> int:
    return int((instant - datetime(2027, 1, 1, tzinfo=UTC)).total_seconds() // 60)


@example(minutes(SPRING) - 1, 2)
@example(minutes(SPRING), 1)
@example(minutes(AUTUMN) - 61, 122)
@given(st.sampled_from(YEAR), st.integers(1, 600))
def test_what_is_said_in_wall_time_is_read_as_the_same_instant(minute, length):
    start = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    span = Span(start, start + timedelta(minutes=length))
    assume(not repeated(span.start, ZONE) and not repeated(span.end, ZONE))
    said = times(span, ZONE)
    assert booked(**said).span.same(span)
    assert said["scheduled_time"] == start.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:00")


@pytest.mark.parametrize(
    "span",
    [
        Span(AUTUMN - timedelta(minutes=30), AUTUMN + timedelta(hours=3)),
        Span(AUTUMN, AUTUMN + timedelta(hours=3)),
        Span(AUTUMN - timedelta(hours=3), AUTUMN - timedelta(minutes=30)),
        Span(SPRING + timedelta(seconds=1), SPRING + timedelta(minutes=30, seconds=1)),
        Span(SPRING, SPRING + timedelta(minutes=30, seconds=1)),
        Span(SPRING, SPRING),
    ],
)
async def test_what_can_not_be_said_is_refused_and_not_rounded(emr, span):
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="x", before=booked(), span=span))
    assert no.value.reason == "invalid"


def test_a_time_that_the_clock_skips_is_read_as_that_instant():
    assert booked(scheduled_time="2027-03-14T02:30:00").start == SPRING + timedelta(minutes=30)
