"""A record as a gateway leaves it, and all that somebody without its key could do to the file."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from gateway.audit import Event, Mark, Touched
from gateway.keys import Keys
from gateway.ledger import Answer, State, StepRow, StepState
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.conftest import NOON, at, command

KEYS = Keys(bytes(range(32)))
OTHERS = Keys(bytes(32))


async def settled(ledger: SqliteLedger, id: str, minutes: int = 0, **more) -> None:
    touched = (Touched(appointment_id=f"a-{id}", patient_id="p1", change="moved", fields=("start", "end")),)
    await ledger.begin(command(id, request_id=f"r-{id}", minutes=minutes, **more))
    await ledger.plan(id, b"plan", ["change"], [f"a-{id}"], at(minutes), touched=touched)
    done = StepRow(0, StepState.DONE, "change", f'{{"appointment_id": "a-{id}"}}'.encode())
    await ledger.settle(id, State.DONE, Answer(200, b"{}"), at(minutes), steps=[done])


async def written(path: Path, keys: Keys = KEYS, *, count: int = 12, forgotten: int = 0) -> Mark:
    """`count` entries, of which the oldest are forgotten; the file is closed. → its head."""
    ledger = SqliteLedger(path, keys)
    await ledger.open()
    for n in range(count):
        await settled(ledger, f"c{n}", n) if n % 3 else await ledger.note(Event(kind="tried", by="anna"), at(n))
    if forgotten:
        assert await ledger.forget_audit(at(forgotten), NOON) == forgotten
    head = await ledger.head()
    await ledger.close()
    return head


def copied(original: Path, to: Path) -> sqlite3.Connection:
    """A copy that can be written at will."""
    shutil.copyfile(original, to)
    db = sqlite3.connect(to, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA synchronous = OFF")
    for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    return db


def flipped(data: bytes, dice: random.Random) -> bytes:
    bit = dice.randrange(len(data) * 8)
    return bytes(byte ^ (1 << (bit % 8) if n == bit // 8 else 0) for n, byte in enumerate(data))


def numbers(db: sqlite3.Connection) -> list[int]:
    return [number for (number,) in db.execute("SELECT number FROM audit ORDER BY number")]


# -- what somebody could do -------------------------------------------------------------------------------------------


def bit_of_an_entry(db: sqlite3.Connection, dice: random.Random) -> int:
    """→ the first entry that is not as it was, here and below; 0 where that is an end."""
    number, column = dice.choice(numbers(db)), dice.choice(["entry", "mac"])
    (data,) = db.execute(f"SELECT {column} FROM audit WHERE number = ?", (number,)).fetchone()
    db.execute(f"UPDATE audit SET {column} = ? WHERE number = ?", (flipped(data, dice), number))
    return number


def bit_of_an_end(db: sqlite3.Connection, dice: random.Random) -> int:
    end, column = dice.choice(["anchor", "head"]), dice.choice(["mac", "seal"])
    (data,) = db.execute(f"SELECT {column} FROM audit_ends WHERE name = ?", (end,)).fetchone()
    db.execute(f"UPDATE audit_ends SET {column} = ? WHERE name = ?", (flipped(data, dice), end))
    return 0


def number_of_an_end(db: sqlite3.Connection, dice: random.Random) -> int:
    by = dice.choice([-2, -1, 1, 2, 1 << dice.randrange(40)])
    db.execute("UPDATE audit_ends SET number = number + ? WHERE name = ?", (by, dice.choice(["anchor", "head"])))
    return 0


def an_end_is_gone(db: sqlite3.Connection, dice: random.Random) -> int:
    db.execute("DELETE FROM audit_ends WHERE name = ?", (dice.choice(["anchor", "head"]),))
    return 0


def an_entry_is_called_otherwise(db: sqlite3.Connection, dice: random.Random) -> int:
    all = numbers(db)
    number, other = dice.choice(all), dice.choice([-1, 0, max(all) + 1 + dice.randrange(9), 1 << dice.randrange(40)])
    if other in all:
        other = max(all) + 1
    db.execute("UPDATE audit SET number = ? WHERE number = ?", (other, number))
    return 0 if other < min(all) else number


def some_are_removed(db: sqlite3.Connection, dice: random.Random) -> int:
    gone = dice.sample(numbers(db), dice.randint(1, len(numbers(db))))
    db.executemany("DELETE FROM audit WHERE number = ?", [(number,) for number in gone])
    return min(gone)


def one_is_removed_and_the_rest_close_ranks(db: sqlite3.Connection, dice: random.Random) -> int:
    gone = dice.choice(numbers(db)[:-1])
    db.execute("DELETE FROM audit WHERE number = ?", (gone,))
    db.execute("UPDATE audit SET number = number - 1 WHERE number > ?", (gone,))
    db.execute("UPDATE audit_ends SET number = number - 1 WHERE name = 'head'")
    return gone


def the_newest_are_cut_off(db: sqlite3.Connection, dice: random.Random) -> int:
    last = dice.choice(numbers(db)[:-1])
    db.execute("DELETE FROM audit WHERE number > ?", (last,))
    if dice.random() < 0.5:  # and the end is made to look so
        told = db.execute("SELECT number, mac FROM audit WHERE number = ?", (last,)).fetchone()
        db.execute("UPDATE audit_ends SET number = ?, mac = ? WHERE name = 'head'", told)
        return 0
    return last + 1


def the_oldest_are_cut_off(db: sqlite3.Connection, dice: random.Random) -> int:
    last = dice.choice(numbers(db)[:-1])
    told = db.execute("SELECT number, mac FROM audit WHERE number = ?", (last,)).fetchone()
    first = numbers(db)[0]
    db.execute("DELETE FROM audit WHERE number <= ?", (last,))
    if dice.random() < 0.5:
        db.execute("UPDATE audit_ends SET number = ?, mac = ? WHERE name = 'anchor'", told)
        return 0
    return first


def one_is_put_in(db: sqlite3.Connection, dice: random.Random) -> int:
    before = dice.choice([*numbers(db), numbers(db)[-1] + 1])
    another = dice.choice([number for number in numbers(db) if number != before])
    copy = db.execute("SELECT entry, mac FROM audit WHERE number = ?", (another,)).fetchone()
    db.execute("UPDATE audit SET number = -number - 1 WHERE number >= ?", (before,))
    db.execute("UPDATE audit SET number = -number WHERE number < 0")
    entry, mac = copy if dice.random() < 0.5 else (dice.randbytes(300), dice.randbytes(32))
    db.execute("INSERT INTO audit (number, entry, mac) VALUES (?, ?, ?)", (before, entry, mac))
    return before


def two_change_places(db: sqlite3.Connection, dice: random.Random) -> int:
    one, other = sorted(dice.sample(numbers(db), 2))
    columns = dice.choice([("entry",), ("mac",), ("entry", "mac")])
    for column in columns:
        told = [db.execute(f"SELECT {column} FROM audit WHERE number = ?", (n,)).fetchone()[0] for n in (other, one)]
        for number, value in zip((one, other), told, strict=True):
            db.execute(f"UPDATE audit SET {column} = ? WHERE number = ?", (value, number))
    return one


def one_is_no_bytes_any_more(db: sqlite3.Connection, dice: random.Random) -> int:
    number, column = dice.choice(numbers(db)), dice.choice(["entry", "mac"])
    db.execute(f"UPDATE audit SET {column} = ? WHERE number = ?", (dice.choice(["text", 7, 1.5]), number))
    return number


TAMPERINGS: tuple[Callable[[sqlite3.Connection, random.Random], int], ...] = (
    bit_of_an_entry,
    bit_of_an_end,
    number_of_an_end,
    an_end_is_gone,
    an_entry_is_called_otherwise,
    some_are_removed,
    one_is_removed_and_the_rest_close_ranks,
    the_newest_are_cut_off,
    the_oldest_are_cut_off,
    one_is_put_in,
    two_change_places,
    one_is_no_bytes_any_more,
)
