"""A real gateway is asked to end in the middle of a bulk command on a slow EMR: it finishes it, or hands it over."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.processes import HEADERS, at_work, bulk, gateway, sandbox, seen, settled, slow

LATENCY_MS = 300
"""Of each of the EMR's answers: the command takes five or more."""
PERSONALITY = "no-move"
LONG, SHORT = "[limits]\ndrain_s = 30\n", "[limits]\ndrain_s = 0.4\n"


@pytest.fixture(scope="module")
def emr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox(tmp_path_factory.mktemp("emr")) as url:
        yield url


@dataclass
class Stopped:
    """A gateway that was asked to end in the middle of a bulk command, once or again and again."""

    folder: Path
    emr: str
    clinic: str
    config: str
    signals: tuple[int, ...] = (signal.SIGTERM,)
    before: list[Any] = field(default_factory=list)
    body: dict[str, Any] = field(default_factory=dict)
    answer: httpx.Response | None = None
    meanwhile: dict[str, httpx.Response] = field(default_factory=dict)
    lasted_s: float = 0.0
    """From the last signal to the end of the process."""

    def run(self) -> None:
        with httpx.Client(headers=HEADERS, timeout=30) as http:
            with gateway(self.folder, self.emr, PERSONALITY, self.clinic, self.config) as (running, url):
                self.before, self.body = seen(http, url), bulk(http, url)
                slow(self.emr, PERSONALITY, self.clinic, LATENCY_MS)
                asyncio.run(self._asked_to_end(running, url))
                running.wait(timeout=20)
                self.lasted_s = time.monotonic() - self.lasted_s
            assert running.returncode == 0
        slow(self.emr, PERSONALITY, self.clinic, 0)

    async def _asked_to_end(self, running: subprocess.Popen[bytes], url: str) -> None:
        async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=30) as http:
            request = asyncio.create_task(http.patch("/api/emrs/emr/appointments", json=self.body))
            await at_work(http, "")
            running.send_signal(self.signals[0])
            await asyncio.sleep(0.1)
            other = {"idempotency-key": "another"}
            for name, ask in (
                ("ready", http.get("/readyz")),
                ("read", http.get("/api/emrs/emr/appointments")),
                ("write", http.patch(f"/api/emrs/emr/appointments/{self.body['ids'][0]}", json={}, headers=other)),
            ):
                self.meanwhile[name] = await ask
            for number in self.signals[1:]:
                running.send_signal(number)
            self.lasted_s = time.monotonic()
            self.answer = await request

    def after_the_next_start(self) -> tuple[Any, httpx.Response, list[Any]]:
        """The command, what its key answers, and what stands then."""
        started = gateway(self.folder, self.emr, PERSONALITY, self.clinic)
        with httpx.Client(headers=HEADERS, timeout=30) as http, started as (_, url):
            (command,) = settled(http, url)
            answer = http.patch(f"{url}/api/emrs/emr/appointments", json=self.body)
            return command, answer, seen(http, url)

    def all_or_nothing(self) -> None:
        """The next start brings it to an end, and its key answers so."""
        command, answer, after = self.after_the_next_start()
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.status_code == command["answer"]["status"]
        if command["state"] == "done":
            assert [a["change"] for a in answer.json()] == ["moved", "moved", "cancelled"]
            assert len([a for a in after if a[4] == "moved"]) == 2
            assert len(after) == len(self.before) - 1
        else:
            assert command["state"] in ("undone", "refused")
            assert after == self.before


def refused_for_now(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "BUSY")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["connection"] == "close"


@pytest.mark.faults
def test_a_command_that_has_time_to_end_is_finished_and_its_client_gets_its_answer(emr, tmp_path):
    stopped = Stopped(tmp_path, emr, "enough", LONG)
    stopped.run()
    assert (stopped.answer.status_code, stopped.answer.headers["connection"]) == (200, "close")
    assert [a["change"] for a in stopped.answer.json()] == ["moved", "moved", "cancelled"]
    assert stopped.meanwhile["ready"].status_code == 503
    refused_for_now(stopped.meanwhile["read"])
    refused_for_now(stopped.meanwhile["write"])
    command, answer, after = stopped.after_the_next_start()
    assert (command["state"], answer.content) == ("done", stopped.answer.content)
    assert len([a for a in after if a[4] == "moved"]) == 2


def test_a_command_that_has_not_is_handed_over_and_its_client_is_told_where_to_ask(emr, tmp_path):
    stopped = Stopped(tmp_path, emr, "short", SHORT)
    stopped.run()
    assert stopped.answer.status_code == 202
    told = stopped.answer.json()
    assert stopped.answer.headers["location"] == f"/api/commands/{told['id']}"
    assert told["state"] == "running"
    assert stopped.meanwhile["ready"].status_code == 503
    stopped.all_or_nothing()


@pytest.mark.faults
def test_who_asks_twice_is_not_kept_waiting_and_nothing_is_lost(emr, tmp_path):
    stopped = Stopped(tmp_path, emr, "twice", LONG, signals=(signal.SIGTERM, signal.SIGINT))
    stopped.run()
    assert stopped.lasted_s < 5
    assert stopped.answer.status_code == 202
    stopped.all_or_nothing()
