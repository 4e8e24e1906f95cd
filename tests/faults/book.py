"""The clinic's book as its own staff sees it, past the gateway, and how two states of it are compared."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx

from plugins.sandbox.emr.clinic import half_hours, working_day
from tests.faults.scenarios import DAYS

STAFF = ("D1", "D2", "D3")
GONE = ("ANNULLED", "MOVED")
VERSIONED = frozenset({"rev"})
NAMED = VERSIONED | {"ref", "moved_to"}
"""What another run of the same would have named otherwise."""

WRONGS = ("lost", "doubled", "in progress", "untrue")
"""The ways to break a promise; `untrue`: something else is told than is."""

Row = dict[str, Any]


class Wrong(AssertionError):
    """A promise broken; `kind` is one of WRONGS."""

    def __init__(self, kind: str, what: str) -> None:
        assert kind in WRONGS
        super().__init__(f"{kind}: {what}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class View:
    bookings: tuple[Row, ...]
    free: frozenset[tuple[str, str]]
    """The half hours on offer, by who and when."""
    messages: tuple[Row, ...]

    def beyond(self, other: View, but: Collection[str]) -> list[str]:
        """What stands here and not there, names left out that `but` has."""
        here, there = (Counter(str(_without(row, but)) for row in view.bookings) for view in (self, other))
        return sorted((here - there).elements())

    def said(self) -> list[str]:
        return sorted(str(_without(row, {"about"})) for row in self.messages)

    @property
    def standing(self) -> list[Row]:
        return [row for row in self.bookings if row["stage"] not in GONE]

    def of(self, refs: Collection[str], *, others: bool = False) -> dict[str, Row]:
        return {row["ref"]: row for row in self.bookings if (row["ref"] in refs) is not others}


def _without(row: Mapping[str, Any], names: Collection[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


class Desk:
    """Where the staff of one clinic works."""

    def __init__(self, http: httpx.AsyncClient, base: str, personality: str, clinic: str, today: date) -> None:
        self._http, self._base, self._clinic, self._today = http, base, clinic, today
        self._address = f"{base}/{personality}/{clinic}"

    async def view(self) -> View:
        """Once nothing is on its way any more."""
        while not (await self.seen())["quiet"]:  # noqa: ASYNC110  another process tells nobody when it is
            await asyncio.sleep(0.02)
        days = [working_day(self._today, n) for n in DAYS]
        until = (days[-1] + timedelta(days=1)).isoformat()
        free = await self._get("/free", **{"from": f"{days[0]}T00:00", "until": f"{until}T00:00"})
        bookings, messages = await self._get("/bookings"), await self._get("/messages")
        offered = frozenset((row["with"], row["begins"]) for row in free["slots"])
        view = View(tuple(bookings["bookings"]), offered, tuple(messages["messages"]))
        self._agrees(view)
        return view

    async def booking(self, ref: str) -> Row:
        """As it stands now, wherever it has moved to."""
        while True:
            (row,) = (await self._get("/bookings", ref=ref))["bookings"]
            if not row["moved_to"]:
                return dict(row)
            ref = row["moved_to"]

    async def seen(self) -> Any:
        return (await self._http.get(f"{self._base}/_seen", params={"clinic": self._clinic})).json()

    def _agrees(self, view: View) -> None:
        """A half hour is on offer unless somebody stands there, and nobody stands where another one does."""
        every = [begins for n in DAYS for begins, _ in half_hours(working_day(self._today, n))]
        held = [(row["with"], at) for row in view.standing for at in every if row["begins"] <= at < row["ends"]]
        if len(set(held)) < len(held):
            raise Wrong("doubled", f"two stand at one time: {sorted(held)}")
        wanted = {(who, at) for who in STAFF for at in every} - set(held)
        if view.free != wanted:
            raise Wrong("untrue", f"slots and bookings don't agree: {sorted(view.free ^ wanted)}")

    async def _get(self, path: str, **params: str) -> Any:
        headers = {"x-clinic-key": f"{self._clinic}-key", "x-staff": "yes"}
        answer = await self._http.get(self._address + path, params=params, headers=headers)
        answer.raise_for_status()
        return answer.json()
