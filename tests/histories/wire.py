"""The network between the gateway and the EMR, with its weather; it remembers every call."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from gateway.testing.faults import FAULTS as BROKEN
from tests.histories.virtual import TAG, Life, seconds

KINDS = ("before", "after", "late", "unavailable", "overloaded", "senseless")
"""A timeout of what never arrived; of what was carried out; of what is carried out later; a refused connection or
503; 429; carried out, and answered with what makes no sense."""
LATEST_S = 4.5
"""The sandbox plugin promises that no write comes through later than 5 s after it was sent."""
SENSELESS = tuple(fault for fault in BROKEN if fault.senseless and not fault.name.startswith("200, very long"))


@dataclass(frozen=True, slots=True)
class Weather:
    """How many of the calls are struck, and by what."""

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS

    def strikes(self, dice: Random) -> str | None:
        return dice.choice(self.kinds) if dice.random() < self.rate else None


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the gateway to the EMR, as it left."""

    tag: int
    nth: int
    method: str
    path: str
    body: Any
    at: float
    fault: str | None
    intents: frozenset[str]
    """For a write: the commands of which the ledger said at that moment that something may be happening."""

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


@dataclass
class Log:
    calls: list[Call] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)

    def next_of(self, tag: int) -> int:
        self.counts[tag] += 1
        return self.counts[tag]


Staff = Callable[[Random, str], Awaitable[None]]
"""Somebody at the clinic, who may come just before or after a write (told by its address)."""


class Wire(httpx.AsyncBaseTransport):
    def __init__(
        self,
        emr: httpx.AsyncBaseTransport,
        *,
        seed: int,
        weather: Callable[[], Weather],
        life: Life,
        log: Log,
        ledger: Path,
        staff: Staff,
    ) -> None:
        self._emr, self._seed, self._weather = emr, seed, weather
        self._life, self._log, self._staff = life, log, staff
        self._ledger = sqlite3.connect(ledger)
        self._under_way: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        tag = TAG.get()
        nth = self._log.next_of(tag)
        # Of this very call, so that leaving out another request leaves its fate as it is.
        dice = Random(f"{self._seed}/{tag}/{nth}")
        await asyncio.sleep(dice.uniform(0.005, 0.15))
        await self._life.passes()
        request.headers["x-hand"] = f"{tag}"
        fault = self._weather().strikes(dice)
        self._remember(request, tag, nth, fault)
        answer = await self._delivered(request, fault, dice)
        await self._life.passes()
        return answer

    def _remember(self, request: httpx.Request, tag: int, nth: int, fault: str | None) -> None:
        body = json.loads(request.content) if request.content else dict(request.url.params)
        intents = self._intents() if request.method != "GET" else frozenset()
        call = Call(tag, nth, request.method, _what(request), body, seconds(), fault, intents)
        self._log.calls.append(call)

    def _intents(self) -> frozenset[str]:
        found = self._ledger.execute(
            "SELECT DISTINCT c.id FROM commands c JOIN steps s ON s.command = c.number"
            " WHERE s.state IN ('attempting', 'undoing')"
        )
        return frozenset(id for (id,) in found)

    async def _delivered(self, request: httpx.Request, fault: str | None, dice: Random) -> httpx.Response:
        match fault:
            case "before":
                await self._timed_out(request, dice)
            case "after":
                await self._carried_out(request, dice)
                await self._timed_out(request, dice)
            case "late":
                self._later(request, dice)
                await asyncio.sleep(0.1)
                raise httpx.ReadTimeout("too slow", request=request)
            case "unavailable":
                return _unavailable(request, dice)
            case "overloaded":
                wanted = {"retry-after": str(dice.choice((0, 1, 3, 30)))}
                return httpx.Response(429, headers=wanted, request=request)
            case "senseless":
                answer = await self._carried_out(request, dice)
                # A refusal that looks like a success would be another EMR than any that there is.
                return dice.choice(SENSELESS).breaks(request, answer.content) if answer.is_success else answer
        return await self._carried_out(request, dice)

    async def _timed_out(self, request: httpx.Request, dice: Random) -> None:
        await asyncio.sleep(dice.uniform(1.0, 15.0))
        raise httpx.ReadTimeout("no answer", request=request)

    def _later(self, request: httpx.Request, dice: Random) -> None:
        async def arrive() -> None:
            await asyncio.sleep(dice.uniform(0.3, LATEST_S))
            await self._carried_out(request, dice)

        task = asyncio.create_task(arrive())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _carried_out(self, request: httpx.Request, dice: Random) -> httpx.Response:
        staffs = request.method != "GET"
        if staffs:
            await self._staff(dice, _what(request))
        try:
            answer = await self._emr.handle_async_request(request)
            await answer.aread()
        finally:
            if staffs:
                await self._staff(dice, _what(request))
        await asyncio.sleep(dice.uniform(0.005, 0.15))
        return answer

    async def aclose(self) -> None:
        self._ledger.close()


def _what(request: httpx.Request) -> str:
    """The address within the clinic: `/bookings/B1`."""
    return "/" + request.url.path.split("/", 3)[3]


def _unavailable(request: httpx.Request, dice: Random) -> httpx.Response:
    if dice.random() < 0.5:
        raise httpx.ConnectError("refused", request=request)
    return httpx.Response(503, content=b"<html>Maintenance</html>", request=request)
