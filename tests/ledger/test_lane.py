"""Group commit: shared transactions, one caller's failure is its own, and a disk that fails and comes back."""

import asyncio
import resource
import sqlite3
import threading
from contextlib import contextmanager

import pytest

from gateway.ledger import LedgerDown, State
from gateway.ledger.lane import Lane
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.conftest import at, command


@pytest.fixture
def connect(tmp_path):
    def connect():
        db = sqlite3.connect(tmp_path / "lane.db", isolation_level=None, timeout=0.05)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE IF NOT EXISTS said (word TEXT UNIQUE)")
        return db

    return connect


@pytest.fixture
async def lane(connect):
    lane = Lane("test", connect, "IMMEDIATE")
    lane.start()
    yield lane
    await lane.stop()


def say(word):
    return lambda db: db.execute("INSERT INTO said VALUES (?)", (word,)).rowcount


def said(connect):
    db = connect()
    words = [word for (word,) in db.execute("SELECT word FROM said ORDER BY rowid")]
    db.close()
    return words


async def in_line(lane, *calls):
    """Start all `calls` while the lane's thread is busy, so that they wait together. → their tasks."""
    started, gate = threading.Event(), threading.Event()

    def hold_up(db):
        started.set()
        assert gate.wait(10)

    first = asyncio.ensure_future(lane.run(hold_up))
    try:
        await asyncio.to_thread(started.wait, 10)
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)
    finally:
        gate.set()
    await first
    return tasks


async def test_what_waits_together_is_committed_together(lane, connect):
    tasks = await in_line(lane, *(lane.run(say(str(n))) for n in range(100)))
    assert await asyncio.gather(*tasks) == [1] * 100
    assert lane.commits == 2  # who held them up, and all of them
    assert said(connect) == [str(n) for n in range(100)]


async def test_a_group_is_bounded_so_that_the_first_does_not_wait_for_the_hundredth(lane):
    lane.at_most = 10
    await asyncio.gather(*await in_line(lane, *(lane.run(say(str(n))) for n in range(100))))
    assert lane.commits == 11


async def test_many_commands_at_once_cost_few_commits(ledger):
    before = ledger.commits
    tasks = await in_line(ledger._writes, *(ledger.begin(command(f"c{n}")) for n in range(100)))
    assert await asyncio.gather(*tasks) == [None] * 100
    assert ledger.commits - before == 2


async def test_one_after_the_other_each_is_committed_before_it_returns(lane, connect):
    for n in range(3):
        await lane.run(say(str(n)))
        assert lane.commits == n + 1
        assert said(connect)[-1] == str(n)


async def test_who_fails_fails_alone_and_wholly(lane, connect):
    def half_way(db):
        say("half")(db)
        raise ZeroDivisionError

    tasks = await in_line(lane, lane.run(say("one")), lane.run(half_way), lane.run(say("one")), lane.run(say("two")))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [int, ZeroDivisionError, sqlite3.IntegrityError, int]
    assert said(connect) == ["one", "two"]


async def test_when_sqlite_gives_up_the_transaction_nobody_in_it_is_told_that_it_worked(lane, connect):
    def given_up(db):  # what SQLite does by itself on some full disks
        db.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    tasks = await in_line(lane, lane.run(say("one")), lane.run(given_up), lane.run(say("two")))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [LedgerDown] * 3
    assert said(connect) == []
    assert await lane.run(say("three")) == 1


async def test_a_write_whose_caller_was_cancelled_is_committed_all_the_same(lane, connect):
    tasks = await in_line(lane, lane.run(say("one")), lane.run(say("two")), lane.run(say("three")))
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [int, asyncio.CancelledError, int]
    assert said(connect) == ["one", "two", "three"]


async def test_a_failure_that_nobody_waits_for_any_more_disturbs_nobody(lane):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))

    def fails(db):
        raise ZeroDivisionError

    tasks = await in_line(lane, lane.run(fails), lane.run(say("one")))
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await lane.run(say("two")) == 1
    assert complaints == []


