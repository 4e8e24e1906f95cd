"""Who was not let in, for the audit: counted, and told in one entry for each stretch of time.

The stretches grow while it goes on, so that whoever sends wrong credentials for years fills no disk with it. Every
refusal has a line of its own in the log; that is whose business it is to forget them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from gateway import clock
from gateway.audit import Event, Fact, Recorder
from gateway.clients.guesses import network
from gateway.ledger import LedgerDown

log = logging.getLogger("gateway.audit")

SHORTEST_S = 60.0
LONGEST_S = 3600.0
_NAMED = 20
"""So many clients and networks are named in an entry."""


@dataclass(slots=True)
class _Stretch:
    since: datetime
    refused: int = 0
    throttled: int = 0
    unknown: int = 0
    clients: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)

    def event(self) -> Event:
        facts: dict[str, Fact] = {
            "since": self.since.isoformat(),
            "refused": self.refused,
            "throttled": self.throttled,
            "unknown_client": self.unknown,
            "clients": sorted(self.clients),
            "networks": sorted(self.networks),
        }
        return Event(kind="authentication.refused", facts=facts)


class Refusals:
    """`now`: the time, in UTC."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        now: Callable[[], datetime] = clock.now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._recorder, self._now, self._sleep = recorder, now, sleep
        self._stretch: _Stretch | None = None

    def noted(self, client_id: str | None, source: str, *, throttled: bool) -> None:
        """`client_id`: `None` where there is no such client, whose name could be anything. `throttled`: the
        credentials were not looked at."""
        stretch = self._stretch = self._stretch or _Stretch(self._now())
        stretch.refused += not throttled
        stretch.throttled += throttled
        stretch.unknown += client_id is None
        if client_id is not None and len(stretch.clients) < _NAMED:
            stretch.clients.add(client_id)
        if source and len(stretch.networks) < _NAMED:
            stretch.networks.add(network(source))

    async def tell(self) -> bool:
        """Record what there is. → whether there was anything. Kept for the next time while the store is down."""
        stretch, self._stretch = self._stretch, None
        if stretch is None:
            return False
        try:
            await self._recorder.note(stretch.event(), self._now())
        except LedgerDown:
            log.warning("the store is down: %s refusals are not recorded yet", stretch.refused + stretch.throttled)
            self._stretch = _both(stretch, self._stretch)
        return True

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """From time to time while the block runs, and at its end."""
        task = asyncio.create_task(self._keep_telling())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self.tell()

    async def _keep_telling(self) -> None:
        wait = SHORTEST_S
        while True:
            await self._sleep(wait)
            wait = min(wait * 2, LONGEST_S) if await self.tell() else SHORTEST_S


def _both(earlier: _Stretch, later: _Stretch | None) -> _Stretch:
    if later is None:
        return earlier
    return _Stretch(
        since=earlier.since,
        refused=earlier.refused + later.refused,
        throttled=earlier.throttled + later.throttled,
        unknown=earlier.unknown + later.unknown,
        clients=set(sorted(earlier.clients | later.clients)[:_NAMED]),
        networks=set(sorted(earlier.networks | later.networks)[:_NAMED]),
    )
