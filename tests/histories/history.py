"""One seeded run from beginning to end, and all that is known of it afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from tests.e2e.conftest import PERSONALITIES
from tests.histories import virtual
from tests.histories.clinic import DESK
from tests.histories.script import callers
from tests.histories.virtual import BASE
from tests.histories.wire import KINDS, Call, Weather
from tests.histories.world import Told, World


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the EMR's journal."""

    number: int
    at: float
    """In seconds of the run."""
    hand: int | None
    """The request for which the gateway wrote it; `None`: the staff did."""
    ref: str
    was: dict[str, Any] | None
    now: dict[str, Any] | None


@dataclass(kw_only=True)
class History:
    seed: int
    personality: str
    told: list[Told]
    calls: list[Call]
    journal: list[Entry]
    commands: dict[int, dict[str, Any]]
    bookings: list[dict[str, Any]]
    slots: dict[str, str]
    settled: bool
    deaths: int
    founded: int
    """The number of the journal's last entry before the first request."""
    faults: Counter[str] = field(default_factory=Counter)
    again: list[tuple[Told, Told]] = field(default_factory=list)
    """Requests with a key, each with its repetition after everything was over."""

    def digest(self) -> str:
        """Tells two runs apart that went differently in anything."""
        told = [(t.tag, t.sent, t.answered, t.status) for t in self.told]
        return repr((told, [(e.at, e.hand, e.ref, e.now) for e in self.journal]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a run is like; what is left open is drawn from its seed."""

    personality: str | None = None
    weather: Weather | None = None
    mischief: float | None = None
    deaths: int | None = None
    trouble: float | None = None
    without: Collection[int] = ()
    """Numbers of requests that are left out."""

    def drawn(self, seed: int) -> Setting:
        dice = Random(f"{seed}/setting")
        drawn = Setting(
            personality=PERSONALITIES[seed % len(PERSONALITIES)],
            weather=Weather(dice.choice((0.0, 0.0, 0.05, 0.1, 0.2)), KINDS),
            mischief=dice.choice((0.0, 0.1, 0.2, 0.4)),
            deaths=dice.choice((0, 0, 0, 1, 1, 2)),
            trouble=dice.choice((0.0, 0.15, 0.4)),
        )
        given = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        return replace(drawn, **given)


def run(seed: int, setting: Setting | None = None) -> History:
    """The run of that seed: the same one every time."""
    with TemporaryDirectory(dir=_quick()) as folder:
        return virtual.run(_drawn(seed, (setting or Setting()).drawn(seed), Path(folder)), seed)


def _quick() -> str | None:
    """A disk without a disk, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


Play = Callable[[World, list[str]], Awaitable[Any]]
"""What happens in a run, given the references of the clinic's first bookings."""


def directed(
    play: Play, personality: str, *, seed: int = 0, weather: Weather | None = None, deaths: Sequence[int] = ()
) -> History:
    """A run in which just this happens. `deaths`: at which boundaries of each life the gateway dies."""
    with TemporaryDirectory(dir=_quick()) as folder:
        world = partial(World, Path(folder), seed, personality, weather=weather or Weather(), deaths=list(deaths))
        return virtual.run(_lived(lambda: world(mischief=0.0), play), seed)


async def _drawn(seed: int, setting: Setting, folder: Path) -> History:
    assert setting.personality is not None
    assert setting.weather is not None
    dice = Random(f"{seed}/deaths")
    # A run has some hundred boundaries; the gateway dies at any of them.
    deaths = [dice.randint(20, 500) for _ in range(setting.deaths or 0)]
    mischief = setting.mischief or 0.0

    async def play(world: World, refs: list[str]) -> None:
        at_desk = asyncio.create_task(_at_desk(world, seed)) if mischief else None
        own = callers(world, seed, refs, trouble=setting.trouble or 0.0, without=setting.without)
        await asyncio.gather(*(caller.works() for caller in own))
        if at_desk is not None:
            at_desk.cancel()

    made = partial(World, folder, seed, setting.personality, weather=setting.weather, mischief=mischief, deaths=deaths)
    return await _lived(made, play)


async def _lived(made: Callable[[], World], play: Play) -> History:
    world = made()
    refs = await world.clinic.found()
    founded = len(await world.clinic.journal())
    living = asyncio.create_task(world.live())
    playing = asyncio.create_task(_played(world, play(world, refs)))
    # A gateway that can't be started ends the run, which would wait for ever.
    await asyncio.wait({living, playing}, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        living.result()
    return await _told(world, founded, settled=playing.result())


async def _played(world: World, play: Awaitable[Any]) -> bool:
    """→ whether all that was begun came to its end."""
    await play
    world.clinic.mischief = 0.0
    settled = await world.settled()
    # What no command waits for any more may still be on its way.
    await asyncio.sleep(30.0)
    world.weather = Weather()
    world.lives_on()
    return settled


async def _at_desk(world: World, seed: int) -> None:
    """The staff at its own pace."""
    dice = Random(f"{seed}/desk")
    while True:
        await asyncio.sleep(dice.uniform(0.3, 2.0))
        await world.clinic.acts(dice, [])


async def _told(world: World, founded: int, *, settled: bool) -> History:
    commands = await world.commands()
    again = await _repeated(world)
    return History(
        seed=world.seed,
        personality=world.clinic.personality,
        told=world.told,
        calls=world.log.calls,
        journal=[_entry(row) for row in await world.clinic.journal()],
        commands=commands,
        bookings=await world.clinic.bookings(),
        slots=await world.clinic.slots(),
        settled=settled,
        deaths=world.deaths,
        founded=founded,
        faults=Counter(call.fault for call in world.log.calls if call.fault is not None),
        again=again,
    )


async def _repeated(world: World) -> list[tuple[Told, Told]]:
    """Every request with a key that is still remembered, once more."""
    kept, pairs = world.remembered(), []
    for n, told in enumerate([told for told in world.told if told.tag in kept]):
        again = await world.asks(10**6 + n, told.client, told.method, told.path, told.body, **told.headers)
        world.told.remove(again)
        pairs.append((told, again))
    return pairs


def _entry(row: dict[str, Any]) -> Entry:
    at = (datetime.fromisoformat(row["at"]) - BASE).total_seconds()
    hand = None if row["hand"] == DESK else int(row["hand"])
    return Entry(row["number"], at, hand, row["ref"], row["was"], row["now"])
