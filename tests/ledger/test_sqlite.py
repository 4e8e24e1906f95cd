"""What the ledger promises, method by method."""

import asyncio
import dataclasses
import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.keys import Keys, WrongKey
from gateway.ledger import Answer, LedgerDown, Remark, State, StepRow, StepState
from gateway.ledger.schema import MIGRATIONS, NewerSchema
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.conftest import NOON, at, command

DONE = Answer(200, b'{"id": "a1"}', (("etag", '"x"'), ("x-command-id", "c1")))


# -- begin -----------------------------------------------------------------------------------------------------


async def test_a_new_command_is_begun_and_read_back_as_it_was(ledger):
    row = command(key="k", fingerprint="f", payload=b"\x00\xff plan", answer=DONE, appointments=("a1",))
    assert await ledger.begin(row) is None
    assert await ledger.command("c1", "demo") == dataclasses.replace(row, appointments=())


async def test_the_same_key_again_finds_its_holder(ledger):
    await ledger.begin(command("c1", key="k", fingerprint="one"))
    await ledger.settle("c1", State.DONE, DONE, at(1))
    held = await ledger.begin(command("c2", key="k", fingerprint="two"))
    assert (held.id, held.fingerprint, held.state, held.answer) == ("c1", "one", State.DONE, DONE)
    assert await ledger.command("c2", "demo") is None


async def test_keys_are_each_clients_own_and_no_key_never_collides(ledger):
    assert await ledger.begin(command("c1", key="k")) is None
    assert await ledger.begin(command("c2", key="k", client="demo2")) is None
    assert await ledger.begin(command("c3")) is None
    assert await ledger.begin(command("c4")) is None


async def test_of_many_who_begin_with_one_key_at_once_exactly_one_is_new(ledger):
    found = await asyncio.gather(*(ledger.begin(command(f"c{n}", key="k")) for n in range(50)))
    assert found.count(None) == 1
    winner = f"c{found.index(None)}"
    assert {row.id for row in found if row is not None} == {winner}
    assert [row.id for row in await ledger.commands("demo")] == [winner]


async def test_an_id_that_exists_is_our_own_mistake_and_harms_nobody_elses_command(ledger):
    first, second, third = await asyncio.gather(
        ledger.begin(command("c1")), ledger.begin(command("c1")), ledger.begin(command("c2")), return_exceptions=True
    )
    assert (first, third) == (None, None)
    assert isinstance(second, sqlite3.IntegrityError)
    assert {row.id for row in await ledger.commands("demo")} == {"c1", "c2"}


# -- plan ------------------------------------------------------------------------------------------------------


async def test_a_plan_brings_its_steps_all_planned(ledger):
    await ledger.begin(command())
    await ledger.plan("c1", b"plan", ["change a1", "cancel a2"], ["a1", "a2"], at(1))
    row = await ledger.command("c1", "demo")
    assert (row.payload, row.updated_at, row.created_at) == (b"plan", at(1), NOON)
    assert row.steps == (
        StepRow(0, StepState.PLANNED, "change a1", b""),
        StepRow(1, StepState.PLANNED, "cancel a2", b""),
    )


async def test_a_second_plan_replaces_one_of_which_nothing_stands(ledger):
    await ledger.begin(command())
    await ledger.plan("c1", b"first", ["a", "b", "c"], ["a1"], at(1))
    await ledger.advance("c1", [StepRow(0, StepState.FAILED, "a", b""), StepRow(1, StepState.UNDONE, "b", b"")], at(2))
    await ledger.plan("c1", b"second", ["d"], ["a2"], at(3))
    row = await ledger.command("c1", "demo")
    assert (row.payload, row.steps) == (b"second", (StepRow(0, StepState.PLANNED, "d", b""),))
    for id in ("a1", "a2"):
        assert [found.id for found in await ledger.commands("demo", appointment=id)] == ["c1"]


@pytest.mark.parametrize("state", [StepState.ATTEMPTING, StepState.DONE, StepState.UNDOING, StepState.LEFT])
async def test_a_plan_of_which_something_may_stand_is_never_forgotten(ledger, state):
    await ledger.begin(command())
    await ledger.plan("c1", b"first", ["a", "b"], [], at(1))
    await ledger.advance("c1", [StepRow(1, state, "b", b"")], at(2))
    before = await ledger.command("c1", "demo")
    with pytest.raises(ValueError, match="stands"):
        await ledger.plan("c1", b"second", [], [], at(3))
    assert await ledger.command("c1", "demo") == before


