"""Carries writes out: at once, later, not at all, or not quite, as the clinic's personality and its troubles want."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from starlette.responses import JSONResponse, Response

from plugins.sandbox.emr import faults
from plugins.sandbox.emr.clinic import Clinic
from plugins.sandbox.emr.faults import Dropped, Orders
from plugins.sandbox.emr.personality import PERSONALITIES, Personality
from plugins.sandbox.emr.seed import opened
from plugins.sandbox.emr.store import Store
from plugins.sandbox.emr.words import AWAITING_CODE, Asked, Fault

T = TypeVar("T")
View = dict[str, Any]
ZONE = ZoneInfo("Europe/Stockholm")


def local_now() -> datetime:
    return datetime.now(ZONE)


@dataclass(frozen=True, slots=True)
class Place:
    """Which clinic a request is for."""

    personality: str
    clinic: str

    @property
    def kind(self) -> Personality:
        return PERSONALITIES[self.personality]


@dataclass(frozen=True, slots=True)
class Write:
    """One write, as it was asked for. `act` does it, within a transaction."""

    place: Place
    asked: Asked
    act: Callable[[Clinic, Any], View | None]
    created: bool = False
    at_once: bool = False
    """Even where writes come later: their outcome is the answer."""
    hand: str = ""

    def __call__(self, clinic: Clinic) -> View | None:
        return self.act(clinic, self.asked)


class Desk:
    def __init__(self, state_dir: Path, *, late_s: float, settle_s: float, now: Callable[[], datetime]) -> None:
        self._store = Store(state_dir / "sandbox.sqlite")
        self._late_s, self._settle_s, self._now = late_s, settle_s, now
        self._orders: dict[Place, Orders] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def orders(self, place: Place) -> Orders:
        return self._orders.setdefault(place, Orders())

    async def run(self, place: Place, work: Callable[[Clinic], T], *, keep: bool = True, hand: str = "") -> T:
        """`work` in a transaction of its own, by that hand. Raises Fault."""
        now = self._now()

        def opening(db: sqlite3.Connection) -> T:
            clinic = opened(db, place.personality, place.clinic, place.kind, now.date())
            return work(replace(clinic, at=now.isoformat(), hand=hand))

        return await self._store.run(opening, keep=keep)

    async def write(self, write: Write) -> Response:
        """Carry it out, or into its trouble. Raises Fault."""
        trouble = self.orders(write.place).next_write() or await self._named(write)
        if trouble == "drop":
            return Dropped()
        if trouble == "other":
            write = replace(write, asked=write.asked.model_copy(update={"memo": faults.OTHER_TEXT}))
        self._fail(write, trouble)
        answer = await self._carried_out(write)
        return Dropped() if trouble == "lost" else answer

    def _fail(self, write: Write, trouble: str | None) -> None:
        match trouble:
            case "refuse":
                raise Fault(409, "RULE_REFUSED")
            case "error":
                raise Fault(500, "BROKEN")
            case "busy":
                raise Fault(429, "BUSY", retry_after=1)
            case "late":
                self._later(write, self._late_s)
                raise Fault(504, "TOO_SLOW")
            case _:
                return

    async def close(self) -> None:
        """Ends what was accepted and not written yet, then the database."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._store.close()

    async def _named(self, write: Write) -> str | None:
        memo = write.asked.memo
        return None if memo is None else await self.run(write.place, lambda clinic: faults.trouble(clinic, memo))

    async def _carried_out(self, write: Write) -> Response:
        answers = write.place.kind.answers
        if answers == "ticket" and not write.at_once:
            seen = await self.run(write.place, write, keep=False)
            if not _awaits_code(seen):
                self._later(write, self._settle_s)
                return JSONResponse({"ticket": "accepted"}, 202)
        made = await self.run(write.place, write, hand=write.hand)
        if _awaits_code(made):
            return JSONResponse(made, 202)
        if made is None or answers == "nothing":
            return Response(status_code=204)
        return JSONResponse(made, 201 if write.created else 200)

    def _later(self, write: Write, delay_s: float) -> None:
        task = asyncio.create_task(self._after(write, delay_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _after(self, write: Write, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            await self.run(write.place, write, hand=write.hand)
        except Fault:
            return  # It was accepted, and is refused now: nobody is listening any more.


def _awaits_code(made: View | None) -> bool:
    return made is not None and made.get("stage") == AWAITING_CODE
