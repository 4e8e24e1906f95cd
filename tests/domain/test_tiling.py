"""The tiling of a continuous reschedule: a table for each rule, and an oracle that tries everything and counts."""

from collections.abc import Iterator
from itertools import combinations, pairwise, permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.domain import assign
from gateway.domain.tiling import (
    Ambiguous,
    Fit,
    NoTiling,
    Standing,
    TooMany,
    covered,
    fit_slots,
    fit_windows,
)

HOUR = 3600
HALF = 1800


def at(begin: float, end: float, *, on_target: bool = True, dirty: bool = False) -> Standing:
    return Standing(int(begin * HOUR), int(end * HOUR), on_target, dirty)


def hours(*pairs: tuple[float, float]) -> list[tuple[int, int]]:
    return [(int(begin * HOUR), int(end * HOUR)) for begin, end in pairs]


def grid(begin: float, end: float, step: float = 0.5) -> list[tuple[int, int]]:
    count = int((end - begin) / step)
    return hours(*((begin + i * step, begin + (i + 1) * step) for i in range(count)))


def slots_fit(
    begin: float,
    end: float,
    slots: list[tuple[int, int]],
    *standings: Standing,
    runs: bool = True,
    most: int = 100,
) -> Fit:
    return fit_slots(int(begin * HOUR), int(end * HOUR), slots, standings, runs=runs, max_tiles=most)


def windows_fit(begin: float, end: float, windows: list[tuple[int, int]], *standings: Standing, most: int = 100) -> Fit:
    return fit_windows(int(begin * HOUR), int(end * HOUR), windows, standings, max_tiles=most)


# Which open time counts


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        (hours((8, 12)), True),
        (hours((9, 11)), True),
        (hours((10, 12), (8, 10)), True),
        (hours((8, 10.5), (10, 12)), True),
        (hours((8, 12), (9, 9.5)), True),
        (hours((8, 9.5), (10, 12)), False),
        (hours((9.5, 12)), False),
        (hours((8, 10.5)), False),
        ([], False),
    ],
)
def test_open_time_covers_a_range_if_windows_taken_together_contain_it(windows, expected):
    assert covered(9 * HOUR, 11 * HOUR, windows) is expected


@pytest.mark.parametrize(
    "slots", [[], grid(9, 10), grid(9.5, 11), hours((9, 10), (10.5, 11)), hours((8.5, 9.5), (9.5, 11))]
)
def test_a_range_that_slots_do_not_fill_has_no_tiling(slots):
    with pytest.raises(NoTiling):
        slots_fit(9, 11, slots, at(9, 10))


def test_an_empty_or_reversed_range_has_no_tiling():
    for end in (9, 8):
        with pytest.raises(NoTiling):
            slots_fit(9, end, grid(8, 12), at(9, 10))
        with pytest.raises(NoTiling):
            windows_fit(9, end, hours((8, 12)), at(9, 10))


def test_slots_outside_the_range_empty_ones_and_duplicates_do_not_matter():
    odd = [(9 * HOUR, 9 * HOUR), (10 * HOUR, 9 * HOUR), (8 * HOUR + 7, 20 * HOUR)]
    fit = slots_fit(9, 10, [*grid(6, 14), *grid(6, 14), *odd], at(9, 9.5), at(9.5, 10))
    assert fit == Fit(tuple(hours((9, 9.5), (9.5, 10))), (0, 1), ())


# How many tiles


def test_a_run_as_long_as_a_standing_is_a_tile():
    assert slots_fit(13, 14, grid(8, 16), at(9, 10)) == Fit(tuple(hours((13, 14))), (0,), ())


def test_a_run_is_no_tile_where_an_appointment_takes_one_slot_only():
    fit = slots_fit(13, 14, grid(8, 16), at(9, 10), runs=False)
    assert fit == Fit(tuple(hours((13, 13.5), (13.5, 14))), (0, None), ())


def test_a_run_of_another_length_is_no_tile():
    fit = slots_fit(13, 14, grid(8, 16, 0.25), at(9, 9.5))
    assert fit == Fit(tuple(hours((13, 13.5), (13.5, 14))), (0, None), ())