# -- advance ---------------------------------------------------------------------------------------------------


async def test_steps_are_stored_exactly_as_given_and_others_stay(ledger):
    await ledger.begin(command())
    await ledger.plan("c1", b"plan", ["a", "b"], [], at(1))
    one = StepRow(1, StepState.ATTEMPTING, "b", b"", attempted_at=at(2))
    await ledger.advance("c1", [one], at(2))
    assert (await ledger.command("c1", "demo")).steps == (StepRow(0, StepState.PLANNED, "a", b""), one)
    two = StepRow(1, StepState.DONE, "b", b'{"id": "a9"}', attempted_at=at(2))
    await ledger.advance("c1", [two], at(3))
    row = await ledger.command("c1", "demo")
    assert (row.steps[1], row.updated_at) == (two, at(3))


async def test_a_command_is_found_by_the_ids_that_only_its_steps_made_known(ledger):
    await ledger.begin(command())
    await ledger.plan("c1", b"plan", ["create"], ["a1"], at(1))
    await ledger.advance("c1", [StepRow(0, StepState.DONE, "create", b"r")], at(2), (), ["a2"])
    await ledger.advance("c1", [], at(3), (), ["a2", "a3"])
    await ledger.settle("c1", State.DONE, DONE, at(4))
    for id in ("a1", "a2", "a3"):
        assert [found.id for found in await ledger.commands("demo", appointment=id)] == ["c1"]
        assert await ledger.commands("demo2", appointment=id) == []


async def test_steps_and_lineage_are_one_commit_that_happens_wholly_or_not_at_all(ledger):
    await ledger.begin(command())
    await ledger.plan("c1", b"plan", ["a"], [], at(1))
    broken = StepRow(1, StepState.DONE, "b", b"", attempted_at=datetime(2026, 3, 2))
    with pytest.raises(TypeError):  # a time without a zone
        await ledger.advance("c1", [StepRow(0, StepState.DONE, "a", b"r"), broken], at(2), [("clinic", "A", "B")])
    row = await ledger.command("c1", "demo")
    assert (row.steps, row.updated_at) == ((StepRow(0, StepState.PLANNED, "a", b""),), at(1))
    assert await ledger.successors("clinic", ["A"]) == {}


# -- settle ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
async def test_settling_keeps_the_answer_and_erases_the_rest_only_once_it_is_settled(ledger, state):
    step = StepRow(0, StepState.DONE, "change", b"receipt", attempted_at=at(1))
    await ledger.begin(command(key="k"))
    await ledger.plan("c1", b"plan", ["change"], ["a1"], at(1))
    await ledger.advance("c1", [step], at(1))
    await ledger.settle("c1", state, DONE, at(2))
    row = await ledger.command("c1", "demo")
    assert (row.state, row.answer, row.updated_at, row.key) == (state, DONE, at(2), "k")
    assert row.payload == (b"" if state.settled else b"plan")
    assert row.steps == ((dataclasses.replace(step, payload=b"") if state.settled else step),)


async def test_a_released_key_can_begin_anew(ledger):
    await ledger.begin(command("c1", key="k"))
    await ledger.settle("c1", State.REFUSED, DONE, at(1), release_key=True)
    assert (await ledger.command("c1", "demo")).key is None
    assert await ledger.begin(command("c2", key="k")) is None


async def test_settling_can_say_what_became_of_ids(ledger):
    await ledger.begin(command())
    await ledger.settle("c1", State.DONE, DONE, at(1), lineage=[("clinic", "A", "B"), ("clinic", "B", "C")])
    assert await ledger.successors("clinic", ["A", "B", "C"]) == {"A": "C", "B": "C"}


async def test_what_is_settled_is_not_taken_up_again_but_can_be_settled_again(ledger):
    await ledger.begin(command())
    await ledger.settle("c1", State.DONE, DONE, at(1))
    for again in (
        ledger.plan("c1", b"plan", ["a"], [], at(2)),
        ledger.advance("c1", [StepRow(0, StepState.DONE, "a", b"receipt")], at(2)),
        ledger.settle("c1", State.REPAIRING, DONE, at(2)),
    ):
        with pytest.raises(LookupError):
            await again
    assert (await ledger.command("c1", "demo")).steps == ()
    await ledger.settle("c1", State.UNDONE, None, at(3))
    row = await ledger.command("c1", "demo")
    assert (row.state, row.answer, row.updated_at) == (State.UNDONE, None, at(3))


