"""What the clients of a run do: drawn from its seed, each request by dice of its own, so that any can be left out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.histories.clinic import HALF_HOURS, STAFF, wall
from tests.histories.world import CLIENTS, Told, World

Row = dict[str, Any]
SHARED = ("patient_id", "resource_id", "healthcare_service_id")
WEIGHTS = {
    "move": 5,
    "note": 2,
    "hand over": 2,
    "cancel": 2,
    "confirm": 2,
    "bulk": 3,
    "bulk cancel": 1,
    "reschedule": 5,
    "book": 4,
    "read": 1,
    "list": 1,
}
TROUBLES = ("!refuse", "!refuse@2", "!refuse@3", "!error@2", "!drop@2", "!lost", "!lost@2", "!late", "!busy", "!other")


@dataclass
class Known:
    """What the clients of a run have seen so far."""

    ids: list[str]
    rows: dict[str, Row] = field(default_factory=dict)

    def learn(self, told: Told) -> None:
        if told.status not in (200, 201) or told.dry:
            return
        body = told.json()
        for row in body if isinstance(body, list) else [body]:
            if row.get("patient_id") and row["id"] not in self.rows:
                self.ids.append(row["id"])
            if row.get("patient_id"):
                self.rows[row["id"]] = row

    def one(self, dice: Random) -> str:
        waiting = [id for id in self.ids if self.rows.get(id, {}).get("status") == "awaiting_confirmation"]
        return dice.choice(waiting if waiting and dice.random() < 0.3 else self.ids)

    def some(self, dice: Random) -> list[str]:
        return dice.sample(self.ids, min(len(self.ids), dice.randint(2, 3)))

    def alike(self, dice: Random) -> list[str]:
        """Such as can be rescheduled together, as far as anybody has seen."""
        booked = [row for row in self.rows.values() if row["status"] == "booked"]
        if not booked:
            return self.some(dice)
        first = dice.choice(booked)
        group = [row["id"] for row in booked if all(row[name] == first[name] for name in SHARED)]
        return dice.sample(group, dice.randint(1, min(3, len(group))))


def run_of(dice: Random, longest: int = 1) -> Row:
    """A stretch of so many half hours at most."""
    day, long = int(dice.random() < 0.3), dice.randint(1, longest)
    first = dice.randrange(HALF_HOURS - long + 1)
    return {"start": f"{wall(day, first)}:00+01:00", "end": f"{wall(day, first + long)}:00+01:00"}


@dataclass(frozen=True)
class Caller:
    """One of the callers at work, one request after the other."""

    world: World
    seed: int
    known: Known
    numbers: tuple[int, ...]
    """Its requests; what belongs to one of them has a number of its own, from ten times this one on."""
    trouble: float
    """How likely a comment asks the EMR for trouble."""

    async def works(self) -> None:
        for number in self.numbers:
            dice = Random(f"{self.seed}/ask/{number}")
            await asyncio.sleep(dice.uniform(0.0, 1.2))
            await self._one(number * 10, dice)

    async def _one(self, tag: int, dice: Random) -> None:
        client = dice.choice(CLIENTS)
        method, path, body = self._asked(tag, dice)
        headers = self._headers(tag, dice) if method != "GET" else {}
        if method != "GET" and dice.random() < 0.12:
            headers |= await self._rehearsed(tag, client, (method, path, body), dice)
        elif method == "PATCH" and path != "appointments" and dice.random() < 0.15:
            headers |= await self._read_first(tag, client, path)
        patience = dice.uniform(0.02, 1.5) if dice.random() < 0.12 else None
        twins = self._twins(tag, client, (method, path, body), headers, dice)
        told = await self.world.asks(tag, client, method, path, body, patience=patience, **headers)
        self.known.learn(told)
        await asyncio.gather(*twins)

    def _headers(self, tag: int, dice: Random) -> dict[str, str]:
        headers = {"idempotency-key": f"key-{tag}"} if dice.random() < 0.5 else {}
        if dice.random() < 0.15:
            headers["prefer"] = dice.choice(("respond-async", "wait=2"))
        return headers

    async def _rehearsed(self, tag: int, client: str, asked: tuple[str, str, Any], dice: Random) -> dict[str, str]:
        """A dry run first, whose plan is then the only one to be carried out."""
        method, path, body = asked
        told = await self.world.asks(tag + 1, client, method, f"{path}?dry_run=true", body)
        await asyncio.sleep(dice.uniform(0.0, 0.5))
        return {"x-plan": told.got["x-plan"]} if "x-plan" in told.got else {}

    async def _read_first(self, tag: int, client: str, path: str) -> dict[str, str]:
        told = await self.world.asks(tag + 2, client, "GET", path)
        self.known.learn(told)
        return {"if-match": told.got["etag"]} if "etag" in told.got else {}

    def _twins(
        self, tag: int, client: str, asked: tuple[str, str, Any], headers: dict[str, str], dice: Random
    ) -> list[asyncio.Task[None]]:
        """The same request once more (or another one) under the same key, at about the same time or later."""
        if "idempotency-key" not in headers or dice.random() < 0.5:
            return []
        method, path, body = asked
        if dice.random() < 0.1:
            body = {**body, "comment": "another request"}
        whose = client if dice.random() < 0.9 else dice.choice(CLIENTS)
        pause = dice.choice((0.0, dice.uniform(0.0, 1.0), dice.uniform(1.0, 30.0)))

        async def again() -> None:
            await asyncio.sleep(pause)
            await self.world.asks(tag + 3, whose, method, path, body, **headers)

        return [asyncio.create_task(again())]

    def _asked(self, tag: int, dice: Random) -> tuple[str, str, Any]:
        what = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        one = f"appointments/{self.known.one(dice)}"
        match what:
            case "move":
                return "PATCH", one, {**run_of(dice), **self._who(dice), **self._comment(tag, dice, 0.3)}
            case "note":
                return "PATCH", one, self._comment(tag, dice, 1.0)
            case "hand over":
                return "PATCH", one, {"resource_id": dice.choice(STAFF), **self._comment(tag, dice, 0.3)}
            case "cancel":
                return "PATCH", one, {"status": "cancelled", **self._comment(tag, dice, 0.5)}
            case "confirm":
                code = dice.choice(("123456", "123456", "123456", "000000", "999999"))
                return "PATCH", one, {"confirmation": {"code": code}}
            case "read":
                return "GET", one, None
            case "list":
                return "GET", f"appointments?start={wall(0, 0)}:00Z&end={wall(1, 16)}:00Z", None
            case "book":
                return "POST", "appointments", self._new(tag, dice)
            case _:
                return "PATCH", "appointments", self._many(what, tag, dice)

    def _many(self, what: str, tag: int, dice: Random) -> Row:
        comment = self._comment(tag, dice, 0.5)
        if what == "reschedule":
            return {"ids": self.known.alike(dice), **run_of(dice, 4), **self._who(dice), **comment}
        if what == "bulk cancel":
            return {"ids": self.known.some(dice), "status": "cancelled", **comment}
        return {"ids": self.known.some(dice), "resource_id": dice.choice(STAFF), **comment}

    def _new(self, tag: int, dice: Random) -> Row:
        who, kind = f"P{dice.randint(1, 4)}", dice.choice(("K1", "K1", "K1", "K2"))
        there = {"resource_id": dice.choice(STAFF), "patient_id": who, "healthcare_service_id": kind}
        return {**run_of(dice), **there, **self._comment(tag, dice, 0.5)}

    @staticmethod
    def _who(dice: Random) -> Row:
        return {"resource_id": dice.choice(STAFF)} if dice.random() < 0.5 else {}

    def _comment(self, tag: int, dice: Random, likely: float) -> Row:
        """No two requests bear the same one."""
        trouble = f" {dice.choice(TROUBLES)}" if dice.random() < self.trouble else ""
        return {"comment": f"request {tag}{trouble}"} if dice.random() < likely or trouble else {}


def callers(world: World, seed: int, ids: list[str], *, trouble: float, without: Collection[int] = ()) -> list[Caller]:
    """Three to eight, with ten to forty requests in all, `without` some of these."""
    dice = Random(f"{seed}/callers")
    count, requests = dice.randint(3, 8), dice.randint(10, 24)
    numbers = [n for n in range(1, requests + 1) if n not in without]
    known = Known(list(ids))
    return [Caller(world, seed, known, tuple(numbers[n::count]), trouble) for n in range(count)]


def fingerprint(told: Told) -> str:
    """What makes two requests the same one."""
    return json.dumps([told.client, told.method, told.path, told.body, told.key])
