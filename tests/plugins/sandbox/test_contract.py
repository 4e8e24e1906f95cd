"""The sandbox's plugin keeps the contract, on an EMR of every personality."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from starlette.applications import Starlette

from gateway.plugin import Account, Door, Emr, Span
from gateway.testing import CodeService, EmrContract, World
from gateway.testing.matrix import Opens
from gateway.vendor.in_process import InProcessTransport
from plugins.sandbox import Settings, build_app, emr_open, emr_vendor
from tests.plugins.sandbox.asking import ALL

ZONE = ZoneInfo("Europe/Stockholm")
TODAY = datetime(2027, 3, 1, 12, 0)
"""A Monday, four weeks before the clock changes."""
CODES = CodeService(id="K2", right="123456", wrong="000000", expired="999999")


def span(month: int, day: int, hour: int, minute: int = 0) -> Span:
    start = datetime(2027, month, day, hour, minute, tzinfo=ZONE)
    return Span(start, start + timedelta(minutes=30))


OPENINGS = tuple(span(3, 15, hour, minute) for hour in (9, 10, 11) for minute in (0, 30))


def opened(transport: httpx.AsyncBaseTransport, personality: str, clinic: str, notify: bool | None = None) -> Emr:
    told = {"clinic": clinic, "api_key": f"{clinic}-key", "personality": personality}
    return emr_open(Account("sandbox", Settings.model_validate(told), Door(transport), notify))


async def messages(app: Starlette, personality: str, clinic: str) -> list[str]:
    """As the clinic's staff sees them."""
    url = f"http://sandbox.invalid/{personality}/{clinic}/messages"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as staff:
        answer = await staff.get(url, headers={"x-clinic-key": f"{clinic}-key"})
    return [f"{one['says']} {one['about']}" for one in answer.json()["messages"]]


@contextmanager
def sandbox_app(folder: Path, settle_s: float = 0.02) -> Iterator[Starlette]:
    """One EMR for many cases: each has a clinic of its own in it, which begins as it is touched."""
    app = build_app(folder, late_s=0.05, settle_s=settle_s, now=lambda: TODAY)
    life = app.router.lifespan_context(app)
    with asyncio.Runner() as runner:
        runner.run(life.__aenter__())
        yield app
        runner.run(life.__aexit__(None, None, None))


@asynccontextmanager
async def worlds(folder: Path) -> AsyncIterator[Mapping[str, Opens]]:
    app = build_app(folder, settle_s=0.005, now=lambda: TODAY)
    async with app.router.lifespan_context(app):
        yield {_named(personality): partial(sandbox_world, app, personality) for personality in ALL}


@asynccontextmanager
async def sandbox_world(app: Starlette, personality: str) -> AsyncIterator[World]:
    """Two clinics of the same personality that nobody has seen before."""
    transport, here, there = InProcessTransport(app), f"north-{uuid4().hex}", f"south-{uuid4().hex}"
    yield World(
        vendor=emr_vendor(),
        emr=opened(transport, personality, here),
        other=opened(transport, personality, there),
        patient_id="P4",
        resource_ids=("D1", "D2"),
        healthcare_service_id="K1",
        care_unit_id="U1",
        openings=OPENINGS,
        unknown_id="B99999",
        transport=transport,
        open_over=lambda broken: opened(broken, personality, here),
        beyond_clock_change=span(4, 5, 9),
        code_service=CODES,
        messages=lambda: messages(app, personality, here),
        open_notifying=lambda notify: opened(transport, personality, here, notify),
    )
    await transport.aclose()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starlette]:
    with sandbox_app(tmp_path_factory.mktemp("sandbox")) as app:
        yield app


class SandboxContract(EmrContract):
    personality: str

    @pytest.fixture
    async def world(self, app: Starlette) -> AsyncIterator[World]:
        async with sandbox_world(app, self.personality) as world:
            yield world


def _named(personality: str) -> str:
    return "Test" + "".join(part.title() for part in personality.split("-"))


def _suite(personality: str) -> type[SandboxContract]:
    return type(_named(personality), (SandboxContract,), {"personality": personality, "__module__": __name__})


for _personality in ALL:
    _made = _suite(_personality)
    globals()[_made.__name__] = _made
del _made
