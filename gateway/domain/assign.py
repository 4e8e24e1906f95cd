"""Which of the best tilings, and which standing goes to which of its tiles.

All is in a lattice's units. What is decided before: how many tiles there are, and how many standings are kept. What is
decided here: own lengths, then chronological order, then that the surplus and the created ones are the latest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.lattice import Exact, Kept, Lattice, Layer, highest, kept_sets

MOST_TRIALS = 60_000
"""Tiles tried when standings of several lengths can't be placed in order; bounds the time (the search is NP-hard)."""

MOMENTS_PER_TRIAL = 20_000
"""On a lattice of so many moments a trial costs about twice as much as on a small one."""

Tile = tuple[int, int, int | None]
"""Start, length, and the standing that gets it (`None`: one to be created)."""
Layers = list[dict[int, Layer]]
Used = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pairing:
    tiles: tuple[Tile, ...]
    surplus: tuple[int, ...]
    own: int
    """How many standings are on a tile of their own length."""

    @property
    def rank(self) -> tuple[int, tuple[int, ...]]:
        return self.own, self.surplus[::-1]


@dataclass(frozen=True, slots=True)
class Movers:
    """The standings that are not kept, in chronological order, and how many tiles there are for them."""

    lattice: Lattice
    kept: Kept
    tiles: int
    ways: list[int]
    standings: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def spare(self) -> int:
        return len(self.standings) - self.tiles

    @property
    def most(self) -> int:
        """No way puts more of them on their own length: each length must be offered, and they must fill the time."""
        offered = [length for length, _ in self.lattice.tiles]
        fitting = sorted(length for length in self.lengths if length in offered)
        time = self.lattice.end - sum(leave - entry for entry, leave in self.lattice.doors)
        for most in range(min(self.tiles, len(fitting)), 0, -1):
            others = self.tiles - most
            shortest = sum(fitting[:most]) + others * offered[0]
            longest = sum(fitting[-most:]) + others * offered[-1]
            if shortest <= time <= longest:
                return most
        return 0

    def paired(self, moved: Sequence[Tile], own: int) -> Pairing:
        kept = [(exact.start, exact.end - exact.start, exact.standing) for exact in self.kept]
        owners = {owner for *_, owner in moved}
        surplus = tuple(standing for standing in self.standings if standing not in owners)
        tiles = sorted([*kept, *moved], key=lambda tile: tile[0])
        return Pairing(tuple(tiles), surplus, own + len(kept))


def pair(lattice: Lattice, count: int, lengths: Sequence[int], exacts: Sequence[Exact]) -> Pairing:
    """The best of all tilings by `count` tiles, of which there is at least one.

    `lengths` are the standings', in chronological order; `exacts` say which of them can be kept.
    Where no chronological order puts as many on their own length as possible, and the search for the most of them
    would exceed `MOST_TRIALS`, the best chronological order is taken: it is as good in everything that is
    decided before.
    """
    chances = [_movers(lattice, count, lengths, kept) for kept in kept_sets(lattice, count, exacts)]
    best = max((in_order(movers) for movers in chances), key=lambda pairing: pairing.rank)
    trials = MOST_TRIALS // len(chances) // (1 + lattice.end // MOMENTS_PER_TRIAL)
    for movers in chances:
        if movers.most + len(movers.kept) > best.own:
            best = by_length(movers, best.own, trials) or best
    return best


def _movers(lattice: Lattice, count: int, lengths: Sequence[int], kept: Kept) -> Movers:
    staying = {exact.standing for exact in kept}
    moving = tuple(index for index in range(len(lengths)) if index not in staying)
    pinned = lattice.pinned((exact.start, exact.end) for exact in kept)
    tiles = count - len(kept)
    return Movers(pinned, kept, tiles, pinned.countdown(tiles), moving, tuple(lengths[index] for index in moving))


# In order: at [tiles laid][standings passed][on their own length], the moments that are reached so.


def in_order(movers: Movers) -> Pairing:
    """Those that move in chronological order on chronological tiles, as many on their own length as that allows."""
    floor, misses = movers.most, 0
    while not (layers := _layers(movers, floor))[-1] and floor > 0:
        # Nearly always none or few miss their own length, and looking for few is fast.
        misses = 2 * misses + 1
        floor = movers.most - misses
    return _retrace(movers, layers)


