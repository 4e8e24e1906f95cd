"""One thread, one SQLite connection, group commit: whatever waits shares one transaction and one sync of the disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from gateway.clock import monotonic
from gateway.ledger import LedgerDown

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Result:
    value: Any = None
    error: BaseException | None = None


class Lane:
    """Runs work in order of arrival, each piece in a savepoint of its own inside a transaction that many share.

    A lane that writes begins `IMMEDIATE`, one that reads `DEFERRED`. A connection that failed is opened anew for the
    next transaction, so a lane works again as soon as the disk does, and nothing that a failed sync may have lost is
    taken for written.

    `place` names the files that the connection works on, as they are found by now: SQLite goes on in files that have
    been deleted or replaced, and what it writes there is lost.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], sqlite3.Connection],
        mode: Literal["IMMEDIATE", "DEFERRED"],
        at_most: int = 500,
        place: Callable[[], Hashable] = lambda: None,
        heard: Callable[[float, bool], None] = lambda _seconds, _kept: None,
    ) -> None:
        """`heard` is told of all that was run: how many seconds it took, and whether it was kept."""
        self.commits = 0
        self.at_most = at_most
        """How many pieces of work share a transaction; bounds how long the first of them waits for the last."""
        self._name = name
        self._connect = connect
        self._begin = f"BEGIN {mode}"
        self._place = place
        self._heard = heard
        self._found: Hashable = None
        """What `place` said when the connection was new."""
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._db: sqlite3.Connection | None = None

    def start(self) -> None:
        """Start the thread; results are delivered on the running loop."""
        if self._thread is not None:
            raise RuntimeError("The ledger is open already.")
        self._loop = asyncio.get_running_loop()
        # A daemon, so that a process that dies without `stop` is not held up; what was acknowledged is on disk.
        self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Finish what was asked for, then end the thread. A second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    async def run(self, work: Work[T]) -> T:
        """Returns when `work` is committed; raises what it raised, or `LedgerDown`.

        Cancelling the caller does not take the work back: it will be committed all the same.
        """
        if self._thread is None or self._loop is None:
            raise LedgerDown("The ledger is closed.")
        future: asyncio.Future[T] = self._loop.create_future()
        since = monotonic()
        future.add_done_callback(lambda done: self._ended(since, done))
        self._jobs.put(_Job(work, future))
        return await future

    def _ended(self, since: float, done: asyncio.Future[Any]) -> None:
        if not done.cancelled():  # else nobody knows yet
            self._heard(monotonic() - since, not isinstance(done.exception(), LedgerDown))

    # -- in the thread -----------------------------------------------------------------------------------------

    def _serve(self) -> None:
        goes_on = True
        while goes_on:
            jobs, goes_on = self._collect()
            if jobs:
                self._deliver(jobs, self._transact(jobs))
        self._disconnect()

    def _collect(self) -> tuple[list[_Job], bool]:
        """All that waits, at least one; and whether more may come."""
        jobs: list[_Job] = []
        with suppress(Empty):
            while len(jobs) < self.at_most:
                job = self._jobs.get(block=not jobs)
                if job is None:
                    return jobs, False
                jobs.append(job)
        return jobs, True

    def _transact(self, jobs: Sequence[_Job]) -> list[_Result]:
        try:
            results = self._committed(jobs)
        except Exception as error:  # noqa: BLE001 - every caller is told; a dead thread would leave them waiting
            self._disconnect()
            return [_Result(error=told_of(error)) for _ in jobs]
        self.commits += 1
        if any(isinstance(result.error, LedgerDown) for result in results):
            self._disconnect()
        return results

    def _committed(self, jobs: Sequence[_Job]) -> list[_Result]:
        if self._db is None:
            self._db, self._found = self._connect(), None
        self._db.execute(self._begin)
        if self._found is None:
            self._found = self._place()
        results = [_attempt(self._db, job.work) for job in jobs]
        self._still_there()
        self._db.execute("COMMIT")
        self._still_there()
        return results

    def _still_there(self) -> None:
        if self._place() != self._found:
            raise LedgerDown("The ledger's file was replaced by another one.")

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _deliver(self, jobs: Sequence[_Job], results: Sequence[_Result]) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_resolve, jobs, results)


def _attempt(db: sqlite3.Connection, work: Work[Any]) -> _Result:
    db.execute("SAVEPOINT piece")
    try:
        result = _Result(work(db))
    except Exception as error:
        if not db.in_transaction:
            raise  # SQLite gave up the whole transaction, as some full disks make it: nobody's work in it stands
        db.execute("ROLLBACK TO piece")
        result = _Result(error=told_of(error))
    db.execute("RELEASE piece")
    return result


def told_of(error: Exception) -> Exception:
    """`LedgerDown` for what is the store's fault; what is ours (a broken constraint, a wrong statement) stays."""
    ours = isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError)
    if not isinstance(error, sqlite3.Error) or ours:
        return error
    code = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return LedgerDown(f"The ledger can't be read or written ({code}).")


def _resolve(jobs: Sequence[_Job], results: Sequence[_Result]) -> None:
    for job, result in zip(jobs, results, strict=True):
        if job.future.done():  # its caller was cancelled
            continue
        if result.error is not None:
            job.future.set_exception(result.error)
        else:
            job.future.set_result(result.value)
