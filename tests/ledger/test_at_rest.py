"""Nothing that could name a patient can be read in the ledger's files."""

import base64
import sqlite3
import stat

from gateway.ledger import Answer, Remark, State, StepRow, StepState
from tests.ledger.conftest import at, command

NAMES = (
    "payload",
    "plan",
    "answer",
    "header",
    "receipt",
    "action",
    "a1",
    "made",
    "old",
    "new",
    "who",
    "remark",
    "credential",
)
CANARIES = [f"canary-{name}" for name in NAMES]


def bytes_of(directory):
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


def readable(text):
    """`text` in any of the guises in which a careless column would hold it."""
    plain = text.encode()
    return [plain, plain[::-1], text.encode("utf-16-le"), plain.hex().encode(), base64.b64encode(plain)[:-4]]


def leaks(directory):
    held = bytes_of(directory)
    return [canary for canary in CANARIES if any(form in held for form in readable(canary))]


async def plant(ledger):
    await ledger.begin(command(key="keyed-hash", payload=b"canary-payload", appointments=("canary-a1",)))
    await ledger.plan("c1", b"canary-plan", ["canary-action"], ["canary-a1"], at(1), credential=b"canary-credential")
    step = StepRow(0, StepState.DONE, "canary-action", b"canary-receipt", at(1))
    await ledger.advance("c1", [step], at(1), [("clinic", "canary-old", "canary-new")], ["canary-made"])
    remark = Remark(at(2), "canary-who", "canary-remark")
    told = Answer(502, b"canary-answer", (("x", "canary-header"),))
    await ledger.settle("c1", State.REPAIRING, told, at(2), remark=remark)


async def test_no_canary_is_in_the_files_while_a_command_runs_nor_after_it_settled_nor_when_all_is_closed(
    ledger, tmp_path
):
    await plant(ledger)
    assert b"sandbox" in bytes_of(tmp_path)  # these are the right files: harmless words can be read
    assert {path.name for path in tmp_path.iterdir()} == {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
    assert leaks(tmp_path) == []
    await ledger.settle("c1", State.DONE, Answer(200, b"canary-answer", (("x", "canary-header"),)), at(3))
    assert leaks(tmp_path) == []
    await ledger.close()
    assert leaks(tmp_path) == []


async def test_what_is_erased_is_gone_from_the_file_even_in_its_sealed_form(ledger, tmp_path):
    await plant(ledger)
    await ledger.close()
    sealed = sealed_values(tmp_path)
    assert len(sealed) == 3
    assert all(sealed)
    assert all(value in bytes_of(tmp_path) for value in sealed)
    await ledger.open()
    await ledger.settle("c1", State.DONE, None, at(3))
    await ledger.close()  # the log is written back into the file
    assert sealed_values(tmp_path) == [b"", b"", b""]
    assert not any(value in bytes_of(tmp_path) for value in sealed)


def sealed_values(directory):
    db = sqlite3.connect(directory / "ledger.db")
    commands = [value for row in db.execute("SELECT payload, credential FROM commands") for value in row]
    steps = [value for (value,) in db.execute("SELECT payload FROM steps")]
    db.close()
    return commands + steps


async def test_what_opens_the_credentials_is_there_until_the_command_is_settled(ledger):
    await plant(ledger)
    (row,) = await ledger.unsettled()
    assert (row.credential, row.state) == (b"canary-credential", State.REPAIRING)
    assert "canary-credential" not in repr(row)
    await ledger.settle("c1", State.NEEDS_ATTENTION, None, at(3))
    assert (await ledger.command("c1", None)).credential == b"canary-credential"
    await ledger.settle("c1", State.UNDONE, None, at(4))
    assert (await ledger.command("c1", None)).credential == b""


async def test_all_files_are_ours_alone(ledger, tmp_path):
    await plant(ledger)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes


async def test_a_sealed_value_does_not_open_in_another_commands_place(ledger, tmp_path, keys):
    await ledger.begin(command("c1", payload=b"one"))
    await ledger.begin(command("c2", payload=b"two"))
    await ledger.close()
    db = sqlite3.connect(tmp_path / "ledger.db")
    db.execute("UPDATE commands SET payload = (SELECT payload FROM commands WHERE id = 'c2') WHERE id = 'c1'")
    db.commit()
    db.close()
    await ledger.open()
    swapped, whole = await ledger.command("c1", "demo"), await ledger.command("c2", "demo")
    assert (swapped.payload, swapped.unreadable) == (b"", True)
    assert (whole.payload, whole.unreadable) == (b"two", False)
