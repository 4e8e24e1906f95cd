"""Critical sections: who may work on an appointment or on a resource's day.

Locks in this process' memory suffice for the SQLite ledger: its state directory is claimed by one process, so
whoever could compete is in here, and after a crash start-up recovery takes the locks of unfinished commands
(`take_now`) before the first request is let in. An engine for many replicas brings its own `CriticalSections`, kept
where all of them see it (leases, advisory locks).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from gateway.domain.errors import Busy

_RETRY_AFTER_S = 1.0


class Session(Protocol):
    """The locks of one command, by opaque keys; as a context manager it releases at the end."""

    async def take(self, *keys: str) -> None:
        """Take all of `keys` that are not held already, or, on any error, none of them.

        Raises `Busy` when this session has waited longer than it may, all its waits together.
        """
        ...

    def release(self) -> None:
        """Give everything back, for good; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class CriticalSections(Protocol):
    """Where commands get their locks."""

    def session(self, wait_s: float) -> Session:
        """A session that may wait `wait_s` seconds in all."""
        ...

    def take_now(self, keys: Iterable[str], wait_s: float = 0.0) -> Session:
        """For recovery at start-up: hold `keys` at once. Raises `AlreadyHeld`, taking none, if one is held."""
        ...


class AlreadyHeld(RuntimeError):
    """Recovery wanted a lock that somebody holds."""


class Locks:
    """`CriticalSections` of one process and one event loop: first come, first served, for every key."""

    def __init__(self, heard: Callable[[float, bool], None] = lambda _seconds, _ours: None) -> None:
        """`heard` is told of every wait: how many seconds it took, and whether the key was got."""
        self.heard = heard
        self._waiting: dict[str, deque[asyncio.Future[bool]]] = {}
        """A key in here is held. Who waits for it is told `True` at its turn, `False` when its time is up."""

    def __len__(self) -> int:
        """How many keys are held."""
        return len(self._waiting)

    def session(self, wait_s: float) -> Held:
        return Held(self, wait_s)

    def take_now(self, keys: Iterable[str], wait_s: float = 0.0) -> Held:
        wanted = set(keys)
        if not wanted.isdisjoint(self._waiting):
            raise AlreadyHeld("A lock that start-up recovery needs is already held.")
        held = Held(self, wait_s)
        for key in wanted:
            self.grab(key)
            held.keys.add(key)
        return held

    def grab(self, key: str) -> bool:
        """Take `key` if it is free."""
        if key in self._waiting:
            return False
        self._waiting[key] = deque()
        return True

    async def queue(self, key: str, wait_s: float) -> bool:
        """Wait for `key`, which is held, up to `wait_s` seconds. → whether it is ours now."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        line = self._waiting[key]
        line.append(turn)
        timer = loop.call_later(wait_s, _tell, turn, False)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.pass_on(key)  # it became ours in the moment in which we gave up
            raise
        finally:
            timer.cancel()
            with suppress(ValueError):
                line.remove(turn)

    def pass_on(self, key: str) -> None:
        """The key goes straight to who waits longest, so that no newcomer can slip in between."""
        line = self._waiting[key]
        while line:
            if _tell(line.popleft(), True):
                return
        del self._waiting[key]


class Held:
    """A `Session` of `Locks`."""

    __slots__ = ("_left", "_locks", "_one_at_a_time", "_released", "keys")

    def __init__(self, locks: Locks, wait_s: float) -> None:
        self._locks = locks
        self._left = wait_s
        self._released = False
        self._one_at_a_time = asyncio.Lock()
        self.keys: set[str] = set()

    async def take(self, *keys: str) -> None:
        # Two tasks of one command must not wait for each other.
        async with self._one_at_a_time:
            await self._take_all(keys)

    async def _take_all(self, keys: Iterable[str]) -> None:
        before = frozenset(self.keys)
        try:
            # One order for all: two commands that want the same keys can't wait for each other.
            for key in sorted(set(keys) - before):
                await self._take(key)
        except BaseException:
            self._give_back(self.keys - before)
            raise

    async def _take(self, key: str) -> None:
        if not (self._locks.grab(key) or await self._wait(key)):
            raise Busy("Another command holds the appointment or resource", retry_after=_RETRY_AFTER_S)
        self.keys.add(key)
        if self._released:
            self.release()
            raise RuntimeError("This session has been released.")

    async def _wait(self, key: str) -> bool:
        if self._left <= 0:
            return False
        loop = asyncio.get_running_loop()
        since, ours = loop.time(), False
        try:
            ours = await self._locks.queue(key, self._left)
        finally:
            waited = loop.time() - since
            self._left -= waited
            self._locks.heard(waited, ours)
        return ours

    def release(self) -> None:
        self._released = True
        self._give_back(set(self.keys))

    def _give_back(self, keys: set[str]) -> None:
        for key in keys:
            self.keys.discard(key)
            self._locks.pass_on(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _tell(turn: asyncio.Future[bool], ours: bool) -> bool:
    """→ whether it was still waiting to be told."""
    if turn.done():
        return False
    turn.set_result(ours)
    return True
