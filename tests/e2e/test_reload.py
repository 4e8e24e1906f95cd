"""A real gateway is told by SIGHUP that its files have changed, and goes on if they can't be used."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import httpx

from tests.e2e.conftest import ACCOUNT, CLIENT
from tests.e2e.processes import ROOT, process
from tests.live.processes import free_port

ONE, TWO = (
    CLIENT.format(id=id) + ACCOUNT.format(key="emr", clinic=f"clinic-{id}", personality="in-place")
    for id in ("one", "two")
)


def until(url: str, **wanted: Any) -> dict[str, Any]:
    """What `/readyz` says of the configuration, once it says what is wanted."""
    told: dict[str, Any] = {}
    for _ in range(200):
        told = httpx.get(f"{url}/readyz").json()["configuration"]
        if all(told[name] == value for name, value in wanted.items()):
            return told
        time.sleep(0.05)
    raise AssertionError(told)


def exported(environment: dict[str, str]) -> list[dict]:
    command = [sys.executable, "-m", "gateway", "audit", "export"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_goes_on_with_the_files_that_are_right_and_says_which_run(tmp_path):
    clients, url = tmp_path / "clients.toml", f"http://127.0.0.1:{free_port()}"
    clients.write_text(f"demo = true\n{ONE}")
    (tmp_path / "gateway.toml").write_text('state_dir = "state"\n')
    settings = {"GATEWAY_CONFIG": str(tmp_path / "gateway.toml"), "PORT": url.rpartition(":")[2]}
    headers = {"x-leyr-client-id": "two", "x-leyr-client-secret": "two-secret"}
    with (
        process(tmp_path, "gateway", (f"{url}/readyz", 200), "serve", **settings) as running,
        httpx.Client(base_url=url, headers=headers) as two,
    ):
        first = until(url, differs_on_disk=False)["digest"]
        assert two.get("/api/emrs").status_code == 401
        clients.write_text(f"demo = true\n{ONE}{TWO}")
        running.send_signal(signal.SIGHUP)
        for _ in range(200):
            if two.get("/api/emrs").status_code == 200:
                break
            time.sleep(0.05)
        second = until(url, differs_on_disk=False)["digest"]
        assert second != first
        clients.write_text("demo = true\n[[clients]]\nid = 'two'\n")
        running.send_signal(signal.SIGHUP)
        assert until(url, differs_on_disk=True)["digest"] == second
        assert two.get("/api/emrs").status_code == 200
        told = httpx.get(f"{url}/metrics").text
        assert f'gateway_configuration_info{{digest="{second}"}} 1.0' in told
        assert "gateway_configuration_differs 1.0" in told
        printed = subprocess.run(
            [sys.executable, "-m", "gateway", "status"],
            env=settings,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert f"configuration {second} since " in printed
    assert "client two: secret is missing" in printed
    assert "reachable    two/emr  (sandbox, in-place)" in printed
    assert running.returncode == 0
    recorded = [told for told in exported(settings) if told["kind"].startswith(("gateway", "configuration"))]
    started, switched, refused = ({n: v for n, v in told.items() if n.endswith("added")} for told in recorded)
    assert [told["kind"].rpartition(".")[2] for told in recorded] == ["started", "switched", "refused"]
    assert (started, refused) == ({"clients_added": ["one"], "accounts_added": ["one/emr"]}, {})
    assert switched == {"clients_added": ["two"], "accounts_added": ["two/emr"]}
    assert "client two: secret is missing" in (tmp_path / "gateway.log").read_text()
