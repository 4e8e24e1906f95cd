"""What is erased is gone, in its sealed form too; what must not be done twice still is not."""

from __future__ import annotations

import sqlite3

import pytest

from gateway.audit import Touched, patient_hash
from gateway.audit.reading import Record, Wanted
from gateway.ledger import Answer, Erased, Remark, State, StepRow, StepState, Subject
from tests.ledger.conftest import at, command

GONE = Answer(500, b"erased")
CLIENT, ANNA = Subject("client", "demo"), Subject("patient", "anna")


async def changed(ledger, id, appointment, patient, *, new_id=None, state=State.DONE, **more):
    await ledger.begin(command(id, key=f"key-{id}", touched=(Touched(appointment_id=appointment),), **more))
    touched = (Touched(appointment_id=appointment, patient_id=patient, change="moved"),)
    await ledger.plan(id, b"plan", ["change"], [appointment], at(1), touched=touched)
    step = StepRow(0, StepState.DONE, "change", f'{{"appointment_id": "{new_id or appointment}"}}'.encode())
    lineage = [("clinic", appointment, new_id)] if new_id else []
    await ledger.advance(id, [step], at(1), lineage, [new_id] if new_id else [])
    remark = Remark(at(2), "staff", f"Rang {patient}.")
    await ledger.settle(id, state, Answer(200, patient.encode()), at(2), steps=[step], remark=remark)


def stored(path, *queries):
    db = sqlite3.connect(path / "ledger.db")
    found = [value for query in queries for (value,) in db.execute(query).fetchall()]
    db.close()
    return found


async def emptied(ledger, id):
    row = await ledger.command(id, None)
    return row.answer == GONE and (row.steps, row.remarks, row.payload) == ((), (), b"")


@pytest.mark.parametrize("subject", [CLIENT, ANNA, Subject("appointment", "a1"), Subject("appointment", "a2")], ids=str)
async def test_what_is_held_of_somebody_is_emptied_and_nothing_of_anybody_else(ledger, subject):
    await changed(ledger, "c1", "a1", "anna", new_id="a2")
    await changed(ledger, "c2", "b1", "berit", new_id="b2", client="demo2")
    erased = await ledger.erase(subject, GONE, "staff", at(3))
    assert erased == Erased(commands=1, renamed=0 if subject is CLIENT else 1)
    assert await emptied(ledger, "c1")
    assert not await emptied(ledger, "c2")
    assert await ledger.successors("clinic", ["b1"]) == {"b1": "b2"}
    assert await ledger.successors("clinic", ["a1"]) == ({"a1": "a2"} if subject is CLIENT else {})
    if subject is not CLIENT:
        assert not [*await ledger.commands("demo", appointment="a1"), *await ledger.commands("demo", appointment="a2")]


async def test_a_key_of_an_erased_command_still_lets_nothing_be_done_twice(ledger):
    await changed(ledger, "c1", "a1", "anna")
    await ledger.erase(ANNA, GONE, "staff", at(3))
    held = await ledger.begin(command("again", key="key-c1"))
    assert (held.id, held.state, held.answer) == ("c1", State.DONE, GONE)


async def test_former_ids_of_a_patient_are_found_long_after_the_commands_were_forgotten(ledger):
    await changed(ledger, "c1", "a1", "anna", new_id="a2")
    await changed(ledger, "c2", "a2", "anna", new_id="a3")
    await changed(ledger, "c3", "b1", "berit", new_id="b2")
    assert await ledger.purge(at(60)) == 3
    assert await ledger.erase(ANNA, GONE, "staff", at(61)) == Erased(commands=0, renamed=2)
    assert await ledger.successors("clinic", ["a1", "a2", "b1"]) == {"b1": "b2"}


