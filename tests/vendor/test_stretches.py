"""A question for many days, asked in pieces."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.plugin import Appointment, MaybeDone, Refused, Slot, Span, Status, as_number, by_days, units
from gateway.plugin import given as of_those
from gateway.vendor.stretches import days_of

STOCKHOLM = ZoneInfo("Europe/Stockholm")
START, HOUR = datetime(2026, 3, 20, 8, tzinfo=UTC), timedelta(hours=1)


def hours(first: float, last: float) -> Span:
    return Span(START + first * HOUR, START + last * HOUR)


@given(st.integers(-400, 400), st.integers(1, 90 * 24), st.integers(1, 40), st.sampled_from(["UTC", "Pacific/Apia"]))
def test_every_day_is_asked_for_once_and_no_piece_is_too_long(first, length, most, name):
    zone = ZoneInfo(name)
    span = hours(first, first + length)
    pieces = list(days_of(span, zone, most=most))
    days = [a + n * timedelta(days=1) for a, b in pieces for n in range((b - a).days + 1)]
    assert days == sorted(set(days))
    assert all((b - a).days < most for a, b in pieces)
    touched = {(span.start + n * HOUR / 2).astimezone(zone).date() for n in range(2 * length)}
    assert set(days) == touched


def test_a_day_that_is_not_reached_is_not_asked_for():
    midnight = Span(datetime(2026, 3, 1, tzinfo=STOCKHOLM), datetime(2026, 3, 8, tzinfo=STOCKHOLM))
    assert list(days_of(midnight, STOCKHOLM, most=7)) == [(date(2026, 3, 1), date(2026, 3, 7))]


def test_the_past_is_not_asked_for():
    week = Span(datetime(2026, 3, 1, tzinfo=STOCKHOLM), datetime(2026, 3, 8, tzinfo=STOCKHOLM))
    assert list(days_of(week, STOCKHOLM, most=3, earliest=date(2026, 3, 6))) == [(date(2026, 3, 6), date(2026, 3, 7))]
    assert not list(days_of(week, STOCKHOLM, most=3, earliest=date(2026, 3, 9)))


async def test_pieces_are_asked_at_the_same_time_and_what_two_of_them_show_is_there_once():
    begun, all_begun = [], asyncio.Event()
    seam = Slot(START, START + 30 * HOUR, "r1")

    async def ask(first: date, last: date) -> list[Slot]:
        begun.append((first, last))
        if len(begun) == 3:
            all_begun.set()
        await asyncio.wait_for(all_begun.wait(), 5)
        at = datetime(first.year, first.month, first.day, 12, tzinfo=UTC)
        return [replace(seam), Slot(at, at + HOUR, "r1"), Slot(START - 9 * HOUR, START - 8 * HOUR, "r1")]

    found = await by_days(ask, hours(0, 60), STOCKHOLM, most=1)
    assert len(begun) == 3
    assert found.count(seam) == 1
    assert [s.span.key for s in found] == sorted(s.span.key for s in found)
    assert len(found) == 4, "what lies outside is dropped"


async def test_what_lasts_longer_is_asked_for_from_as_far_back_as_it_can_have_begun():
    asked = []
    early, late = Slot(START - 30 * HOUR, START + HOUR, "a"), Slot(START - 30 * HOUR, START, "b")

    async def ask(first: date, last: date) -> list[Slot]:
        asked.append((first.day, last.day))
        return [early, late]

    assert await by_days(ask, hours(0, 2), STOCKHOLM, most=2, longest=48 * HOUR) == [early]
    assert asked == [(18, 19), (20, 20)]


async def test_appointments_are_told_apart_by_their_ids():
    one = Appointment("a", START, START + 48 * HOUR, Status.BOOKED)

    async def ask(first: date, last: date) -> list[Appointment]:
        return [one, replace(one, id="b")]

    assert [a.id for a in await by_days(ask, hours(0, 40), STOCKHOLM, most=1)] == ["a", "b"]


async def test_what_is_shown_twice_is_there_as_it_was_shown_last():
    shown = [Slot(START, START + HOUR, "r1", native={"room": room}) for room in (1, 2)]

    async def ask(first: date, last: date) -> list[Slot]:
        return shown

    (found,) = await by_days(ask, hours(0, 1), STOCKHOLM, most=1)
    assert found.native == {"room": 2}


async def test_a_piece_that_fails_fails_the_whole():
    async def ask(first: date, last: date) -> list[Slot]:
        if last == date(2026, 3, 21):
            raise MaybeDone("broken")
        return [Slot(START, START + HOUR)]

    with pytest.raises(MaybeDone):
        await by_days(ask, hours(0, 60), STOCKHOLM, most=1)


# -- what requests are made of ----------------------------------------------------------------------------------------


def test_what_is_none_is_left_out_and_nothing_else():
    assert of_those({"a": None, "b": "", "c": 0, "d": False}) == {"b": "", "c": 0, "d": False}


def test_a_length_is_a_count_of_units_or_refused():
    assert units(hours(0, 0.5), each_s=300) == units(hours(0, 0.5), each_s=300, most=6) == 6
    with pytest.raises(Refused):
        units(hours(0, 0.5), each_s=300, most=5)
    for length in (0.51, 0):
        with pytest.raises(Refused) as no:
            units(hours(0, length), each_s=300)
        assert no.value.reason == "invalid"


@pytest.mark.parametrize("id", [None, "", "0", "01", "-1", "1 ", "1\n", "x", "٣", str(2**63), "9" * 20])
def test_what_is_no_number_is_not_said_as_one(id):
    with pytest.raises(Refused) as no:
        as_number(id)
    assert no.value.reason == "invalid"
    assert (as_number("7"), as_number(str(2**63 - 1))) == (7, 2**63 - 1)
