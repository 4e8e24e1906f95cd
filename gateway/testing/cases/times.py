"""Instants are instants, whatever clock they are told by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.model import Appointment, Span
from gateway.domain.steps import Change
from gateway.testing.cases.refused import refused
from gateway.testing.claims import case
from gateway.testing.practice import Practice
from gateway.vendor.local_time import repeated

ELSEWHERE = timezone(timedelta(hours=-9, minutes=-30))
QUARTER, SECOND = timedelta(minutes=15), timedelta(seconds=1)


class TimeCases:
    @case("create")
    async def test_a_time_is_the_same_by_whatever_offset_it_is_said(self, at: Practice) -> None:
        for place, zone in enumerate((UTC, ELSEWHERE)):
            opening = at.openings[place]
            made = await at.book(_said(opening, zone))
            assert made.span.same(opening)

    @case("move")
    async def test_a_change_is_to_the_same_time_by_whatever_offset_it_is_said(self, at: Practice) -> None:
        made, opening = await at.book(0), at.openings[1]
        now = await at.carry_out(await at.changing(made, span=_said(opening, ELSEWHERE)))
        assert now.span.same(opening)

    @case()
    async def test_beyond_a_clock_change_the_instant_is_kept_and_the_offset_is_not(self, at: Practice) -> None:
        before, there = await at.book(0), at.world.beyond_clock_change
        if there is None:
            zone = before.start.tzinfo or UTC
            if next(clock_changes(zone, at.day.start), None) is not None:
                pytest.fail("the world has no beyond_clock_change, though the practice's clock changes")
            pytest.skip("the practice's clock never changes")
        moved = at.can.move != "none"
        now = await at.carry_out(await at.changing(before, span=there)) if moved else await at.book(there)
        assert now.span.same(there)
        assert now.start.utcoffset() != before.start.utcoffset(), "times must be told in the practice's zone"

    @case("local_zone")
    async def test_an_hour_that_the_clock_shows_twice_is_refused(self, at: Practice) -> None:
        zone, made = ZoneInfo(at.can.local_zone or ""), await at.book()
        for change in clock_changes(zone, at.day.start):
            if repeated(change, zone):
                for start in (change - 2 * QUARTER, change + QUARTER):
                    await _refused_at(at, made, Span(start, start + QUARTER))
        assert await at.there(made.id) == made

    @case("start_unit_s")
    async def test_a_start_that_can_not_be_said_is_refused_and_not_rounded(self, at: Practice) -> None:
        made, free = await at.book(), at.openings[1]
        await _refused_at(at, made, Span(free.start + SECOND, free.end + SECOND))
        assert await at.there(made.id) == made

    @case("length_unit_s")
    async def test_a_length_that_can_not_be_said_is_refused_and_not_rounded(self, at: Practice) -> None:
        made, free = await at.book(), at.openings[1]
        await _refused_at(at, made, Span(free.start, free.end - SECOND))
        assert await at.there(made.id) == made


async def _refused_at(at: Practice, made: Appointment, span: Span) -> None:
    if at.can.move != "none":
        step = Change(chain=made.id, before=made, span=span, new_id=at.can.move == "new_id")
        await refused(at.send(step), "invalid")
    if at.can.create:
        free = await at.creation(at.openings[1])
        await refused(at.send(replace(free, span=span, slots=())), "invalid")


def clock_changes(zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """The instants, in UTC and to the hour, at which the zone's offset changes in the year after."""
    day = after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(366):
        hours = [day + timedelta(hours=n) for n in range(25)]
        if _offset(hours[0], zone) != _offset(hours[-1], zone):
            yield from (hour for last, hour in pairwise(hours) if _offset(last, zone) != _offset(hour, zone))
        day = hours[-1]


def _offset(instant: datetime, zone: tzinfo) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()


def _said(span: Span, zone: tzinfo) -> Span:
    return Span(span.start.astimezone(zone), span.end.astimezone(zone))
