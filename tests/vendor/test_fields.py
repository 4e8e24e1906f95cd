"""What is read from a field is what is due, or nothing at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.plugin import (
    flag,
    id_of,
    id_or_none,
    ids_of,
    in_utc,
    instant,
    minutes_after,
    number,
    number_id,
    number_id_or_none,
    records,
    text,
    wall,
)

STOCKHOLM = ZoneInfo("Europe/Stockholm")
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (text, None), (text, 5), (text, ["a"]),
        (number, None), (number, "5"), (number, True), (number, 5.0),
        (flag, None), (flag, 1), (flag, "true"),
        (id_of, None), (id_of, ""), (id_of, True), (id_of, -1), (id_of, "-1"), (id_of, 5.0), (id_of, {}),
        (ids_of, None), (ids_of, "S1"), (ids_of, {"S1": 1}), (ids_of, ["S1", None]), (ids_of, [""]),
        (records, None), (records, {}), (records, ""), (records, [None]), (records, [[]]),
        (lambda told: text(told, "[XY]+"), "XYZ"), (lambda told: text(told, "[XY]+"), "XY\n"),
        (number_id, "7"), (number_id, True), (number_id, None), (number_id, -1),
        (number_id_or_none, "7"), (number_id_or_none, ""), (number_id_or_none, False),
        (id_or_none, False), (id_or_none, []), (id_or_none, 0.5),
    ],
)  # fmt: skip
def test_what_is_something_else_is_not_taken_for_it(read, told):
    with pytest.raises((TypeError, ValueError)):
        read(told)


def test_what_is_due_is_taken():
    assert (text(""), number(0), flag(False)) == ("", 0, False)
    assert (text("a\nb"), text("XY", "[XY]+")) == ("a\nb", "XY")
    assert (id_of(7), id_of("x-7")) == ("7", "x-7")
    assert [id_or_none(none) for none in (None, "", 0)] == [None, None, None]
    assert id_or_none("0") == "0"
    assert (number_id(7), number_id_or_none(7), number_id_or_none(0), number_id_or_none(None)) == ("7", "7", None, None)
    assert (ids_of([]), ids_of(["S1", 7])) == ((), ("S1", "7"))
    assert (records([]), records([{"id": 7}])) == ([], [{"id": 7}])


@given(INSTANTS)
def test_an_instant_is_the_same_in_utc_and_in_the_zone(when):
    said = in_utc(when.astimezone(STOCKHOLM))
    assert said.endswith("Z")
    assert instant(said, STOCKHOLM).timestamp() == when.timestamp()


@pytest.mark.parametrize("told", ["2027-03-02T09:00:00", "soon", None, 5])
def test_an_instant_without_an_offset_is_none(told):
    with pytest.raises((TypeError, ValueError)):
        instant(told, STOCKHOLM)


def test_wall_time_is_of_the_zone_unless_it_bears_an_offset():
    assert wall("2027-03-02 09:00:00", STOCKHOLM) == datetime(2027, 3, 2, 9, tzinfo=STOCKHOLM)
    assert wall("2027-03-02T09:00:00Z", STOCKHOLM) == datetime(2027, 3, 2, 10, tzinfo=STOCKHOLM)


@pytest.mark.parametrize("told", ["2027-03-02", "20270302", "2027-W10-2", "soon", "", None, 5])
def test_a_day_alone_is_not_taken_for_its_midnight(told):
    with pytest.raises((TypeError, ValueError)):
        wall(told, STOCKHOLM)


@given(INSTANTS, st.integers(1, 2000))
def test_so_many_minutes_are_as_long_over_a_clock_change(when, minutes):
    start = when.astimezone(STOCKHOLM)
    end = minutes_after(start, minutes)
    assert end.tzinfo is STOCKHOLM
    assert end.astimezone(UTC) - when == timedelta(minutes=minutes)


@pytest.mark.parametrize("minutes", [0, -5, None, "30", True])
def test_no_length_is_no_end(minutes):
    with pytest.raises((TypeError, ValueError)):
        minutes_after(datetime(2027, 3, 2, 9, tzinfo=STOCKHOLM), minutes)
