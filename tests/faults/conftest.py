"""Where the cases happen, and the figures at the end."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults import emr
from tests.faults.book import WRONGS
from tests.faults.campaign import FIGURES
from tests.faults.processes import Process
from tests.faults.sandbox import ZONE, Sandbox
from tests.faults.trial import Place
from tests.faults.vendor import Vendor

ENDS = ("killed", "lied to", "not reached", "let in anew", "done", "undone", "refused", "nothing", "reported")
"""`nothing`: there was nothing to be remembered yet, and the same key was good for another try. `let in anew`: it died
while a token was under way that is good once, and somebody had to connect it again."""

Placing = Callable[[str], Place]
"""Where cases happen on the EMR of this name."""


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, date]]:
    """An EMR that outlives every gateway: its folder, its address, and the day that it always is there."""
    folder, now = tmp_path_factory.mktemp("emr"), datetime.now(ZONE)
    process = Process(emr.serve_sandbox, folder, now)
    port = asyncio.run(process.port())
    yield folder, f"http://127.0.0.1:{port}", now.date()
    asyncio.run(process.kill())


@pytest.fixture(scope="session")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The vendors' fakes, which outlive every gateway, too."""
    folder = tmp_path_factory.mktemp("fakes")
    process = Process(emr.serve_vendors, folder)
    port = asyncio.run(process.port())
    yield folder, f"http://127.0.0.1:{port}"
    asyncio.run(process.kill())


@pytest.fixture
def at_sandbox(sandbox: tuple[Path, str, date], http: httpx.AsyncClient) -> Placing:
    folder, base, today = sandbox
    return lambda name: Place(emr=Sandbox(base, today, name), folder=folder, http=http)


@pytest.fixture
def at_vendor(fakes: tuple[Path, str], http: httpx.AsyncClient) -> Placing:
    folder, base = fakes
    return lambda name: Place(emr=Vendor(base, name), folder=folder, http=http)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    # Sooner than a server closes an idle connection: a broken one means a dead gateway.
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(keepalive_expiry=2)) as client:
        yield client


@pytest.fixture
def bound() -> int | None:
    """At most so many crash points of each scenario on each EMR (`BOUND`); `None`: all."""
    return int(os.environ["BOUND"]) if os.environ.get("BOUND") else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """From all workers."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    told = [json.loads(value) for r in reports for name, value in r.user_properties if name == FIGURES]
    if not told:
        return
    total = sum((Counter(tally) for _, tally in told), Counter[str]())
    terminalreporter.section("killed at every boundary" if not os.environ.get("BOUND") else "killed at some boundaries")
    for name, tally in [*sorted(told), ("in all", total)]:
        terminalreporter.line(f"{name:55} {_line(tally)}")


def _line(tally: dict[str, int]) -> str:
    shown = [f"{name} {tally[name]}" for name in ENDS if tally.get(name)]
    return ", ".join(shown + [f"{name} {tally.get(name, 0)}" for name in WRONGS])