def _layers(movers: Movers, floor: int) -> Layers:
    layers: Layers = [_pass_by(movers, 0, {0: {0: movers.lattice.origin}}, floor)]
    for laid in range(movers.tiles):
        layers.append(_pass_by(movers, laid + 1, _lay(movers, laid, layers[-1]), floor))
    return layers


def _lay(movers: Movers, laid: int, layer: dict[int, Layer]) -> dict[int, Layer]:
    reached: dict[int, Layer] = defaultdict(lambda: defaultdict(int))
    for passed, levels in layer.items():
        wants = movers.lengths[passed] if passed < len(movers.lengths) else 0
        may_create = laid - passed < -movers.spare
        for own, moments in levels.items():
            others, fitting = _spread(movers.lattice, moments, wants)
            if passed < len(movers.lengths):
                reached[passed + 1][own] |= others
                reached[passed + 1][own + 1] |= fitting
            if may_create:
                reached[passed][own] |= others | fitting
    return reached


def _spread(lattice: Lattice, moments: int, wants: int) -> tuple[int, int]:
    """Where one more tile leads: by a tile of another length than `wants`, and by one of just that length."""
    others = fitting = 0
    for length, starts in lattice.tiles:
        if hit := moments & starts:
            if length == wants:
                fitting = hit << length
            else:
                others |= hit << length
    return lattice.through(others), lattice.through(fitting)


def _pass_by(movers: Movers, laid: int, reached: dict[int, Layer], floor: int) -> dict[int, Layer]:
    """Only what is on the way to the end with `floor` on their own length, each moment at its best.

    Where there is a surplus, standings are passed by.
    """
    layer: dict[int, Layer] = {}
    created, surplus = max(0, -movers.spare), max(0, movers.spare)
    for passed in range(max(0, laid - created), min(len(movers.lengths), laid + surplus) + 1):
        levels: Layer = defaultdict(int, reached.get(passed, {}))
        if 0 < passed - laid <= movers.spare:
            for own, moments in layer.get(passed - 1, {}).items():
                levels[own] |= moments
        needed = floor - min(movers.tiles - laid, len(movers.lengths) - passed)
        best = highest({own: moments for own, moments in levels.items() if own >= needed}, movers.ways[laid])
        if best:
            layer[passed] = best
    return layer


def _retrace(movers: Movers, layers: Layers) -> Pairing:
    """From the end to the start: a surplus, and the created ones, as late as the best number of own lengths allows."""
    passed, moment = len(movers.lengths), movers.lattice.end
    most = own = next(iter(layers[-1][passed]))
    tiles: list[Tile] = []
    while len(tiles) < movers.tiles:
        laid = movers.tiles - len(tiles)
        if 0 < passed - laid <= movers.spare and layers[laid].get(passed - 1, {}).get(own, 0) >> moment & 1:
            passed -= 1
            continue
        tile, passed, own = _step_back(movers, layers[laid - 1], passed, own, moment)
        tiles.append(tile)
        moment = tile[0]
    return movers.paired(tiles, most)


def _step_back(movers: Movers, layer: dict[int, Layer], passed: int, own: int, at: int) -> tuple[Tile, int, int]:
    at = movers.lattice.rewind(at)
    chances = [(passed, None)] if movers.spare < 0 else []
    for was, owner in (*chances, (passed - 1, passed - 1)):
        for length, starts in movers.lattice.tiles:
            had = own - (owner is not None and movers.lengths[owner] == length)
            start = at - length
            if start >= 0 and starts >> start & 1 and layer.get(was, {}).get(had, 0) >> start & 1:
                return (start, length, None if owner is None else movers.standings[owner]), was, had
    raise AssertionError("a moment was reached from nowhere")


# By length: at [tiles laid][how many of each of the standings' lengths], the moments that are reached so.


