"""Which id became which, where an EMR gives a moved appointment a new one.

Chains, oldest id first. An id stands in one chain at most, and the newest statement decides where: an id that the
EMR gives back (A → B, then B → A) moves to the end of its chain (B → A). So following a chain always ends, at the
newest id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from gateway.keys import Keys

_PURPOSE = "ledger.lineage"
_Link = tuple[str, bytes]
"""An id, hashed and sealed."""


class Lineage:
    """Reads and writes the `lineage` table, in which ids are only found by keyed hash and only read by unsealing."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def record(self, db: sqlite3.Connection, tenant: str, old: str, new: str, at: int) -> None:
        """What was known as `old` is now `new`, since `at` (as in `rows.moment`). Saying it again changes nothing."""
        end, link = self._link(tenant, old), self._link(tenant, new)
        if old == new or _after(db, end[0], link[0]):
            return
        while following := _next(db, end[0]):
            end = following
        if end[0] == link[0]:
            return
        _take_out(db, link[0])
        _join(db, end, link)
        _renew(db, link[0], at)

    def successor(self, db: sqlite3.Connection, tenant: str, id: str) -> str | None:
        """The newest id of what was once known as `id`, or `None` where that is `id` itself."""
        newest, here = None, self._hash(tenant, id)
        while following := _next(db, here):
            here, newest = following
        return None if newest is None else self._unsealed(here, newest)

    def ancestors(self, db: sqlite3.Connection, tenant: str, id: str) -> tuple[str, ...]:
        """The earlier ids, oldest first."""
        found: list[str] = []
        here = self._hash(tenant, id)
        while preceding := _previous(db, here):
            here, sealed = preceding
            found.append(self._unsealed(here, sealed))
        return tuple(reversed(found))

    def chains(self, db: sqlite3.Connection) -> Iterator[list[tuple[str, str]]]:
        """All of them: each id, hashed and in clear, oldest first."""
        for hash, sealed in db.execute("SELECT old, old_id FROM lineage WHERE old NOT IN (SELECT new FROM lineage)"):
            chain: list[_Link] = [(hash, sealed)]
            while following := _next(db, chain[-1][0]):
                chain.append(following)
            yield [(hash, self._unsealed(hash, id)) for hash, id in chain]

    def _hash(self, tenant: str, id: str) -> str:
        return self._keys.hmac(_PURPOSE, tenant, id)

    def _link(self, tenant: str, id: str) -> _Link:
        hashed = self._hash(tenant, id)
        return hashed, self._keys.seal(_PURPOSE, id.encode("utf-8", "surrogatepass"), hashed.encode())

    def _unsealed(self, hashed: str, sealed: bytes) -> str:
        return self._keys.open(_PURPOSE, sealed, hashed.encode()).decode("utf-8", "surrogatepass")


def _next(db: sqlite3.Connection, hashed: str) -> _Link | None:
    row: _Link | None = db.execute("SELECT new, new_id FROM lineage WHERE old = ?", (hashed,)).fetchone()
    return row


def _previous(db: sqlite3.Connection, hashed: str) -> _Link | None:
    row: _Link | None = db.execute("SELECT old, old_id FROM lineage WHERE new = ?", (hashed,)).fetchone()
    return row


def _after(db: sqlite3.Connection, old: str, new: str) -> bool:
    following = _next(db, old)
    return following is not None and following[0] == new


def _renew(db: sqlite3.Connection, newest: str, at: int) -> None:
    """A chain is as young as its newest id: its appointment is in use."""
    here: str | None = newest
    while here is not None:
        db.execute("UPDATE lineage SET recorded_at = ? WHERE new = ?", (at, here))
        before = _previous(db, here)
        here = None if before is None else before[0]


def _take_out(db: sqlite3.Connection, hashed: str) -> None:
    """Remove an id from its chain; its neighbours become each other's."""
    before, after = _previous(db, hashed), _next(db, hashed)
    db.execute("DELETE FROM lineage WHERE old = ? OR new = ?", (hashed, hashed))
    if before and after:
        _join(db, before, after)


def _join(db: sqlite3.Connection, old: _Link, new: _Link) -> None:
    db.execute("INSERT INTO lineage (old, new, old_id, new_id) VALUES (?, ?, ?, ?)", (old[0], new[0], old[1], new[1]))
