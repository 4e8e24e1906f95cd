"""How a command ended, held against the book: as before, or done, or exactly what is not as it was is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.e2e.clinic import Row, agrees, as_told, told
from tests.e2e.conftest import Api, span, working_day

SETTLED = ("done", "refused", "undone", "needs_attention")


@dataclass
class Trial:
    """One command on the appointments of one day, which nobody else touches but the staff."""

    api: Api
    day: int
    own: Sequence[Row]
    before: list[tuple[Any, ...]] = field(default_factory=list)
    answer: dict[str, Any] | list[Row] = field(default_factory=list)
    status: int = 0
    command: str = ""

    @property
    def ids(self) -> list[str]:
        return [a["id"] for a in self.own]

    @property
    def code(self) -> str:
        return "done" if isinstance(self.answer, list) else self.answer["code"]

    async def run(self, body: dict[str, Any], **headers: str) -> None:
        self.before = [told(a) for a in await self.now()]
        answer = await self.api.call("PATCH", "appointments", {"ids": self.ids, **body}, headers)
        self.answer, self.status = answer.json(), answer.status_code
        self.command = answer.headers["x-command-id"]

    def named(self) -> list[str | None]:
        assert isinstance(self.answer, dict)
        return [e["path"] for e in self.answer["errors"]]

    async def changed(self, now: Sequence[Row] | None = None) -> list[str]:
        """Which of the own are not as they were, as they are `now`."""
        present = [told(a) for a in now or await self.now()]
        return [f"ids/{n}" for n, (old, new) in enumerate(zip(self.before, present, strict=True)) if old != new]

    async def now(self) -> list[Row]:
        return [await self.api.read(id) for id in self.ids]

    async def extra(self, now: Sequence[Row] | None = None) -> list[Row]:
        """What stands on the day and is none of the own, as they are `now`."""
        midnight = working_day(self.day)
        listed = await self.api.get("appointments", **span(midnight, midnight + timedelta(days=1)))
        known = {a["id"] for a in now or await self.now()}
        return [a for a in listed if a["id"] not in known and a["status"] != "cancelled"]

    async def told(self) -> dict[str, Any]:
        return await self.api.get(f"/api/commands/{self.command}")

    async def settled(self) -> dict[str, Any]:
        """The command, once it is at its end; its answer stands for the one that was given."""
        for _ in range(150):
            command = await self.told()
            if command["state"] in SETTLED:
                self.answer, self.status = command["answer"]["body"], command["answer"]["status"]
                return command
            assert command["state"] in ("running", "repairing")
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.api.emr}: the command did not settle")

    async def holds(self, *, strangers: int = 0) -> str:
        """Is the answer the truth? → its code, or "done"."""
        command = await self.settled()
        assert command["id"] == self.command
        now = await self.now()
        changed, extra = await self.changed(now), (await self.extra(now))[strangers:]
        where = f"{self.api.emr}: {command['state']} {self.code}: changed {changed}, extra {len(extra)}: {self.answer}"
        if isinstance(self.answer, list):
            assert (self.status, command["state"]) == (200, "done"), where
            await as_told(self.api, self.answer)
            assert len(extra) == sum(a["change"] == "created" for a in self.answer), where
        elif self.code == "PARTIALLY_APPLIED":
            assert (self.status, command["state"]) == (502, "needs_attention"), where
            assert sorted(p for p in self.named() if p is not None) == changed, where
            assert self.named().count(None) == len(extra), where
        else:
            assert command["state"] in ("refused", "undone"), where
            assert changed == [], where
            assert extra == [], where
            assert self.answer["errors"] or self.status == 503, where
        await agrees(self.api, self.day, halfway=self.code == "PARTIALLY_APPLIED")
        return self.code
