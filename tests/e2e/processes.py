"""The gateway and an EMR as processes of their own, as operators have them: killed, stopped, started again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.conftest import at, span
from tests.live.processes import free_port, stop, wait_until_ready

ROOT = Path(__file__).parents[2]
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
def gateway(
    folder: Path, base: str, personality: str, clinic: str, more: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The gateway and its address; its state is in `folder`, and stays there. `more`: of its configuration."""
    port = free_port()
    (folder / "clients.toml").write_text(CLIENTS.format(base=base, personality=personality, clinic=clinic))
    (folder / "gateway.toml").write_text(f'state_dir = "state"\nclients = "clients.toml"\n{more}')
    url = f"http://127.0.0.1:{port}"
    settings = {"GATEWAY_CONFIG": str(folder / "gateway.toml"), "PORT": str(port)}
    with process(folder, "gateway", (f"{url}/readyz", 200), "serve", **settings) as running:
        yield running, url


@contextmanager
def sandbox(folder: Path) -> Iterator[str]:
    """An EMR in a process of its own; → its address."""
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


def bulk(http: httpx.Client, url: str) -> dict[str, Any]:
    """Three appointments into a range of two slots: two move, one is cancelled."""
    own = [a for a in http.get(f"{url}/api/emrs/emr/appointments").json() if a["patient_id"] == "P1"]
    ids = [a["id"] for a in own if a["status"] == "booked" and a["healthcare_service_id"] == "K1"][:3]
    return {"ids": ids, **span(at(20, 9), at(20, 10)), "comment": "moved"}


async def at_work(http: httpx.AsyncClient, url: str, state: str = "attempting") -> None:
    """Until a step of the command is in this state."""
    for _ in range(1500):
        told = (await http.get(f"{url}/api/commands", params={"idempotency_key": "only-once"})).json()
        if any(step["state"] == state for command in told for step in command["steps"]):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"no step was {state}")


def settled(http: httpx.Client, url: str) -> list[Any]:
    for _ in range(200):
        commands = http.get(f"{url}/api/commands", params={"idempotency_key": "only-once"}).json()
        if all(c["state"] in ("done", "undone", "refused") for c in commands):
            return commands
        time.sleep(0.1)
    raise AssertionError("a command did not settle")
