"""A second gateway on one state directory refuses to start, and the one that is at work there does not notice."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from gateway.attention.control import Control
from tests.e2e.processes import HEADERS, ROOT, at_work, bulk, gateway, sandbox, seen, settled, slow
from tests.live.processes import free_port

LATENCY_MS = 400


def second(folder: Path) -> subprocess.CompletedProcess[str]:
    """Started on the same configuration, at another port, until it ends."""
    told = {"PATH": os.environ["PATH"], "GATEWAY_CONFIG": str(folder / "gateway.toml"), "PORT": str(free_port())}
    command = [sys.executable, "-m", "gateway", "serve"]
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=60)


def test_it_refuses_in_the_middle_of_a_command_and_harms_nothing(tmp_path):
    state = tmp_path / "state"

    async def beside(url: str, body: Any) -> tuple[httpx.Response, subprocess.CompletedProcess[str]]:
        async with httpx.AsyncClient(headers=HEADERS, timeout=60) as http:
            request = asyncio.create_task(http.patch(f"{url}/api/emrs/emr/appointments", json=body))
            await at_work(http, url)
            (state / "lock").unlink()  # as one does who takes it for a stale one
            refused = await asyncio.to_thread(second, tmp_path)
            return await request, refused

    (tmp_path / "emr").mkdir()
    with (
        sandbox(tmp_path / "emr") as emr,
        httpx.Client(headers=HEADERS, timeout=30) as http,
        gateway(tmp_path, emr, "no-move", "second") as (_, url),
    ):
        body = bulk(http, url)
        before = seen(http, url)
        slow(emr, "no-move", "second", LATENCY_MS)
        answer, refused = asyncio.run(beside(url, body))
        slow(emr, "no-move", "second", 0)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert re.fullmatch(r"STATE_DIR \S+ is used by another gateway process.*\n", refused.stderr)
        assert answer.status_code == 200, answer.text
        (command,) = settled(http, url)
        assert command["state"] == "done"
        assert len(seen(http, url)) == len(before) - 1
        assert asyncio.run(Control(state).listed(settled=False, client=None, emr=None)) == []
