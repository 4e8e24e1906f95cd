"""A sandbox EMR of a test's own, at a fixed today, reached without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from plugins.sandbox.emr import build_app

TODAY = datetime(2026, 11, 23, 12, 0)
"""A Monday."""


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[Starlette]:
    async with app.router.lifespan_context(app):
        yield app


def sandbox(state_dir: Path, **delays: float) -> Starlette:
    return build_app(state_dir, now=lambda: TODAY, **({"late_s": 0.05, "settle_s": 0.05} | delays))


class Desk:
    """Somebody at a clinic who speaks the EMR's own dialect."""

    def __init__(self, app: Starlette, personality: str = "in-place", clinic: str = "north") -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=f"http://sandbox.invalid/{personality}/{clinic}",
            headers={"x-clinic-key": f"{clinic}-key"},
        )

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def bookings(self, **params: Any) -> list[dict[str, Any]]:
        return (await self.get("/bookings", **params))["bookings"]

    async def booking(self, ref: str) -> dict[str, Any]:
        (found,) = await self.bookings(ref=ref)
        return found

    async def free(self, day: str = "2026-11-30", **params: Any) -> dict[str, list[dict[str, Any]]]:
        return await self.get("/free", **({"from": f"{day}T00:00", "until": f"{day}T23:59"} | params))

    async def send(self, method: str, path: str, **body: Any) -> httpx.Response:
        return await self.client.request(method, path, json=body)

    async def fault(self, method: str, path: str, **body: Any) -> tuple[int, str]:
        answer = await self.send(method, path, **body)
        return answer.status_code, answer.json()["fault"]

    async def book(self, begins: str, ends: str, **more: Any) -> httpx.Response:
        day = "" if "-" in begins else "2026-11-30T"
        wanted = {"who": "P4", "with": "D1", "kind": "K1", "begins": day + begins, "ends": day + ends}
        return await self.send("POST", "/bookings", **(wanted | more))

    async def made(self, begins: str, ends: str, **more: Any) -> dict[str, Any]:
        answer = await self.book(begins, ends, **more)
        assert answer.status_code == 201, answer.text
        return answer.json()


@asynccontextmanager
async def desk(
    state_dir: Path, personality: str = "in-place", clinic: str = "north", **delays: float
) -> AsyncIterator[Desk]:
    async with running(sandbox(state_dir, **delays)) as app:
        at = Desk(app, personality, clinic)
        async with at.client:
            yield at