@pytest.mark.parametrize("state", [State.REPAIRING, State.NEEDS_ATTENTION])
@pytest.mark.parametrize("subject", [CLIENT, ANNA, Subject("appointment", "a1")], ids=str)
async def test_nothing_is_erased_while_one_of_the_commands_is_not_at_an_end(ledger, subject, state, tmp_path, keys):
    await changed(ledger, "c1", "a1", "anna")
    await changed(ledger, "c2", "a1", "anna", state=state)
    assert await ledger.erase(subject, GONE, "staff", at(3)) == Erased(unsettled=("c2",))
    assert not await emptied(ledger, "c1")
    assert "erased" not in {e.told["kind"] for e in Record(tmp_path / "ledger.db", keys).entries(Wanted())}
    await ledger.settle("c2", State.DONE, None, at(4))
    assert (await ledger.erase(subject, GONE, "staff", at(5))).commands == 2


async def test_that_somebody_erased_is_recorded_and_the_keyed_hashes_stay(ledger, tmp_path, keys):
    await changed(ledger, "c1", "a1", "anna")
    await ledger.erase(ANNA, GONE, "staff", at(3))
    record = Record(tmp_path / "ledger.db", keys)
    changed_, erased = [entry.told for entry in record.entries(Wanted())]
    anna = patient_hash(keys, "clinic", "anna")
    assert changed_["touched"][0]["patient"] == anna
    assert erased == {
        "version": 2,
        "at": at(3).isoformat(),
        "kind": "erased",
        "by": "staff",
        "what": "patient",
        "subjects": [anna],
        "commands": 1,
        "renamed": 0,
    }
    record.verify()


async def test_what_was_erased_is_in_no_file_any_more_not_even_sealed_while_the_ledger_is_open(ledger, tmp_path):
    await changed(ledger, "c1", "a1", "anna", new_id="a2")
    await ledger.prove()
    held = stored(
        tmp_path,
        "SELECT answer FROM commands",
        "SELECT remarks FROM commands",
        "SELECT payload FROM steps",
        "SELECT old_id FROM lineage",
        "SELECT new_id FROM lineage",
        "SELECT CAST(touched AS BLOB) FROM commands",
    )
    assert len(held) == 6
    assert all(value and value in on_disk(tmp_path) for value in held)
    await ledger.erase(ANNA, GONE, "staff", at(3))
    assert not [value for value in held if value in on_disk(tmp_path)]


async def test_what_was_purged_or_settled_is_in_no_file_any_more_once_it_was_scrubbed(ledger, tmp_path):
    await ledger.begin(command("c1", payload=b"intent"))
    await ledger.plan("c1", b"plan", ["change"], ["a1"], at(1))
    plan = stored(tmp_path, "SELECT payload FROM commands")
    await ledger.settle("c1", State.DONE, Answer(200, b"anna"), at(2))
    answer = stored(tmp_path, "SELECT answer FROM commands")
    await ledger.scrub()
    held = on_disk(tmp_path)
    assert (plan[0] in held, answer[0] in held) == (False, True)
    await ledger.purge(at(60))
    await ledger.scrub()
    assert answer[0] not in on_disk(tmp_path)


def on_disk(directory):
    return b"".join(path.read_bytes() for path in directory.iterdir())


# -- former ids -------------------------------------------------------------------------------------------------------


async def test_former_ids_are_forgotten_when_the_appointment_has_got_no_new_one_for_long(ledger):
    await ledger.begin(command())
    await ledger.advance("c1", [], at(1), [("clinic", "a1", "a2"), ("clinic", "b1", "b2")])
    await ledger.advance("c1", [], at(9), [("clinic", "b2", "b3")])
    assert await ledger.forget_renamed(at(1)) == 0
    assert await ledger.forget_renamed(at(5)) == 1
    assert await ledger.successors("clinic", ["a1", "b1", "b2"]) == {"b1": "b3", "b2": "b3"}
    assert await ledger.forget_renamed(at(10)) == 2


async def test_a_patient_whom_the_ledger_has_never_seen_is_not_named_in_the_audit(ledger, tmp_path, keys):
    """Not even by what was typed: it could be a national number."""
    await ledger.erase(ANNA, GONE, "staff", at(3))
    (entry,) = Record(tmp_path / "ledger.db", keys).entries(Wanted())
    assert (entry.told["kind"], entry.told["subjects"]) == ("erased", [])
    assert "anna" not in str(entry.told)
