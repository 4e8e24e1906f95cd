"""Whatever somebody without the key does to the record is found, and where it begins is named."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
from itertools import product
from pathlib import Path

import pytest

from gateway.audit import Event
from gateway.audit.chain import Broken
from gateway.audit.reading import Record
from gateway.ledger.sqlite import SqliteLedger
from tests.audit.record import KEYS, OTHERS, TAMPERINGS, copied, numbers, written
from tests.ledger.conftest import at

FORGOTTEN = (0, 4)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One record from the first entry on, and one of which the oldest were forgotten."""
    paths = [tmp_path_factory.mktemp("record") / f"forgotten-{count}.db" for count in FORGOTTEN]
    for path, count in zip(paths, FORGOTTEN, strict=True):
        asyncio.run(written(path, forgotten=count))
    return paths


def found(original: Path, copy: Path, tampering, seed: int) -> bool:
    """Is it found, and the first bad entry named?"""
    db = copied(original, copy)
    first = tampering(db, random.Random(seed))
    db.close()
    try:
        Record(copy, KEYS).verify()
    except Broken as error:
        named = re.search(r"[Ee]ntry (\d+)", str(error))
        return first == 0 or (named is not None and int(named[1]) == first)
    return False


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda tampering: tampering.__name__)
def test_whatever_is_done_to_the_record_is_found_and_named(originals, tmp_path, tampering):
    for original in originals:
        Record(original, KEYS).verify()
        for seed in range(3):
            assert found(original, tmp_path / "copy.db", tampering, seed), (original.name, seed)


@pytest.mark.security
def test_not_one_of_many_tamperings_is_missed(originals, tmp_path, record_property):
    tries = [*product(originals, TAMPERINGS, range(100))]
    missed = [
        (original.name, tampering.__name__, seed)
        for original, tampering, seed in tries
        if not found(original, tmp_path / "copy.db", tampering, seed)
    ]
    record_property("security: audit tamperings tried", len(tries))
    record_property("security: audit tamperings missed", len(missed))
    assert len(tries) >= 2000
    assert missed == []


@pytest.mark.security
def test_not_one_bit_of_any_entry_can_be_turned_unseen(originals, tmp_path, record_property):
    """Each of them, in turn: of the first entry, one in the middle, the last one, and both ends."""
    tried, missed = 0, []
    db = copied(originals[0], tmp_path / "copy.db")
    last = numbers(db)[-1]
    places = [("audit", column, "number", n) for column in ("entry", "mac") for n in (1, last // 2, last)]
    places += [("audit_ends", column, "name", end) for column in ("mac", "seal") for end in ("anchor", "head")]
    for table, column, key, value in places:
        (data,) = db.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (value,)).fetchone()
        for bit in range(len(data) * 8):
            turned = bytes(byte ^ (1 << (bit % 8) if n == bit // 8 else 0) for n, byte in enumerate(data))
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (turned, value))
            tried += 1
            try:
                Record(tmp_path / "copy.db", KEYS).verify()
            except Broken:
                continue
            missed.append((table, column, value, bit))
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (data, value))
    db.close()
    Record(tmp_path / "copy.db", KEYS).verify()
    record_property("security: audit bits turned", tried)
    record_property("security: audit bits missed", len(missed))
    assert missed == []


async def test_a_whole_record_that_somebody_else_has_written_is_not_ours(tmp_path):
    await written(tmp_path / "theirs.db", OTHERS)
    Record(tmp_path / "theirs.db", OTHERS).verify()
    with pytest.raises(Broken, match="anchor"):
        Record(tmp_path / "theirs.db", KEYS).verify()


async def test_what_was_done_to_the_record_is_not_healed_by_going_on_with_it(originals, tmp_path):
    for tampering, seed in product(TAMPERINGS, range(2)):
        copy = tmp_path / f"{tampering.__name__}-{seed}.db"
        shutil.copyfile(originals[0], copy)
        db = copied(originals[0], copy)
        tampering(db, random.Random(seed))
        db.close()
        ledger = SqliteLedger(copy, KEYS)
        await ledger.open()
        for n in range(2):
            await ledger.note(Event(kind="later"), at(60 + n))  # and the gateway works on
        with pytest.raises(Broken):
            await ledger.forget_audit(at(1000), at(1000))
        await ledger.close()
        with pytest.raises(Broken):
            Record(copy, KEYS).verify()


async def test_a_record_of_an_earlier_day_put_back_is_found_by_a_head_that_was_logged(tmp_path):
    """No key shows this: it is why heads are logged."""
    path, backup = tmp_path / "ledger.db", tmp_path / "backup.db"
    earlier = await written(path)
    shutil.copyfile(path, backup)
    ledger = SqliteLedger(path, KEYS)
    await ledger.open()
    await ledger.note(Event(kind="later"), at(60))
    logged = await ledger.head()
    await ledger.close()
    for mark in (earlier, logged):
        assert Record(path, KEYS).verify(str(mark)).at == logged
    Record(backup, KEYS).verify()
    Record(backup, KEYS).verify(str(earlier))
    with pytest.raises(Broken, match=f"Entry {earlier.number + 1} is missing, and all up to {logged.number}, which"):
        Record(backup, KEYS).verify(str(logged))
    ledger = SqliteLedger(backup, KEYS)
    await ledger.open()
    await ledger.note(Event(kind="something else"), at(60))
    await ledger.close()
    with pytest.raises(Broken, match=f"Entry {logged.number} is not the one"):
        Record(backup, KEYS).verify(str(logged))


async def test_a_head_of_what_was_forgotten_since_can_not_be_compared_and_that_is_said(tmp_path):
    head = await written(tmp_path / "ledger.db", count=3)
    ledger = SqliteLedger(tmp_path / "ledger.db", KEYS)
    await ledger.open()
    await ledger.note(Event(kind="later"), at(60))
    await ledger.forget_audit(at(61), at(61))
    await ledger.close()
    assert Record(tmp_path / "ledger.db", KEYS).verify().anchor.number == head.number + 1
    with pytest.raises(Broken, match="forgotten by its age"):
        Record(tmp_path / "ledger.db", KEYS).verify(str(head))


def test_a_file_that_is_damaged_or_none_is_said_to_be(originals, tmp_path):
    with pytest.raises(Broken, match="There is no"):
        Record(tmp_path / "none.db", KEYS).verify()
    (tmp_path / "text.db").write_text("not a database, however long it may be" * 30)
    with pytest.raises(Broken, match="can't be read"):
        Record(tmp_path / "text.db", KEYS).verify()
    whole = originals[0].read_bytes()
    entry = copied(originals[0], tmp_path / "copy.db").execute("SELECT entry FROM audit WHERE number = 5").fetchone()[0]
    at_ = whole.index(entry)
    (tmp_path / "torn.db").write_bytes(whole[:at_] + bytes(4096) + whole[at_ + 4096 :])
    with pytest.raises(Broken):
        Record(tmp_path / "torn.db", KEYS).verify()
