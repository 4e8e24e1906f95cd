"""What clients do all day, at an even pace: they read, move, note, cancel, repeat themselves, err and hang up."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp

HEADERS = {"x-leyr-client-id": "one", "x-leyr-client-secret": "one-secret"}
PATIENTS, RESOURCES = ("P1", "P2", "P3", "P4"), ("D1", "D2")
ZONE = ZoneInfo("Europe/Stockholm")
AT_ONCE = 8
LATE_S = 5.0
"""How far behind its pace the load may be."""

Act = Callable[[], Awaitable[tuple[int, tuple[int, ...]]]]
"""Does something. → the status that came, and those that may come."""


@dataclass
class Clinic:
    """One clinic's clients. Each of `AT_ONCE` has a resource's half day to itself, so that nobody is in the way."""

    http: aiohttp.ClientSession
    emr: str
    random: random.Random = field(default_factory=lambda: random.Random(1))
    done: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    lasted_s: list[float] = field(default_factory=list)
    own: dict[int, str] = field(default_factory=dict)
    _keys: Any = field(default_factory=itertools.count)

    def slot(self, place: int) -> dict[str, str]:
        """One of the eight of this place."""
        day, half = _working_day(8 + place // 4), place // 2 % 2
        start = day.replace(hour=8 + 4 * half) + timedelta(minutes=30 * self.random.randrange(8))
        span = {"start": start.isoformat(), "end": (start + timedelta(minutes=30)).isoformat()}
        return {**span, "resource_id": RESOURCES[place % 2]}

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        url = path if path.startswith("/") else f"/api/emrs/{self.emr}/{path}"
        async with self.http.request(method, url, json=body, headers={**HEADERS, **headers}) as answer:
            return answer.status, await answer.json()

    async def prepare(self) -> None:
        """An appointment in each place."""
        for place in range(AT_ONCE):
            body = {**self.slot(place), "patient_id": PATIENTS[place % 4], "healthcare_service_id": "K1"}
            status, told = await self.ask("POST", "appointments", body)
            assert status == 201, told
            self.own[place] = told["id"]

    async def act(self, place: int) -> None:
        """One thing that a client does, picked at random."""
        acts, weights = zip(*_ACTS.items(), strict=True)
        (act,) = self.random.choices(acts, weights)
        began = time.monotonic()
        status, expected = await getattr(self, act)(place)
        self.lasted_s.append(time.monotonic() - began)
        self.done[act] += 1
        if status not in expected:
            self.wrong[f"{act} {status}"] += 1

    async def read(self, place: int) -> tuple[int, tuple[int, ...]]:
        return (await self.ask("GET", f"appointments/{self.own[place]}"))[0], (200,)

    async def look(self, place: int) -> tuple[int, tuple[int, ...]]:
        day = _working_day(8 + place // 4)
        query = f"start={day:%Y-%m-%dT%H:%M:%SZ}&end={day + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        return (await self.ask("GET", f"timeslots?{query}&resource_id={RESOURCES[place % 2]}"))[0], (200,)

    async def move(self, place: int) -> tuple[int, tuple[int, ...]]:
        key = f"{self.emr}-{next(self._keys)}"
        path, body = f"appointments/{self.own[place]}", self.slot(place)
        status, told = await self.ask("PATCH", path, body, **{"idempotency-key": key})
        if status == 200:
            self.own[place] = told["id"]
            if self.random.random() < 0.1:  # the answer was lost on the way, say
                again, repeated = await self.ask("PATCH", path, body, **{"idempotency-key": key})
                return (again if repeated["id"] == told["id"] else 0), (200,)
        return status, (200,)

    async def note(self, place: int) -> tuple[int, tuple[int, ...]]:
        body = {"comment": f"note {self.random.random()}"}
        return (await self.ask("PATCH", f"appointments/{self.own[place]}", body))[0], (200,)

    async def refused(self, place: int) -> tuple[int, tuple[int, ...]]:
        return (await self.ask("PATCH", f"appointments/{self.own[place]}", {"comment": "!refuse"}))[0], (409,)

    async def lost(self, place: int) -> tuple[int, tuple[int, ...]]:
        """Its answer gets lost between the EMR and the gateway, which looks it up."""
        body = {"comment": f"!lost {self.random.random()}"}
        return (await self.ask("PATCH", f"appointments/{self.own[place]}", body))[0], (200,)

    async def mistaken(self, place: int) -> tuple[int, tuple[int, ...]]:
        return (await self.ask("PATCH", f"appointments/{self.own[place]}", {"no": place}))[0], (400,)

    async def a_stranger(self, _: int) -> tuple[int, tuple[int, ...]]:
        wrong = {"x-leyr-client-secret": "wrong"}
        return (await self.ask("GET", "appointments", **wrong))[0], (401, 429)

    async def in_a_hurry(self, place: int) -> tuple[int, tuple[int, ...]]:
        """Hangs up before the answer; what was begun goes on."""
        try:
            async with asyncio.timeout(0.003):
                await self.ask("PATCH", f"appointments/{self.own[place]}", {"comment": f"hurry {self.random.random()}"})
        except TimeoutError:
            pass
        return 200, (200,)


_ACTS = {
    "read": 30,
    "look": 15,
    "move": 20,
    "note": 20,
    "refused": 3,
    "lost": 2,
    "mistaken": 5,
    "a_stranger": 2,
    "in_a_hurry": 3,
}


async def flat_out(clinic: Clinic, seconds: float) -> float:
    """All at once, each as soon as it is answered. → things a second."""
    until = time.monotonic() + seconds
    before = clinic.done.total()

    async def one(place: int) -> None:
        while time.monotonic() < until:
            await clinic.act(place)

    await asyncio.gather(*(one(place) for place in range(AT_ONCE)))
    return (clinic.done.total() - before) / seconds


async def evenly(clinic: Clinic, per_second: float, seconds: float) -> None:
    """At this pace, whether or not those before are answered; each place for itself. On a machine that is too busy for
    that, what would be late is left out, so that it ends in time."""
    began, turns = time.monotonic(), [asyncio.Lock() for _ in range(AT_ONCE)]

    async def one(place: int) -> None:
        async with turns[place]:
            await clinic.act(place)

    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * seconds)):
            early_s = began + number / per_second - time.monotonic()
            if early_s < -LATE_S:
                clinic.done["left out"] += 1
                continue
            await asyncio.sleep(max(0.0, early_s))
            group.create_task(one(number % AT_ONCE))


def _working_day(number: int) -> datetime:
    """Midnight, in the clinic, of the n-th weekday from today on."""
    day = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    while number:
        day += timedelta(days=1)
        number -= day.weekday() < 5
    return day.replace(tzinfo=ZONE)
