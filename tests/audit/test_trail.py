"""What is recorded, when, and that no entry is lost or there twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import timedelta, timezone

import pytest

from gateway.audit import Event, Touched, appointment_hash, patient_hash
from gateway.audit.chain import Broken
from gateway.audit.reading import Record, Wanted
from gateway.audit.touched import asked, planned
from gateway.domain import commands
from gateway.domain.commands import Command
from gateway.domain.errors import Conflict, Problem
from gateway.domain.model import Appointment, Span, Status
from gateway.domain.steps import Line, Plan
from gateway.keys import Keys
from gateway.ledger import Answer, LedgerDown, Remark, State, StepRow, StepState
from gateway.ledger.schema import AUDITED, MIGRATIONS
from gateway.ledger.sqlite import SqliteLedger
from gateway.wire import render_error
from tests.audit.record import KEYS, settled
from tests.ledger.conftest import NOON, at, command
from tests.ledger.test_killed import acknowledged_before_the_kill

TAKEN = Conflict(problems=[Problem("NO_TIMESLOTS_AVAILABLE", "It was taken.", "ids/0")])


@pytest.fixture
def entries(tmp_path):
    def read(**wanted):
        return [entry.told for entry in Record(tmp_path / "ledger.db", KEYS).entries(Wanted(**wanted))]

    return read


async def test_an_entry_says_who_changed_what_when_and_how_it_ended(ledger, entries):
    touched = (Touched(appointment_id="a1", patient_id="p1", change="moved", fields=("start", "end")),)
    await ledger.begin(command(request_id="r1", touched=(Touched(appointment_id="a1"),)))
    await ledger.plan("c1", b"plan", ["change"], ["a1"], at(1), touched=touched)
    step = StepRow(0, StepState.DONE, "change", b'{"appointment_id": "a2"}')
    await ledger.settle("c1", State.DONE, Answer(200, b"{}"), at(2), steps=[step])
    a1, a2 = (appointment_hash(KEYS, "clinic", id) for id in ("a1", "a2"))
    assert entries() == [
        {
            "version": 2,
            "at": at(2).isoformat(),
            "kind": "command",
            "by": "gateway",
            "command": "c1",
            "client": "demo",
            "emr": "sandbox",
            "tenant": "clinic",
            "operation": "update",
            "request": "r1",
            "state": "done",
            "status": 200,
            "codes": [],
            "touched": [
                {
                    "appointment": a1,
                    "patient": patient_hash(KEYS, "clinic", "p1"),
                    "change": "moved",
                    "fields": ["start", "end"],
                }
            ],
            "steps": [{"action": "change", "state": "done", "appointment": a2}],
        }
    ]


@pytest.mark.parametrize("standard", ["leyr", "fhir"])
async def test_a_refusal_is_recorded_with_its_codes_and_what_was_asked_for(ledger, entries, standard):
    answer = render_error(TAKEN, "0" * 8, "http://gateway.test", standard)
    await ledger.begin(command(touched=(Touched(appointment_id="a1"),)))
    await ledger.settle("c1", State.REFUSED, answer, at(1), release_key=True)
    (told,) = entries()
    assert (told["state"], told["status"], told["codes"]) == ("refused", 409, ["CONFLICT", "NO_TIMESLOTS_AVAILABLE"])
    assert told["touched"] == [
        {"appointment": appointment_hash(KEYS, "clinic", "a1"), "patient": None, "change": "asked", "fields": []}
    ]
    assert (await ledger.command("c1", None)).answer == answer


async def test_each_state_is_recorded_once_however_often_it_is_said(ledger, entries):
    await ledger.begin(command())
    for minute, state in enumerate([State.REPAIRING, State.REPAIRING, State.NEEDS_ATTENTION, State.REPAIRING]):
        await ledger.settle("c1", state, None, at(minute))
    for minute in (4, 5):
        await ledger.settle("c1", State.DONE, Answer(200, b""), at(minute))
    found = [(told["state"], told["at"]) for told in entries()]
    assert found == [
        ("repairing", at(0).isoformat()),
        ("needs_attention", at(2).isoformat()),
        ("repairing", at(3).isoformat()),
        ("done", at(4).isoformat()),
    ]


async def test_whoever_settles_by_hand_is_named_and_what_they_wrote_is_not_recorded(ledger, entries):
    await ledger.begin(command())
    await ledger.settle("c1", State.NEEDS_ATTENTION, None, at(1), remark=Remark(at(1), "gateway", "15 minutes."))
    await ledger.settle("c1", State.DONE, None, at(2), remark=Remark(at(2), "anna", "Rang Test Testsson."))
    assert [told["by"] for told in entries()] == ["gateway", "anna"]
    assert "Testsson" not in json.dumps(entries())


async def test_what_is_not_a_command_is_recorded_by_whoever_calls_for_it(ledger, entries):
    await ledger.note(Event(kind="configuration.switched", by="anna", facts={"running": "0123"}), at(1))
    assert entries() == [
        {"version": 2, "at": at(1).isoformat(), "kind": "configuration.switched", "by": "anna", "running": "0123"}
    ]


async def test_entries_are_found_by_client_by_time_and_by_the_id_of_an_appointment_or_a_patient(ledger, entries):
    await settled(ledger, "c1", 1)
    await settled(ledger, "c2", 2, client="demo2", tenant="elsewhere")
    await ledger.note(Event(kind="tried"), at(3))
    ids = lambda **wanted: [told.get("command") for told in entries(**wanted)]  # noqa: E731
    assert ids() == ["c1", "c2", None]
    assert ids(client="demo2") == ids(appointment="a-c2") == ["c2"]
    assert ids(patient="p1") == ["c1", "c2"]
    assert ids(patient="p2") == ids(appointment="a-c3") == []
    assert ids(since=at(2)) == ["c2", None]
    assert ids(since=at(1), until=at(2)) == ["c1"]


async def test_the_same_id_is_another_hash_in_another_emr_and_under_another_key():
    hashes = {appointment_hash(KEYS, tenant, "a") for tenant in ("x", "y")} | {patient_hash(KEYS, "x", "a")}
    assert len(hashes) == 3
    assert all(len(found) == 32 for found in hashes)


async def test_an_entry_and_what_it_tells_are_written_together_or_not_at_all(ledger, entries, monkeypatch):
    await ledger.begin(command())

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.ledger.trail.Trail._append", full)
        with pytest.raises(LedgerDown):
            await ledger.settle("c1", State.DONE, None, at(1))
    assert ((await ledger.command("c1", None)).state, entries()) == (State.RUNNING, [])
    await ledger.settle("c1", State.DONE, None, at(2))
    assert [told["at"] for told in entries()] == [at(2).isoformat()]


async def test_many_at_once_make_one_chain(ledger, tmp_path):
    await asyncio.gather(*(settled(ledger, f"c{n}") for n in range(60)))
    walk = Record(tmp_path / "ledger.db", KEYS).verify()
    assert (walk.at.number, walk.at) == (60, await ledger.head())
    assert ledger.commits < 120


async def test_every_command_that_was_acknowledged_has_its_entry_after_kill_9_and_none_has_two(tmp_path):
    reached = acknowledged_before_the_kill(tmp_path / "ledger.db", 333)
    record = Record(tmp_path / "ledger.db", KEYS)
    recorded = [entry.told["command"] for entry in record.entries(Wanted())]
    assert len(set(recorded)) == len(recorded)
    assert {id for id, stage in reached.items() if stage == "settled"} <= set(recorded)
    ledger = SqliteLedger(tmp_path / "ledger.db", KEYS)
    await ledger.open()
    done = {row.id for row in await ledger.commands(None, limit=10_000) if row.state is State.DONE}
    await ledger.close()
    assert done == set(recorded)


# -- forgetting -------------------------------------------------------------------------------------------------------


async def test_the_oldest_are_forgotten_and_that_is_recorded_and_signed(ledger, entries, tmp_path):
    for n in range(5):
        await settled(ledger, f"c{n}", n)
    assert await ledger.forget_audit(at(3), at(9)) == 3
    assert await ledger.forget_audit(at(3), at(9)) == 0
    assert [(told["kind"], told.get("command"), told.get("through")) for told in entries()] == [
        ("command", "c3", None),
        ("command", "c4", None),
        ("audit.forgotten", None, 3),
    ]
    walk = Record(tmp_path / "ledger.db", KEYS).verify()
    assert (walk.anchor.number, walk.at.number) == (3, 6)


async def test_forgetting_goes_on_where_there_are_more_than_it_takes_at_a_time(ledger, monkeypatch, tmp_path):
    monkeypatch.setattr("gateway.ledger.sqlite._AT_ONCE", 2)
    for n in range(5):
        await ledger.note(Event(kind="tried"), at(n))
    assert await ledger.forget_audit(at(5), at(9)) == 5
    Record(tmp_path / "ledger.db", KEYS).verify()


async def test_a_record_that_is_not_whole_is_not_forgotten(ledger, tmp_path):
    for n in range(3):
        await settled(ledger, f"c{n}", n)
    db = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    db.execute("DROP TRIGGER audit_is_never_altered")
    db.execute("UPDATE audit SET mac = x'00' WHERE number = 2")
    db.close()
    with pytest.raises(Broken, match="Entry 2"):
        await ledger.forget_audit(at(9), at(9))
    with pytest.raises(Broken, match="Entry 2"):
        Record(tmp_path / "ledger.db", KEYS).verify()


async def test_our_own_statements_can_neither_alter_nor_remove_an_entry(ledger, tmp_path):
    await settled(ledger, "c1")
    db = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    for statement in ("UPDATE audit SET entry = x''", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()


async def test_a_record_goes_on_whole_under_a_key_that_took_the_place_of_another(ledger, tmp_path):
    await settled(ledger, "c1")
    await ledger.close()
    new = Keys(bytes(range(1, 33))).after(KEYS)
    again = SqliteLedger(tmp_path / "ledger.db", new)
    await again.open()
    await settled(again, "c2")
    await again.close()
    found = Record(tmp_path / "ledger.db", new).entries(Wanted(appointment="a-c1"))
    assert [entry.told["command"] for entry in found] == ["c1"]
    assert Record(tmp_path / "ledger.db", new).verify().at.number == 2


# -- where it comes from -----------------------------------------------------------------------------------------------


async def test_a_ledger_from_before_the_audit_begins_one(tmp_path, monkeypatch, entries):
    with monkeypatch.context() as earlier:
        earlier.setattr("gateway.ledger.schema.MIGRATIONS", MIGRATIONS[: AUDITED - 1])
        ledger = SqliteLedger(tmp_path / "ledger.db", KEYS)
        await ledger.open()
        await ledger.close()
    ledger = SqliteLedger(tmp_path / "ledger.db", KEYS)
    await ledger.open()
    await settled(ledger, "c1")
    await ledger.close()
    assert [told["command"] for told in entries()] == ["c1"]


def appointment(**more):
    fields = {"id": "a1", "start": NOON, "end": at(30), "status": Status.BOOKED, "patient_id": "p1"}
    return Appointment(**fields | more)


def test_what_a_client_names_is_touched_before_there_is_a_plan():
    span = Span(NOON, at(30))
    by_intent = [
        (commands.Update(("a1", "a2"), comment="x"), [("a1", None), ("a2", None)]),
        (commands.Reschedule(("a1",), span), [("a1", None)]),
        (commands.Cancel(("a1",)), [("a1", None)]),
        (commands.Confirm("a1"), [("a1", None)]),
        (commands.Book(span, "p1", "r1", "s1"), [(None, "p1")]),
    ]
    for intent, expected in by_intent:
        assert [(one.appointment_id, one.patient_id) for one in asked(Command(intent, True))] == expected


def test_of_a_plan_the_names_of_the_fields_are_told_and_no_values():
    before = appointment()
    later = appointment(start=at(60), end=at(90), comment="Secret")
    made = appointment(id="", resource_id="r1")
    lines = (
        Line(chain="a1", change="moved", expected=later, before=before),
        Line(chain="a2", change="kept", expected=before, before=before),
        Line(chain="new", change="created", expected=made),
    )
    found = planned(Plan(operation="reschedule", stages=(), lines=lines))
    assert [(one.appointment_id, one.change, one.fields) for one in found] == [
        ("a1", "moved", ("start", "end", "comment")),
        ("a1", "kept", ()),
        (None, "created", ("start", "end", "patient_id", "resource_id")),
    ]
    assert {one.patient_id for one in found} == {"p1"}
    assert "Secret" not in repr(found)


def test_times_are_compared_as_instants():
    elsewhere = appointment(start=NOON.astimezone(timezone(timedelta(hours=1))))
    line = Line(chain="a", change="kept", expected=elsewhere, before=appointment())
    (found,) = planned(Plan(operation="update", stages=(), lines=(line,)))
    assert found.fields == ()
