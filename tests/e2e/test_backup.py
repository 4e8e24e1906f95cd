"""The drill: backed up while commands run, lost, restored into an empty directory, started: nothing is missing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from gateway.backup import CantBackUp, back_up
from tests.e2e.processes import HEADERS, ROOT, at_work, bulk, gateway, sandbox, seen, settled, slow

LATENCY_MS = 150
PERSONALITY, CLINIC = "no-move", "drill"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *arguments]
    told = {"GATEWAY_CONFIG": str(folder / "gateway.toml"), "PATH": os.environ["PATH"]}
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)


async def backed_up_meanwhile(folder: Path, url: str, body, process) -> None:
    """In the middle of a command, whose gateway is then lost with its disk."""
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=30) as http:
        request = asyncio.create_task(http.patch("/api/emrs/emr/appointments", json=body))
        await at_work(http, "", "done")
        done = await asyncio.to_thread(run, folder, "backup", str(folder / "copy"))
        assert done.returncode == 0, done.stderr
        assert "ledger.sqlite" in done.stdout
        assert "not in it" in done.stdout
        process.kill()
        with suppress(httpx.TransportError):
            await request


@pytest.mark.drill
def test_what_is_restored_goes_on_where_the_back_up_was_made(tmp_path):
    with sandbox(tmp_path) as emr, httpx.Client(headers=HEADERS, timeout=30) as http:
        with gateway(tmp_path, emr, PERSONALITY, CLINIC) as (process, url):
            one = http.get(f"{url}/api/emrs/emr/appointments").json()[0]["id"]
            path, note = f"/api/emrs/emr/appointments/{one}", {"comment": "before the back-up"}
            earlier = {"idempotency-key": "earlier"}
            first = http.patch(url + path, json=note, headers=earlier)
            assert first.status_code == 200
            before, body = seen(http, url), bulk(http, url)
            slow(emr, PERSONALITY, CLINIC, LATENCY_MS)
            asyncio.run(backed_up_meanwhile(tmp_path, url, body, process))
        slow(emr, PERSONALITY, CLINIC, 0)

        key = (tmp_path / "state/gateway.key").read_bytes()
        shutil.rmtree(tmp_path / "state")
        shutil.copytree(tmp_path / "copy", tmp_path / "state")
        without = run(tmp_path, "commands", "list")
        assert without.returncode == 1, "the copy alone opens nothing"
        (tmp_path / "state/gateway.key").write_bytes(key)
        (tmp_path / "state/gateway.key").chmod(0o600)

        with gateway(tmp_path, emr, PERSONALITY, CLINIC) as (_, url):
            (command,) = settled(http, url)
            after = seen(http, url)
            if command["state"] == "done":
                assert len(after) == len(before) - 1
                assert len([a for a in after if a[4] == "moved"]) == 2
            else:
                assert (command["state"], after) == ("undone", before)
            again = http.patch(url + path, json=note, headers=earlier)
            assert (again.headers["idempotent-replayed"], again.content) == ("true", first.content)
        assert run(tmp_path, "audit", "verify").returncode == 0


@pytest.fixture
def state(tmp_path):
    path = tmp_path / "state"
    path.mkdir()
    with closing(sqlite3.connect(path / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (v)")
        db.execute("INSERT INTO t VALUES (1)")
        yield path, db


def test_a_copy_is_whole_of_one_moment_and_its_owners_alone(state, tmp_path):
    path, db = state
    (path / "former-keys.json").write_text("{}")
    (path / "gateway.key").write_text("secret")
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t VALUES (2)")
    assert back_up(path, tmp_path / "copy") == ["ledger.sqlite", "former-keys.json"], "nobody waits for a writer"
    db.execute("COMMIT")
    assert {found.name for found in (tmp_path / "copy").iterdir()} == {"ledger.sqlite", "former-keys.json"}
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(found.stat().st_mode) == 0o600 for found in (tmp_path / "copy").iterdir())
    with closing(sqlite3.connect(tmp_path / "copy/ledger.sqlite")) as copy:
        assert copy.execute("SELECT v FROM t").fetchall() == [(1,)]


def test_nothing_is_written_over_and_nothing_half_done_looks_done(state, tmp_path, monkeypatch):
    path, _ = state
    (tmp_path / "copy").mkdir()
    with pytest.raises(CantBackUp, match="is there already"):
        back_up(path, tmp_path / "copy")
    with pytest.raises(CantBackUp, match="has no ledger"):
        back_up(tmp_path, tmp_path / "another")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.backup._copy", full)
    with pytest.raises(CantBackUp, match="can't be written"):
        back_up(path, tmp_path / "another")
    assert not (tmp_path / "another").exists()
