"""All cases of one scenario on one EMR: which boundaries there are is found out by a run that nothing interrupts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from tests.faults.book import Wrong
from tests.faults.scenarios import PERSONALITIES, SCENARIOS, Scenario
from tests.faults.trial import Place, Trial

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
    def __init__(
        self,
        sandbox: tuple[Path, str, date],
        http: httpx.AsyncClient,
        scenario: Scenario,
        personality: str,
        planted: str | None = None,
    ) -> None:
        folder, base, today = sandbox
        self._place = Place(base=base, folder=folder, today=today, personality=personality, http=http)
        self._scenario, self._planted = scenario, planted
        self._name = f"{scenario.name}, {personality}"
        self._slots = asyncio.Semaphore(AT_ONCE)
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

    async def _boundaries(self) -> int:
        """How many a sound gateway comes to; and what it leaves, which is what the others are held against."""
        straight = Trial(self._place, _clinic(), self._scenario)
        await straight.run()
        self._reference = straight.record
        return straight.boundaries

    async def _recoveries(self, n: int, bound: int | None) -> None:
        """The m-th boundary of a recovery is there as long as one dies at it."""
        step = 1 if bound is None else 7
        for m in count(1 + n % step, step):
            if not await self._case(n, m):
                return

    async def _case(self, *deaths: int) -> bool:
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
            )
            try:
                await trial.run()
            except Wrong as wrong:
                self.tally[wrong.kind] += 1
                self.wrong.append(f"{self._name}, killed at {deaths} {trial.lives.died_at}: {wrong}"[:2000])
            self.tally.update("reported" if end == "needs_attention" else end for end in trial.ends[:1])
            died = len(trial.lives.died_at) == len(deaths)
            self.tally["killed" if died else "not reached"] += 1
            return died

    @property
    def _offset(self) -> int:
        """So that bounded runs of neighbours don't all take the same boundaries; the same in every run."""
        return list(SCENARIOS).index(self._scenario.name) * len(PERSONALITIES) + PERSONALITIES.index(
            self._place.personality
        )


def spread(points: Iterable[int], bound: int | None, offset: int) -> list[int]:
    """At most `bound` of them, evenly; the step is odd, so that every other one is an even number."""
    every = list(points)
    if bound is None or len(every) <= bound:
        return every
    step = -(-len(every) // bound) | 1
    return every[offset % step :: step]
