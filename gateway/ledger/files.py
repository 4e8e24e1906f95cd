"""The ledger's file and its log: made, opened, looked at, and cleared of what was erased."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway.keys import sync_directory
from gateway.ledger import LedgerDown
from gateway.ledger.lane import told_of

log = logging.getLogger("gateway.ledger")

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL would survive a killed process, but not a loss of power
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # what is erased is overwritten, not only forgotten
)


def create(path: Path) -> None:
    """SQLite would make the file readable to others, and its WAL gets the same mode."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        sync_directory(path.parent)


def stamps(*paths: Path) -> tuple[tuple[int, int], ...]:
    """Which files stand at these paths. Raises LedgerDown where one is gone.

    Only looked at, never opened: closing a second descriptor would give up SQLite's locks on the file.
    """
    try:
        return tuple((found.st_dev, found.st_ino) for found in map(os.stat, paths))
    except OSError as error:
        raise LedgerDown(f"The ledger's file is gone ({type(error).__name__}).") from None


def connected(path: Path, patience_s: float) -> sqlite3.Connection:
    """`patience_s`: how long it waits for a lock. Raises sqlite3.Error."""
    # mode=rw: a ledger that vanished is down, not empty.
    db = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=patience_s)
    try:
        for pragma in _PRAGMAS:
            db.execute(pragma)
    except sqlite3.Error:
        db.close()
        raise
    return db


def checkpoint(connect: Callable[[], sqlite3.Connection]) -> None:
    """Write the log back and cut it off: it holds what pages were before. Raises LedgerDown."""
    try:
        with closing(connect()) as db:
            (busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise told_of(error) from None
    if busy:
        log.warning("the ledger's log is in use: what was erased stays in it until the next time")
