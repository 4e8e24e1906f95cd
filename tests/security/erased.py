"""What the ledger's file holds of a patient, told apart with the key; to be searched for once it was erased.

What is sealed shows no canary, so a search for words would find nothing erased or not: searched for are the very bytes.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audit import appointment_hash, patient_hash
from gateway.keys import Keys
from gateway.ledger.lineage import Lineage
from gateway.ledger.sqlite import SqliteLedger

_SHORTEST = 16
"""Bytes of what can only be somebody's: a hash, or what is sealed."""
_OF_A_COMMAND = (
    "SELECT answer FROM commands WHERE number = ?",
    "SELECT remarks FROM commands WHERE number = ?",
    "SELECT payload FROM commands WHERE number = ?",
    "SELECT credential FROM commands WHERE number = ?",
    "SELECT touched FROM commands WHERE number = ?",
    "SELECT payload FROM steps WHERE command = ?",
    "SELECT action FROM steps WHERE command = ?",
    "SELECT appointment FROM command_appointments WHERE command = ?",
)


@dataclass
class Held:
    """Of one patient, and of everybody else."""

    theirs: set[bytes] = field(default_factory=set)
    others: set[bytes] = field(default_factory=set)
    commands: int = 0
    """How many are theirs."""
    renamed: int = 0
    """How many former ids of their appointments there are."""

    def left(self, files: dict[str, bytes]) -> list[str]:
        return [name for name, text in files.items() for value in self.theirs if value in text]


def held(state: Path, copy: Path, patient: str, appointments: set[str]) -> Held:
    """As of now; `appointments`: all ids that the patient's ever had. The gateway may go on meanwhile."""
    keys = Keys.from_file(state / "gateway.key", create=False)
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    original, unsealed = (sqlite3.connect(folder / "ledger.sqlite") for folder in (state, copy))
    with closing(original) as db, closing(unsealed) as to:
        db.backup(to)
        named = asyncio.run(_commands(copy / "ledger.sqlite", keys, patient))
        found = Held(commands=len(named))
        for number, id, tenant, touched in db.execute("SELECT number, id, tenant, touched FROM commands").fetchall():
            hashes = [patient_hash(keys, tenant, patient), *(appointment_hash(keys, tenant, a) for a in appointments)]
            whose = id in named or any(hash in touched for hash in hashes)
            values = {value for query in _OF_A_COMMAND for (value,) in db.execute(query, (number,)).fetchall()}
            (found.theirs if whose else found.others).update(map(_bytes, values))
        _add_renamed(found, db, keys, appointments)
    for values in (found.theirs, found.others):
        values -= {value for value in values if len(value) < _SHORTEST}
    found.theirs -= found.others
    return found


async def _commands(path: Path, keys: Keys, patient: str) -> set[str]:
    """The ids of those that say the patient's id in clear, once unsealed."""
    ledger = SqliteLedger(path, keys)
    await ledger.open()
    rows = await ledger.commands(None, limit=100_000)
    await ledger.close()
    assert not any(row.unreadable for row in rows)
    return {row.id for row in rows if patient in repr((row.payload, row.answer, row.steps, row.remarks))}


def _add_renamed(found: Held, db: sqlite3.Connection, keys: Keys, appointments: set[str]) -> None:
    for chain in Lineage(keys).chains(db):
        if {id for _, id in chain} & appointments:
            found.renamed += len(chain) - 1
            for hash, _ in chain:
                rows = db.execute("SELECT old, new, old_id, new_id FROM lineage WHERE old = ?", (hash,)).fetchall()
                found.theirs.update(_bytes(value) for row in rows for value in row)


def _bytes(value: bytes | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
