"""The sandbox as EMRs of a campaign, each a personality.

`B1001` to `B1003` adjoin, of one patient with `D1` on the first working day; `B1008` is a visit that can only be
cancelled with a code, `B1009` one that waits for its code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain, islice
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from plugins.sandbox.emr.clinic import half_hours, working_day
from tests.faults.book import NAMED, VERSIONED, Desk, Row, View, Wrong
from tests.faults.cast import Cast

ZONE = ZoneInfo("Europe/Stockholm")
PERSONALITIES = ("in-place", "new-id", "no-move", "slot-records", "no-content", "async")
FIVE = 5
"""The working day, counted from today, on which nothing is booked."""
DAYS = range(1, FIVE + 1)
STAFF = ("D1", "D2", "D3")


@dataclass(frozen=True, slots=True)
class Sandbox:
    base: str
    today: date
    """The day that it always is there."""
    name: str
    """The personality."""
    plugin: str = "sandbox"
    withdraws: bool = True

    @property
    def undone_but(self) -> frozenset[str]:
        """Where a move makes a new appointment, its undo makes another one."""
        return NAMED if self.name == "new-id" else VERSIONED

    def desk(self, http: httpx.AsyncClient, clinic: str) -> Desk:
        return SandboxDesk(http, self, clinic)


class SandboxDesk(Desk):
    def __init__(self, http: httpx.AsyncClient, emr: Sandbox, clinic: str) -> None:
        super().__init__(http, emr.base, f"{emr.base}/{emr.name}/{clinic}", clinic)
        self._emr, self._today = emr, emr.today

    async def open(self) -> tuple[Cast, Mapping[str, Any]]:
        settings = {"base_url": self._emr.base, "clinic": self._clinic, "api_key": f"{self._clinic}-key"}
        return cast(self._today), {**settings, "personality": self._emr.name}

    async def view(self) -> View:
        while not await self._is_still():  # noqa: ASYNC110  another process tells nobody when it is
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
        while True:
            (row,) = (await self._get("/bookings", ref=ref))["bookings"]
            if not row["moved_to"]:
                return dict(row)
            ref = row["moved_to"]

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


def cast(today: date) -> Cast:
    first, fifth = (working_day(today, n) for n in (1, FIVE))
    nine = 2  # of the half hours from eight o'clock on
    of_three, free = islice(half_hours(first), nine, nine + 3), islice(half_hours(fifth), nine, None)
    return Cast(
        three=("B1001", "B1002", "B1003"),
        half_hours=tuple((_at(begins), _at(ends)) for begins, ends in chain(of_three, free)),
        other="D2",
        patient="P4",
        service="K1",
        waiting="B1009",
        code="123456",
        visit="B1008",
    )


def _at(time: str) -> str:
    return datetime.fromisoformat(time).replace(tzinfo=ZONE).isoformat()