def by_length(movers: Movers, floor: int, trials: int) -> Pairing | None:
    """More than `floor` standings on their own length, as many as can be; `None` if that can't be (or be found).

    Those of one length are in chronological order among themselves, and so are those on a foreign length.
    """
    room = Counter(movers.lengths)
    kinds = [length for length, _ in movers.lattice.tiles if length in room]
    layers = _count_lengths(movers, kinds, room, movers.tiles + len(movers.kept) - floor, trials)
    if not layers or not layers[-1]:
        return None
    most = max(sum(used) for used in layers[-1])
    fullest = [_owners(movers, kinds, used) for used in layers[-1] if sum(used) == most]
    return _deal(movers, layers, max(fullest, key=lambda owners: owners.surplus), room)


def _count_lengths(
    movers: Movers, kinds: Sequence[int], room: Counter[int], misses: int, trials: int
) -> list[dict[Used, int]]:
    """Fewer than `misses` tiles are not somebody's own length. Empty when `trials` do not suffice."""
    layers: list[dict[Used, int]] = [{(0,) * len(kinds): movers.lattice.origin}]
    for laid in range(1, movers.tiles + 1):
        reached: dict[Used, int] = defaultdict(int)
        for used, moments in layers[-1].items():
            trials -= len(movers.lattice.tiles)
            if trials < 0:
                return []
            for length, starts in movers.lattice.tiles:
                if hit := moments & starts:
                    reached[_use(used, length, kinds, room)] |= hit << length
        layers.append(
            {
                used: left
                for used, moments in reached.items()
                if laid - sum(used) < misses and (left := movers.lattice.through(moments) & movers.ways[laid])
            }
        )
    return layers


def _use(used: Used, length: int, kinds: Sequence[int], room: Counter[int]) -> Used:
    if length not in room:
        return used
    at = kinds.index(length)
    return used if used[at] == room[length] else (*used[:at], used[at] + 1, *used[at + 1 :])


@dataclass(frozen=True, slots=True)
class Owners:
    """Who gets a tile, each list in chronological order; those to be created come after the last standing."""

    own: dict[int, list[int]]
    """By length, who gets a tile of his own length."""
    foreign: list[int]
    surplus: tuple[int, ...]
    """The latest first."""


def _owners(movers: Movers, kinds: Sequence[int], used: Used) -> Owners:
    own = {
        length: [index for index, its in enumerate(movers.lengths) if its == length][:count]
        for length, count in zip(kinds, used, strict=True)
    }
    matched = {index for indices in own.values() for index in indices}
    others = [index for index in range(len(movers.lengths)) if index not in matched]
    staying = len(others) - max(0, movers.spare)
    created = [len(movers.lengths)] * max(0, -movers.spare)
    return Owners(own, others[:staying] + created, tuple(reversed(others[staying:])))


def _deal(movers: Movers, layers: list[dict[Used, int]], owners: Owners, room: Counter[int]) -> Pairing:
    """From the end to the start, each tile to the latest standing that can have it."""
    tiles: list[Tile] = []
    moment, matched = movers.lattice.end, sum(len(pool) for pool in owners.own.values())
    for layer in reversed(layers[:-1]):
        moment = movers.lattice.rewind(moment)
        for owner, length, starts, pool in _chances(movers.lattice, owners, room):
            start = moment - length
            pool.pop()
            before = layer.get(tuple(len(pool) for pool in owners.own.values()), 0)
            if start >= 0 and before & starts & 1 << start:
                break
            pool.append(owner)
        tiles.append((start, length, movers.standings[owner] if owner < len(movers.standings) else None))
        moment = start
    return movers.paired(tiles, matched)


def _chances(lattice: Lattice, owners: Owners, room: Counter[int]) -> list[tuple[int, int, int, list[int]]]:
    """Owner, length and starts of a tile that may be the last one, the latest owner first; and his list."""
    chances = []
    for length, starts in lattice.tiles:
        pool = owners.own.get(length, [])
        if pool:
            chances.append((pool[-1], length, starts, pool))
        if owners.foreign and len(pool) == room[length]:
            chances.append((owners.foreign[-1], length, starts, owners.foreign))
    return sorted(chances, key=lambda chance: (-chance[0], chance[1]))
