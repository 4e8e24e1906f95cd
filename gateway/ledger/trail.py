"""The audit's entries in SQLite, each written in the transaction of what it tells: neither lost nor there twice."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from gateway.audit import GATEWAY, Event, Mark, Touched, appointment_hash, patient_hash
from gateway.audit.chain import NOTHING, Broken, Chain, End, Link, Sealed, Walk
from gateway.keys import Altered, Keys, WrongKey
from gateway.ledger import Answer, Remark, State, StepRow
from gateway.ledger.schema import begins_audit, migrate

log = logging.getLogger("gateway.audit")

_VERSION = 2
"""Of what entries say. 1, which is not said: only of commands, and of what the gateway did by itself."""


def prepare(db: sqlite3.Connection, keys: Keys) -> None:
    """Make the tables, or bring them up to date. Raises NewerSchema, WrongKey."""
    found = migrate(db)
    if begins_audit(found):
        Trail(keys).begin(db)
    if found == 0:
        proof = keys.seal("ledger", b"ledger", b"about")
        db.execute("INSERT INTO about (name, value) VALUES ('key', ?)", (proof,))
    prove_key(db, keys)


def prove_key(db: sqlite3.Connection, keys: Keys) -> None:
    """With another master key no hash would be found again, and every repeated request would look new.

    Raises WrongKey.
    """
    (proof,) = db.execute("SELECT value FROM about WHERE name = 'key'").fetchone()
    keys.open("ledger", proof, b"about")


class Trail:
    """Works inside the caller's transaction."""

    def __init__(self, keys: Keys) -> None:
        self._keys, self._chain = keys, Chain(keys)

    # -- writing -----------------------------------------------------------------------------------------------

    def begin(self, db: sqlite3.Connection) -> None:
        """Once, when the tables are new. Later a missing end is a sign of somebody else."""
        for end in ("anchor", "head"):
            self._put_end(db, end, NOTHING)

    def note(self, db: sqlite3.Connection, event: Event, now: datetime) -> None:
        self._append(db, {"kind": event.kind, "by": event.by, **event.facts}, now)

    def came_to(
        self,
        db: sqlite3.Connection,
        number: int,
        steps: Iterable[StepRow],
        state: State,
        answer: Answer | None,
        remark: Remark | None,
        now: datetime,
    ) -> None:
        """A command has come to another state. The remark's text stays where it is sealed, and can be forgotten."""
        query = "SELECT id, client, emr, tenant, operation, request_id, touched FROM commands WHERE number = ?"
        id, client, emr, tenant, operation, request, touched = db.execute(query, (number,)).fetchone()
        told = {
            "kind": "command",
            "by": GATEWAY if remark is None else remark.by,
            "command": id,
            "client": client,
            "emr": emr,
            "tenant": tenant,
            "operation": operation,
            "request": request,
            "state": state.value,
            "status": None if answer is None else answer.status,
            "codes": [] if answer is None else list(answer.codes),
            "touched": json.loads(touched) if touched else [],
            "steps": [self._step(tenant, step) for step in steps],
        }
        self._append(db, told, now)

    def touched(self, tenant: str, touched: Iterable[Touched]) -> str:
        """As it is kept with the command until its end."""
        return json.dumps([self._touched(tenant, one) for one in touched])

    def _touched(self, tenant: str, one: Touched) -> Mapping[str, Any]:
        return {
            "appointment": self._appointment(tenant, one.appointment_id),
            "patient": None if one.patient_id is None else patient_hash(self._keys, tenant, one.patient_id),
            "change": one.change,
            "fields": one.fields,
        }

    def _step(self, tenant: str, step: StepRow) -> Mapping[str, Any]:
        id = step.noted.get("appointment_id")
        return {"action": step.action, "state": step.state.value, "appointment": self._appointment(tenant, id)}

    def _appointment(self, tenant: str, id: str | None) -> str | None:
        return None if id is None else appointment_hash(self._keys, tenant, id)

    def _append(self, db: sqlite3.Connection, told: Mapping[str, Any], now: datetime) -> None:
        before = self._newest(db)
        body = json.dumps({"version": _VERSION, "at": now.astimezone(UTC).isoformat(), **told}).encode()
        link = self._chain.after(before, self._keys.seal("audit", body, place(before.number + 1)))
        db.execute("INSERT INTO audit (number, entry, mac) VALUES (?, ?, ?)", (link.number, link.body, link.mac))
        self._put_end(db, "head", link.mark)

    def _newest(self, db: sqlite3.Connection) -> Mark:
        """What the next entry follows. Where the end is not ours, a number is left out: what somebody has done to the
        record is not healed by going on with it."""
        head = end_of(db, "head")
        (last,) = db.execute("SELECT max(number) FROM audit").fetchone()
        if head is not None and self._chain.holds("head", head) and (last or 0) <= head.mark.number:
            return head.mark
        log.error("audit: the record's end was altered; `audit verify` shows where")
        return Mark(max(last or 0, 0 if head is None else head.mark.number) + 1, NOTHING.mac)

    def _put_end(self, db: sqlite3.Connection, end: End, mark: Mark) -> None:
        sealed = self._chain.sealed(end, mark)
        db.execute(
            "INSERT OR REPLACE INTO audit_ends (name, number, mac, seal) VALUES (?, ?, ?, ?)",
            (end, mark.number, mark.mac, sealed.seal),
        )

    def forget(self, db: sqlite3.Connection, before: datetime, now: datetime, at_most: int) -> int:
        """Forget the oldest entries, as far as they are older than that and whole, and record that. → how many.

        Raises Broken where one is not whole: what would show it must not be forgotten.
        """
        walk = Walk(self._chain, end_of(db, "anchor"), None)
        for link in islice(links_of(db), at_most):
            if at_of(opened(self._keys, link)) >= before:
                break
            walk.step(link)
        count = walk.at.number - walk.anchor.number
        if count:
            self._put_end(db, "anchor", walk.at)
            db.execute("DELETE FROM audit WHERE number <= ?", (walk.at.number,))
            self.note(db, Event(kind="audit.forgotten", facts={"through": walk.at.number}), now)
        return count


# -- reading ---------------------------------------------------------------------------------------------------


def end_of(db: sqlite3.Connection, end: End) -> Sealed | None:
    """As it is stored, whoever has stored it; `None` where that is nothing that could be one."""
    found = db.execute("SELECT number, mac, seal FROM audit_ends WHERE name = ?", (end,)).fetchone()
    if found is None or not _shaped(found[0], *found[1:]):
        return None
    number, mac, seal = found
    return Sealed(Mark(number, mac), seal)


def links_of(db: sqlite3.Connection) -> Iterator[Link]:
    """All entries in order. Raises Broken for what is none."""
    for number, body, mac in db.execute("SELECT number, entry, mac FROM audit ORDER BY number"):
        if not _shaped(number, body, mac):
            raise Broken(f"Entry {number} was altered, or was not written by the gateway.")
        yield Link(number, body, mac)


def _shaped(number: object, *rest: object) -> bool:
    return isinstance(number, int) and all(isinstance(part, bytes) for part in rest)


def opened(keys: Keys, link: Link) -> dict[str, Any]:
    """What an entry says. Raises Broken."""
    try:
        told: dict[str, Any] = json.loads(keys.open("audit", link.body, place(link.number)))
    except (Altered, WrongKey):
        raise Broken(f"Entry {link.number} can't be opened with this key.") from None
    return told


def place(number: int) -> bytes:
    return f"audit/{number}".encode()


def at_of(told: Mapping[str, Any]) -> datetime:
    """In UTC."""
    return datetime.fromisoformat(told["at"])
