"""The record of a state directory, or of a copy of one: read without a gateway, and beside one that runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.audit import appointment_hash, patient_hash
from gateway.audit.chain import Broken, Chain, Walk
from gateway.keys import Keys
from gateway.ledger.trail import at_of, end_of, links_of, opened


@dataclass(frozen=True, slots=True)
class Entry:
    """What was recorded, with its place in the chain."""

    number: int
    mac: bytes
    told: dict[str, Any]

    @property
    def at(self) -> datetime:
        """In UTC."""
        return at_of(self.told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries; `None`: all. `since` is included, `until` is not."""

    since: datetime | None = None
    until: datetime | None = None
    client: str | None = None
    appointment: str | None = None
    patient: str | None = None

    def wants(self, entry: Entry, keys: Keys) -> bool:
        told = entry.told
        return (
            (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
            and self.client in (None, told.get("client"))
            and (self.appointment is None or appointment_hash(keys, _tenant(told), self.appointment) in _hashes(told))
            and (self.patient is None or patient_hash(keys, _tenant(told), self.patient) in _hashes(told))
        )


def _tenant(told: dict[str, Any]) -> str:
    return str(told.get("tenant", ""))


def _hashes(told: dict[str, Any]) -> set[str]:
    """Of all appointments and patients that an entry is about."""
    items = [*told.get("touched", ()), *told.get("steps", ())]
    return {item[kind] for item in items for kind in ("appointment", "patient") if item.get(kind)}


class Record:
    """Reads as of one moment. Every method raises Broken where the chain ends too early."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self._path, self._keys = path, keys

    def verify(self, wanted: str | None = None) -> Walk:
        """Go all the way; `wanted`: a mark that has to lie on it. → the way that was gone."""
        with closing(self._open()) as db:
            walk = self._walk(db, wanted)
            for _ in self._entries(db, walk, read=False):
                pass
            return walk

    def entries(self, wanted: Wanted) -> Iterator[Entry]:
        """Entries as long as they are whole, oldest first."""
        with closing(self._open()) as db:
            for entry in self._entries(db, self._walk(db), read=True):
                if wanted.wants(entry, self._keys):
                    yield entry

    def _walk(self, db: sqlite3.Connection, wanted: str | None = None) -> Walk:
        return Walk(Chain(self._keys), end_of(db, "anchor"), end_of(db, "head"), wanted)

    def _entries(self, db: sqlite3.Connection, walk: Walk, *, read: bool) -> Iterator[Entry]:
        try:
            for link in links_of(db):
                walk.step(link)
                if read:
                    yield Entry(link.number, link.mac, opened(self._keys, link))
        except sqlite3.Error as error:
            raise Broken(f"The file is damaged after entry {walk.at.number} ({_name(error)}).") from None
        walk.end()

    def _open(self) -> sqlite3.Connection:
        if not self._path.is_file():
            raise Broken(f"There is no {self._path}.")
        # A copy on a medium that can't be written has nothing beside it that would have to be read, too.
        wal = self._path.with_name(f"{self._path.name}-wal")
        modes = ("mode=ro",) if wal.exists() else ("mode=ro", "immutable=1")
        for mode in modes:
            db = sqlite3.connect(f"{self._path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
            try:
                db.execute("BEGIN")
                db.execute("SELECT name FROM audit_ends").fetchall()
            except sqlite3.Error as error:
                db.close()
                failed = error
            else:
                return db
        raise Broken(f"{self._path} can't be read, or holds no record ({_name(failed)}).")


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or type(error).__name__
