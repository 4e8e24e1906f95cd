"""What the ledger still holds of somebody, found and erased. Keys stay: what was done once is not done again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.audit import Event, appointment_hash, patient_hash
from gateway.audit.chain import Broken
from gateway.keys import Keys
from gateway.ledger import Answer, Erased, Subject
from gateway.ledger.lineage import Lineage
from gateway.ledger.rows import Rows
from gateway.ledger.trail import Trail, links_of, opened

_EMPTIED = (
    "DELETE FROM steps WHERE command = ?",
    "DELETE FROM command_appointments WHERE command = ?",
    "UPDATE commands SET touched = '', remarks = x'', payload = x'', credential = x'' WHERE number = ?",
)


@dataclass(frozen=True, slots=True)
class Traces:
    """By what somebody's commands and former ids are found."""

    named: tuple[str, ...] = ()
    """How the audit names the subject: a keyed hash for each EMR."""
    hashes: frozenset[str] = frozenset()
    """All that the audit may name: these, those of the appointments, and of what those were called."""
    ids: tuple[str, ...] = ()
    """The ids of appointments that are known in clear."""
    renamed: tuple[str, ...] = ()
    """The former ids in the lineage, hashed as they are there."""


class Erasing:
    """Works inside the caller's transaction."""

    def __init__(self, keys: Keys) -> None:
        self._keys, self._rows, self._trail, self._lineage = keys, Rows(keys), Trail(keys), Lineage(keys)

    # -- finding: reads a lot, and changes nothing ------------------------------------------------------------------

    def traces(self, db: sqlite3.Connection, subject: Subject) -> Traces:
        if subject.kind == "client":
            return Traces()
        told = [*self._recorded(db), *_kept(db)]
        tenants = sorted({str(one["tenant"]) for one in told})
        hashed = patient_hash if subject.kind == "patient" else appointment_hash
        named = tuple(hashed(self._keys, tenant, subject.id) for tenant in tenants)
        hashes = set(named).union(*(_appointments(one, set(named)) for one in told))
        ids = {subject.id} if subject.kind == "appointment" else set()
        chains = [chain for chain in self._lineage.chains(db) if self._is_of(chain, tenants, hashes)]
        ids |= {id for chain in chains for _, id in chain}
        hashes |= {appointment_hash(self._keys, tenant, id) for tenant in tenants for id in ids}
        renamed = tuple(hash for chain in chains for hash, _ in chain)
        return Traces(named, frozenset(hashes), tuple(ids), renamed)

    def _is_of(self, chain: Iterable[tuple[str, str]], tenants: Iterable[str], hashes: set[str]) -> bool:
        tenants = tuple(tenants)
        return any(appointment_hash(self._keys, tenant, id) in hashes for _, id in chain for tenant in tenants)

    def _recorded(self, db: sqlite3.Connection) -> Iterator[Mapping[str, Any]]:
        with suppress(Broken):  # what was altered is `audit verify`'s to say
            for link in links_of(db):
                told = opened(self._keys, link)
                if told.get("kind") == "command":
                    yield told

    # -- erasing ----------------------------------------------------------------------------------------------------

    def erase(
        self, db: sqlite3.Connection, subject: Subject, traces: Traces, told: Answer, who: str, now: datetime
    ) -> Erased:
        """All or nothing: nothing where one of the commands is not at an end."""
        found = list(self._commands(db, subject, traces))
        unsettled = tuple(id for _, id, settled in found if not settled)
        if unsettled:
            return Erased(unsettled=unsettled)
        for number, id, _ in found:
            self._empty(db, number, id, told)
        renamed = [(hash, hash) for hash in traces.renamed]
        gone = db.executemany("DELETE FROM lineage WHERE old = ? OR new = ?", renamed).rowcount if renamed else 0
        erased = Erased(commands=len(found), renamed=gone)
        # A patient whom no EMR here has seen has no hash, and is not named otherwise.
        subjects = [subject.id] if subject.kind == "client" else traces.named
        facts = {"what": subject.kind, "subjects": subjects, "commands": erased.commands, "renamed": erased.renamed}
        self._trail.note(db, Event(kind="erased", by=who, facts=facts), now)
        return erased

    def _commands(self, db: sqlite3.Connection, subject: Subject, traces: Traces) -> Iterator[tuple[int, str, bool]]:
        for number, id, settled, client, touched in db.execute(
            "SELECT number, id, settled, client, touched FROM commands"
        ).fetchall():
            named = subject.kind == "client" and client == subject.id
            if named or _names(touched) & traces.hashes or self._touches(db, number, client, traces):
                yield number, id, bool(settled)

    def _touches(self, db: sqlite3.Connection, number: int, client: str, traces: Traces) -> bool:
        query = "SELECT 1 FROM command_appointments WHERE command = ? AND appointment = ?"
        return any(db.execute(query, (number, self._rows.appointment(client, id))).fetchone() for id in traces.ids)

    def _empty(self, db: sqlite3.Connection, number: int, id: str, told: Answer) -> None:
        for statement in _EMPTIED:
            db.execute(statement, (number,))
        db.execute("UPDATE commands SET answer = ? WHERE number = ?", (self._rows.seal_answer(id, told), number))


def _kept(db: sqlite3.Connection) -> Iterator[Mapping[str, Any]]:
    for tenant, touched in db.execute("SELECT tenant, touched FROM commands"):
        yield {"tenant": tenant, "touched": json.loads(touched or "[]")}


def _names(touched: str) -> set[str]:
    return {one[kind] for one in json.loads(touched or "[]") for kind in ("appointment", "patient")} - {None}


def _appointments(told: Mapping[str, Any], patients: set[str]) -> set[str]:
    """The appointments of these patients; of a command on theirs alone, also what it has made."""
    touched = told.get("touched", ())
    found = {one["appointment"] for one in touched if one["patient"] in patients}
    if touched and all(one["patient"] in patients for one in touched):
        found |= {step["appointment"] for step in told.get("steps", ())}
    return found - {None}
