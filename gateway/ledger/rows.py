"""Commands as rows: what is sealed, what is a number, and back again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.audit import Touched
from gateway.keys import Altered, Keys, WrongKey
from gateway.ledger import Answer, CommandRow, Remark, State, StepRow, StepState
from gateway.ledger.trail import Trail

_PURPOSE = "ledger"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COLUMNS = (
    "number, id, client, emr, tenant, operation, state, created_at, updated_at, key, fingerprint, payload, answer,"
    " repairing_since, remarks, credential"
)
SELECT = f"SELECT {_COLUMNS} FROM commands"  # noqa: S608 - constants only


class Rows:
    """Writes and reads commands and their steps. Sealed values are bound to command and column: none can be swapped."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._trail = Trail(keys)

    def insert(self, db: sqlite3.Connection, row: CommandRow) -> None:
        values = (
            row.id, row.client, row.emr, row.tenant, row.operation, row.state.value, row.state.settled,
            moment(row.created_at), moment(row.updated_at), row.key, row.fingerprint,
            self.seal(row.id, "payload", row.payload), self.seal_answer(row.id, row.answer),
            row.request_id, self._trail.touched(row.tenant, row.touched),
        )  # fmt: skip
        cursor = db.execute(
            """
            INSERT INTO commands (id, client, emr, tenant, operation, state, settled,
                                  created_at, updated_at, key, fingerprint, payload, answer, request_id, touched)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            values,
        )
        assert cursor.lastrowid is not None
        self.put_steps(db, cursor.lastrowid, row.id, row.steps)
        self.put_appointments(db, cursor.lastrowid, row.client, row.appointments)

    def put_steps(self, db: sqlite3.Connection, number: int, id: str, steps: Iterable[StepRow]) -> None:
        """Write steps exactly as they are given, over what stood there."""
        db.executemany(
            """
            INSERT OR REPLACE INTO steps (command, position, state, action, payload, attempted_at)
            VALUES (?, ?, ?, ?, ?, ?)
            """,
            [
                (
                    number,
                    step.index,
                    step.state.value,
                    self.seal(id, f"steps/{step.index}/action", step.action.encode("utf-8", "surrogatepass")),
                    self.seal(id, f"steps/{step.index}/payload", step.payload),
                    None if step.attempted_at is None else moment(step.attempted_at),
                )
                for step in steps
            ],
        )

    def put_appointments(self, db: sqlite3.Connection, number: int, client: str, appointments: Sequence[str]) -> None:
        db.executemany(
            "INSERT OR IGNORE INTO command_appointments (command, appointment) VALUES (?, ?)",
            [(number, self.appointment(client, appointment)) for appointment in appointments],
        )

    def put_touched(self, db: sqlite3.Connection, number: int, touched: Sequence[Touched]) -> None:
        if touched:
            (tenant,) = db.execute("SELECT tenant FROM commands WHERE number = ?", (number,)).fetchone()
            told = self._trail.touched(tenant, touched)
            db.execute("UPDATE commands SET touched = ? WHERE number = ?", (told, number))

    def steps(self, db: sqlite3.Connection, number: int, id: str) -> tuple[StepRow, ...]:
        return _steps(db, number, _Opening(self._keys, id))

    def put_remark(self, db: sqlite3.Connection, number: int, id: str, remark: Remark) -> None:
        """Add to what was said. What can't be opened any more is written over: nobody will read it."""
        (sealed,) = db.execute("SELECT remarks FROM commands WHERE number = ?", (number,)).fetchone()
        remarks = (*_Opening(self._keys, id).remarks(sealed), remark)
        told = json.dumps([[moment(r.at), r.by, r.text] for r in remarks]).encode()
        db.execute("UPDATE commands SET remarks = ? WHERE number = ?", (self.seal(id, "remarks", told), number))

    def load(self, db: sqlite3.Connection, found: Sequence[Any]) -> CommandRow:
        """The command that a row of `SELECT` stands for, with its steps."""
        (
            number, id, client, emr, tenant, operation, state, created, updated, key, fingerprint, payload, answer,
            repairing, remarks, credential,
        ) = found  # fmt: skip
        opening = _Opening(self._keys, id)
        return CommandRow(
            id=id,
            client=client,
            emr=emr,
            tenant=tenant,
            operation=operation,
            state=State(state),
            created_at=instant(created),
            updated_at=instant(updated),
            key=key,
            fingerprint=fingerprint,
            payload=opening.value("payload", payload),
            answer=opening.answer(answer),
            steps=_steps(db, number, opening),
            repairing_since=None if repairing is None else instant(repairing),
            remarks=opening.remarks(remarks),
            credential=opening.value("credential", credential),
            unreadable=opening.failed,
        )

    def appointment(self, client: str, id: str) -> str:
        """How an appointment's id is stored with a client's commands: only good to be searched by."""
        return self._keys.hmac("ledger.appointment", client, id)

    def seal(self, id: str, column: str, plain: bytes) -> bytes:
        """Nothing stays nothing: there is nothing to hide, and erasing is writing `b""`."""
        return self._keys.seal(_PURPOSE, plain, _place(id, column)) if plain else b""

    def seal_answer(self, id: str, answer: Answer | None) -> bytes | None:
        if answer is None:
            return None
        head = json.dumps([answer.status, answer.headers, answer.codes]).encode()
        return self.seal(id, "answer", head + b"\n" + answer.body)


class _Opening:
    """Opens the sealed values of one command. `failed`: one of them could not be, and counts as empty."""

    def __init__(self, keys: Keys, id: str) -> None:
        self._keys, self._id = keys, id
        self.failed = False

    def value(self, column: str, sealed: bytes) -> bytes:
        try:
            return self._keys.open(_PURPOSE, sealed, _place(self._id, column)) if sealed else b""
        except (Altered, WrongKey):
            self.failed = True
            return b""

    def answer(self, sealed: bytes | None) -> Answer | None:
        told = self.value("answer", sealed) if sealed is not None else b""
        if not told:
            return None
        head, _, body = told.partition(b"\n")
        status, headers, *codes = json.loads(head)  # an earlier gateway kept no codes
        return Answer(status, body, tuple((name, value) for name, value in headers), tuple(*codes))

    def remarks(self, sealed: bytes) -> tuple[Remark, ...]:
        told = self.value("remarks", sealed)
        return tuple(Remark(instant(at), by, text) for at, by, text in (json.loads(told) if told else ()))

    def step(self, position: int, state: str, action: bytes, payload: bytes, attempted: int | None) -> StepRow:
        return StepRow(
            index=position,
            state=StepState(state),
            action=self.value(f"steps/{position}/action", action).decode("utf-8", "surrogatepass"),
            payload=self.value(f"steps/{position}/payload", payload),
            attempted_at=None if attempted is None else instant(attempted),
        )


def _steps(db: sqlite3.Connection, number: int, opening: _Opening) -> tuple[StepRow, ...]:
    query = "SELECT position, state, action, payload, attempted_at FROM steps WHERE command = ? ORDER BY position"
    return tuple(opening.step(*found) for found in db.execute(query, (number,)))


def moment(at: datetime) -> int:
    """Microseconds since 1970 in UTC; `at` must be aware."""
    return (at - _EPOCH) // _MICROSECOND


def instant(number: int) -> datetime:
    """In UTC."""
    return _EPOCH + number * _MICROSECOND


def _place(id: str, column: str) -> bytes:
    return f"{id}/{column}".encode()
