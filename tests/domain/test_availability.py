"""What can be booked where free slots are records: by examples, and by an oracle that looks at everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.availability import Offer, bookable, open_time, within
from gateway.domain.model import Appointment, FreeTime, Slot, Span, Status
from gateway.domain.questions import FindFreeTime

DAY = datetime(2027, 3, 2, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return DAY + timedelta(minutes=minutes)


def slot(start: int, end: int, resource: str = "r1", *, n: int = 0, service: str | None = None, unit=None) -> Slot:
    return Slot(at(start), at(end), resource, service, unit, id=f"{resource}@{start}-{end}", native={"n": n})


def booked(id: str, start: int, end: int, resource: str = "r1", status: Status = Status.BOOKED) -> Appointment:
    held = (f"{resource}@{start}-{end}",)
    return Appointment(id, at(start), at(end), status, resource_id=resource, slot_ids=held)


def wanted(start: int = 0, end: int = 600, *ignoring: Appointment, **more: str) -> FindFreeTime:
    return FindFreeTime(Span(at(start), at(end)), ignoring=ignoring, **more)


def found(asked: FindFreeTime, free: list[Slot], standing: list[Appointment]) -> list[tuple[str | None, str | None]]:
    return [(s.resource_id, s.id) for s in bookable(asked, free, standing).slots]


def test_slots_are_told_in_order_and_only_those_wholly_within():
    free = [slot(60, 90), slot(0, 30), slot(30, 60), slot(30, 60, "r0")]
    assert found(wanted(15, 90), free, []) == [("r0", "r0@30-60"), ("r1", "r1@30-60"), ("r1", "r1@60-90")]


def test_where_somebody_stands_nothing_is_offered_but_on_another_resource():
    free = [slot(0, 30), slot(30, 60), slot(0, 30, "r2")]
    assert found(wanted(), free, [booked("a", 10, 20)]) == [("r2", "r2@0-30"), ("r1", "r1@30-60")]


def test_who_stands_longest_counts_where_several_stand():
    standing = [booked("a", 0, 100), booked("b", 10, 20)]
    assert found(wanted(), [slot(50, 60), slot(100, 110)], standing) == [("r1", "r1@100-110")]


def test_what_is_cancelled_or_only_asks_for_a_code_holds_no_time():
    asking = replace(booked("b", 0, 30), confirms="a")
    standing = [booked("a", 0, 30, status=Status.CANCELLED), asking]
    assert found(wanted(), [slot(0, 30)], standing) == [("r1", "r1@0-30")]


def test_own_time_is_a_slot_of_its_own():
    own = replace(booked("a", 0, 45), healthcare_service_id="h", care_unit_id="u")
    (told,) = bookable(wanted(0, 600, own), [], [own]).slots
    assert told == Slot(at(0), at(45), "r1", "h", "u", id="r1@0-45")
    assert bookable(wanted(), [], [own]).slots == ()


def test_own_time_is_nobodys_where_somebody_else_stands_or_a_free_record_lies():
    own = booked("a", 0, 30)
    assert found(wanted(0, 600, own), [], [own, booked("b", 20, 40)]) == []
    (told,) = bookable(wanted(0, 600, own), [slot(0, 30, n=7)], [own]).slots
    assert told.native == {"n": 7}


def test_own_time_counts_as_it_is_now_and_not_as_it_was_read_before():
    before, now = booked("a", 0, 30), booked("a", 60, 90)
    assert found(wanted(0, 600, before), [], [now]) == [("r1", "r1@60-90")]
    assert found(wanted(0, 600, before), [], []) == []


def test_of_equal_slots_the_first_is_offered():
    (told,) = bookable(wanted(), [slot(0, 30, n=1), slot(0, 30, n=2)], []).slots
    assert told.native == {"n": 1}


def test_a_slot_of_another_service_or_care_unit_is_not_offered():
    free = [slot(0, 30, service="h"), slot(30, 60, service="x"), slot(60, 90, unit="x"), slot(90, 120)]
    asked = wanted(healthcare_service_id="h", care_unit_id="u")
    assert [id for _, id in found(asked, free, [])] == ["r1@0-30", "r1@90-120"]
    assert len(found(wanted(), free, [])) == 4


SPANS = st.tuples(st.integers(0, 20), st.integers(1, 6), st.sampled_from(["r1", "r2"]))


@given(
    free=st.lists(SPANS, max_size=8),
    standing=st.lists(st.tuples(SPANS, st.booleans(), st.sampled_from(Status)), max_size=8),
    window=st.tuples(st.integers(0, 20), st.integers(1, 26)),
)
def test_it_is_what_looking_at_each_pair_says(free, standing, window):
    slots = [slot(start, start + length, resource) for start, length, resource in free]
    there = [
        booked(f"a{n}", start, start + length, resource, status)
        for n, ((start, length, resource), _, status) in enumerate(standing)
    ]
    own = [a for a, (_, ignored, _) in zip(there, standing, strict=True) if ignored]
    asked = wanted(window[0], window[0] + window[1], *own)
    assert set(found(asked, slots, there)) == set(_by_pairs(asked, slots, there))


def _by_pairs(asked: FindFreeTime, slots: list[Slot], there: list[Appointment]) -> list[tuple[str | None, str | None]]:
    ids = {a.id for a in asked.ignoring}
    holding = [a for a in there if a.status is not Status.CANCELLED]
    strangers = [a for a in holding if a.id not in ids]

    def meets(one: Slot | Appointment, others: list[Slot] | list[Appointment]) -> bool:
        return any(o.resource_id == one.resource_id and o.span.overlaps(one.span) for o in others)

    offered = [(s.resource_id, s.id, s.span) for s in slots if not meets(s, strangers)]
    own = [a for a in holding if a.id in ids and not meets(a, strangers) and not meets(a, slots)]
    offered += [(a.resource_id, a.slot_ids[0], a.span) for a in own]
    return [(resource, id) for resource, id, span in offered if asked.span.contains(span)]


@pytest.mark.parametrize("start", [datetime(2027, 3, 28, 1, 45), datetime(2027, 10, 31, 2, 45)])
def test_slots_made_of_starts_are_as_long_over_a_clock_change(start):
    """Python adds to the wall clock of a zone: half an hour would become an hour and a half, or none."""
    begins = Slot(
        start.replace(tzinfo=ZoneInfo("Europe/Stockholm")), start.replace(tzinfo=ZoneInfo("Europe/Stockholm"))
    )
    (slot,) = FreeTime.from_starts([begins], timedelta(minutes=30)).slots
    assert slot.span.length == timedelta(minutes=30)
    assert slot.end.astimezone(UTC).astimezone(slot.end.tzinfo) == slot.end


# -- open time of hours that are worked -------------------------------------------------------------------------------


def is_open(
    asked: FindFreeTime, worked: list[tuple[int, int]], standing: list[Appointment], *blocked: tuple[int, int]
) -> list[tuple[int, int]]:
    hours = [Span(at(start), at(end)) for start, end in worked]
    told = open_time(asked, hours, standing, [Span(at(start), at(end)) for start, end in blocked])
    assert told.shape == "windows"
    minutes = [(s.start - DAY, s.end - DAY) for s in told.slots]
    return [(int(start.total_seconds()) // 60, int(end.total_seconds()) // 60) for start, end in minutes]


MINE = wanted(0, 600, booked("a", 0, 60), resource_id="r1")


def test_open_is_what_is_worked_less_what_stands_and_what_is_blocked():
    standing = [booked("b", 90, 120), booked("c", 150, 160, status=Status.CANCELLED)]
    assert is_open(wanted(), [(60, 240)], standing, (200, 300)) == [(60, 90), (120, 200)]
    assert is_open(wanted(100, 180), [(0, 60), (90, 120), (170, 300)], []) == [(90, 120), (170, 300)]


def test_open_time_is_of_all_that_was_asked_for():
    asked = wanted(resource_id="r1", healthcare_service_id="h", care_unit_id="u")
    (told,) = open_time(asked, [Span(at(0), at(60))], []).slots
    assert told == Slot(at(0), at(60), "r1", "h", "u")


def test_own_time_is_open_out_of_hours_and_where_it_is_blocked():
    own = booked("a", 0, 60)
    assert is_open(MINE, [], [own], (0, 600)) == [(0, 60)]
    assert is_open(MINE, [], [own, booked("b", 30, 90)]) == [(0, 30)]


def test_own_time_is_only_what_the_resource_itself_holds_in_the_span():
    for other in (booked("a", 0, 60, "r2"), booked("a", 0, 60, status=Status.CANCELLED), booked("a", 700, 760)):
        asked = wanted(0, 600, other, resource_id="r1")
        assert asked.own == ()
        assert is_open(asked, [(0, 120)], [booked("a", 0, 60)]) == [(60, 120)]


@pytest.mark.parametrize(
    ("free", "many", "one"),
    [
        ([(60, 90), (90, 120), (120, 150), (150, 180)], True, False),
        ([(60, 180)], True, True),
        ([(60, 120), (150, 180)], False, False),
        ([(60, 120), (90, 180)], False, False),
        ([(30, 90), (90, 180)], False, False),
        ([(60, 120), (120, 210)], False, False),
        ([(60, 120), (90, 150), (120, 180)], True, False),
        ([(60, 60)], False, False),
        ([], False, False),
    ],
)
def test_slots_cover_a_range_only_if_they_begin_meet_and_end_exactly(free, many, one):
    slots = tuple(slot(*ends) for ends in free)
    covers = [Offer("slots", slots, many=several).cover(Span(at(60), at(180))) is not None for several in (True, False)]
    assert covers == [many, one]


# -- what sticks out --------------------------------------------------------------------------------------------------


STRETCHES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=6)


@given(STRETCHES, st.integers(0, 40), st.integers(1, 20))
def test_slots_lie_within_whole_and_windows_as_far_as_they_do(stretches, start, length):
    asked = Span(at(start), at(start + length))
    offered = tuple(slot(begins, begins + lasts) for begins, lasts in stretches)
    whole = within(FreeTime("slots", offered), asked)
    assert whole.slots == tuple(s for s in offered if at(start) <= s.start and s.end <= at(start + length))
    cut = within(FreeTime("windows", offered), asked)
    assert [minutes(one.span) for one in cut.slots] == [
        shared for s in offered if (shared := minutes(s.span) & minutes(asked))
    ]


def minutes(span: Span) -> set[float]:
    return set(range(*(round(key) // 60 for key in span.key)))


def test_a_window_that_is_cut_stays_in_its_own_zone():
    stockholm = ZoneInfo("Europe/Stockholm")
    window = Slot(at(0).astimezone(stockholm), at(60).astimezone(stockholm))
    (cut,) = within(FreeTime("windows", (window,)), Span(at(10), at(50))).slots
    assert (cut.start.isoformat(), cut.end.isoformat()) == ("2027-03-02T01:10:00+01:00", "2027-03-02T01:50:00+01:00")
