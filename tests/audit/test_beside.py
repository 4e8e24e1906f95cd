"""Several processes write one record: none breaks it for another, and all that was said is there."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.audit import Event
from gateway.audit.reading import Record, Wanted
from gateway.audit.terminal import FORMATS
from gateway.keys import Keys
from gateway.ledger import LedgerDown
from gateway.ledger.beside import Beside
from gateway.ledger.schema import AUDITED, MIGRATIONS, NewerSchema
from gateway.ledger.sqlite import SqliteLedger
from tests.audit.record import KEYS, settled, written
from tests.ledger.conftest import NOON, at

ROOT = Path(__file__).parents[2]
WRITES = """
import sys
import time
from pathlib import Path
from gateway.audit import Event
from gateway.clock import now
from gateway.keys import Keys
from gateway.ledger.beside import Beside
path, name = sys.argv[1:]
beside, n = Beside(Path(path), Keys(bytes(range(32)))), 0
while True:
    beside.note(Event(kind="tried", by=name, facts={"n": n}), now())
    n += 1
    print(n, flush=True)
    time.sleep(0.02)
"""
"""A person is slower; without any pause the gateway would wait too long for its turn, which SQLite does not keep."""


def told(path: Path) -> list[dict]:
    record = Record(path, KEYS)
    record.verify()
    return [entry.told for entry in record.entries(Wanted())]


def writer(path: Path, name: str) -> subprocess.Popen[bytes]:
    """It says how many are written in a file of its own."""
    with path.with_name(name).open("wb") as said:
        return subprocess.Popen([sys.executable, "-c", WRITES, str(path), name], cwd=ROOT, stdout=said)


async def until_it_writes(path: Path, name: str) -> None:
    async with asyncio.timeout(60):
        while not path.with_name(name).stat().st_size:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_terminals_that_are_killed_write_into_the_record_of_a_gateway_that_works(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, KEYS)
    await ledger.open()
    terminals = {name: writer(path, name) for name in ("anna", "berit")}
    try:
        for name in terminals:
            await until_it_writes(path, name)
        for n in range(60):
            await settled(ledger, f"c{n}", n)
    finally:
        for terminal in terminals.values():
            terminal.send_signal(signal.SIGKILL)
            terminal.wait()
    await ledger.note(Event(kind="later"), NOON)
    head = await ledger.head()
    await ledger.close()
    found = told(path)
    assert head.number == len(found)
    assert [t["command"] for t in found if t["kind"] == "command"] == [f"c{n}" for n in range(60)]
    for name in terminals:
        numbers = path.with_name(name).read_text().split()
        written_ = [t["n"] for t in found if t["by"] == name]
        # What was acknowledged is there once and in order; who was killed may not have said so of one more.
        assert len(written_) - len(numbers) in (0, 1)
        assert written_ == list(range(len(written_)))
    firsts = [next(n for n, t in enumerate(found) if t["by"] == name) for name in terminals]
    assert max(firsts) < max(n for n, t in enumerate(found) if t["kind"] == "command")


async def test_a_record_begins_at_a_terminal_and_a_gateway_goes_on_with_it(tmp_path):
    path = tmp_path / "ledger.db"
    Beside(path, KEYS).note(Event(kind="tried", by="anna"), NOON)
    assert path.stat().st_mode & 0o777 == 0o600
    ledger = SqliteLedger(path, KEYS)
    await ledger.open()
    await settled(ledger, "c1", 1)
    await ledger.close()
    Beside(path, KEYS).note(Event(kind="tried", by="anna"), at(2))
    assert [t["kind"] for t in told(path)] == ["tried", "command", "tried"]


async def test_tables_of_an_older_gateway_are_left_as_they_are_and_of_a_newer_one_not_touched(tmp_path):
    path = tmp_path / "ledger.db"
    await written(path)
    db = sqlite3.connect(path, isolation_level=None)
    for found, wrong in ((AUDITED, None), (AUDITED - 1, LedgerDown), (len(MIGRATIONS) + 1, NewerSchema)):
        db.execute(f"PRAGMA user_version = {found}")
        count = len(told(path))
        if wrong is None:
            Beside(path, KEYS).note(Event(kind="tried"), NOON)
            assert len(told(path)) == count + 1
        else:
            with pytest.raises(wrong):
                Beside(path, KEYS).note(Event(kind="tried"), NOON)
            assert len(told(path)) == count
        assert db.execute("PRAGMA user_version").fetchone() == (found,)
    db.close()


async def test_a_file_that_is_held_for_long_is_waited_for_and_then_given_up(tmp_path):
    path = tmp_path / "ledger.db"
    await written(path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerDown, match="SQLITE_BUSY"):
        Beside(path, KEYS, patience_s=0.05).note(Event(kind="tried"), NOON)
    db.close()


def first_version(path: Path) -> str:
    """A record as the first version wrote it. → its head."""
    kept = json.loads((Path(__file__).parent / "first_version.json").read_text())
    assert Keys(bytes.fromhex(kept["key"])).id == KEYS.id
    Beside(path, KEYS).note(Event(kind="put in its place"), NOON)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("INSERT OR REPLACE INTO audit_ends VALUES ('anchor', 99, x'', x'')")
    db.execute("DELETE FROM audit")
    db.executemany(
        "INSERT INTO audit VALUES (?, ?, ?)", [(n, bytes.fromhex(e), bytes.fromhex(m)) for n, e, m in kept["entries"]]
    )
    ends = [(name, n, bytes.fromhex(m), bytes.fromhex(s)) for name, n, m, s in kept["ends"]]
    db.executemany("INSERT OR REPLACE INTO audit_ends VALUES (?, ?, ?, ?)", ends)
    db.close()
    return str(kept["head"])


def test_a_record_of_the_first_version_stays_whole_and_is_gone_on_with(tmp_path):
    path = tmp_path / "ledger.db"
    head = first_version(path)
    before = told(path)
    assert len(before) == 7
    assert not any("version" in entry for entry in before)
    Beside(path, KEYS).note(Event(kind="tried", by="anna"), NOON)
    record = Record(path, KEYS)
    record.verify(head)
    found = list(record.entries(Wanted()))
    assert [entry.told.get("version") for entry in found] == [*[None] * 7, 2]
    for write in FORMATS.values():
        assert len([write(entry) for entry in found]) == 8
