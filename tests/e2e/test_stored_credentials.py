"""Processes, killed in the middle: repair ends without the client what it began with a credential of the store, and
neither that nor the client's secret is anywhere to be read."""

from __future__ import annotations

import asyncio
import base64
import io
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.__main__ import main
from gateway.clients.auth import client_hash
from gateway.keys import Keys
from tests.e2e.processes import at_work, bulk, process, sandbox, seen, slow
from tests.live.processes import free_port

SECRET, CLINIC = "the-secret-of-client-one", "stored"
API_KEY = f"{CLINIC}-key"
HEADERS = {"x-leyr-client-id": "one", "x-leyr-client-secret": SECRET, "idempotency-key": "only-once"}
CLIENTS = """
[[clients]]
id = "one"
secret = "{secret}"

[clients.emrs.emr]
plugin = "sandbox"
settings = {{ base_url = "{base}", clinic = "{clinic}", api_key = "store:key", personality = "no-move" }}
"""


@pytest.fixture(scope="module")
def emr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox(tmp_path_factory.mktemp("emr")) as url:
        yield url


Told = Callable[..., str]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """What `python -m gateway` prints, on both ways."""

    def typed(*arguments: str, typed: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        assert main([*arguments, "--config", str(tmp_path / "gateway.toml")]) == 0
        out, err = capsys.readouterr()
        return out + err

    return typed


@pytest.fixture
def folder(tmp_path: Path, emr: str, told: Told) -> Path:
    (tmp_path / "state").mkdir()
    secret = f"hmac:{client_hash(Keys.from_file(tmp_path / 'state' / 'gateway.key'), 'one', SECRET)}"
    (tmp_path / "clients.toml").write_text(CLIENTS.format(secret=secret, base=emr, clinic=CLINIC))
    (tmp_path / "gateway.toml").write_text('state_dir = "state"\n')
    told("credentials", "put", "one", "emr", "key", typed=f"{SECRET}\n{API_KEY}\n")
    return tmp_path


@contextmanager
def gateway(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"GATEWAY_CONFIG": str(folder / "gateway.toml"), "PORT": str(port)}
    with process(folder, "gateway", (f"{url}/readyz", 200), "serve", **settings) as running:
        yield running, url


async def killed(running: subprocess.Popen[bytes], url: str, body: object) -> None:
    """In the middle of its writes."""
    async with httpx.AsyncClient(headers=HEADERS, timeout=60) as http:
        request = asyncio.create_task(http.patch(f"{url}/api/emrs/emr/appointments", json=body))
        await at_work(http, url, "done")
        running.kill()
        with pytest.raises(httpx.TransportError):
            await request


def beside(folder: Path) -> list[bytes]:
    with sqlite3.connect(folder / "state" / "ledger.sqlite") as db:
        found = [value for (value,) in db.execute("SELECT credential FROM commands")]
    db.close()
    return found


def all_settled(url: str) -> str:
    """The metrics, once they tell of no command that is not at an end. No client has called."""
    for _ in range(300):
        metrics = httpx.get(f"{url}/metrics").text
        counts = [line.rpartition(" ")[2] for line in metrics.splitlines() if line.startswith("gateway_commands_unset")]
        if counts and not any(map(float, counts)):
            return metrics
        time.sleep(0.1)
    raise AssertionError("a command did not settle")


def guises(secret: str) -> list[bytes]:
    plain = secret.encode()
    return [plain, plain[::-1], plain.hex().encode(), base64.b64encode(plain)[:-4], secret.encode("utf-16-le")]


@pytest.mark.faults
def test_a_command_that_was_cut_off_is_ended_without_its_client_and_no_secret_is_left_anywhere(emr, folder, told):
    sinks = [told("check"), told("credentials", "list")]
    with httpx.Client(headers=HEADERS, timeout=30) as http:
        with gateway(folder) as (running, url):
            before = seen(http, url)
            body = bulk(http, url)
            slow(emr, "no-move", CLINIC, 400)
            asyncio.run(killed(running, url, body))
        (sealed,) = beside(folder)
        assert len(sealed) > 32
        slow(emr, "no-move", CLINIC, 0)
        with gateway(folder) as (_, url):
            sinks.append(all_settled(url))
            assert beside(folder) == [b""]
        files = [path for path in (folder / "state").rglob("*") if path.is_file()]
        assert folder / "state" / "ledger.sqlite" in files
        assert not any(sealed in path.read_bytes() for path in files)
        with gateway(folder) as (_, url):
            (command,) = http.get(f"{url}/api/commands", params={"idempotency_key": "only-once"}).json()
            assert (command["state"], seen(http, url) == before) in {("done", False), ("undone", True)}
            refused = http.get(f"{url}/api/emrs/emr/appointments", headers={"x-leyr-client-secret": "wrong"})
            paths = ("/api/emrs", "/api/emrs/emr/appointments", "/metrics", "/openapi.json")
            sinks += [refused.text, *(http.get(f"{url}{path}").text for path in paths)]
    sinks += [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    assert any('"logger": "gateway' in sink or "gateway." in sink for sink in sinks)
    for secret in (API_KEY, SECRET):
        for guise in guises(secret):
            assert not any(guise.decode("latin-1") in sink for sink in sinks), secret