async def test_a_repair_begins_once_and_begins_anew_after_it_had_ended(ledger):
    await ledger.begin(command())
    seen = []
    for minute, state in enumerate(("running", "repairing", "repairing", "needs_attention", "repairing", "done"), 1):
        await ledger.settle("c1", State(state), None, at(minute))
        row = await ledger.command("c1", "demo")
        seen.append((row.repairing_since, row.since))
    assert [began for began, _ in seen] == [None, at(2), at(2), None, at(5), None]
    assert [since for _, since in seen] == [NOON, at(2), at(2), at(4), at(5), at(6)]


async def test_remarks_are_added_to_each_other_and_outlive_the_end(ledger):
    first, second = Remark(at(1), "gateway", "Ett skäl."), Remark(at(2), "somebody", "Settled by hand.")
    await ledger.begin(command())
    await ledger.settle("c1", State.NEEDS_ATTENTION, DONE, at(1), remark=first)
    await ledger.settle("c1", State.UNDONE, DONE, at(2), remark=second)
    assert (await ledger.command("c1", None)).remarks == (first, second)


async def test_a_command_that_was_never_begun_is_not_silently_ignored(ledger):
    for lost in (
        ledger.plan("c9", b"plan", [], [], at(2)),
        ledger.advance("c9", [], at(2)),
        ledger.settle("c9", State.DONE, None, at(2)),
    ):
        with pytest.raises(LookupError):
            await lost


# -- reads -----------------------------------------------------------------------------------------------------


async def test_a_command_is_seen_by_its_own_client_only(ledger):
    await ledger.begin(command("c1", key="k", appointments=("a1",)))
    assert await ledger.command("c1", "demo2") is None
    assert await ledger.commands("demo2", key="k") == []
    assert await ledger.commands("demo2", appointment="a1") == []


async def test_commands_of_all_clients_are_found_by_who_may_see_them_all(ledger):
    for id, client, emr in (("c1", "demo", "north"), ("c2", "demo2", "north"), ("c3", "demo2", "south")):
        await ledger.begin(command(id, client=client, emr=emr, minutes=int(id[1])))
    assert (await ledger.command("c2", None)).client == "demo2"
    assert [row.id for row in await ledger.commands(None)] == ["c3", "c2", "c1"]
    assert [row.id for row in await ledger.commands(None, emr="north")] == ["c2", "c1"]
    assert [row.id for row in await ledger.commands("demo2", emr="north")] == ["c2"]


async def test_the_unsettled_are_counted_by_state(ledger):
    for n, state in enumerate((State.RUNNING, State.NEEDS_ATTENTION, State.NEEDS_ATTENTION, State.DONE)):
        await ledger.begin(command(f"c{n}", client=f"client{n}"))
        await ledger.settle(f"c{n}", state, None, at(1))
    counted = await ledger.count_unsettled()
    assert counted == {State.RUNNING: 1, State.REPAIRING: 0, State.NEEDS_ATTENTION: 2}


async def test_commands_come_newest_first_up_to_a_limit(ledger):
    for n, minutes in enumerate([3, 1, 2, 2]):
        await ledger.begin(command(f"c{n}", minutes=minutes))
    assert [row.id for row in await ledger.commands("demo")] == ["c0", "c3", "c2", "c1"]
    assert [row.id for row in await ledger.commands("demo", limit=2)] == ["c0", "c3"]


async def test_commands_are_found_by_key_appointment_and_state_together(ledger):
    await ledger.begin(command("c1", key="k1", minutes=1, appointments=("a1",)))
    await ledger.begin(command("c2", minutes=2))
    await ledger.plan("c2", b"plan", ["x"], ["a1", "a2", "a1"], at(3))
    await ledger.settle("c1", State.DONE, DONE, at(4))

    async def found(**wanted):
        return [row.id for row in await ledger.commands("demo", **wanted)]

    assert await found(key="k1") == ["c1"]
    assert await found(key="k2") == []
    assert await found(appointment="a1") == ["c2", "c1"]
    assert await found(appointment="a2") == ["c2"]
    assert await found(unsettled=True) == ["c2"]
    assert await found(appointment="a1", unsettled=True) == ["c2"]
    assert await found(key="k1", unsettled=True) == []


async def test_the_unsettled_of_all_clients_come_oldest_first_with_what_recovery_needs(ledger):
    states = list(State)
    for n, state in enumerate(states):
        await ledger.begin(command(f"c{n}", client=f"client{n % 2}", minutes=-n))
        await ledger.plan(f"c{n}", b"plan", ["a"], [], at(1))
        await ledger.settle(f"c{n}", state, None, at(1))
    rows = await ledger.unsettled()
    wanted = [f"c{n}" for n, state in enumerate(states) if not state.settled]
    assert [row.id for row in rows] == list(reversed(wanted))
    assert all((row.payload, len(row.steps)) == (b"plan", 1) for row in rows)


