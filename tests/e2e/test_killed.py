"""The gateway is killed in the middle of a command and started again: finished or undone, and its key answers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import at, span
from tests.live.processes import free_port, stop, wait_until_ready

ROOT = Path(__file__).parents[2]
LATENCY_MS = 120
HEADERS = {"x-leyr-client-id": "one", "x-leyr-client-secret": "one-secret", "idempotency-key": "only-once"}
CLIENTS = """
demo = true

[[clients]]
id = "one"
secret = "plain:one-secret"

[clients.emrs.emr]
plugin = "sandbox"
settings = {{ base_url = "{base}", clinic = "{clinic}", api_key = "{clinic}-key", personality = "{personality}" }}
"""


@contextmanager
def process(
    folder: Path, name: str, ready: tuple[str, int], *arguments: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    told = {n: os.environ[n] for n in ("PATH", "LANG", "TMPDIR") if n in os.environ} | environment
    with (folder / f"{name}.log").open("ab") as log:
        command = [sys.executable, "-m", "gateway", *arguments]
        running = subprocess.Popen(command, cwd=ROOT, env=told, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until_ready(ready[0], running, ready[1])
            yield running
        finally:
            stop(running)


@contextmanager
def gateway(folder: Path, base: str, personality: str, clinic: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    (folder / "clients.toml").write_text(CLIENTS.format(base=base, personality=personality, clinic=clinic))
    (folder / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n')
    url = f"http://127.0.0.1:{port}"
    settings = {"GATEWAY_CONFIG": str(folder / "gateway.toml"), "PORT": str(port)}
    with process(folder, "gateway", (f"{url}/readyz", 200), "serve", **settings) as running:
        yield running, url


@pytest.fixture(scope="module")
def emr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("emr")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with process(folder, "sandbox", (url, 404), "sandbox", "--port", str(port), STATE_DIR=str(folder)):
        yield url


def slow(emr: str, personality: str, clinic: str, milliseconds: int) -> None:
    control = f"{emr}/{personality}/{clinic}/_control"
    key = {"x-clinic-key": f"{clinic}-key"}
    httpx.post(control, json={"latency_ms": milliseconds}, headers=key).raise_for_status()


def seen(http: httpx.Client, url: str) -> list[tuple[Any, ...]]:
    listed = http.get(f"{url}/api/emrs/emr/appointments").json()
    return sorted(
        (a["patient_id"], a["resource_id"], a["start"], a["end"], a["comment"], a["status"])
        for a in listed
        if a["status"] != "cancelled"
    )


CASES = [
    (personality, moment)
    for personality, moments in {
        "in-place": (0.5, 1.5, 2.5, 3.5, 4.5),
        "new-id": (2.5, 3.5),
        "no-move": (2.5, 3.5, 4.5),
    }.items()
    for moment in moments
]


@pytest.mark.parametrize(("personality", "moment"), CASES)
def test_a_killed_command_is_finished_or_undone_and_its_key_answers(emr, tmp_path, personality, moment):
    """`moment`: in calls to the EMR, which takes its time for each; the kill falls into the middle of one."""
    clinic = f"k{CASES.index((personality, moment))}"
    with httpx.Client(headers=HEADERS, timeout=30) as http:
        with gateway(tmp_path, emr, personality, clinic) as (running, url):
            own = [a for a in http.get(f"{url}/api/emrs/emr/appointments").json() if a["patient_id"] == "P1"]
            ids = [a["id"] for a in own if a["status"] == "booked" and a["healthcare_service_id"] == "K1"][:3]
            before = seen(http, url)
            # Three appointments into a range of two slots: two move, one is cancelled.
            body = {"ids": ids, **span(at(20, 9), at(20, 10)), "comment": "moved"}
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


def settled(http: httpx.Client, url: str) -> list[Any]:
    for _ in range(200):
        commands = http.get(f"{url}/api/commands", params={"idempotency_key": "only-once"}).json()
        if all(c["state"] in ("done", "undone", "refused") for c in commands):
            return commands
        time.sleep(0.1)
    raise AssertionError("a command did not settle")
