"""The gateway in a process of its own, which kills itself at one of its boundaries: the n-th that it comes to.

A boundary lies before and after each commit of the ledger, before and after each call of the EMR, and, with a write,
where the request has left and the EMR has not carried it out yet. Between an answer's arrival and the commit that tells
of it nothing outlives the process, so "before the commit" is "after the answer", too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from gateway import app, pages, routes, serving
from gateway.configuration.settings import Settings, load
from gateway.ledger.sqlite import SqliteLedger
from gateway.registry import Registry
from gateway.vendor import network
from gateway.vendor.transport import AiohttpTransport
from plugins.sandbox.declared import DECLARED
from tests.faults.lies import HOLD, Lie, lying
from tests.faults.pace import LATE_S, LEAVES_S, SETTLES_S
from tests.faults.planted import PLANTED
from tests.faults.vendors.kinds import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How a gateway is to live. `until`: the number of the boundary that it dies at."""

    config: Path
    until: int | None = None
    from_the_start: bool = False
    """Boundaries count from the start of the process, else from the first write that a client asks for."""
    planted: str | None = None
    lie: Lie | None = None
    """What becomes of the answer to one of its writes."""


class Boundaries:
    """Counts them, from any thread, and says on `told` which they were."""

    def __init__(self, life: Life, told: Connection) -> None:
        self._until, self._told, self.counting = life.until, told, life.from_the_start
        self._passed, self._lock = 0, threading.Lock()

    def cross(self, name: str) -> None:
        if self.last(name):
            die()

    def last(self, name: str) -> bool:
        """Is it the one to die at?"""
        with self._lock:
            if self.counting:
                self._passed += 1
                self._told.send(name)
            return self.counting and self._passed == self._until


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


# -- the ledger -------------------------------------------------------------------------------------------------------


class _Watched:
    """A connection: all of SQLite's, but for a boundary on either side of the commits that write."""

    def __init__(self, db: sqlite3.Connection, boundaries: Boundaries) -> None:
        self._db, self._boundaries, self._writes = db, boundaries, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            self._writes = sql == "BEGIN IMMEDIATE"
        if sql != "COMMIT" or not self._writes:
            return self._db.execute(sql, *values)
        self._boundaries.cross("before a commit")
        done = self._db.execute(sql)
        self._boundaries.cross("after a commit")
        return done


def ledger_of(boundaries: Boundaries) -> type[SqliteLedger]:
    class Watched(SqliteLedger):
        def _connect(self) -> Any:
            return _Watched(super()._connect(), boundaries)

    return Watched


# -- the EMR ----------------------------------------------------------------------------------------------------------


def transport_of(boundaries: Boundaries) -> type[AiohttpTransport]:
    class Watched(AiohttpTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            what = f"{request.method} {request.url.path.split('/', 3)[3]}"
            boundaries.cross(f"before {what}")
            if request.method != "GET" and boundaries.last(f"within {what}"):
                request.headers[HOLD] = "yes"
                await asyncio.wait([asyncio.create_task(super().handle_async_request(request))], timeout=LEAVES_S)
                die()
            answer = await super().handle_async_request(request)
            await answer.aread()
            boundaries.cross(f"after {what}")
            return answer

    return Watched


# -- the whole --------------------------------------------------------------------------------------------------------


class _Door:
    """Where clients come in."""

    def __init__(self, application: Any, boundaries: Boundaries) -> None:
        self._application, self._boundaries = application, boundaries

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._boundaries.counting |= scope.get("method") in ("PATCH", "POST")
        await self._application(scope, receive, send)


def live(life: Life, told: Connection) -> None:
    """Serve on loopback; the port is told as soon as it listens."""
    boundaries = Boundaries(life, told)
    if life.planted is not None:
        PLANTED[life.planted]()
    transport = transport_of(boundaries)
    if life.lie is not None:
        transport = lying(transport, life.lie)
    # By name: whoever asks for them is to find these.
    for place, name, thing in (
        (app, "SqliteLedger", ledger_of(boundaries)),
        (network, "AiohttpTransport", transport),
        # Made at every start, it takes longer than all the rest of one; and no case asks for it.
        (routes, "document", lambda *_, **__: {}),
        (pages, "docs", lambda _: ""),
    ):
        setattr(place, name, thing)
    for personality, can in list(DECLARED.items()):
        settles_s = SETTLES_S if can.settles_within_s else 0.0
        DECLARED[personality] = replace(can, late_write_s=LATE_S, settles_within_s=settles_s)
    serving.run(partial(_serving, load({}, config=life.config), boundaries, told.send))


async def _serving(settings: Settings, boundaries: Boundaries, tell: Callable[[Any], None], stop: serving.Stop) -> None:
    listening = serving.bound("127.0.0.1", 0)
    async with app.running(settings) as application:
        announce = partial(tell, listening.getsockname()[1])
        server = serving.Server(_Door(application, boundaries), drain_s=1, announce=announce)
        await stop.serve((server, listening))


# Once, for all that are forked: who looks for plugins reads the metadata of every installed package.
Registry.load({"sandbox", *KINDS})
