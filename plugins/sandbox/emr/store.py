"""The sandbox EMR's database: one SQLite file, one connection, one thread, short transactions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS clinic (
    id INTEGER PRIMARY KEY, personality TEXT NOT NULL, name TEXT NOT NULL, first_day TEXT NOT NULL,
    slots_until TEXT NOT NULL, last_number INTEGER NOT NULL, UNIQUE (personality, name));
CREATE TABLE IF NOT EXISTS entry (
    clinic INTEGER NOT NULL, list TEXT NOT NULL, ref TEXT NOT NULL, title TEXT NOT NULL,
    site TEXT, minutes INTEGER, asks_code INTEGER, PRIMARY KEY (clinic, list, ref)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS booking (
    clinic INTEGER NOT NULL, ref TEXT NOT NULL, rev INTEGER NOT NULL, begins TEXT NOT NULL, ends TEXT NOT NULL,
    who TEXT NOT NULL, staff TEXT NOT NULL, kind TEXT NOT NULL, memo TEXT NOT NULL, stage TEXT NOT NULL,
    agreed INTEGER, mark TEXT, moved_to TEXT, came_from TEXT, slots TEXT NOT NULL, PRIMARY KEY (clinic, ref));
CREATE VIEW IF NOT EXISTS standing AS SELECT * FROM booking WHERE stage NOT IN ('ANNULLED', 'MOVED');
CREATE INDEX IF NOT EXISTS booking_time ON booking (clinic, staff, begins);
CREATE INDEX IF NOT EXISTS booking_mark ON booking (clinic, mark) WHERE mark IS NOT NULL;
CREATE TABLE IF NOT EXISTS slot (
    clinic INTEGER NOT NULL, ref TEXT NOT NULL, rev INTEGER NOT NULL, staff TEXT NOT NULL,
    begins TEXT NOT NULL, ends TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (clinic, ref)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS slot_time ON slot (clinic, begins);
CREATE TABLE IF NOT EXISTS request (
    clinic INTEGER NOT NULL, ref TEXT NOT NULL, about TEXT NOT NULL, memo TEXT,
    PRIMARY KEY (clinic, ref), UNIQUE (clinic, about)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY, clinic INTEGER NOT NULL, who TEXT NOT NULL, about TEXT NOT NULL,
    says TEXT NOT NULL, begins TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    number INTEGER PRIMARY KEY, clinic INTEGER NOT NULL, at TEXT NOT NULL, hand TEXT NOT NULL, ref TEXT NOT NULL,
    was TEXT NOT NULL, now TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS memo_seen (
    clinic INTEGER NOT NULL, memo TEXT NOT NULL, writes INTEGER NOT NULL, PRIMARY KEY (clinic, memo)) WITHOUT ROWID;
"""


class Store:
    """Opened by its first transaction. What is committed outlives the process, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sandbox-emr")
        self._db: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T], *, keep: bool = True) -> T:
        """`work` as one transaction, undone if it raises or unless `keep`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, work, keep)

    def close(self) -> None:
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _transact(self, work: Callable[[sqlite3.Connection], T], keep: bool) -> T:
        db = self._opened()
        # Immediate, so that a second process on this file can't come between our check and our insert.
        db.execute("BEGIN IMMEDIATE")
        try:
            result = work(db)
            db.execute("COMMIT" if keep else "ROLLBACK")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        return result

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=10)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            # Enough for a killed process; only a power cut could take the last commits.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(SCHEMA)
        return self._db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