def test_a_run_may_be_of_slots_of_different_lengths_but_has_no_gap():
    assert slots_fit(13, 15, hours((13, 14), (14, 14.5), (14.5, 15)), at(9, 10.5)).owner == (0, None)
    with pytest.raises(NoTiling):
        slots_fit(13, 15, hours((13, 13.5), (14, 15)), at(9, 10.5))


def test_more_tiles_than_standings_create_as_few_as_possible():
    fit = slots_fit(13, 15, [*grid(13, 15), *grid(13, 15, 1)], at(9, 9.5), runs=False)
    assert fit == Fit(tuple(hours((13, 14), (14, 15))), (0, None), ())


def test_nothing_is_cancelled_where_more_tiles_would_do():
    fit = slots_fit(13, 14, [*hours((13, 14)), *grid(13, 14, 0.25)], at(9, 10), at(10, 11), runs=False)
    assert len(fit.tiles) == 4
    assert fit.owner == (0, 1, None, None)
    assert fit.surplus == ()


def test_fewer_tiles_than_standings_cancel_as_few_as_possible_and_the_latest():
    fit = slots_fit(13, 14, [*hours((13, 14)), *grid(13, 14)], *(at(h, h + 1) for h in range(4)))
    assert fit == Fit(tuple(hours((13, 13.5), (13.5, 14))), (0, 1), (2, 3))


def test_more_tiles_than_allowed_are_too_many():
    assert len(slots_fit(8, 10, grid(8, 16), at(9, 9.5), most=4).tiles) == 4
    with pytest.raises(TooMany):
        slots_fit(8, 10, grid(8, 16), at(9, 9.5), most=3)
    with pytest.raises(TooMany):
        windows_fit(8, 10, hours((8, 16)), at(9, 9.5), most=3)


def test_rather_cancel_than_exceed_the_allowed_number():
    fit = slots_fit(8, 10, [*hours((8, 10)), *grid(8, 10)], at(9, 10), at(10, 11), runs=False, most=3)
    assert fit == Fit(tuple(hours((8, 10))), (0,), (1,))


# What is kept


def test_who_stands_on_a_tile_is_kept_and_the_others_close_up_in_order():
    fit = slots_fit(9.5, 11, grid(8, 16), at(9, 9.5), at(9.5, 10), at(12, 12.5))
    assert fit == Fit(tuple(hours((9.5, 10), (10, 10.5), (10.5, 11))), (1, 0, 2), ())


def test_the_surplus_is_taken_from_those_that_are_not_kept():
    assert slots_fit(11, 12, grid(8, 16, 1), at(9, 10), at(11, 12)).surplus == (0,)


def test_who_stands_on_another_resource_is_not_kept():
    fit = slots_fit(9, 10, grid(8, 16), at(9.5, 10, on_target=False), at(9.5, 10))
    assert fit.owner == (0, 1)


def test_the_tiling_that_keeps_more_is_preferred():
    both = [*hours((9, 9.5), (9.5, 10.5), (10.5, 11)), *hours((9, 10), (10, 10.5), (10.5, 11))]
    assert slots_fit(9, 11, both, at(9, 10), at(9.5, 10), at(10, 10.5), runs=False).tiles == tuple(
        hours((9, 10), (10, 10.5), (10.5, 11))
    )


def test_of_two_at_one_span_the_one_that_needs_no_write_is_kept():
    fit = slots_fit(9, 10, grid(9, 10), at(9, 9.5, dirty=True), at(9, 9.5))
    assert fit.owner == (1, 0)


def test_of_two_tilings_that_keep_as_many_the_one_with_fewer_writes_is_taken():
    slots = hours((9, 10), (10, 11), (9, 9.5), (9.5, 11))
    for first, second in ((True, False), (False, True)):
        fit = slots_fit(9, 11, slots, at(9, 10, dirty=first), at(9.5, 11, dirty=second), runs=False)
        assert fit.tiles == tuple(hours((9, 9.5), (9.5, 11)) if first else hours((9, 10), (10, 11)))


# Own lengths and order


def test_each_goes_to_a_tile_of_its_own_length_in_order():
    fit = slots_fit(13, 15, grid(8, 16), at(8, 8.5), at(9, 10), at(10, 10.5))
    assert fit == Fit(tuple(hours((13, 13.5), (13.5, 14.5), (14.5, 15))), (0, 1, 2), ())


