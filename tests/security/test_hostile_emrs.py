"""However an EMR misbehaves: answers come in their time and from a bounded memory, no token goes elsewhere, what it
says is told to nobody, and clients of other EMRs notice nothing. A gateway of its own process, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.processes import process
from tests.live.processes import free_port
from tests.security.hostile_emr import EVIL_TEXTS, MARK, WAYS, hostile

HEADERS = {"x-leyr-client-id": "one", "x-leyr-client-secret": "one-secret"}
HONEST = '[clients.emrs.honest]\nplugin = "sandbox"\nsettings = { clinic = "a", api_key = "a-key" }\n'
ACCOUNT = """
[clients.emrs.{key}]
plugin = "fhir"
settings = {{ base_url = "http://127.0.0.1:{port}/{way}", auth = "bearer", token = "{token}" }}
"""
TOKEN = "Kanarietoken-4711"
PATIENCE_S = 70.0
"""A read has 50 seconds, whatever its EMR does."""
MOST_MEMORY = 700 * 1024 * 1024
"""All ways at once. One that is given 20 MiB at a time is not given much more."""
SLOWLY = ("never", "drips", "sends-a-gig", "sends-a-bomb", "asks-to-wait")
SLOW = tuple(name for name in WAYS if name.startswith(SLOWLY))

ASKED: list[tuple[str, str, Any]] = [
    ("GET", "appointments?start=2027-03-01T00:00:00Z&end=2027-03-09T00:00:00Z", None),
    ("GET", "appointments/a1", None),
    ("GET", "timeslots?resource_id=d1&start=2027-03-01T00:00:00Z&end=2027-03-09T00:00:00Z", None),
    ("GET", "patients", None),
    ("PATCH", "appointments/a1", {"comment": "x"}),
    ("PATCH", "appointments", {"ids": ["a1", "a2"], "status": "cancelled"}),
]


def configured(folder: Path, port: int) -> Path:
    accounts = (ACCOUNT.format(key=way, way=way, port=port, token=TOKEN) for way in WAYS)
    client = 'demo = true\n[[clients]]\nid = "one"\nsecret = "plain:one-secret"\n'
    (folder / "clients.toml").write_text(client + HONEST + "".join(accounts))
    (folder / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n')
    return folder / "gateway.toml"


@contextmanager
def gateway(folder: Path, port: int):
    own = free_port()
    environment = {"GATEWAY_CONFIG": str(configured(folder, port)), "PORT": str(own)}
    with process(folder, "gateway", (f"http://127.0.0.1:{own}/healthz", 200), "serve", **environment) as running:
        yield running.pid, f"http://127.0.0.1:{own}"


def peak(pid: int) -> int:
    told = Path(f"/proc/{pid}/status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) * 1024


class Trial:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.cases = 0
        self.wrong: list[str] = []
        self.slowest_honest = 0.0

    async def of(self, way: str) -> None:
        if way in SLOW:
            await asyncio.gather(*(self._asked(way, *asked) for asked in ASKED))
            return
        for asked in ASKED:
            await self._asked(way, *asked)

    async def _asked(self, way: str, method: str, path: str, body: Any) -> None:
        began = time.monotonic()
        try:
            answer = await self.http.request(method, f"/api/emrs/{way}/{path}", json=body, timeout=PATIENCE_S)
        except httpx.TransportError as error:
            self.wrong.append(f"{way} {method} {path}: {type(error).__name__}")
        else:
            self.cases += 1
            self.wrong += [
                f"{way} {method} {path}: {why}" for why in self._wrong(way, answer, time.monotonic() - began)
            ]

    def _wrong(self, way: str, answer: httpx.Response, seconds: float) -> list[str]:
        head = str(answer.headers)
        found = [
            (answer.status_code == 500, "a bug"),
            (seconds > PATIENCE_S - 10, f"it took {seconds:.0f} s"),
            ("evil" in head.lower() or MARK in head, "the EMR wrote into the head"),
            (TOKEN in answer.text + head, "a token was told"),
            (answer.status_code >= 400 and MARK in answer.text, "what the EMR wrote was told in an error"),
            (answer.status_code < 400 and way not in EVIL_TEXTS and MARK in answer.text, "it was believed"),
        ]
        json.loads(answer.content.decode("utf-8"))
        return [f"{answer.status_code} {why}" for is_wrong, why in found if is_wrong]

    async def honest(self) -> None:
        """The client of another EMR, all the while."""
        while True:
            began = time.monotonic()
            answer = await self.http.get("/api/emrs/honest/patients", timeout=PATIENCE_S)
            self.slowest_honest = max(self.slowest_honest, time.monotonic() - began)
            if answer.status_code != 200:
                self.wrong.append(f"the honest one: {answer.status_code}")
            await asyncio.sleep(0.2)


@pytest.mark.security
async def test_every_way_to_misbehave_is_bounded(tmp_path, record_property):
    ways = [way for way in WAYS if not os.environ.get("BOUND") or way not in SLOW]
    async with hostile() as emr:
        with gateway(tmp_path, emr.port) as (pid, url):
            # A watched pot: the hostile server runs in this loop, too.
            limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
            async with httpx.AsyncClient(base_url=url, headers=HEADERS, limits=limits) as http:
                trial = Trial(http)
                watching = asyncio.create_task(trial.honest())
                await asyncio.gather(*(trial.of(way) for way in ways))
                watching.cancel()
            memory = peak(pid)
        astray = list(emr.led_astray)
    log = (tmp_path / "gateway.log").read_text()
    lines = [line for line in log.splitlines() if line.startswith("{")]
    for line in lines:
        json.loads(line)
    record_property("security: hostile EMR cases", trial.cases)
    record_property("security: hostile EMR cases unbounded", len(trial.wrong))
    record_property("security: tokens that left for another host", len(astray))
    record_property("security: MiB at most, all hostile EMRs at once", memory // (1 << 20))
    assert trial.wrong == []
    assert {way for way in ways if not emr.asked.get(way)} == set(), "it was not even asked"
    assert emr.trusted == sum(emr.asked.values()), "what goes nowhere can't go astray"
    assert astray == []
    assert MARK not in log
    assert TOKEN not in log
    assert memory < MOST_MEMORY
    assert trial.slowest_honest < 10
