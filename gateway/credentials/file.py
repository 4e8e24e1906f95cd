"""The file of the store: SQLite, for the gateway and its command line at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.credentials import CantOpen
from gateway.keys import sync_directory

_VERSION = 1
_SCHEMA = (
    "CREATE TABLE openings (number INTEGER PRIMARY KEY, client TEXT NOT NULL, emr TEXT NOT NULL, sealed BLOB NOT NULL)",
    "CREATE INDEX openings_by_account ON openings (client, emr)",
    """
    CREATE TABLE credentials (
        client TEXT NOT NULL, emr TEXT NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL, written_at INTEGER NOT NULL,
        PRIMARY KEY (client, emr, name)
    ) WITHOUT ROWID
    """,
    f"PRAGMA user_version = {_VERSION}",
)
_PRAGMAS = (
    "PRAGMA journal_mode = DELETE",  # one file, so that a look at it tells whether it is still the one that was opened
    "PRAGMA synchronous = EXTRA",  # what a refresh token was replaced by must be there after a loss of power
    "PRAGMA secure_delete = ON",
)
_PATIENCE_S = 5.0


class File:
    """Made when something is first written. Whatever goes wrong with it is `CantOpen`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._found: tuple[int, int] | None = None
        self._lock = threading.RLock()
        self._changes = 0

    @property
    def exists(self) -> bool:
        return self._path.exists()

    def version(self) -> tuple[int, int]:
        """Another one after every write, whichever process made it."""
        if not self.exists:
            return (0, 0)
        with self.reading() as db:
            return self._changes, db.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                db.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _told():
            yield self._connected()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _told():
            db = self._connected()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._changes += 1
            if self._found != _file(self._path):
                raise CantOpen("The store of credentials was replaced by another file. Try again.")

    def _connected(self) -> sqlite3.Connection:
        """To the file that is there now: one that was replaced is written to no more."""
        if self._db is None or self._found != _file(self._path):
            self.close()
            self._db = self._connect()
            self._found = _file(self._path)
            self._changes += 1
        return self._db

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            sync_directory(self._path.parent)
        db = sqlite3.connect(self._path, isolation_level=None, timeout=_PATIENCE_S, check_same_thread=False)
        try:
            for pragma in _PRAGMAS:
                db.execute(pragma)
            _migrate(db)
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorname", None) or type(error).__name__
        raise CantOpen(f"The store of credentials can't be read or written ({code}).") from None


def _migrate(db: sqlite3.Connection) -> None:
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    if found > _VERSION:
        raise CantOpen("The store of credentials was written by a newer gateway. Start that one.")
    if found:
        return
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone() == (0,):
        for statement in _SCHEMA:
            db.execute(statement)
    db.execute("COMMIT")


def _file(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