def test_own_length_goes_before_order():
    fit = slots_fit(13, 15, hours((13, 13.5), (13.5, 15)), at(8, 9.5), at(10, 10.5), runs=False)
    assert fit.owner == (1, 0)


def test_in_order_as_far_as_own_lengths_allow():
    kept = at(14.5, 15.5)
    fit = slots_fit(13, 17, grid(8, 18), at(8, 9), at(9, 10), at(10, 10.5), at(11, 11.5), kept)
    assert fit.tiles[2:3] == tuple(hours((14.5, 15.5)))
    assert fit.owner == (0, 2, 4, 1, 3)


def test_the_created_one_is_the_latest_and_not_of_another_length_than_it_need_be():
    fit = slots_fit(13, 14.5, grid(8, 16), at(8, 9))
    assert fit == Fit(tuple(hours((13, 14), (14, 14.5))), (0, None), ())


def test_who_fits_is_not_surplus_though_the_latest():
    fit = slots_fit(13, 14, hours((13, 14)), at(8, 8.5), at(9, 10))
    assert fit == Fit(tuple(hours((13, 14))), (1,), (0,))


def test_of_equally_good_ones_to_keep_those_are_kept_that_leave_the_latest_as_surplus():
    earlier, later = hours((9, 9.5), (9.5, 10.5), (10.5, 12)), hours((9, 10), (10, 11), (11, 12))
    elsewhere = at(10, 11.5, on_target=False)
    standings = (at(9, 10), at(9, 9.5), at(9.5, 10.5), elsewhere, elsewhere, at(11, 12))
    fit = slots_fit(9, 12, [*later, *earlier], *standings, runs=False)
    assert fit == Fit(tuple(earlier), (1, 2, 3), (0, 4, 5))


# Windows


def test_open_time_is_tiled_by_the_standings_length():
    fit = windows_fit(13, 15, hours((8, 14), (14, 18)), at(8, 9))
    assert fit == Fit(tuple(hours((13, 14), (14, 15))), (0, None), ())


def test_open_time_that_does_not_cover_the_range_has_no_tiling():
    with pytest.raises(NoTiling):
        windows_fit(13, 15, hours((8, 14), (14.5, 18)), at(8, 9), at(9, 9.5))


def test_a_length_that_does_not_fill_the_range_has_no_tiling():
    with pytest.raises(NoTiling):
        windows_fit(13, 15, hours((8, 18)), at(8, 8.75), at(9, 9.75))


def test_different_lengths_that_do_not_fill_the_range_are_ambiguous():
    with pytest.raises(Ambiguous):
        windows_fit(13, 15, hours((8, 18)), at(8, 8.75), at(9, 10.5))
    with pytest.raises(Ambiguous):
        windows_fit(13, 14, hours((8, 18)), at(8, 10), at(10, 11.5))


def test_different_lengths_fill_open_time_in_their_order():
    fit = windows_fit(13, 16.25, hours((8, 18)), at(8, 8.75), at(9, 10), at(10, 11.5))
    assert fit == Fit(tuple(hours((13, 13.75), (13.75, 14.75), (14.75, 16.25))), (0, 1, 2), ())


def test_open_time_need_not_begin_on_anybodys_grid():
    fit = fit_windows(1007, 1007 + 2 * HALF, [(0, 9 * HOUR)], [Standing(1007, 1007 + HALF, True, False)], max_tiles=9)
    assert fit.owner == (0, None)


# Everything, tried out


@st.composite
def instances(draw):
    """A small range, slots of a few lengths, standings in it, around it and on another resource."""
    end = draw(st.integers(2, 7))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True))
    every = [(s, s + length) for length in lengths for s in range(-1, end + 1)]
    gone = draw(st.sets(st.sampled_from(every), max_size=4))
    slots = [slot for slot in every if slot not in gone]
    stretch = st.tuples(st.integers(-2, end), st.sampled_from(sorted({*lengths, 1, 2, 3})))
    standing = st.builds(
        lambda stretch, on_target, dirty: Standing(stretch[0], stretch[0] + stretch[1], on_target, dirty),
        stretch,
        st.sampled_from([True, True, False]),
        st.booleans(),
    )
    standings = sorted(draw(st.lists(standing, min_size=1, max_size=4)), key=lambda s: s.start)
    return end, slots, standings


