"""How long the tiling of a continuous reschedule takes, best of a few rounds, in milliseconds.

python -m bench.tiling [rounds]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from time import perf_counter

from gateway.domain.tiling import Ambiguous, Fit, NoTiling, Standing, TooMany, fit_slots, fit_windows

MINUTE = 60
DAY = 24 * 60 * MINUTE
MONTH = 31 * DAY
Case = tuple[str, Callable[[], Fit]]


def grid(begin: int, end: int, step: int, *lengths: int) -> list[tuple[int, int]]:
    """A slot of each length (in minutes) every `step` minutes."""
    starts = range(begin, end, step * MINUTE)
    return [(at, at + length * MINUTE) for at in starts for length in lengths if at + length * MINUTE <= end]


def standings(count: int, begin: int, *lengths: int, dirty: bool = False, gap: int = 0) -> list[Standing]:
    """One after the other, the lengths (in minutes) in turn; every other one needs a write if `dirty`."""
    found = []
    for index in range(count):
        end = begin + lengths[index % len(lengths)] * MINUTE
        found.append(Standing(begin, end, on_target=True, dirty=dirty and index % 2 == 0))
        begin = end + gap * MINUTE
    return found


def on_slots(end: int, slots: list[tuple[int, int]], those: list[Standing]) -> Callable[[], Fit]:
    return lambda: fit_slots(0, end, slots, those, runs=True, max_tiles=100)


def in_window(end: int, those: list[Standing]) -> Callable[[], Fit]:
    return lambda: fit_windows(0, end, [(0, end)], those, max_tiles=100)


def grids() -> Iterator[Case]:
    half_hours = grid(0, 10_000 * 30 * MINUTE, 30, 30)
    fifty = 100 * 30 * MINUTE
    yield "slot grid: all move", on_slots(fifty, half_hours, standings(100, fifty, 30))
    yield "slot grid: all stay", on_slots(fifty, half_hours, standings(100, 0, 30))
    yield "slot grid: half stay, half dirty", on_slots(fifty, half_hours, standings(100, fifty // 2, 30, dirty=True))
    yield "slot grid: 50 created", on_slots(fifty, half_hours, standings(50, fifty, 30))
    yield "slot grid: 50 cancelled", on_slots(fifty // 2, half_hours, standings(100, fifty, 30))
    yield "slot grid: too many tiles", on_slots(MONTH, half_hours, standings(100, 0, 30))
    for lengths in ((30, 60), (30, 60, 90)):
        total = sum(lengths[index % len(lengths)] for index in range(100)) * MINUTE
        yield f"slot grid: runs of {lengths}", on_slots(total, half_hours, standings(100, total, *lengths))
        yield f"slot grid: runs of {lengths}, kept", on_slots(total, half_hours, standings(100, 0, *lengths))
        short = total - 10 * 30 * MINUTE
        yield f"slot grid: runs of {lengths}, short", on_slots(short, half_hours, standings(100, total, *lengths))


def dense() -> Iterator[Case]:
    overlapping = grid(0, 3334 * 5 * MINUTE, 5, 30, 45, 60)
    for lengths in ((45,), (30, 60), (30, 45, 60)):
        total = sum(lengths[index % len(lengths)] for index in range(100)) * MINUTE
        name = f"dense slots, standings of {lengths}: "
        yield name + "all move", on_slots(total, overlapping, standings(100, MONTH, *lengths))
        yield name + "all stay", on_slots(total, overlapping, standings(100, 0, *lengths))
        yield name + "gaps", on_slots(total, overlapping, standings(100, 0, *lengths, gap=5, dirty=True))
        yield name + "shorter", on_slots(total - 300 * MINUTE, overlapping, standings(100, 50, *lengths))
        yield name + "longer", on_slots(total + 295 * MINUTE, overlapping, standings(100, 35, *lengths))
        yield name + "50", on_slots(total, overlapping, standings(50, 35 * MINUTE, *lengths))
    many = grid(0, 834 * 5 * MINUTE, 5, *range(20, 80, 5))
    total = 60 * 60 * MINUTE
    yield "12 lengths at each start", on_slots(total, many, standings(100, 0, 35, 40, gap=5, dirty=True))
    yield "12 lengths at each start, 12 of them", on_slots(total, many, standings(100, 0, *range(20, 80, 5), gap=5))


def worst() -> Iterator[Case]:
    fine = grid(0, MONTH, 5, 5)
    lengths = [5 * n for n in range(1, 101)]
    total = sum(lengths) * MINUTE
    yield "100 lengths of runs, 31 days: move", on_slots(total, fine, standings(100, MONTH, *lengths))
    yield "100 lengths of runs, 31 days: stay", on_slots(total, fine, standings(100, 0, *lengths))
    yield "100 lengths of runs, 31 days: gaps", on_slots(total, fine, standings(100, 0, *lengths, gap=5, dirty=True))
    yield "100 lengths of runs: shifted", on_slots(total, fine, standings(100, 45 * MINUTE, *lengths, dirty=True))
    minutes = grid(0, 10_000 * MINUTE, 1, 1)
    yield (
        "100 lengths of runs, 1-minute slots",
        on_slots(9_999 * MINUTE, minutes, standings(100, 0, *range(51, 151), gap=1, dirty=True)),
    )
    odd = standings(100, 0, *range(60, 160), gap=7, dirty=True)
    yield "window: 100 lengths in minutes", in_window(10_000 * MINUTE, odd)
    yield "window: 31 days, lengths of 445 to 448 minutes", in_window(MONTH, standings(100, 0, 445, 446, 448, gap=7))
    odder = [Standing(at, at + 26_783 + at % 3, on_target=True, dirty=False) for at in range(0, 2_700_000, 27_001)]
    yield "window: 31 days, lengths in seconds", in_window(MONTH, odder)
    irregular = [(at * MINUTE, (at + 20 + at * 7919 % 97) * MINUTE) for at in range(10_000)]
    yield "10,000 irregular slots", on_slots(5000 * MINUTE, irregular, standings(100, 0, 30, 45, gap=3))


def took(case: Callable[[], Fit], rounds: int) -> tuple[float, str]:
    best, what = float("inf"), ""
    for _ in range(rounds):
        began = perf_counter()
        try:
            fit = case()
            what = f"{len(fit.tiles)} tiles, {fit.owner.count(None)} created, {len(fit.surplus)} cancelled"
        except (NoTiling, Ambiguous, TooMany) as refusal:
            what = type(refusal).__name__
        best = min(best, perf_counter() - began)
    return best * 1000, what


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for cases in (grids, dense, worst):
        for name, case in cases():
            elapsed, what = took(case, rounds)
            print(f"{elapsed:9.1f} ms  {name:<58} {what}")


if __name__ == "__main__":
    main()