async def test_stopping_finishes_what_was_asked_for(lane, connect):
    lane.at_most = 3
    tasks = await in_line(lane, *(lane.run(say(str(n))) for n in range(10)))
    await lane.stop()
    assert all(task.done() for task in tasks)
    assert len(said(connect)) == 10
    with pytest.raises(LedgerDown, match="closed"):
        await lane.run(say("late"))


def test_a_loop_that_is_gone_does_not_stop_the_write(connect):
    gate = threading.Event()

    def slow(db):
        assert gate.wait(10)
        say("one")(db)

    async def main():
        lane = Lane("test", connect, "IMMEDIATE")
        lane.start()
        task = asyncio.ensure_future(lane.run(slow))
        await asyncio.sleep(0)
        task.cancel()
        return lane

    lane = asyncio.run(main())
    gate.set()
    asyncio.run(lane.stop())
    assert said(connect) == ["one"]


async def test_a_connection_that_cannot_be_opened_is_tried_again_the_next_time(connect):
    attempts = []

    def fails_first():
        attempts.append(1)
        if len(attempts) < 3:
            raise sqlite3.OperationalError("unable to open database file")
        return connect()

    lane = Lane("test", fails_first, "IMMEDIATE")
    lane.start()
    for _ in range(2):
        with pytest.raises(LedgerDown, match="OperationalError"):
            await lane.run(say("one"))
    assert await lane.run(say("one")) == 1
    await lane.stop()


async def test_even_a_mistake_of_ours_in_connecting_leaves_nobody_waiting():
    def mistaken():
        raise ZeroDivisionError

    lane = Lane("test", mistaken, "IMMEDIATE")
    lane.start()
    with pytest.raises(ZeroDivisionError):
        await lane.run(say("one"))
    await lane.stop()


# -- the ledger on a failing disk ------------------------------------------------------------------------------


@contextmanager
def full_disk():
    """No file can be written beyond its first kilobyte: a real failure of the write, at COMMIT."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_on_a_full_disk_nothing_is_acknowledged_and_later_it_works_by_itself(ledger, tmp_path, keys):
    await ledger.begin(command("before", key="k"))
    with full_disk():
        for n in range(3):
            results = await asyncio.gather(
                ledger.begin(command(f"c{n}", key=f"k{n}")),
                ledger.settle("before", State.DONE, None, at(1)),
                return_exceptions=True,
            )
            assert [type(result) for result in results] == [LedgerDown] * 2
            assert "demo" not in str(results[0])
        with pytest.raises(LedgerDown):
            await ledger.prove()
        assert (await ledger.command("before", "demo")).state is State.RUNNING  # reading goes on
    assert await ledger.begin(command("after", key="k1")) is None
    await ledger.close()
    again = SqliteLedger(tmp_path / "ledger.db", keys)
    await again.open()
    assert {row.id for row in await again.commands("demo")} == {"before", "after"}
    await again.close()


async def test_while_somebody_locks_the_file_the_ledger_is_down_and_then_works_by_itself(tmp_path, keys):
    ledger = SqliteLedger(tmp_path / "ledger.db", keys, patience_s=0.05)
    await ledger.open()
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerDown, match="SQLITE_BUSY"):
        await ledger.begin(command())
    other.execute("ROLLBACK")
    other.close()
    assert await ledger.begin(command()) is None
    await ledger.close()


async def test_a_damaged_file_is_down_for_readers_too(ledger, tmp_path, keys):
    for n in range(50):
        await ledger.begin(command(f"c{n}", payload=b"x" * 1000))
    await ledger.close()
    file = tmp_path / "ledger.db"
    whole = file.read_bytes()
    await ledger.open()
    file.write_bytes(whole[:4096] + b"\xaa" * (len(whole) - 4096))
    with pytest.raises(LedgerDown):
        await ledger.unsettled()
    file.write_bytes(whole)
    assert len(await ledger.unsettled()) == 50


async def test_commits_reach_the_disk_before_they_are_acknowledged(ledger):
    def durability(db):
        return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")]

    assert await ledger._writes.run(durability) == ["wal", 2, 1]
