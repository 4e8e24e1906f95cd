"""The store of credentials, as far as it can be opened. What is in it is sealed twice, for one account and one name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway import clock
from gateway.credentials import CantOpen, sealing
from gateway.credentials.file import File
from gateway.keys import Altered, Keys, WrongKey, framed
from gateway.ledger.rows import moment

_PURPOSE = "credentials"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose credentials: an EMR account of a client."""

    client: str
    emr: str

    def place(self, *more: str) -> bytes:
        """What is sealed for one place opens in no other."""
        return b"".join(map(framed, (self.client, self.emr, *more)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What can be said of a credential without opening it."""

    account: Account
    name: str
    written_at: int
    """Microseconds since 1970."""
    secrets: int
    """How many of the client's secrets open it."""
    lost: bool
    """The gateway's present key does not open it."""


class Store:
    """Every method raises `CantOpen`: the store can't be read or written, or the gateway's key is another."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self._file, self._keys = File(path), keys

    def close(self) -> None:
        self._file.close()

    # -- reads -------------------------------------------------------------------------------------------------

    def version(self) -> tuple[int, int]:
        """Another one after every write, whichever process made it."""
        return self._file.version()

    def data_key(self, account: Account, secret: str) -> bytes | None:
        """`None`: nothing is there for this account that this secret opens."""
        for opening in self._openings(account):
            with _opening():
                found = sealing.by_secret(opening, secret, account.place())
            if found is not None:
                return found
        return None

    def has(self, account: Account) -> bool:
        """Is there anything of this account, whoever can open it?"""
        return bool(self._openings(account))

    def credentials(self, account: Account, data_key: bytes) -> dict[str, str]:
        """By name. Raises CantOpen for another data key, too."""
        if not self._file.exists:
            return {}
        with self._file.reading() as db:
            query = "SELECT name, sealed FROM credentials WHERE client = ? AND emr = ?"
            rows = db.execute(query, (account.client, account.emr)).fetchall()
        return {name: self._open(account, data_key, name, sealed) for name, sealed in rows}

    def listed(self) -> Sequence[Listed]:
        if not self._file.exists:
            return ()
        with self._file.reading() as db:
            rows = db.execute(
                """
                SELECT client, emr, name, sealed, written_at,
                    (SELECT count(*) FROM openings o WHERE o.client = c.client AND o.emr = c.emr)
                FROM credentials c ORDER BY client, emr, name
                """
            ).fetchall()
        return [
            Listed(
                account=Account(client, emr), name=name, written_at=at, secrets=count, lost=not self._keys.knows(sealed)
            )
            for client, emr, name, sealed, at, count in rows
        ]

    # -- writes ------------------------------------------------------------------------------------------------

    def begin(self, account: Account, data_key: bytes, secret: str, *, chosen: bool) -> None:
        """A new data key for the account, opened by this secret alone; credentials under another one are forgotten."""
        with self._file.writing() as db:
            _forget(db, account)
            self._add(db, account, data_key, secret, chosen=chosen)

    def open_to(self, account: Account, data_key: bytes, secret: str, *, chosen: bool) -> None:
        """Let another secret of the client open it as well."""
        with self._file.writing() as db:
            self._add(db, account, data_key, secret, chosen=chosen)

    def put(self, account: Account, data_key: bytes, name: str, value: str) -> None:
        with self._file.writing() as db:
            self._put(db, account, data_key, name, value)

    def swap(self, account: Account, data_key: bytes, name: str, before: str, after: str) -> bool:
        """Put it if it still is what it was. → whether it was."""
        with self._file.writing() as db:
            query = "SELECT sealed FROM credentials WHERE client = ? AND emr = ? AND name = ?"
            found = db.execute(query, (account.client, account.emr, name)).fetchone()
            if found is None or self._open(account, data_key, name, found[0]) != before:
                return False
            self._put(db, account, data_key, name, after)
            return True

    def renew(self, account: Account, data_key: bytes, secret: str, *, chosen: bool) -> None:
        """A new data key for the same credentials, opened by this secret alone."""
        with self._file.writing() as db:
            kept, renewed = self.credentials(account, data_key), sealing.new_data_key()
            _forget(db, account)
            self._add(db, account, renewed, secret, chosen=chosen)
            for name, value in kept.items():
                self._put(db, account, renewed, name, value)

    def erase(self, account: Account, name: str | None = None) -> int:
        """One credential, or all of the account's. → how many there were."""
        with self._file.writing() as db:
            count = db.execute(
                "DELETE FROM credentials WHERE client = ? AND emr = ? AND (?3 IS NULL OR name = ?3)",
                (account.client, account.emr, name),
            ).rowcount
            left = "SELECT count(*) FROM credentials WHERE client = ? AND emr = ?"
            if db.execute(left, (account.client, account.emr)).fetchone() == (0,):
                _forget(db, account)
            return count

    def seal_anew(self) -> int:
        """Under the gateway's present key, whatever it was under before; no client is needed. → how many."""
        if not self._file.exists:
            return 0
        with self._file.writing() as db:
            for number, client, emr, sealed in db.execute(
                "SELECT number, client, emr, sealed FROM openings"
            ).fetchall():
                place = Account(client, emr).place()
                db.execute("UPDATE openings SET sealed = ? WHERE number = ?", (self._again(sealed, place), number))
            rows = db.execute("SELECT client, emr, name, sealed FROM credentials").fetchall()
            for client, emr, name, sealed in rows:
                again = self._again(sealed, Account(client, emr).place(name))
                where = "client = ? AND emr = ? AND name = ?"
                db.execute(f"UPDATE credentials SET sealed = ? WHERE {where}", (again, client, emr, name))  # noqa: S608
            return len(rows)

    # -- seals -------------------------------------------------------------------------------------------------

    def _openings(self, account: Account) -> list[bytes]:
        if not self._file.exists:
            return []
        with self._file.reading() as db:
            query = "SELECT sealed FROM openings WHERE client = ? AND emr = ? ORDER BY number DESC"
            rows = db.execute(query, (account.client, account.emr)).fetchall()
        with _opening():
            return [self._keys.open(_PURPOSE, sealed, account.place()) for (sealed,) in rows]

    def _add(self, db: sqlite3.Connection, account: Account, data_key: bytes, secret: str, *, chosen: bool) -> None:
        inner = sealing.for_secret(data_key, secret, account.place(), chosen=chosen)
        sealed = self._keys.seal(_PURPOSE, inner, account.place())
        db.execute("INSERT INTO openings (client, emr, sealed) VALUES (?, ?, ?)", (account.client, account.emr, sealed))

    def _put(self, db: sqlite3.Connection, account: Account, data_key: bytes, name: str, value: str) -> None:
        place = account.place(name)
        sealed = self._keys.seal(_PURPOSE, sealing.seal(data_key, value.encode(), place), place)
        values = (account.client, account.emr, name, sealed, moment(clock.now()))
        db.execute("INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?)", values)

    def _open(self, account: Account, data_key: bytes, name: str, sealed: bytes) -> str:
        place = account.place(name)
        with _opening():
            return sealing.opened(data_key, self._keys.open(_PURPOSE, sealed, place), place).decode()

    def _again(self, sealed: bytes, place: bytes) -> bytes:
        with _opening():
            return self._keys.seal(_PURPOSE, self._keys.open(_PURPOSE, sealed, place), place)


@contextmanager
def _opening() -> Iterator[None]:
    try:
        yield
    except WrongKey:
        raise CantOpen(
            "It was sealed with another gateway key than the present one. If that key is lost, so is the credential: "
            "put it anew."
        ) from None
    except Altered as error:
        raise CantOpen(str(error)) from None


def _forget(db: sqlite3.Connection, account: Account) -> None:
    for table in ("openings", "credentials"):
        where = (account.client, account.emr)
        db.execute(f"DELETE FROM {table} WHERE client = ? AND emr = ?", where)  # noqa: S608 - constants only
