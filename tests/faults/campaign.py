"""All cases of one scenario on one EMR: which boundaries there are is found out by a run that nothing interrupts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, TypeVar

from tests.faults.book import Wrong
from tests.faults.lies import LIES, Lie
from tests.faults.sandbox import PERSONALITIES
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.trial import Place, Trial
from tests.faults.vendor import VENDORS

T = TypeVar("T")

AT_ONCE = 8
"""How many cases run side by side: most of the time of most of them is patience."""
SPREAD = 4
"""Of the boundaries after which a recovery is killed, too, every so many-th is taken, and every one of the recovery."""

FIGURES = "faults"
"""The name under which a test hands its figures on."""

_numbers = count()


def _clinic() -> str:
    """One that nobody has been to."""
    return f"c{next(_numbers)}"


class Campaign:
    def __init__(self, place: Place, scenario: Scenario, planted: str | None = None) -> None:
        self._place, self._scenario, self._planted = place, scenario, planted
        self._name = f"{scenario.name}, {place.emr.name}"
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._writes: int | None = None
        self.tally: Counter[str] = Counter()
        self.wrong: list[str] = []

    def tell(self, record_property: Callable[[str, Any], None]) -> None:
        record_property(FIGURES, json.dumps([self._name, self.tally]))

    async def once(self, bound: int | None) -> None:
        """Killed at each boundary, or at `bound` of them."""
        points = await self._boundaries()
        await asyncio.gather(*(self._case(n) for n in spread(range(1, points + 1), bound, self._offset)))

    async def twice(self, bound: int | None) -> None:
        """Killed at a spread of boundaries, and each time again at every boundary of the recovery."""
        self._name += ", and its recovery"
        points = await self._boundaries()
        some = range(1 + self._offset % SPREAD, points + 1, SPREAD)
        await asyncio.gather(*(self._recoveries(n, bound) for n in spread(some, bound and max(1, bound // 2), 0)))

    async def lied_to(self, bound: int | None) -> None:
        """Of each write the answer is lost in every way, though the EMR carries it out; or of `bound` of these."""
        if self._writes is None:
            await self._boundaries()
        every = [Lie(kind, n) for n in range(1, (self._writes or 0) + 1) for kind in LIES]
        await asyncio.gather(*(self._case(lie=lie) for lie in spread(every, bound, self._offset)))

    async def _boundaries(self) -> int:
        """How many a sound gateway comes to; and what it writes and leaves, which the others are held against."""
        straight = Trial(self._place, _clinic(), self._scenario)
        await straight.run()
        self._reference, self._writes = straight.record, straight.writes
        return straight.boundaries

    async def _recoveries(self, n: int, bound: int | None) -> None:
        """The m-th boundary of a recovery is there as long as one dies at it."""
        step = 1 if bound is None else 7
        for m in count(1 + n % step, step):
            if not await self._case(n, m):
                return

    async def _case(self, *deaths: int, lie: Lie | None = None) -> bool:
        """→ whether the gateway died as often as it was to."""
        async with self._slots:
            trial = Trial(
                self._place,
                _clinic(),
                self._scenario,
                self._reference,
                deaths=deaths,
                eager=sum(deaths) % 2 == 1,
                planted=self._planted,
                lie=lie,
            )
            try:
                await trial.run()
            except Wrong as wrong:
                self.tally[wrong.kind] += 1
                how = f"killed at {deaths} {trial.lives.died_at}" if lie is None else str(lie)
                self.wrong.append(f"{self._name}, {how}: {wrong}"[:2000])
            return self._count(trial, len(deaths), lie)

    def _count(self, trial: Trial, deaths: int, lie: Lie | None) -> bool:
        self.tally.update("reported" if end == "needs_attention" else end for end in trial.ends[:1])
        self.tally["let in anew"] += max(0, trial.consent.given - 1)
        died = len(trial.lives.died_at) == deaths
        self.tally["lied to" if lie is not None else "killed" if died else "not reached"] += 1
        return died

    @property
    def _offset(self) -> int:
        """So that bounded runs of neighbours don't all take the same boundaries; the same in every run."""
        of = VENDORS if self._place.emr.name in VENDORS else PERSONALITIES
        return list(SCENARIOS).index(self._scenario.name) * len(of) + of.index(self._place.emr.name)


def spread(points: Iterable[T], bound: int | None, offset: int) -> list[T]:
    """At most `bound` of them, evenly; the step is odd, so that every other one is an even number."""
    every = list(points)
    if bound is None or len(every) <= bound:
        return every
    step = -(-len(every) // bound) | 1
    return every[offset % step :: step]