def scaled(fit: Fit, unit: int, shift: int) -> Fit:
    return Fit(tuple((shift + unit * b, shift + unit * e) for b, e in fit.tiles), fit.owner, fit.surplus)


def tilings(begin: int, end: int, tiles: set[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    if begin == end:
        yield []
    for tile in sorted(tiles):
        if tile[0] == begin and tile[1] <= end:
            for rest in tilings(tile[1], end, tiles):
                yield [tile, *rest]


def chains(slots: set[tuple[int, int]], lengths: set[int]) -> set[tuple[int, int]]:
    every = set(slots)
    while longer := {(a, d) for a, b in every for c, d in slots if b == c} - every:
        every |= longer
    return {(a, b) for a, b in every if b - a in lengths}


def assignments(tiles: int, standings: int) -> Iterator[list[int | None]]:
    for used in range(min(tiles, standings) + 1):
        for places in combinations(range(tiles), used):
            for who in permutations(range(standings), used):
                owner: list[int | None] = [None] * tiles
                for place, index in zip(places, who, strict=True):
                    owner[place] = index
                yield owner


def book(standings: list[Standing]) -> dict[object, tuple[int, int, str, str]]:
    """An EMR's book before the command: when, where and with which comment. The command wants target, 'new'."""
    return {
        index: (s.start, s.end, "target" if s.on_target else "elsewhere", "old" if s.dirty else "new")
        for index, s in enumerate(standings)
    }


def carried_out(tiles: list[tuple[int, int]], owner: list[int | None]) -> dict[object, tuple[int, int, str, str]]:
    return {
        ("created", place) if who is None else who: (*tile, "target", "new")
        for place, (tile, who) in enumerate(zip(tiles, owner, strict=True))
    }


def costs(standings: list[Standing], tiles: list[tuple[int, int]], owner: list[int | None]) -> tuple[int, ...]:
    """Criteria 1 to 5, counted in the books before and after."""
    before, after = book(standings), carried_out(tiles, owner)
    stayed = before.keys() & after.keys()
    return (
        len(before.keys() - after.keys()),
        len(after.keys() - before.keys()),
        sum(before[key][:3] != after[key][:3] for key in stayed),
        sum(before.get(key) != after.get(key) for key in before.keys() | after.keys()),
        -sum(before[key][1] - before[key][0] == after[key][1] - after[key][0] for key in stayed),
    )


def disorder(standings: list[Standing], tiles: list[tuple[int, int]], owner: list[int | None]) -> bool:
    """Of those that move, an earlier one follows a later one."""
    before, after = book(standings), carried_out(tiles, owner)
    moved = [who for who in owner if who is not None and before[who][:3] != after[who][:3]]
    return any(a > b for a, b in pairwise(moved))


def best_of_all(
    end: int, tiles: set[tuple[int, int]], standings: list[Standing], most: int
) -> tuple[tuple[int, ...], bool, tuple[int, ...]] | None:
    """The best costs; whether the moved ones need be in disorder for them; then the latest surplus."""
    best = None
    for tiling in tilings(0, end, tiles):
        if len(tiling) > most:
            continue
        for owner in assignments(len(tiling), len(standings)):
            surplus = sorted(set(range(len(standings))) - set(owner), reverse=True)
            cost = costs(standings, tiling, owner)
            if best is not None and cost > best[0]:
                continue
            found = (cost, disorder(standings, tiling, owner), tuple(-index for index in surplus))
            if best is None or found < best:
                best = found
    return best


def judged(standings: list[Standing], fit: Fit) -> tuple[tuple[int, ...], bool, tuple[int, ...]]:
    tiles, owner = list(fit.tiles), list(fit.owner)
    surplus = tuple(-index for index in reversed(fit.surplus))
    return costs(standings, tiles, owner), disorder(standings, tiles, owner), surplus


def assert_sound(end: int, tiles: set[tuple[int, int]], standings: list[Standing], fit: Fit) -> None:
    assert fit.tiles[0][0] == 0
    assert fit.tiles[-1][1] == end
    assert all(a[1] == b[0] for a, b in pairwise(fit.tiles))
    assert set(fit.tiles) <= tiles
    assert len(fit.owner) == len(fit.tiles)
    used = [who for who in fit.owner if who is not None]
    assert sorted([*used, *fit.surplus]) == list(range(len(standings)))
    assert list(fit.surplus) == sorted(fit.surplus)


@given(instances(), st.booleans(), st.sampled_from([2, 3, 100]))
@settings(max_examples=200, deadline=None)
def test_no_way_to_tile_slots_and_to_assign_is_better(instance, runs, most):
    end, slots, standings = instance
    legal = set(slots) | (chains(set(slots), {s.end - s.start for s in standings}) if runs else set())
    possible = list(tilings(0, end, legal))
    best = best_of_all(end, legal, standings, most)
    if best is None:
        with pytest.raises(TooMany if possible else NoTiling):
            fit_slots(0, end, slots, standings, runs=runs, max_tiles=most)
        return
    fit = fit_slots(0, end, slots, standings, runs=runs, max_tiles=most)
    assert_sound(end, legal, standings, fit)
    found = judged(standings, fit)
    assert found[0] == best[0]
    assert found[1] == best[1]
    if not best[1]:
        assert found[2] == best[2]


@given(instances(), st.integers(2, 5))
@settings(max_examples=100, deadline=None)
def test_no_way_to_tile_open_time_and_to_assign_is_better(instance, most):
    end, _, standings = instance
    lengths = {s.end - s.start for s in standings}
    legal = {(b, b + length) for b in range(end) for length in lengths}
    best = best_of_all(end, legal, standings, most)
    if best is None:
        unfilled = Ambiguous if len(lengths) > 1 else NoTiling
        with pytest.raises(TooMany if any(tilings(0, end, legal)) else unfilled):
            fit_windows(0, end, [(-1, end + 1)], standings, max_tiles=most)
        return
    fit = fit_windows(0, end, [(-1, end + 1)], standings, max_tiles=most)
    assert_sound(end, legal, standings, fit)
    found = judged(standings, fit)
    assert found[:2] == best[:2]
    if not best[1]:
        assert found[2] == best[2]


@given(instances())
@settings(deadline=None)
def test_without_time_to_search_it_is_still_as_good_in_all_that_is_written(instance):
    end, slots, standings = instance
    best = best_of_all(end, set(slots), standings, 100)
    if best is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assign, "MOST_TRIALS", 0)
        fit = fit_slots(0, end, slots, standings, runs=False, max_tiles=100)
    assert_sound(end, set(slots), standings, fit)
    assert costs(standings, list(fit.tiles), list(fit.owner))[:4] == best[0][:4]


def test_a_hundred_lengths_that_can_not_all_be_matched_are_still_laid_out():
    lengths = [60 * (5 + n * 37 % 101) for n in range(100)]
    begins = [sum(lengths[:n]) + n * 420 for n in range(100)]
    standings = [
        Standing(b, b + length, True, n % 2 == 0) for n, (b, length) in enumerate(zip(begins, lengths, strict=True))
    ]
    fit = fit_windows(0, sum(lengths), [(0, 10**6)], standings, max_tiles=100)
    assert_sound(sum(lengths), set(fit.tiles), standings, fit)
    assert None not in fit.owner
    assert not fit.surplus
    assert {e - b for b, e in fit.tiles} <= set(lengths)
    assert fit.owner[0] == 0


def is_reached(start: int, end: int, slots: list[tuple[int, int]]) -> bool:
    """From slot to slot, each beginning where the last ended."""
    return start == end or any(is_reached(e, end, slots) for b, e in slots if b == start and b < e <= end)


@given(instances(), st.booleans(), st.randoms(), st.sampled_from([1, 60, 1800]), st.integers(-5, 10**9))
@settings(deadline=None)
def test_neither_the_order_of_slots_nor_duplicates_nor_scale_nor_date_matter(instance, runs, dice, unit, shift):
    end, slots, standings = instance
    assume(is_reached(0, end, slots))
    shuffled = [(shift + unit * b, shift + unit * e) for b, e in [*slots, *slots]]
    dice.shuffle(shuffled)
    elsewhen = [Standing(shift + unit * s.start, shift + unit * s.end, s.on_target, s.dirty) for s in standings]
    fit = fit_slots(0, end, slots, standings, runs=runs, max_tiles=100)
    other = fit_slots(shift, shift + unit * end, shuffled, elsewhen, runs=runs, max_tiles=100)
    assert other == scaled(fit, unit, shift)
