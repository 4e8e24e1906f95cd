"""Plans sent as one write, to an EMR that keeps its promise and to one that breaks it: all, nothing, or told."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from gateway.domain.commands import Update
from gateway.execute import codec
from gateway.ledger import State, StepState
from tests.model import booked
from tests.test_run import (
    INTENTS,
    NEW_ID,
    NO_MOVE,
    RECORDS,
    Boundaries,
    Crash,
    Journal,
    a_run,
    seen,
    slots_agree,
    told,
    world,
)

AT_ONCE = replace(RECORDS, bundle_max=100)
SHAPES = {
    "slot records": AT_ONCE,
    "new id": replace(NEW_ID, bundle_max=100),
    "no move": replace(NO_MOVE, bundle_max=100),
}
NOT_DONE = ("refuse", "stale", "not sent", "busy", "drop", "bug", "hollow")
DONE = ("lost", "late", "blackout", "nothing", "fewer")
BY_ITSELF = {("new id", "move"), ("new id", "book"), ("no move", "book")}
"""One write, of which there is nothing to bundle."""
HALF = ("half, lost", "half, told as done")
EACH = [
    pytest.param(can, intent, id=f"{name}: {what}")
    for name, can in SHAPES.items()
    for what, intent in INTENTS.items()
    if (name, what) not in BY_ITSELF
]


async def settled(emr, run):
    """Carried out, and repaired until it is settled."""
    end = await run.carry_out()
    for _ in range(5):
        if end.state is not State.REPAIRING:
            break
        assert end.error is not None
        assert end.error.code in ("PARTIALLY_APPLIED", "OUTCOME_UNKNOWN")
        emr.down = False
        end = await run.resume()
    await emr.clock.sleep(10)
    return end


async def reference(can, intent):
    model, _, run, _ = world(can, intent)
    await run.carry_out()
    return seen(model)


@pytest.mark.parametrize(("can", "intent"), EACH)
async def test_all_of_it_is_one_write(can, intent):
    model, emr, run, _ = world(can, intent)
    assert run.plan.bundled
    end = await run.carry_out()
    ordered, _, in_turn, _ = world(replace(can, bundle_max=0), intent)
    await in_turn.carry_out()
    assert (end.state, emr.writes) == (State.DONE, 1)
    assert seen(model) == seen(ordered)
    assert slots_agree(model)


@pytest.mark.parametrize("fault", NOT_DONE)
@pytest.mark.parametrize(("can", "intent"), EACH)
async def test_what_was_not_carried_out_leaves_nothing_and_is_sent_once(can, intent, fault):
    model, emr, run, _ = world(can, intent, {1: fault})
    before = seen(model)
    end = await settled(emr, run)
    assert (end.state, emr.writes) == (State.REFUSED, 1)
    assert end.stale is (fault == "stale")
    assert end.sent is (fault not in ("not sent", "busy"))
    assert end.error is not None
    assert seen(model) == before


@pytest.mark.parametrize("fault", DONE)
@pytest.mark.parametrize(("can", "intent"), EACH)
async def test_what_was_carried_out_without_a_word_is_found_and_not_sent_again(can, intent, fault):
    model, emr, run, _ = world(can, intent, {1: fault})
    end = await settled(emr, run)
    assert (end.state, end.error, emr.writes) == (State.DONE, None, 1)
    assert seen(model) == await reference(can, intent)
    assert slots_agree(model)


@pytest.mark.parametrize("fault", HALF)
@pytest.mark.parametrize("then", [None, "refuse", "not sent", "drop", "lost", "blackout"])
@pytest.mark.parametrize(("can", "intent"), EACH)
async def test_what_was_half_carried_out_is_undone_or_finished(can, intent, then, fault):
    """The second of the writes that mend it goes wrong, too."""
    model, emr, run, _ = world(can, intent, {1: fault, 3: then})
    before, bundle, sent = seen(model), emr.bundle, []

    async def counted(steps):
        sent.append(steps)
        return await bundle(steps)

    emr.bundle = counted
    end = await settled(emr, run)
    assert len(sent) == 1, "who broke the promise once is sent the rest step by step"
    if end.state is State.DONE:
        assert run.plan.turning_stage is not None
        assert seen(model) == await reference(can, intent)
    else:
        assert end.state is State.UNDONE
        assert end.error is not None
        assert seen(model) == before
    assert slots_agree(model)


async def test_a_refusal_that_booked_all_the_same_is_not_believed():
    can = replace(AT_ONCE, slot_records=False, refuses_overlap=True)
    model, emr, run, _ = world(can, INTENTS["reschedule, creating"], {1: "half, refused"})
    assert "create" in [at.step.kind for at in run.progress[::2]]
    before = seen(model)
    assert (await settled(emr, run)).state is State.UNDONE
    assert seen(model) == before


@pytest.mark.parametrize(("can", "intent"), EACH)
async def test_another_text_than_was_sent_is_undone_as_long_as_that_can_be(can, intent):
    model, emr, run, _ = world(can, intent, {1: "other"})
    before = seen(model)
    end = await settled(emr, run)
    assert end.error is not None
    if run.plan.turning_stage is None:
        assert (end.state, end.error.code) == (State.UNDONE, "EMR_DEVIATION")
        assert seen(model) == before
    else:
        assert (end.state, end.error.code) == (State.NEEDS_ATTENTION, "PARTIALLY_APPLIED")


async def test_it_is_undone_in_the_reverse_order_so_that_no_slot_is_given_away_while_it_is_in_use():
    _, emr, run, _ = world(AT_ONCE, INTENTS["move"], {1: "other"})
    undone = []
    for method in ("change", "mark_slot"):
        write = getattr(emr, method)

        async def noted(step, write=write):
            undone.append((step.kind, getattr(step, "state", None)))
            return await write(step)

        setattr(emr, method, noted)
    await run.carry_out()
    assert undone == [("mark_slot", "busy"), ("change", None), ("mark_slot", "free")]


async def test_which_of_them_was_refused_is_not_pretended_to_be_known():
    _, _, run, _ = world(AT_ONCE, INTENTS["bulk"], {1: "refuse"})
    end = await run.carry_out()
    assert [(p.error_code, p.path, p.emr_error) for p in end.error.problems] == [("EMR_REFUSED", None, "TOO_LATE")]
    _, _, run, _ = world(AT_ONCE, Update(("a",), resource_id="r2"), {1: "refuse"})
    end = await run.carry_out()
    assert [p.path for p in end.error.problems] == ["ids/0"], "it can only be this one"


async def test_a_freed_slot_that_somebody_takes_at_once_is_no_failure():
    model, emr, run, _ = world(AT_ONCE, INTENTS["move"])

    def takes(book):
        assert book.slot_state["r1@0"] == ("free", 2)
        book.slot_state["r1@0"] = ("busy", 3)
        book.book["x"] = booked("x", 0, 30, patient_id="p2", slot_ids=("r1@0",))

    emr.staff = takes
    assert (await run.carry_out()).state is State.DONE
    assert slots_agree(model)


async def test_what_the_staff_changes_right_after_it_is_neither_a_deviation_nor_written_over():
    model, emr, run, _ = world(AT_ONCE, INTENTS["move"])
    emr.staff = lambda book: book.book.update(a=replace(book.book["a"], comment="by staff", version="9"))
    assert (await run.carry_out()).state is State.DONE
    assert model.book["a"].comment == "by staff"


async def test_a_slot_is_ours_though_an_appointment_holds_it_if_that_is_ours():
    """After a lost answer the slot and who holds it are looked at; the moved appointment is the command's own."""
    _, _, run, _ = world(AT_ONCE, INTENTS["move"], {1: "lost"})
    end = await run.carry_out()
    assert [at.state for at in run.progress] == [StepState.DONE] * 3
    assert end.state is State.DONE
    rival, emr, run, _ = world(AT_ONCE, INTENTS["move"], {1: "drop"})
    rival.slot_state["r2@120"] = ("busy", 2)
    rival.book["x"] = booked("x", 120, 150, resource_id="r2", patient_id="p2", slot_ids=("r2@120",))
    end = await run.carry_out()
    assert (end.state, emr.writes) == (State.REFUSED, 1)
    assert rival.slot_state["r2@120"] == ("busy", 2)


