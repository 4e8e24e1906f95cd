"""The clinic behind the gateway: its sandbox EMR, what it begins with, and a staff that does as it likes."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from starlette.applications import Starlette

from plugins.sandbox.emr import build_app
from plugins.sandbox.emr.personality import PERSONALITIES
from tests.histories.virtual import now

ZONE = ZoneInfo("Europe/Stockholm")
DAYS = (date(2030, 3, 18), date(2030, 3, 19))
"""Two days on which the EMR itself has booked nothing."""
STAFF = ("D1", "D2")
HALF_HOURS = 8
"""From 08:00 on: few, so that everybody is in everybody's way."""
DESK = "desk"
CLINIC = "crowded"

FIRST = (
    ("P1", "D1", "K1", 0, 2),
    ("P1", "D1", "K1", 0, 3),
    ("P1", "D1", "K1", 0, 4),
    ("P2", "D2", "K1", 0, 2),
    ("P2", "D2", "K1", 0, 3),
    ("P3", "D1", "K2", 0, 6),
    ("P4", "D2", "K2", 0, 6),
)
"""Who, with whom, what kind, on which day, at which half hour."""

Row = dict[str, Any]


def wall(day: int, half_hour: int) -> str:
    at = datetime.combine(DAYS[day], datetime.min.time()) + timedelta(hours=8, minutes=30 * half_hour)
    return at.isoformat(timespec="minutes")


class Clinic:
    """`mischief`: how likely the staff comes just before or after a write of the gateway's."""

    def __init__(self, folder: Path, personality: str, mischief: float) -> None:
        self.personality, self.kind, self.mischief = personality, PERSONALITIES[personality], mischief
        self.app: Starlette = build_app(folder, now=partial(now, ZONE))
        headers = {"x-clinic-key": f"{CLINIC}-key", "x-hand": DESK}
        base = f"http://emr.test/{personality}/{CLINIC}"
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=base, headers=headers)

    async def found(self) -> list[str]:
        """Its first bookings. → their references."""
        refs = []
        for who, staff, kind, day, half_hour in FIRST:
            await self.books(who, staff, kind, wall(day, half_hour), wall(day, half_hour + 1))
            await asyncio.sleep(1.0)  # where writes come later
            refs.append((await self.journal())[-1]["ref"])
            if kind == "K2":
                await self._does("POST", f"/bookings/{refs[-1]}/code", code="123456")
        return refs

    async def journal(self) -> list[Row]:
        rows: list[Row] = (await self._http.get("/journal")).json()["journal"]
        return rows

    async def bookings(self, ref: str | None = None) -> list[Row]:
        asked = {"ref": ref} if ref else {"from": wall(0, 0), "until": wall(1, 16)}
        rows: list[Row] = (await self._http.get("/bookings", params=asked)).json()["bookings"]
        return rows

    async def slots(self) -> dict[str, str]:
        """The state of each slot record of these days."""
        if not self.kind.slot_records:
            return {}
        refs = [f"{s}-{wall(d, n)}" for s in STAFF for d in range(len(DAYS)) for n in range(HALF_HOURS)]
        return {ref: (await self._http.get(f"/slots/{ref}")).json()["state"] for ref in refs}

    # -- the staff --------------------------------------------------------------------------------------------------

    async def meddles(self, dice: Random, written: str) -> None:
        """Just before or after a write."""
        if dice.random() >= self.mischief:
            return
        _, what, ref = written.split("/")[:3]
        target = await self.bookings(ref) if what == "bookings" and ref else []
        await self.acts(dice, target)

    async def acts(self, dice: Random, target: list[Row]) -> None:
        """Something that a staff does; what the EMR refuses, it leaves."""
        target = target or await self.bookings()
        row = dice.choice(target)
        match dice.choice(("note", "note", "annul", "move", "book", "book", "stage")):
            case "note":
                await self._does("PATCH", f"/bookings/{row['ref']}", memo=f"desk {dice.randrange(10**6)}")
            case "annul":
                await self.annuls(row)
            case "move":
                await self._moves(row, dice)
            case "stage" if row["stage"] == "PLANNED" and dice.random() < 0.5:
                await self._does("POST", "/_control", stages={row["ref"]: dice.choice(("DONE", "ABSENT"))})
            case _:
                day, n = dice.randrange(2), dice.randrange(HALF_HOURS)
                await self.books("P5", dice.choice(STAFF), "K1", wall(day, n), wall(day, n + 1))

    async def books(self, who: str, staff: str, kind: str, begins: str, ends: str) -> None:
        """As one does it in this EMR: only where it is free, with the slot's record first."""
        body: Row = {"who": who, "with": staff, "kind": kind, "begins": begins, "ends": ends}
        if not await self._is_free(staff, begins, ends):
            return
        if self.kind.slot_records:
            body["slots"] = [f"{staff}-{begins}"]
            await self._does("PATCH", f"/slots/{staff}-{begins}", state="busy")
        await self._does("POST", "/bookings", **body)

    async def annuls(self, row: Row) -> None:
        answer = await self._does("POST", f"/bookings/{row['ref']}/annul", if_rev=row["rev"])
        if answer.status_code == 200:
            for ref in row["slots"]:
                await self._does("PATCH", f"/slots/{ref}", state="free")

    async def _moves(self, row: Row, dice: Random) -> None:
        day, n, staff = dice.randrange(2), dice.randrange(HALF_HOURS), dice.choice(STAFF)
        begins, ends = wall(day, n), wall(day, n + 1)
        if not self.kind.slot_records and await self._is_free(staff, begins, ends):
            there = {"begins": begins, "ends": ends, "with": staff}
            await self._does("PATCH", f"/bookings/{row['ref']}", **there, if_rev=row["rev"])

    async def _is_free(self, staff: str, begins: str, ends: str) -> bool:
        found = (await self._http.get("/free", params={"with": staff, "from": begins, "until": ends})).json()
        return any(found.values())

    async def _does(self, method: str, path: str, **body: Any) -> httpx.Response:
        return await self._http.request(method, path, json=body)
