"""The ledger on one machine: SQLite in WAL mode, synced at every commit, which many commands share."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from gateway.audit import Event, Mark, Touched
from gateway.audit.chain import NOTHING
from gateway.keys import Keys
from gateway.ledger import Answer, CommandRow, Erased, LedgerDown, Remark, State, StepRow, StepState, Subject
from gateway.ledger.changes import erase, forget_renamed, forget_steps, purge, touch
from gateway.ledger.erasing import Erasing
from gateway.ledger.files import checkpoint, connected, create, stamps
from gateway.ledger.lane import Lane, Work
from gateway.ledger.lineage import Lineage
from gateway.ledger.rows import SELECT, Rows, moment
from gateway.ledger.trail import Trail, end_of, prepare

_AT_ONCE = 500
"""How many rows are deleted at a time."""


class SqliteLedger:
    """`Ledger` in one file, of one process (`gateway.state_dir` sees to that).

    `keys` seal what it holds; `patience_s` bounds the wait for a lock that a backup or a shell has on the file; `heard`
    is told of every write: how many seconds it took to be durable, and whether it is.
    """

    def __init__(
        self,
        path: Path,
        keys: Keys,
        *,
        patience_s: float = 2.0,
        heard: Callable[[float, bool], None] = lambda _seconds, _kept: None,
    ) -> None:
        self._path = path.absolute()
        self._patience_s = patience_s
        self._keys = keys
        self._rows = Rows(keys)
        self._lineage = Lineage(keys)
        self._trail = Trail(keys)
        self._erasing = Erasing(keys)
        wal = self._path.with_name(f"{self._path.name}-wal")
        written = partial(stamps, self._path, wal)
        self._writes = Lane("ledger-writes", self._connect, "IMMEDIATE", place=written, heard=heard)
        self._reads = Lane("ledger-reads", self._connect, "DEFERRED", place=partial(stamps, self._path))

    async def open(self) -> None:
        """Make or migrate the file. Raises `NewerSchema`, `WrongKey`, `LedgerDown`."""
        try:
            create(self._path)
        except OSError as error:
            raise LedgerDown(f"The ledger {self._path} can't be created ({type(error).__name__}).") from None
        self._writes.start()
        self._reads.start()
        try:
            await self._writes.run(lambda db: prepare(db, self._keys))
            await self._reads.run(lambda _: None)  # a reader that is connected goes on reading while the disk is full
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """What was asked for before is still done."""
        await self._reads.stop()
        await self._writes.stop()

    @property
    def commits(self) -> int:
        """How many transactions wrote, since this object was made."""
        return self._writes.commits

    # -- writes ------------------------------------------------------------------------------------------------

    async def begin(self, row: CommandRow) -> CommandRow | None:
        def work(db: sqlite3.Connection) -> CommandRow | None:
            query = f"{SELECT} WHERE client = ? AND key = ?"
            holder = row.key is not None and db.execute(query, (row.client, row.key)).fetchone()
            if holder:
                return self._rows.load(db, holder)
            self._rows.insert(db, row)
            return None

        return await self._writes.run(work)

    async def plan(
        self,
        id: str,
        payload: bytes,
        actions: Sequence[str],
        appointments: Sequence[str],
        now: datetime,
        *,
        touched: Sequence[Touched] = (),
        credential: bytes = b"",
    ) -> None:
        """Raises `NoSuchCommand` for an unknown or settled one, `ValueError` if a step of an earlier plan stands."""
        steps = [StepRow(i, StepState.PLANNED, action, b"") for i, action in enumerate(actions)]

        def work(db: sqlite3.Connection) -> None:
            number, client = touch(db, id, now)
            forget_steps(db, number)
            sealed = self._rows.seal(id, "payload", payload), self._rows.seal(id, "credential", credential)
            db.execute("UPDATE commands SET payload = ?, credential = ? WHERE number = ?", (*sealed, number))
            self._rows.put_steps(db, number, id, steps)
            self._rows.put_appointments(db, number, client, appointments)
            self._rows.put_touched(db, number, touched)

        await self._writes.run(work)

    async def advance(
        self,
        id: str,
        steps: Sequence[StepRow],
        now: datetime,
        lineage: Sequence[tuple[str, str, str]] = (),
        appointments: Sequence[str] = (),
    ) -> None:
        """Steps are stored exactly as given, receipts too. Raises `NoSuchCommand` for an unknown or settled one."""

        def work(db: sqlite3.Connection) -> None:
            number, client = touch(db, id, now)
            self._rows.put_steps(db, number, id, steps)
            self._rows.put_appointments(db, number, client, appointments)
            self._record(db, lineage, now)

        await self._writes.run(work)

    async def settle(
        self,
        id: str,
        state: State,
        answer: Answer | None,
        now: datetime,
        *,
        release_key: bool = False,
        lineage: Sequence[tuple[str, str, str]] = (),
        steps: Sequence[StepRow] = (),
        remark: Remark | None = None,
    ) -> None:
        """`answer` replaces the one before, also if it is `None`. Raises `NoSuchCommand` for an unknown command.

        What is settled stays settled: it can be settled again, but not be taken up again (`NoSuchCommand`).
        """

        def work(db: sqlite3.Connection) -> None:
            number, _ = touch(db, id, now, also_settled=state.settled)
            (was,) = db.execute("SELECT state FROM commands WHERE number = ?", (number,)).fetchone()
            since = moment(now) if state is State.REPAIRING else None
            db.execute(
                "UPDATE commands SET state = ?, settled = ?, answer = ?,"
                " repairing_since = iif(?4 IS NULL, NULL, coalesce(repairing_since, ?4)) WHERE number = ?5",
                (state.value, state.settled, self._rows.seal_answer(id, answer), since, number),
            )
            if state.settled:
                erase(db, number)
            self._rows.put_steps(db, number, id, steps)
            if release_key:
                db.execute("UPDATE commands SET key = NULL WHERE number = ?", (number,))
            self._record(db, lineage, now)
            if remark is not None:
                self._rows.put_remark(db, number, id, remark)
            if was != state.value:
                noted = self._rows.steps(db, number, id)
                self._trail.came_to(db, number, noted, state, answer, remark, now)

        await self._writes.run(work)

    async def prove(self) -> None:
        # Another value each time: SQLite writes nothing where nothing changes.
        proof = "INSERT OR REPLACE INTO about (name, value) VALUES ('proof', randomblob(8))"
        await self._writes.run(lambda db: db.execute(proof))

    async def note(self, event: Event, now: datetime) -> None:
        await self._writes.run(lambda db: self._trail.note(db, event, now))

    async def forget_audit(self, before: datetime, now: datetime) -> int:
        return await self._piecemeal(lambda db: self._trail.forget(db, before, now, _AT_ONCE))

    async def purge(self, settled_before: datetime) -> int:
        return await self._piecemeal(lambda db: purge(db, settled_before, _AT_ONCE))

    async def forget_renamed(self, before: datetime) -> int:
        return await self._piecemeal(lambda db: forget_renamed(db, before, _AT_ONCE))

    async def erase(self, subject: Subject, told: Answer, who: str, now: datetime) -> Erased:
        # What takes long is read beside the writes.
        traces = await self._reads.run(lambda db: self._erasing.traces(db, subject))
        erased = await self._writes.run(lambda db: self._erasing.erase(db, subject, traces, told, who, now))
        await self.scrub()
        return erased

    async def scrub(self) -> None:
        await asyncio.to_thread(checkpoint, self._connect)

    async def _piecemeal(self, work: Work[int]) -> int:
        """So that nobody waits for a long one. → how many in all."""
        total, count = 0, _AT_ONCE
        while count == _AT_ONCE:
            count = await self._writes.run(work)
            total += count
        return total

    # -- reads -------------------------------------------------------------------------------------------------

    async def command(self, id: str, client: str | None) -> CommandRow | None:
        found = await self._select("WHERE id = ? AND (?2 IS NULL OR client = ?2)", (id, client))
        return found[0] if found else None

    async def commands(
        self,
        client: str | None,
        *,
        emr: str | None = None,
        key: str | None = None,
        appointment: str | None = None,
        unsettled: bool = False,
        limit: int = 100,
    ) -> Sequence[CommandRow]:
        wanted = {"client": client, "emr": emr, "key": key, "settled": 0 if unsettled else None}
        given = {column: value for column, value in wanted.items() if value is not None}
        terms = [f"{column} = ?" for column in given]
        values = [*given.values()]
        if appointment is not None and client is not None:
            terms.append("number IN (SELECT command FROM command_appointments WHERE appointment = ?)")
            values.append(self._rows.appointment(client, appointment))
        query = " AND ".join(terms) or "TRUE"
        return await self._select(f"WHERE {query} ORDER BY created_at DESC, number DESC LIMIT ?", (*values, limit))

    async def unsettled(self) -> Sequence[CommandRow]:
        return await self._select("WHERE settled = 0 ORDER BY created_at, number", ())

    async def count_unsettled(self) -> Mapping[State, int]:
        query = "SELECT state, count(*) FROM commands WHERE settled = 0 GROUP BY state"
        counted = dict(await self._reads.run(lambda db: db.execute(query).fetchall()))
        return {state: counted.get(state.value, 0) for state in State if not state.settled}

    async def successors(self, tenant: str, ids: Sequence[str]) -> dict[str, str]:
        def work(db: sqlite3.Connection) -> dict[str, str]:
            found = ((id, self._lineage.successor(db, tenant, id)) for id in ids)
            return {id: newest for id, newest in found if newest is not None}

        return await self._reads.run(work)

    async def ancestors(self, tenant: str, id: str) -> tuple[str, ...]:
        return await self._reads.run(lambda db: self._lineage.ancestors(db, tenant, id))

    async def head(self) -> Mark:
        end = await self._reads.run(lambda db: end_of(db, "head"))
        return NOTHING if end is None else end.mark

    # -- in the lanes' threads ---------------------------------------------------------------------------------

    async def _select(self, which: str, values: Sequence[str | int | None]) -> list[CommandRow]:
        def work(db: sqlite3.Connection) -> list[CommandRow]:
            return [self._rows.load(db, found) for found in db.execute(f"{SELECT} {which}", values).fetchall()]

        return await self._reads.run(work)

    def _record(self, db: sqlite3.Connection, lineage: Sequence[tuple[str, str, str]], now: datetime) -> None:
        for tenant, old, new in lineage:
            self._lineage.record(db, tenant, old, new, moment(now))

    def _connect(self) -> sqlite3.Connection:
        return connected(self._path, self._patience_s)
