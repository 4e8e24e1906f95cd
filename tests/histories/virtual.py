"""Time that passes only while everybody waits, and stores that answer on the spot.

So an hour of waiting costs nothing, and a run is the same run whenever it is repeated. The ledger's SQL, its
transactions and the EMR's are the real ones; only their threads are missing, whose order no seed can decide.
"""

from __future__ import annotations

import asyncio
import logging
import random
import selectors
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

import pytest

import gateway.clock
import gateway.ledger.files
import gateway.ledger.sqlite
import gateway.service
from gateway.ledger.lane import Lane, _Job
from gateway.mending import Broken, Mending
from gateway.repair import Repair
from plugins.sandbox.emr.store import Store

T = TypeVar("T")
PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", "PRAGMA foreign_keys = ON")
"""Nobody pulls the plug here: whoever dies has written down what is committed."""
BASE = datetime(2030, 3, 4, 6, 0, tzinfo=UTC)
"""A Monday, some weeks before the clocks change."""

TAG: ContextVar[int] = ContextVar("tag")
"""The request of a client that all this is done for."""


class _Selector(selectors.DefaultSelector):
    """Never waits: it moves the clock instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing that could ever happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._own = _Selector()
        super().__init__(self._own)
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        return self._own.now


def seconds() -> float:
    """Since the run began."""
    return asyncio.get_running_loop().time()


def now(zone: tzinfo | None = UTC) -> datetime:
    return (BASE + timedelta(seconds=seconds())).astimezone(zone)


class Life:
    """One process of the gateway. It may die at any passing of a boundary: a commit, a call to the EMR, an answer."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.dies_at, self._passed = dies_at, 0
        self.died = asyncio.Event()

    async def passes(self) -> None:
        """Who is dead gets no further, and writes nothing more."""
        self._passed += 1
        if self._passed == self.dies_at:
            self.died.set()
        if self.died.is_set():
            await asyncio.get_running_loop().create_future()


LIFE: ContextVar[Life] = ContextVar("life")


class _OnTheSpot(Lane):
    """The ledger's lane, without its thread."""

    def start(self) -> None:
        self._life = LIFE.get()

    async def stop(self) -> None:
        self._disconnect()

    async def run(self, work: Callable[[Any], T]) -> T:
        await self._life.passes()
        (result,) = self._transact([_Job(work, None)])  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await self._life.passes()
        if result.error is not None:
            raise result.error
        return result.value  # type: ignore[no-any-return]


async def _store_run(self: Store, work: Callable[[Any], T], *, keep: bool = True) -> T:
    await asyncio.sleep(0)
    return self._transact(work, keep)


async def _on_the_spot(work: Callable[..., T], *given: Any) -> T:
    await asyncio.sleep(0)
    return work(*given)


def command_id(tag: int) -> str:
    """The command of a request is called by the request's number."""
    return UUID(int=tag).hex


def tag_of(id: str) -> int:
    return UUID(id).int


def _begin(repair: Repair, broken: Broken) -> Mending:
    """What goes on in the background, also after a crash, is still done for that request."""
    kept = TAG.set(tag_of(broken.id))
    try:
        return _BEGIN(repair, broken)
    finally:
        TAG.reset(kept)


_BEGIN = Repair._begin


def run(main: Coroutine[Any, Any, T], seed: int) -> T:
    """`main` in a world without clocks, threads and dice but the seed's."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=Loop) as runner:
        patch.setattr(gateway.clock, "time", SimpleNamespace(monotonic=seconds))
        patch.setattr(gateway.clock, "datetime", SimpleNamespace(now=now))
        patch.setattr(gateway.ledger.sqlite, "Lane", _OnTheSpot)
        patch.setattr(asyncio, "to_thread", _on_the_spot)
        patch.setattr(gateway.ledger.files, "_PRAGMAS", PRAGMAS)
        patch.setattr(gateway.service, "uuid4", lambda: UUID(int=TAG.get()))
        patch.setattr(Repair, "_begin", _begin)
        patch.setattr(Store, "run", _store_run)
        patch.setattr(Store, "close", Store._close)
        logging.disable(logging.CRITICAL)
        kept = random.getstate()
        random.seed(seed)
        try:
            return runner.run(main)
        finally:
            random.setstate(kept)
            logging.disable(logging.NOTSET)
