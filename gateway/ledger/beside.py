"""An entry of the audit by another process than the gateway: beside one that works, or where none does.

The chain has many writers and one order: each reads the newest entry and appends to it in one transaction that nobody
else can write in.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from gateway.audit import Event
from gateway.keys import Keys
from gateway.ledger import LedgerDown
from gateway.ledger.files import connected, create
from gateway.ledger.lane import told_of
from gateway.ledger.schema import AUDITED, version
from gateway.ledger.trail import Trail, prepare, prove_key

_PATIENCE_S = 10.0
"""The gateway holds the file for milliseconds at a time, a back-up for longer."""


class Beside:
    """The ledger's record, and nothing else of it."""

    def __init__(self, path: Path, keys: Keys, *, patience_s: float = _PATIENCE_S) -> None:
        self._path, self._keys, self._patience_s = path.absolute(), keys, patience_s
        self._trail = Trail(keys)

    def note(self, event: Event, now: datetime) -> None:
        """Returns when the entry is durable; where there is no ledger yet, it begins with this.

        Raises LedgerDown, NewerSchema, WrongKey.
        """
        try:
            create(self._path)
            with closing(connected(self._path, self._patience_s)) as db:
                db.execute("BEGIN IMMEDIATE")
                self._ready(db)
                self._trail.note(db, event, now)
                db.execute("COMMIT")
        except OSError as error:
            raise LedgerDown(f"The ledger {self._path} can't be created ({type(error).__name__}).") from None
        except sqlite3.Error as error:
            raise told_of(error) from None

    def _ready(self, db: sqlite3.Connection) -> None:
        """Tables of an older gateway are left as they are: it may be the one that works on them."""
        found = version(db)
        if found == 0:
            prepare(db, self._keys)
        elif found < AUDITED:
            raise LedgerDown("The ledger is of a gateway that kept no record; start this one once.")
        else:
            prove_key(db, self._keys)