async def test_a_read_sees_every_write_that_was_acknowledged_before_it(ledger):
    for n in range(30):
        await ledger.begin(command(f"c{n}"))
        assert await ledger.command(f"c{n}", "demo") is not None


# -- purge -----------------------------------------------------------------------------------------------------


async def test_purge_forgets_what_settled_before_and_nothing_else(ledger):
    for id, state, minutes in (
        ("old", State.DONE, 1),
        ("young", State.DONE, 2),
        ("open", State.NEEDS_ATTENTION, 1),
    ):
        await ledger.begin(command(id, key=id, appointments=("a1",)))
        await ledger.plan(id, b"plan", ["a"], [], at(0))
        await ledger.settle(id, state, DONE, at(minutes), lineage=[("clinic", "A", "B")])
    assert await ledger.purge(at(2)) == 1
    assert [row.id for row in await ledger.commands("demo", appointment="a1")] == ["open", "young"]
    assert await ledger.begin(command("new", key="old")) is None
    assert await ledger.successors("clinic", ["A"]) == {"A": "B"}
    assert await ledger.purge(at(2)) == 0


async def test_purge_leaves_no_orphans_and_gets_through_more_than_one_portion(ledger, monkeypatch, tmp_path):
    monkeypatch.setattr("gateway.ledger.sqlite._AT_ONCE", 3)
    for n in range(7):
        await ledger.begin(command(f"c{n}", appointments=("a1",)))
        await ledger.plan(f"c{n}", b"plan", ["a"], [], at(0))
        await ledger.settle(f"c{n}", State.DONE, DONE, at(0))
    assert await ledger.purge(at(1)) == 7
    await ledger.close()
    db = sqlite3.connect(tmp_path / "ledger.db")
    left = [db.execute(f"SELECT count(*) FROM {t}").fetchone() for t in ("commands", "steps", "command_appointments")]
    db.close()
    assert left == [(0,), (0,), (0,)]


# -- values ----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
MOMENTS = st.datetimes(
    datetime(1970, 1, 1),
    datetime(2200, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-9))]),
)
ANSWERS = st.none() | st.builds(
    Answer, st.integers(200, 599), st.binary(max_size=20), st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple)
)
STEPS = st.lists(
    st.builds(
        StepRow,
        st.integers(0, 3),
        st.sampled_from(StepState),
        st.text(st.characters(codec=None), max_size=10),
        st.binary(max_size=20),
        st.none() | MOMENTS,
    ),
    unique_by=lambda step: step.index,
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.binary(max_size=50), ANSWERS, STEPS, MOMENTS, st.sampled_from([State.RUNNING, State.REPAIRING]))
def test_every_value_comes_back_as_it_was(tmp_path_factory, payload, answer, steps, moment, state):
    async def main():
        ledger = SqliteLedger(tmp_path_factory.mktemp("values") / "ledger.db", Keys(bytes(32)))
        await ledger.open()
        try:
            await ledger.begin(command(payload=payload))
            await ledger.advance("c1", steps, moment)
            await ledger.settle("c1", state, answer, moment)
            return await ledger.command("c1", "demo")
        finally:
            await ledger.close()

    row = asyncio.run(main())
    assert (row.payload, row.answer, row.state, row.updated_at) == (payload, answer, state, moment)
    assert row.steps == tuple(sorted(steps, key=lambda step: step.index))


# -- the file --------------------------------------------------------------------------------------------------


async def test_everything_is_there_again_after_closing_and_opening(ledger, tmp_path, keys):
    await ledger.begin(command(key="k", payload=b"plan"))
    await ledger.advance("c1", [StepRow(0, StepState.DONE, "a", b"r")], at(1), [("clinic", "A", "B")])
    before = await ledger.command("c1", "demo")
    await ledger.close()
    again = SqliteLedger(tmp_path / "ledger.db", keys)
    await again.open()
    assert await again.command("c1", "demo") == before
    assert await again.ancestors("clinic", "B") == ("A",)
    await again.close()


async def test_a_closed_ledger_is_down_until_it_is_opened_again(ledger):
    await ledger.close()
    with pytest.raises(LedgerDown, match="closed"):
        await ledger.begin(command())
    with pytest.raises(LedgerDown, match="closed"):
        await ledger.unsettled()
    await ledger.open()
    assert await ledger.begin(command()) is None


