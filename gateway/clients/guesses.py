"""Wrong credentials are answered ever more slowly to whoever goes on sending them, and to nobody else.

The pace is each source's own, never a client's: whoever guesses at a client's secret from elsewhere does not keep the
client out. And it is only for credentials that are not known to be right, so that they who know theirs never wait.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.clock import monotonic
from gateway.domain.errors import RateLimited

_SOURCES = 10_000
_WAITING = 256
_LONGEST_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How many guesses a source has at once, and in how many seconds it gets back one."""

    at_once: int
    every_s: float


GENERATED = Pace(at_once=100, every_s=0.1)
"""256 bits are guessed by nobody: this is against the noise."""
CHOSEN = Pace(at_once=20, every_s=2.0)
"""Where a person chose a secret, guessing could lead somewhere."""


class Guesses:
    """Who has guessed, and how often lately. It holds for one process: a restart forgives."""

    def __init__(
        self,
        pace: Pace,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pace, self._clock, self._sleep = pace, clock, sleep
        self._paid_until: OrderedDict[str, float] = OrderedDict()
        """By source, when all its guesses are forgiven, on the monotonic clock. Whoever is not here has made none."""
        self._waiting = 0

    def become(self, pace: Pace) -> None:
        """From now on. Who has guessed is not forgotten."""
        self._pace = pace

    async def turn(self, source: str) -> None:
        """Wait until `source` may guess. Raises RateLimited, at once, where that would take too long."""
        source, now = network(source), self._clock()
        paid_until = max(now, self._paid_until.get(source, now))
        wait = paid_until + self._pace.every_s - now - self._pace.at_once * self._pace.every_s
        if wait > _LONGEST_WAIT_S or (wait > 0 and self._waiting >= _WAITING):
            raise RateLimited("Too many wrong credentials came from there.", retry_after=max(1.0, wait))
        self._note(source, paid_until + self._pace.every_s)
        if wait > 0:
            await self._wait(wait)

    def forgive(self, source: str) -> None:
        """It was none: the credentials were right, and only not known yet."""
        source = network(source)
        if source in self._paid_until:
            self._paid_until[source] -= self._pace.every_s

    async def _wait(self, seconds: float) -> None:
        self._waiting += 1
        try:
            await self._sleep(seconds)
        finally:
            self._waiting -= 1

    def _note(self, source: str, paid_until: float) -> None:
        self._paid_until[source] = paid_until
        self._paid_until.move_to_end(source)
        while len(self._paid_until) > _SOURCES:
            self._paid_until.popitem(last=False)


def network(source: str) -> str:
    """Who has one address of IPv6 has the 2^64 beside it, too."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else source
