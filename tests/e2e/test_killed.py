"""The gateway is killed in the middle of a command and started again: finished or undone, and its key answers."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.e2e.processes import HEADERS, bulk, gateway, sandbox, seen, settled, slow

LATENCY_MS = 120


@pytest.fixture(scope="module")
def emr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox(tmp_path_factory.mktemp("emr")) as url:
        yield url


MOMENTS = {"in-place": (0.5, 1.5, 2.5, 3.5, 4.5), "new-id": (2.5, 3.5), "no-move": (2.5, 3.5, 4.5)}
USUAL = {("new-id", 3.5)}
"""In the middle of a write; the others are tried beside `tests/faults`."""
CASES = [
    pytest.param(personality, moment, marks=() if (personality, moment) in USUAL else pytest.mark.faults)
    for personality, moments in MOMENTS.items()
    for moment in moments
]


@pytest.mark.parametrize(("personality", "moment"), CASES)
def test_a_killed_command_is_finished_or_undone_and_its_key_answers(emr, tmp_path, personality, moment):
    """`moment`: in calls to the EMR, which takes its time for each; the kill falls into the middle of one."""
    clinic = f"k{round(10 * moment)}"
    with httpx.Client(headers=HEADERS, timeout=30) as http:
        with gateway(tmp_path, emr, personality, clinic) as (running, url):
            before, body = seen(http, url), bulk(http, url)
            slow(emr, personality, clinic, LATENCY_MS)
            with suppress(httpx.TransportError):
                started = time.monotonic()
                asyncio.run(killed_meanwhile(running, url, body, started + moment * LATENCY_MS / 1000))
            running.wait(timeout=10)
        slow(emr, personality, clinic, 0)
        with gateway(tmp_path, emr, personality, clinic) as (_, url):
            commands = settled(http, url)
            answer = http.patch(f"{url}/api/emrs/emr/appointments", json=body)
            after = seen(http, url)
            done = [a for a in after if a[4] == "moved"]
            assert answer.status_code != 409
            if commands and commands[0]["state"] != "refused":
                assert answer.headers["idempotent-replayed"] == "true"
                assert answer.status_code == commands[0]["answer"]["status"]
            if answer.status_code == 200:
                assert len(done) == 2
                assert len(after) == len(before) - 1
                assert [a["change"] for a in answer.json()] == ["moved", "moved", "cancelled"]
            else:
                assert commands[0]["state"] in ("undone", "refused")
                assert after == before


async def killed_meanwhile(running: subprocess.Popen[bytes], url: str, body: Any, when: float) -> None:
    async with httpx.AsyncClient(headers=HEADERS, timeout=30) as http:
        request = asyncio.create_task(http.patch(f"{url}/api/emrs/emr/appointments", json=body))
        await asyncio.sleep(max(0.0, when - time.monotonic()))
        running.kill()
        await request
