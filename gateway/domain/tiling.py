"""The best way to fill a range of a resource's time with tiles, one appointment each, re-using what stands already.

Of all ways to tile and to assign, in this order: the fewest cancelled, created, moved, written; then the most re-used
standings on a tile of their own length; then those that move in chronological order on chronological tiles; then the
surplus taken from the latest standings, and the created ones on the latest tiles. The first four are always exact. The
rest is exact too, but for two bounds on the time it may take: `lattice.MOST_KEPT_SETS` and `assign.MOST_TRIALS`. Times
are POSIX seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd

from gateway.domain.assign import Pairing, pair
from gateway.domain.lattice import Exact, Lattice

Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """One of the command's appointments as it stands; given in chronological order."""

    start: int
    end: int
    on_target: bool
    """It is on the resource whose time is tiled; else it can't be kept in place."""
    dirty: bool
    """It needs a write even if it stays where it is (its comment changes)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The best tiling: chronological tiles that cover the range exactly, and what becomes of each standing."""

    tiles: tuple[Stretch, ...]
    owner: tuple[int | None, ...]
    """For each tile the standing that gets it, or `None`: an appointment is to be created."""
    surplus: tuple[int, ...]
    """The standings to be cancelled, ascending."""


class NoTiling(Exception):
    """Free time does not fill the range."""


class Ambiguous(Exception):
    """Open time covers the range, but no combination of the standings' different lengths fills it."""


class TooMany(Exception):
    """The range can be filled, but only by more tiles than are allowed."""


def fit_slots(
    start: int,
    end: int,
    slots: Sequence[Stretch],
    standings: Sequence[Standing],
    *,
    runs: bool,
    max_tiles: int,
) -> Fit:
    """Fill [start, end) with slots and, if `runs`, with runs of adjoining slots as long as one of the standings.

    `slots` include the time that the standings themselves hold. Raises NoTiling, TooMany.
    """
    usable = _usable(start, end, slots)
    if not usable:
        raise NoTiling
    unit = gcd(*(stop - begin for begin, stop in usable))
    offered: dict[int, list[int]] = defaultdict(list)
    for begin, stop in usable:
        offered[(stop - begin) // unit].append((begin - start) // unit)
    size = (end - start) // unit
    tiles = {length: _bits(starts, size) for length, starts in offered.items()}
    if runs:
        tiles |= _runs(tiles, {length for length in _lengths(standings, unit) if 0 < length <= size})
    return _fit(start, unit, Lattice(size, tuple(sorted(tiles.items()))), standings, max_tiles)


def fit_windows(
    start: int, end: int, windows: Sequence[Stretch], standings: Sequence[Standing], *, max_tiles: int
) -> Fit:
    """Fill [start, end) with tiles that are each as long as some standing, inside open time.

    `windows` include the time that the standings themselves hold. Raises NoTiling, Ambiguous, TooMany.
    """
    if end <= start or not covered(start, end, windows):
        raise NoTiling
    lengths = {standing.end - standing.start for standing in standings if standing.end > standing.start}
    unit = gcd(*lengths)
    size, odd = divmod(end - start, unit) if unit else (0, 0)
    sizes = sorted(length // unit for length in lengths)
    if odd or not sizes or not _composed(size, sizes):
        raise Ambiguous if len(lengths) > 1 else NoTiling
    tiles = tuple((length, (1 << (size - length + 1)) - 1) for length in sizes if length <= size)
    return _fit(start, unit, Lattice(size, tiles), standings, max_tiles)


def covered(start: int, end: int, windows: Iterable[Stretch]) -> bool:
    """Open windows, taken together where they adjoin or overlap, contain [start, end)."""
    reached = start
    for begin, stop in sorted(windows):
        if begin > reached:
            break
        reached = max(reached, stop)
    return reached >= end


def _fit(start: int, unit: int, lattice: Lattice, standings: Sequence[Standing], max_tiles: int) -> Fit:
    count = lattice.best_count(len(standings), max_tiles)
    if count is None:
        raise TooMany
    pairing = pair(lattice, count, _lengths(standings, unit), _exacts(start, unit, lattice, standings))
    return _in_seconds(start, unit, pairing)


def _in_seconds(start: int, unit: int, pairing: Pairing) -> Fit:
    return Fit(
        tuple((start + at * unit, start + (at + length) * unit) for at, length, _ in pairing.tiles),
        tuple(owner for *_, owner in pairing.tiles),
        pairing.surplus,
    )


def _lengths(standings: Sequence[Standing], unit: int) -> tuple[int, ...]:
    """In units; 0 for one that is no whole number of units, hence as long as no tile."""
    lengths = (standing.end - standing.start for standing in standings)
    return tuple(0 if length % unit else length // unit for length in lengths)


def _exacts(start: int, unit: int, lattice: Lattice, standings: Sequence[Standing]) -> list[Exact]:
    """Who lies exactly on a tile and may be kept there: where several lie, those that then need no write go first."""
    found: dict[Stretch, list[Exact]] = defaultdict(list)
    for index, standing in enumerate(standings):
        begin, odd = divmod(standing.start - start, unit)
        stop, uneven = divmod(standing.end - start, unit)
        if standing.on_target and not odd and not uneven and begin >= 0 and lattice.has(begin, stop):
            found[begin, stop].append(Exact(index, begin, stop, not standing.dirty))
    return [
        exact for those in found.values() for exact in those if exact.clean or not any(other.clean for other in those)
    ]


def _usable(start: int, end: int, slots: Iterable[Stretch]) -> list[Stretch]:
    """The slots that lie on some exact tiling of the range, once each, the latest first."""
    inside = sorted({slot for slot in slots if start <= slot[0] < slot[1] <= end})
    reached = {start}
    for begin, stop in inside:
        if begin in reached:
            reached.add(stop)
    leading, usable = {end}, []
    for begin, stop in reversed(inside):
        if begin in reached and stop in leading:
            leading.add(begin)
            usable.append((begin, stop))
    return usable


def _bits(positions: Iterable[int], size: int) -> int:
    # One integer from bytes: setting bits one by one would copy the whole range for each.
    buffer = bytearray(size // 8 + 1)
    for position in positions:
        buffer[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(buffer, "little")


def _runs(tiles: dict[int, int], wanted: set[int]) -> dict[int, int]:
    """For each wanted length the starts from where adjoining tiles add up to it."""
    chains: dict[int, int] = {0: -1}
    found: dict[int, int] = {}
    longest = max(tiles)
    for total in range(1, max(wanted, default=0) + 1):
        starts = 0
        for length, begins in tiles.items():
            starts |= begins & chains.get(total - length, 0) >> length
        if starts:
            chains[total] = starts
            if total in wanted:
                found[total] = starts
        chains.pop(total - longest, None)
    return found


def _composed(size: int, lengths: Sequence[int]) -> bool:
    """Some multiset of the lengths adds up to the size."""
    sums, limit = 1, (1 << (size + 1)) - 1
    for length in lengths:
        step = length
        while step <= size:
            sums |= sums << step & limit
            step *= 2
    return bool(sums >> size & 1)