async def test_intent_stands_in_the_ledger_for_every_step_before_the_one_write():
    journal = Journal()
    model, emr, run, _ = world(AT_ONCE, INTENTS["reschedule, cancelling"])
    bundle = model.bundle

    def checked(steps):
        assert [row.state for row in journal.rows.values()] == [StepState.ATTEMPTING] * len(steps)
        return bundle(steps)

    model.bundle = checked
    await a_run(run.plan, emr, journal).carry_out()
    assert {row.state for row in journal.rows.values()} == {StepState.DONE}


@pytest.mark.parametrize(("shape", "what"), [("no move", "move"), ("new id", "bulk")])
async def test_old_ids_lead_to_the_new_ones_that_a_bundle_made(shape, what):
    journal = Journal()
    model, emr, run, _ = world(SHAPES[shape], INTENTS[what])
    await a_run(run.plan, emr, journal).carry_out()
    found = {old: model.book[new] for _, old, new in journal.lineage}
    assert sorted(found) == (["a"] if what == "move" else ["a", "b", "c"])
    assert {one.resource_id for one in found.values()} == {"r2"}


@pytest.mark.parametrize("fault", [None, "half, lost"])
@pytest.mark.parametrize(("can", "intent"), EACH)
async def test_after_a_crash_at_every_boundary_it_is_finished_or_undone(can, intent, fault):
    wanted = await reference(can, intent)
    for point in count(1):
        with told(f"a crash at boundary {point}"):
            if not await crashed_at(point, can, intent, fault, wanted):
                break
    assert point > 4


async def crashed_at(point, can, intent, fault, wanted):
    """→ whether there was such a boundary."""
    model, emr, run, _ = world(can, intent, {1: fault})
    before, journal, boundaries = seen(model), Journal(), Boundaries(point)
    journal.advance = boundaries.around(journal.advance)
    writes = ("bundle", "change", "create", "cancel", "discard", "mark_slot")
    for method in writes:
        setattr(emr, method, boundaries.around(getattr(emr, method)))
    payload = codec.dump(run.plan, standard="leyr", single=False, created=False, claims=())
    try:
        end = await a_run(run.plan, emr, journal).carry_out()
    except Crash:
        del journal.advance
        for method in writes:
            delattr(emr, method)
        again = a_run(codec.load(payload).plan(), emr, journal)
        again.restore(list(journal.rows.values()))
        end = await again.resume()
    if end.state is State.DONE:
        assert seen(model) == wanted
    elif end.state is State.NEEDS_ATTENTION:
        assert (fault, can.move) == ("half, lost", "new_id"), "an id of the undo's own is not found after a crash"
        assert end.error.code == "PARTIALLY_APPLIED"
    else:
        assert end.state in (State.UNDONE, State.REFUSED)
        assert seen(model) == before
        assert slots_agree(model)
    return boundaries.crossed >= point
