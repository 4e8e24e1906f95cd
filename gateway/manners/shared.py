"""How an EMR is called by all the accounts that it takes for one: at its pace, and not while it does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from gateway.clock import monotonic
from gateway.domain.capabilities import Capabilities
from gateway.manners.breaker import Breaker, Circuit
from gateway.manners.errand import Errand
from gateway.manners.pacing import Pace, TurnedAway
from gateway.port import Throttled
from gateway.vendor.flight import Flight

log = logging.getLogger("gateway.manners.shared")

Standing = Literal["reachable", "waiting", "unreachable"]
"""Called as usual; to be called later, by its own word; left alone, since it does not answer."""


class Manners:
    """`name` is for the log."""

    def __init__(
        self,
        can: Capabilities,
        *,
        name: str = "an EMR",
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.pace = Pace(can, clock=clock, sleep=sleep)
        self._breaker = Breaker(clock=clock, changed=self._turned)

    @property
    def standing(self) -> Standing:
        if self._breaker.circuit != "closed":
            return "unreachable"
        return "waiting" if self.pace.is_held else "reachable"

    async def enter(self, who: Errand, *, is_write: bool) -> Flight:
        """Wait for a turn. Raises TurnedAway."""
        self._breaker.refuse()
        began = await self.pace.enter(who)
        try:
            return Flight(is_write, began, self._breaker.admit())
        except TurnedAway:
            self.pace.leave(0)
            raise

    def leave(self, flight: Flight) -> None:
        """Learn from how it ended."""
        self.pace.leave(flight.requests)
        self._breaker.note(flight.answered, probe=flight.probe)
        told, error = flight.told, flight.error
        if told.window is not None:
            self.pace.hear(told.window.left or 0, told.window.resets_s)
        throttled = isinstance(error, Throttled) and not error.locked
        if throttled or told.later_s is not None:
            said = error.retry_after if isinstance(error, Throttled) else None
            self.pace.later(told.later_s if said is None else said, flight.began)
        elif flight.answered:
            self.pace.fine(flight.began)

    def _turned(self, circuit: Circuit) -> None:
        if circuit == "open":
            log.warning("%s does not answer, and is left alone for a while", self.name)
            self.pace.turn_all_away(self._breaker.refusal)
        else:
            log.info("%s answers again", self.name)
