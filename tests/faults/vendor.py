"""The vendors as EMRs of a campaign."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.faults.book import NAMED, VERSIONED, Desk, Row, View, Wrong
from tests.faults.cast import Cast
from tests.faults.pace import LATE_S, SETTLES_S
from tests.faults.vendors.kinds import KINDS

VENDORS = tuple(KINDS)
NEW_IDS = ("athenahealth",)
"""Where a move makes a new appointment, its undo makes another one."""
DISCARDING = ("cliniko", "drchrono")
"""Elsewhere what is undone is left as a cancelled one."""
MORE = {"nexhealth": {"settles_within_s": SETTLES_S}}


@dataclass(frozen=True, slots=True)
class Vendor:
    base: str
    name: str

    @property
    def plugin(self) -> str:
        return self.name

    @property
    def undone_but(self) -> frozenset[str]:
        return NAMED if self.name in NEW_IDS else VERSIONED

    @property
    def withdraws(self) -> bool:
        return self.name in DISCARDING

    def desk(self, http: httpx.AsyncClient, clinic: str) -> Desk:
        return VendorDesk(http, self, clinic)


class VendorDesk(Desk):
    def __init__(self, http: httpx.AsyncClient, emr: Vendor, clinic: str) -> None:
        super().__init__(http, emr.base, f"{emr.base}/{emr.name}/{clinic}/_staff", clinic)
        self._emr = emr

    async def open(self) -> tuple[Cast, Mapping[str, Any]]:
        told = await self._get("cast")
        cast = {name: _frozen(value) for name, value in told["cast"].items()}
        return Cast(**cast), {**told["settings"], "late_write_s": LATE_S, **MORE.get(self._emr.name, {})}

    async def view(self) -> View:
        while not (await self._is_still() and (book := await self._get("book"))["quiet"]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # another process tells nobody when it is
        if book["wrong"]:
            raise Wrong("doubled", f"the book does not agree with itself: {book['wrong']}")
        # What has moved on is seen where it has moved to.
        return View(tuple(row for row in book["bookings"] if not row.get("moved_to")), frozenset(), ())

    async def booking(self, ref: str) -> Row:
        rows = {row["ref"]: row for row in (await self._get("book"))["bookings"]}
        while rows[ref].get("moved_to"):
            ref = rows[ref]["moved_to"]
        return dict(rows[ref])

    async def let_in(self) -> str | None:
        token: str | None = await self._get("let-in")
        return token

    async def _get(self, what: str) -> Any:
        answer = await self._http.get(f"{self._address}/{what}")
        answer.raise_for_status()
        return answer.json()


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
