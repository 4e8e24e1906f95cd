"""A disk that is full, read-only, failing, or another one than before: nothing is taken for written that is not."""

import os
import shutil

import pytest

from gateway.ledger import LedgerDown, State
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.conftest import at, command
from tests.ledger.failing_sync import CAN_REFUSE, descriptors_of, fail_syncs_of


async def opened_anew(ledger):
    """How often the lane that writes has opened its connection since this was called."""
    times = []
    connect = ledger._writes._connect
    ledger._writes._connect = lambda: times.append(1) or connect()
    return times


# -- a sync that failed ------------------------------------------------------------------------------------------------


refusable = pytest.mark.skipif(not CAN_REFUSE, reason="this kernel can't be told to refuse a sync")


async def syncs_fail(ledger, wal):
    """Every sync of the log by the connections that are open now fails, and by none that is opened later."""
    failing = descriptors_of(wal)
    await ledger._writes.run(lambda _: [fail_syncs_of(descriptor) for descriptor in failing])
    return failing


def take_up_to(highest):
    """Descriptors that are in use, so that the next file to be opened has a higher number."""
    taken = [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] < highest:
        taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken


@refusable
async def test_what_a_failed_sync_may_have_lost_is_written_and_synced_anew(ledger, tmp_path):
    await ledger.begin(command("before"))
    times, wal = await opened_anew(ledger), tmp_path / "ledger.db-wal"
    failing = await syncs_fail(ledger, wal)
    with pytest.raises(LedgerDown, match="SQLITE_IOERR_FSYNC"):
        await ledger.begin(command("lost", key="k"))
    taken = take_up_to(max(failing))
    try:
        assert await ledger.begin(command("again", key="k")) is None
    finally:
        for descriptor in taken:
            os.close(descriptor)
    assert len(times) == 1
    # What a crash would leave: the log is read from its beginning.
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copy(tmp_path / name, crashed / name)
    found = SqliteLedger(crashed / "ledger.db", ledger._keys)
    await found.open()
    assert [row.id for row in await found.unsettled()] == ["before", "again"]
    await found.close()


@refusable
async def test_as_long_as_syncs_fail_nothing_is_acknowledged(ledger, tmp_path):
    await ledger.begin(command("before"))
    failing = await syncs_fail(ledger, tmp_path / "ledger.db-wal")
    for n in range(3):
        with pytest.raises(LedgerDown):
            await ledger.begin(command(f"c{n}"))
        assert set(descriptors_of(tmp_path / "ledger.db-wal")) <= set(failing)
        assert [row.id for row in await ledger.unsettled()] == ["before"]


# -- no room, and no right to write ------------------------------------------------------------------------------------


async def test_when_sqlite_has_no_room_the_connection_is_opened_anew(ledger):
    def no_room(db):
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")

    times = await opened_anew(ledger)
    await ledger._writes.run(no_room)
    with pytest.raises(LedgerDown, match="SQLITE_FULL"):
        await ledger.begin(command("big", key="k", payload=b"x" * 100_000))
    assert await ledger.begin(command("big", key="k", payload=b"x" * 100_000)) is None
    assert len(times) == 1


async def test_a_disk_that_is_read_only_is_down_and_then_works_by_itself(ledger):
    await ledger._writes.run(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(LedgerDown, match="SQLITE_READONLY"):
        await ledger.begin(command())
    assert await ledger.begin(command()) is None


async def test_the_proof_of_a_store_is_a_write(ledger):
    commits = ledger.commits
    await ledger.prove()
    assert ledger.commits == commits + 1
    await ledger._writes.run(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(LedgerDown):
        await ledger.prove()
    await ledger.prove()


# -- other files than before -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal"])
async def test_what_is_written_into_a_deleted_file_is_not_acknowledged(ledger, tmp_path, name):
    await ledger.begin(command("before"))
    (tmp_path / name).unlink()
    for n in range(2):
        with pytest.raises(LedgerDown):
            await ledger.begin(command(f"c{n}"))


async def test_a_ledger_that_was_away_works_again_when_it_is_back(ledger, tmp_path):
    await ledger.begin(command("before"))
    files = ("ledger.db", "ledger.db-wal", "ledger.db-shm")
    away = tmp_path / "away"
    away.mkdir()
    for name in files:
        (tmp_path / name).rename(away / name)
    for n in range(2):
        with pytest.raises(LedgerDown, match=r"gone|SQLITE_CANTOPEN"):
            await ledger.begin(command(f"c{n}"))
        with pytest.raises(LedgerDown):
            await ledger.unsettled()
    for name in files:
        (away / name).rename(tmp_path / name)
    assert await ledger.begin(command("after")) is None
    assert {"before", "after"} <= {row.id for row in await ledger.unsettled()}


async def test_another_ledger_in_its_place_is_noticed_and_both_lanes_go_over_to_it(ledger, tmp_path, keys):
    await ledger.begin(command("old"))
    other = SqliteLedger(tmp_path / "other.db", keys)
    await other.open()
    await other.begin(command("restored"))
    await other.close()
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"ledger.db{suffix}").unlink()
    (tmp_path / "other.db").replace(tmp_path / "ledger.db")
    for ask in (lambda: ledger.begin(command("new")), ledger.unsettled):
        with pytest.raises(LedgerDown):
            await ask()
    assert await ledger.begin(command("new")) is None
    assert {row.id for row in await ledger.unsettled()} == {"restored", "new"}
    await ledger.settle("restored", State.UNDONE, None, at(1))


async def test_a_row_that_is_damaged_harms_no_other(ledger, tmp_path):
    """What holds nothing to be read stands there all the same, and can be brought to an end."""
    for id in ("whole", "hurt"):
        await ledger.begin(command(id, payload=b"plan", key=id))
        await ledger.plan(id, b"plan", ["change"], [], at(1))
    await ledger._writes.run(lambda db: db.execute("UPDATE commands SET payload = x'01' WHERE id = 'hurt'"))
    await ledger._writes.run(lambda db: db.execute("UPDATE steps SET action = x'02' WHERE command = 2"))
    rows = {row.id: row for row in await ledger.unsettled()}
    assert (rows["whole"].payload, rows["whole"].unreadable) == (b"plan", False)
    assert (rows["hurt"].payload, rows["hurt"].unreadable) == (b"", True)
    assert [step.action for step in rows["hurt"].steps] == [""]
    held = await ledger.begin(command("again", key="hurt"))
    assert (held.id, held.unreadable) == ("hurt", True)
