"""Changes to commands in SQLite's tables, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from gateway.ledger import NoSuchCommand, StepState
from gateway.ledger.rows import moment

_GONE = (StepState.PLANNED, StepState.FAILED, StepState.UNDONE)
"""Steps of which nothing stands at the EMR."""


def touch(db: sqlite3.Connection, id: str, now: datetime, *, also_settled: bool = False) -> tuple[int, str]:
    """The command's number and client, its `updated_at` set."""
    query = "UPDATE commands SET updated_at = ? WHERE id = ? AND settled <= ? RETURNING number, client"
    found: tuple[int, str] | None = db.execute(query, (moment(now), id, also_settled)).fetchone()
    if found is None:
        raise NoSuchCommand("There is no such command, or it is settled.")
    return found


def forget_steps(db: sqlite3.Connection, number: int) -> None:
    standing = db.execute("SELECT DISTINCT state FROM steps WHERE command = ?", (number,)).fetchall()
    if not {state for (state,) in standing} <= set(_GONE):
        raise ValueError("A plan of which something stands can't be replaced.")
    db.execute("DELETE FROM steps WHERE command = ?", (number,))


def erase(db: sqlite3.Connection, number: int) -> None:
    db.execute("UPDATE commands SET payload = x'', credential = x'' WHERE number = ?", (number,))
    db.execute("UPDATE steps SET payload = x'' WHERE command = ?", (number,))


def purge(db: sqlite3.Connection, settled_before: datetime, at_once: int) -> int:
    return db.execute(
        """
        DELETE FROM commands WHERE number IN (
            SELECT number FROM commands WHERE settled = 1 AND updated_at < ? LIMIT ?
        )
        """,
        (moment(settled_before), at_once),
    ).rowcount


def forget_renamed(db: sqlite3.Connection, before: datetime, at_once: int) -> int:
    query = "DELETE FROM lineage WHERE old IN (SELECT old FROM lineage WHERE recorded_at < ? LIMIT ?)"
    return db.execute(query, (moment(before), at_once)).rowcount
