"""A range of time as bits: bit p of an integer is the moment p units after the range's start.

A whole set of moments is one integer, so that one shift lays a tile at all of them at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MOST_KEPT_SETS = 16
"""Equally good sets of kept standings that are looked into; more than one is rare, more than a few a curiosity."""

Kept = tuple["Exact", ...]
Layer = dict[int, int]
Suffixes = dict[tuple[int, tuple[int, ...]], int]


@dataclass(frozen=True, slots=True, order=True)
class Exact:
    """A tile, from position to position, on which a standing already lies; `clean`: it needs no write there."""

    standing: int
    start: int
    end: int
    clean: bool


@dataclass(frozen=True, slots=True)
class Lattice:
    """Where tiles may begin: `tiles` are (length, starts), lengths ascending, starts as bits; nothing passes `end`.

    `doors` are stretches, in order, that are given away already: who comes to the start of one goes on from its end.
    """

    end: int
    tiles: tuple[tuple[int, int], ...]
    doors: tuple[tuple[int, int], ...] = ()
    entries: int = 0
    exits: int = 0

    @property
    def origin(self) -> int:
        """The moment where the first tile begins."""
        return self.through(1)

    def has(self, start: int, end: int) -> bool:
        return any(length == end - start and starts >> start & 1 for length, starts in self.tiles)

    def ahead(self, moments: int) -> int:
        """Where one more tile leads from any of these moments."""
        reached = 0
        for length, starts in self.tiles:
            if hit := moments & starts:
                reached |= hit << length
        return self.through(reached)

    def behind(self, moments: int) -> int:
        """From where one tile leads to any of these moments."""
        if moments & self.exits:
            for entry, leave in reversed(self.doors):
                moments |= (moments >> leave & 1) << entry
        left = 0
        for length, starts in self.tiles:
            left |= moments >> length & starts
        return left

    def through(self, moments: int) -> int:
        """The same moments, but behind the doors that they stand at."""
        if moments & self.entries:
            for entry, leave in self.doors:
                if moments >> entry & 1:
                    moments ^= 1 << entry
                    moments |= 1 << leave
        return moments

    def rewind(self, moment: int) -> int:
        """The moment where the last tile really ended, before the doors."""
        for entry, leave in reversed(self.doors):
            moment = entry if leave == moment else moment
        return moment

    def pinned(self, spans: Iterable[tuple[int, int]]) -> Lattice:
        """The lattice that is left when these stretches are given away."""
        doors = tuple(sorted(spans))
        tiles = tuple((length, _clear(starts, length, doors)) for length, starts in self.tiles)
        return Lattice(
            self.end,
            tuple(tile for tile in tiles if tile[1]),
            doors,
            sum(1 << entry for entry, _ in doors),
            sum(1 << leave for _, leave in doors),
        )

    def countdown(self, count: int) -> list[int]:
        """At [c] the moments from which exactly `count - c` tiles lead to the end."""
        ways = [1 << self.end]
        for _ in range(count):
            ways.append(self.behind(ways[-1]))
        return ways[::-1]

    def best_count(self, wanted: int, most: int) -> int | None:
        """The smallest number of tiles from `wanted` to `most` that fills the range, else the largest below."""
        moments, below = self.origin, None
        for count in range(1, most + 1):
            moments = self.ahead(moments)
            if moments >> self.end & 1:
                if count >= wanted:
                    return count
                below = count
        return below


def _clear(starts: int, length: int, doors: Iterable[tuple[int, int]]) -> int:
    for entry, leave in doors:
        first = max(0, entry - length + 1)
        starts &= ~(((1 << (leave - first)) - 1) << first)
    return starts


def ones(bits: int) -> Iterator[int]:
    """The positions of the set bits, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def kept_sets(lattice: Lattice, count: int, exacts: Sequence[Exact]) -> list[Kept]:
    """All sets of standings that stay where they are in the tilings by `count` tiles that keep the most of them.

    Of equally many the ones with most clean; at most `MOST_KEPT_SETS`, in order of the standings.
    """
    if not exacts:
        return [()]
    weight = {exact: len(exacts) + 1 + exact.clean for exact in exacts}
    layers = _weigh(lattice, lattice.countdown(count), weight)
    suffixes: Suffixes = {(max(layers[-1]), ()): 1 << lattice.end}
    for layer in reversed(layers[:-1]):
        suffixes = _lengthen(lattice, layer, suffixes, weight)
    of = {exact.standing: exact for exact in exacts}
    return [tuple(of[standing] for standing in kept) for kept in sorted(kept for _, kept in suffixes)]


def _weigh(lattice: Lattice, ways: Sequence[int], weight: dict[Exact, int]) -> list[Layer]:
    """At [c], by weight, the moments on the way to the end that c tiles reach with that weight at best."""
    starts = 0
    at: dict[int, list[Exact]] = defaultdict(list)
    for exact in weight:
        starts |= 1 << exact.start
        at[exact.start].append(exact)
    layers: list[Layer] = [{0: 1}]
    for way in ways[1:]:
        reached: Layer = defaultdict(int)
        for value, moments in layers[-1].items():
            reached[value] |= lattice.ahead(moments)
            for exact in (exact for moment in ones(moments & starts) for exact in at[moment]):
                reached[value + weight[exact]] |= 1 << exact.end
        layers.append(highest(reached, way))
    return layers


def highest(reached: Layer, way: int) -> Layer:
    """Each moment of `way` at its highest value only."""
    best: Layer = {}
    for value in sorted(reached, reverse=True):
        if moments := reached[value] & way:
            best[value] = moments
            way ^= moments
    return best


def _lengthen(lattice: Lattice, layer: Layer, suffixes: Suffixes, weight: dict[Exact, int]) -> Suffixes:
    """One tile further back: every suffix on a way of greatest weight, with the standings that it keeps."""
    longer: Suffixes = defaultdict(int)
    for (value, kept), moments in suffixes.items():
        if left := lattice.behind(moments) & layer.get(value, 0):
            longer[value, kept] |= left
        for exact, heavy in weight.items():
            if moments >> exact.end & 1 and layer.get(value - heavy, 0) >> exact.start & 1:
                longer[value - heavy, (exact.standing, *kept)] |= 1 << exact.start
    return dict(sorted(longer.items(), key=lambda item: item[0][1])[:MOST_KEPT_SETS])