async def test_opening_twice_is_a_mistake_that_breaks_nothing(ledger):
    with pytest.raises(RuntimeError, match="open already"):
        await ledger.open()
    assert await ledger.begin(command()) is None


async def test_another_master_key_is_refused_because_no_hash_would_be_found_again(ledger, tmp_path, keys):
    await ledger.close()
    wrong = SqliteLedger(tmp_path / "ledger.db", Keys(bytes(32)))
    for _ in range(2):  # a refusal leaves nothing open
        with pytest.raises(WrongKey, match="another master key"):
            await wrong.open()
    right = SqliteLedger(tmp_path / "ledger.db", keys)
    await right.open()
    await right.close()


async def test_a_ledger_of_a_newer_gateway_is_refused_and_left_as_it_is(ledger, tmp_path, keys):
    await ledger.begin(command())
    await ledger.close()
    newer = len(MIGRATIONS) + 1
    db = sqlite3.connect(tmp_path / "ledger.db")
    db.execute(f"PRAGMA user_version = {newer}")
    db.close()
    with pytest.raises(NewerSchema, match=f"has schema {newer}; this gateway knows up to {len(MIGRATIONS)}"):
        await SqliteLedger(tmp_path / "ledger.db", keys).open()
    db = sqlite3.connect(tmp_path / "ledger.db")
    assert db.execute("PRAGMA user_version").fetchone() == (newer,)
    db.close()


async def test_an_older_ledger_is_migrated_and_keeps_what_it_holds(ledger, tmp_path, keys, monkeypatch):
    await ledger.begin(command(payload=b"plan"))
    await ledger.close()
    later = (*MIGRATIONS, ("CREATE TABLE later (x)", "INSERT INTO later VALUES (7)"))
    monkeypatch.setattr("gateway.ledger.schema.MIGRATIONS", later)
    for _ in range(2):
        await ledger.open()
        assert (await ledger.command("c1", "demo")).payload == b"plan"
        await ledger.close()
    db = sqlite3.connect(tmp_path / "ledger.db")
    assert db.execute("SELECT x FROM later").fetchall() == [(7,)]
    db.close()


async def test_a_ledger_of_the_first_schema_knows_since_when_its_repairs_go_on(tmp_path, keys, monkeypatch):
    monkeypatch.setattr("gateway.ledger.schema.MIGRATIONS", MIGRATIONS[:1])
    first = SqliteLedger(tmp_path / "ledger.db", keys)
    await first.open()
    columns = "id, client, emr, tenant, operation, state, settled, created_at, updated_at, payload"
    old = f"INSERT INTO commands ({columns}) VALUES (?, 'demo', 'e', 't', 'update', ?, 0, 1, 2, x'')"
    for id, state in (("c1", "repairing"), ("c2", "needs_attention")):
        await first._writes.run(lambda db, values=(id, state): db.execute(old, values))
    await first.close()
    monkeypatch.undo()
    second = SqliteLedger(tmp_path / "ledger.db", keys)
    await second.open()
    rows = {row.id: row for row in await second.unsettled()}
    assert rows["c1"].repairing_since == rows["c1"].updated_at
    assert (rows["c2"].repairing_since, rows["c2"].remarks) == (None, ())
    await second.close()


async def test_a_migration_that_fails_leaves_the_older_ledger_untouched(ledger, tmp_path, monkeypatch):
    await ledger.close()
    broken = (*MIGRATIONS, ("CREATE TABLE later (x)", "INSERT INTO nowhere VALUES (7)"))
    monkeypatch.setattr("gateway.ledger.schema.MIGRATIONS", broken)
    with pytest.raises(LedgerDown):
        await ledger.open()
    db = sqlite3.connect(tmp_path / "ledger.db")
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert not db.execute("SELECT name FROM sqlite_master WHERE name = 'later'").fetchall()
    db.close()


async def test_a_file_that_is_no_ledger_is_refused_and_not_overwritten(tmp_path, keys):
    (tmp_path / "ledger.db").write_bytes(b"something else " * 100)
    with pytest.raises(LedgerDown):
        await SqliteLedger(tmp_path / "ledger.db", keys).open()
    assert (tmp_path / "ledger.db").read_bytes() == b"something else " * 100


async def test_a_place_that_takes_no_file_is_down_with_a_sentence(tmp_path, keys):
    with pytest.raises(LedgerDown, match="can't be created"):
        await SqliteLedger(tmp_path / "missing" / "ledger.db", keys).open()
