"""EMRs in a process of their own, which outlives the gateway and watches it: what was written, and was it written down
before?"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse

from gateway import serving
from plugins.sandbox.emr import build_app
from tests.faults.lies import HOLD, is_write
from tests.faults.pace import HOLD_S, SETTLE_S
from tests.faults.vendors.kinds import KINDS
from tests.faults.vendors.stage import Stages

STAFF = b"x-staff"
OPEN = "SELECT count(*) FROM steps WHERE state IN ('attempting', 'undoing')"


@dataclass
class Book:
    """What one clinic's EMR was asked to write by the gateway."""

    writes: list[str] = field(default_factory=list)
    unannounced: list[str] = field(default_factory=list)
    """Those of which the gateway's ledger knew nothing when they came."""
    flying: int = 0
    ended: float = 0.0

    @property
    def quiet(self) -> bool:
        """Nothing is on its way any more."""
        return not self.flying and time.monotonic() - self.ended > 2 * SETTLE_S


class Witness:
    """Stands before the EMR. `ledgers` holds a gateway's state directory for each clinic, by its name."""

    def __init__(self, emr: Any, ledgers: Path) -> None:
        self._emr, self._ledgers = emr, ledgers
        self._books: dict[str, Book] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if scope["type"] != "http" or STAFF in headers or not is_write(scope["method"], scope["path"]):
            await (self._shown if scope["path"] == "/_seen" else self._emr)(scope, receive, send)
            return
        _, _, clinic, what = scope["path"].split("/", 3)
        book = self._books.setdefault(clinic, Book())
        book.writes.append(f"{scope['method']} {what}")
        if not _announced(self._ledgers / clinic / "state" / "ledger.sqlite"):
            book.unannounced.append(book.writes[-1])
        book.flying += 1
        try:
            await self._carried_out(scope, await _whole(receive), send, HOLD_S if HOLD.encode() in headers else 0.0)
        finally:
            book.flying, book.ended = book.flying - 1, time.monotonic()

    async def _carried_out(self, scope: Any, body: bytes, send: Any, later_s: float) -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await asyncio.sleep(later_s)
        await self._emr(scope, receive, send)

    async def _shown(self, scope: Any, receive: Any, send: Any) -> None:
        (clinic,) = parse_qs(scope["query_string"].decode())["clinic"]
        book = self._books.get(clinic, Book())
        shown = {"writes": book.writes, "unannounced": book.unannounced, "flying": book.flying, "quiet": book.quiet}
        await JSONResponse(shown)(scope, receive, send)


async def _whole(receive: Any) -> bytes:
    """The body, read at once: who sent it may be gone a moment later."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _announced(ledger: Path) -> bool:
    db = sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        return bool(db.execute(OPEN).fetchone()[0])
    finally:
        db.close()


def serve_sandbox(folder: Path, now: datetime, told: Connection) -> None:
    """On loopback; the port is told. `now`: for ever, so that every clinic begins alike."""
    emr = build_app(folder / "emr", settle_s=SETTLE_S, now=lambda: now)
    serving.run(partial(_serving, lambda _: Witness(emr, folder), told))


def serve_vendors(folder: Path, told: Connection) -> None:
    """The same for the vendors' fakes."""
    serving.run(partial(_serving, lambda base: Witness(Stages(KINDS, base, {}), folder), told))


async def _serving(emr: Callable[[str], Witness], told: Connection, stop: serving.Stop) -> None:
    listening = serving.bound("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = serving.Server(emr(f"http://127.0.0.1:{port}"), drain_s=1, announce=partial(told.send, port))
    await stop.serve((server, listening))
