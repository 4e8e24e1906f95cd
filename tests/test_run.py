"""Plans carried out on the model EMR while it fails in every way at every write: all, or nothing, or reported."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest

from gateway.domain.commands import Book, Cancel, Command, Reschedule, Update
from gateway.domain.model import Status
from gateway.domain.plan import plan
from gateway.domain.steps import Create, MarkSlot, Receipt
from gateway.execute import codec
from gateway.execute.attempt import Attempt
from gateway.execute.run import Run
from gateway.ledger import LedgerDown, State, StepRow, StepState
from gateway.manners.pacing import TurnedAway
from gateway.port import MaybeDone, Refused
from tests.model import CAN, Model, booked, grid, no_etag, span
from tests.model_emr import Clock, ModelEmr

LATE = replace(CAN, late_write_s=3.0)
NEW_ID = replace(LATE, move="new_id", reassign="new_id")
NO_MOVE = replace(LATE, move="none", reassign="none")
RECORDS = replace(LATE, slot_records=True, refuses_overlap=False)
PIECEMEAL = replace(LATE, combines=False, books_comment=False)
SHAPES = {"in place": LATE, "new id": NEW_ID, "no move": NO_MOVE, "slot records": RECORDS, "piecemeal": PIECEMEAL}
FAULTS = ("refuse", "not sent", "busy", "drop", "bug", "lost", "late", "blackout", "other", "nothing")

INTENTS = {
    "move": Update(("a",), span(120, 150), "r2", "text"),
    "bulk": Update(("a", "b", "c"), resource_id="r2", comment="text"),
    "book": Book(span(120, 150), "p1", "r1", "s1", "text"),
    "reschedule, creating": Reschedule(("a", "b"), span(90, 180), None, "text"),
    "reschedule, cancelling": Reschedule(("a", "b", "c"), span(120, 180), None, "text"),
    "bulk cancel": Cancel(("a", "b", "c"), "text"),
}


@contextmanager
def told(where):
    """What fails in it says where."""
    try:
        yield
    except BaseException as failed:
        failed.add_note(where)
        raise


class Journal:
    """A ledger in memory: what would be left after a crash."""

    def __init__(self):
        self.rows: dict[int, StepRow] = {}
        self.lineage: list[tuple[str, str, str]] = []
        self.appointments: list[str] = []
        self.order: list[tuple[int, StepState]] = []
        self.down = False

    async def advance(self, id, steps, now, lineage=(), appointments=()):
        if self.down:
            raise LedgerDown
        for row in steps:
            self.rows[row.index] = row
            self.order.append((row.index, row.state))
        self.lineage += lineage
        self.appointments += appointments


def world(can, intent, faults=None):
    ids = {"a": booked("a", 0, 30), "b": booked("b", 30, 60), "c": booked("c", 60, 90)}
    model = Model(can, {"r1": grid(0, 480), "r2": grid(0, 480)})
    for id, a in ids.items():
        slot = f"r1@{int((a.start - span(0, 1).start).total_seconds() / 60)}"
        model.book[id] = replace(a, slot_ids=(slot,)) if can.slot_records else a
    model.__post_init__()
    clock = Clock()
    emr = ModelEmr(model, clock, faults)
    command = Command(intent, single=intent is INTENTS["move"])
    return model, emr, a_run(model.ask(plan(command, can, no_etag)), emr), clock


def a_run(made, emr, journal=None):
    paths = {line.chain: line.path for line in made.lines if line.path}
    return Run(
        made,
        command_id="c0",
        emr=emr,
        ledger=journal or Journal(),
        sleep=emr.clock.sleep,
        monotonic=emr.clock.monotonic,
        paths=paths,
    )


def seen(model):
    """The book as people see it: what stands where, with what text; and the slot records."""
    standing = [(a.patient_id, a.resource_id, a.start, a.end, a.comment, a.status) for a in model.standing()]
    return standing, {id: state for id, (state, _) in model.slot_state.items()}


def slots_agree(model):
    held = {id for a in model.standing() for id in a.slot_ids}
    return not model.can.slot_records or held == {i for i, (s, _) in model.slot_state.items() if s == "busy"}


CASES = [
    pytest.param(can, intent, fault, id=f"{name}: {what}, {fault}")
    for name, can in SHAPES.items()
    for what, intent in INTENTS.items()
    for fault in FAULTS
]


@pytest.mark.parametrize(("can", "intent", "fault"), CASES)
async def test_every_fault_at_every_write_ends_all_or_nothing_or_reported(can, intent, fault):
    reference, _, straight, _ = world(can, intent)
    await straight.carry_out()
    for n in count(1):
        with told(f"{fault} at write {n}"):
            if await faulty_at(n, can, intent, fault, seen(reference)) < n:
                break  # there was no such write: so it is with all further ones
    assert n > 1


async def faulty_at(n, can, intent, fault, reference):
    """→ how many writes there were."""
    model, emr, run, clock = world(can, intent, {n: fault})
    before = seen(model)
    end = await run.carry_out()
    for _ in range(5):
        if end.state is not State.REPAIRING:
            break
        assert end.error is not None
        assert end.error.code in ("PARTIALLY_APPLIED", "OUTCOME_UNKNOWN")
        emr.down = False
        end = await run.resume()
    await clock.sleep(10)
    match end.state:
        case State.DONE:
            assert seen(model) == reference
            assert end.error is None
        case State.UNDONE | State.REFUSED:
            assert seen(model) == before
            assert end.error is not None
        case State.NEEDS_ATTENTION:
            assert fault == "other", "only what the EMR made of a cancellation can't be mended"
            assert end.error is not None
            assert end.error.problems
    assert slots_agree(model)
    spoken_of = {at.step.chain for at in run.progress if not getattr(at.step, "quiet", True)}
    assert spoken_of >= set(emr.heard), "the patient heard of an undo"
    if fault != "other":
        undone = [at.step for at in run.progress if at.state is StepState.UNDONE]
        taken_back = {step.chain for step in undone if not isinstance(step, MarkSlot)}
        assert not taken_back & spoken_of, "the patient heard of what was taken back"
    return emr.writes


async def test_an_undo_is_quiet_even_where_the_write_was_not():
    """Only an EMR that stores something else than it was asked to can bring that about."""
    _, emr, run, _ = world(LATE, INTENTS["move"], {1: "other"})
    end = await run.carry_out()
    assert end.state is State.UNDONE
    assert (emr.writes, emr.heard) == (2, ["a"])


async def test_an_undo_says_how_it_was_before_for_what_only_the_emr_knows_of_it():
    model, emr, run, _ = world(LATE, INTENTS["move"], {1: "other"})
    before = next(a for a in model.standing() if a.id == "a")
    sent = []
    change = emr.change
    emr.change = lambda step: (sent.append(step), change(step))[1]
    await run.carry_out()
    assert [step.restores for step in sent] == [None, before]


async def test_a_booking_that_can_only_be_cancelled_again_is_cancelled_quietly():
    model, emr, run, _ = world(replace(NO_MOVE, discard=False), INTENTS["move"], {2: "refuse"})
    end = await run.carry_out()
    assert end.state is State.UNDONE
    assert (model.calls["create"], model.calls["cancel"], emr.heard) == (1, 1, [])


@pytest.mark.parametrize("fault", ["drop", "lost", "late", "bug"])
async def test_a_lost_answer_is_never_answered_by_a_second_write(fault):
    model, _, run, clock = world(LATE, INTENTS["move"], {1: fault})
    end = await run.carry_out()
    await clock.sleep(10)
    assert model.calls["change"] == (0 if fault in ("drop", "bug") else 1)
    assert end.state is (State.REFUSED if fault in ("drop", "bug") else State.DONE)


async def test_a_late_write_is_waited_for_before_it_counts_as_not_done():
    _, _, run, clock = world(LATE, INTENTS["move"], {1: "drop"})
    await run.carry_out()
    assert clock.seconds >= 3.0


async def test_a_write_that_waited_for_its_turn_has_all_its_time_to_come_through_late():
    model, emr, run, clock = world(LATE, INTENTS["move"], {1: "late"})

    async def in_its_turn(step):
        await clock.sleep(1000)
        return await ModelEmr.change(emr, step)

    emr.change = in_its_turn
    assert (await run.carry_out()).state is State.DONE
    assert model.book["a"].comment == "text"


@pytest.mark.parametrize("executed", [True, False])
async def test_a_look_up_that_is_turned_away_says_nothing_of_the_write(executed):
    model, emr, run, _ = world(LATE, INTENTS["move"])
    ask, circuit = emr._ask, {"open": False}

    async def silent(step):
        if executed:
            model.write(step)
        circuit["open"] = True
        raise MaybeDone(timed_out=True)

    def turned_away(question):
        if circuit["open"]:
            raise TurnedAway("the EMR does not answer", retry_after=5)
        return ask(question)

    emr.change, emr._ask = silent, turned_away
    for end in [await run.carry_out(), await run.resume(), await run.resume()]:
        assert (end.state, end.error.code) == (State.REPAIRING, "OUTCOME_UNKNOWN")
    circuit["open"] = False
    end = await run.resume()
    assert end.state is (State.DONE if executed else State.REFUSED)


@pytest.mark.parametrize("shape", ["in place", "new id", "no move"])
@pytest.mark.parametrize("intent", ["move", "bulk cancel", "reschedule, creating"])
async def test_an_answer_about_another_appointment_is_not_believed(shape, intent):
    model, _, run, _ = world(SHAPES[shape], INTENTS[intent], {1: "mistaken"})
    reference, _, straight, _ = world(SHAPES[shape], INTENTS[intent])
    await straight.carry_out()
    assert (await run.carry_out()).state is State.DONE
    assert seen(model) == seen(reference)


async def test_what_somebody_else_booked_is_never_taken_for_our_own():
    """Or an undo would cancel theirs."""
    model, emr, _, clock = world(LATE, INTENTS["move"])

    async def shows_anothers(_):
        return Receipt(appointment=model.book["b"])

    emr.create = shows_anothers
    step = Create(chain="new/0", span=span(120, 150), patient_id="p9", resource_id="r2", marker="m")
    ended = await Attempt(emr, sleep=clock.sleep, monotonic=clock.monotonic).send(step)
    assert (ended.state, ended.receipt.appointment, ended.error.code) == ("failed", None, "EMR_ERROR")


async def test_an_undo_does_not_write_over_what_staff_has_changed_meanwhile():
    model, emr, run, _ = world(LATE, Reschedule(("a", "b"), span(120, 180)), {2: "refuse"})

    def comment(book):
        moved = next(a for a in book.book.values() if a.start == span(120, 150).start)
        book.book[moved.id] = replace(moved, comment="by staff", version="77")

    emr.staff = comment
    end = await run.carry_out()
    assert end.state is State.NEEDS_ATTENTION
    assert [p.path for p in end.error.problems] == ["ids/0"]
    assert model.book["a"].comment == "by staff"
    assert model.book["b"].start == span(30, 60).start


def _free(book):
    """The slots of `b`, as who cancels it would leave them."""
    book.slot_state["r1@30"] = ("free", 7)


def _taken(book):
    book.slot_state["r1@30"] = ("busy", 7)
    book.book["x"] = booked("x", 30, 60, patient_id="p2", slot_ids=("r1@30",))


def _touched(book):
    book.slot_state["r1@30"] = ("busy", 7)


@pytest.mark.parametrize(("staff", "state"), [(_free, ("free", 7)), (_taken, ("busy", 7)), (_touched, ("free", 8))])
async def test_a_slot_that_somebody_else_has_marked_is_given_back_only_where_it_still_is_to_be(staff, state):
    """Beyond the turning point: nobody waits for what is done already."""
    model, emr, run, _ = world(RECORDS, INTENTS["bulk cancel"])
    emr.staff = staff
    end = await run.carry_out()
    assert (end.state, end.error) == (State.DONE, None)
    assert model.slot_state["r1@30"] == state
    assert slots_agree(model)


def _cancelled(book):
    book.book["a"] = replace(book.book["a"], status=Status.CANCELLED, version="77")


def _noted(book):
    book.book["a"] = replace(book.book["a"], comment="by staff", version="77")


def _beside(book):
    book.book["x"] = booked("x", 0, 30, resource_id="r2", patient_id="p2", slot_ids=("r2@0",))


@pytest.mark.parametrize(
    ("staff", "slot", "old"), [(_cancelled, "free", "free"), (_noted, "busy", "free"), (_beside, "busy", "busy")]
)
async def test_an_undo_gives_a_slot_back_unless_somebody_stands_there(staff, slot, old):
    """The first of three has moved when the staff change it, or book beside it; the second can't be moved. The slot
    that it left is nobody's where it is not to come back."""
    can = replace(RECORDS, concurrency=1)
    model, emr, run, _ = world(can, Update(("a", "b", "c"), resource_id="r2"), {5: "refuse"})
    change = emr.change

    async def followed(step):
        receipt = await change(step)
        if step.chain == "a" and step.resource_id == "r2":
            staff(model)
        return receipt

    emr.change = followed
    await run.carry_out()
    assert model.slot_state["r2@0"][0] == slot
    assert [model.slot_state[id][0] for id in ("r2@30", "r2@60")] == ["free", "free"]
    assert [model.slot_state[id][0] for id in ("r1@0", "r1@30", "r1@60")] == [old, "busy", "busy"]


async def test_an_old_slot_that_could_not_be_given_back_at_once_is_given_back_by_repair():
    can = replace(RECORDS, concurrency=1)
    model, emr, run, _ = world(can, Update(("a", "b", "c"), resource_id="r2"), {5: "refuse"})
    change, slot = emr.change, emr.slot

    async def followed(step):
        receipt = await change(step)
        if step.chain == "a":
            _cancelled(model)
        return receipt

    async def silent(asked):
        if asked.id == "r1@0":
            raise MaybeDone(timed_out=True)
        return await slot(asked)

    emr.change, emr.slot = followed, silent
    end = await run.carry_out()
    assert (end.state, model.slot_state["r1@0"][0]) == (State.REPAIRING, "busy")
    emr.slot = slot
    end = await run.resume()
    assert (end.state, model.slot_state["r1@0"][0]) == (State.NEEDS_ATTENTION, "free")
    assert [p.path for p in end.error.problems] == ["ids/0"]


def untold(emr, staff=None, *, names=False):
    """The EMR's answers to moves and bookings say nothing from now on, or `names` the version that they made; right
    after the first of them comes the staff, or else the EMR itself stores another text."""
    written = []

    async def write(step):
        first, emr.writes = not written, emr.writes + 1
        made = emr.model.write(replace(step, comment="another text") if first and staff is None else step).appointment
        written.append(made.id)
        if first and staff is not None:
            staff(emr.model, made.id)
        return Receipt(version=made.version if names else None)

    emr.change = emr.create = write
    return written


def _notes(model, id):
    model.book[id] = replace(model.book[id], comment="by staff", version="77")


@pytest.mark.parametrize("shape", ["in place", "new id", "no move", "slot records"])
@pytest.mark.parametrize("staff", [None, _notes])
async def test_what_no_answer_proves_to_be_the_emrs_doing_stands_and_is_reported(shape, staff):
    """Whether the EMR or somebody at the clinic changed the text: it is not written over, and the rest is undone."""
    can = replace(SHAPES[shape], concurrency=1, answers_with="nothing")
    model, emr, run, _ = world(can, INTENTS["bulk"])
    written = untold(emr, staff)
    end = await run.carry_out()
    assert (end.state, end.error.code) == (State.NEEDS_ATTENTION, "PARTIALLY_APPLIED")
    assert [(p.error_code, p.path) for p in end.error.problems] == [("CHANGED_MEANWHILE", "ids/0")]
    assert model.book[written[0]].comment == ("another text" if staff is None else "by staff")
    assert [model.book[id].resource_id for id in "bc"] == ["r1", "r1"]
    assert slots_agree(model)


async def test_what_stands_under_a_new_id_is_found_under_the_old_one():
    journal = Journal()
    _, emr, run, _ = world(replace(NEW_ID, answers_with="nothing"), INTENTS["move"])
    untold(emr, _notes)
    end = await a_run(run.plan, emr, journal).carry_out()
    assert end.state is State.NEEDS_ATTENTION
    assert journal.lineage == [("model", "a", "n1")]


async def test_no_other_plan_is_made_once_a_patient_has_been_asked_for_a_code():
    """The question stands, with its id, in the ledger and in the EMR; the second of two was changed meanwhile."""
    model, emr, _, _ = world(replace(LATE, concurrency=1), INTENTS["move"])
    model.book["a"] = replace(model.book["a"], code_to_cancel=True)
    run = a_run(model.ask(plan(Command(Cancel(("a", "b")), single=False), model.can, no_etag)), emr)
    cancel = emr.cancel

    async def meanwhile(step):
        if step.chain == "b":
            raise Refused("stale")
        return await cancel(step)

    emr.cancel = meanwhile
    end = await run.carry_out()
    assert (end.state, end.stale, end.error.problems[0].error_code) == (State.REFUSED, False, "CHANGED_MEANWHILE")
    assert [at.state for at in run.progress] == [StepState.DONE, StepState.FAILED]


@pytest.mark.parametrize("shape", ["in place", "new id", "no move"])
async def test_a_version_that_the_answer_names_proves_what_the_emr_stored(shape):
    can = replace(SHAPES[shape], answers_with="nothing")
    model, emr, run, _ = world(can, INTENTS["move"])
    before = seen(model)
    untold(emr, names=True)
    end = await run.carry_out()
    assert (end.state, end.error.code) == (State.UNDONE, "EMR_DEVIATION")
    assert seen(model) == before


async def test_in_flight_writes_end_and_the_unsent_are_not_sent_when_one_is_refused():
    one_by_one = replace(LATE, concurrency=1)
    model, _, run, _ = world(one_by_one, INTENTS["bulk"], {1: "refuse"})
    end = await run.carry_out()
    assert (end.state, end.error.code, end.error.problems[0].emr_error) == (State.REFUSED, "EMR_REFUSED", "TOO_LATE")
    assert sum(model.calls.values()) == 0


async def test_a_new_id_goes_into_the_lineage_and_so_does_that_of_its_undo():
    can = replace(NEW_ID, concurrency=1)
    journal = Journal()
    _, emr, run, _ = world(can, INTENTS["bulk"], {2: "refuse"})
    run = a_run(run.plan, emr, journal)
    end = await run.carry_out()
    assert end.state is State.UNDONE
    assert journal.lineage == [("model", "a", "n1"), ("model", "n1", "n2")]
    assert set(journal.appointments) == {"n1", "n2"}


BLIND = {
    "rebooked": (replace(NO_MOVE, refuses_overlap=False), Update(("c",), span(60, 120))),
    "a surplus": (
        replace(LATE, refuses_overlap=False, free_time="windows"),
        Reschedule(("c", "d"), span(60, 90)),
    ),
}


@pytest.mark.parametrize(("can", "intent"), BLIND.values(), ids=BLIND)
async def test_what_the_command_itself_will_cancel_is_no_conflict_and_anybody_else_is(can, intent):
    for beside in (False, True):
        model = Model(can, {"r1": grid(0, 480)}, {"c": booked("c", 60, 90), "d": booked("d", 45, 60)})
        model.book["c"] = booked("c", 60, 90) if isinstance(intent, Update) else booked("c", 60, 120)
        model.book["d"] = booked("d", 150, 180)
        emr = ModelEmr(model, Clock())
        run = a_run(model.ask(plan(Command(intent, single=isinstance(intent, Update)), can, no_etag)), emr)
        if beside:
            emr.staff = lambda book: book.book.update(x=booked("x", 60, 90, patient_id="p2"))
        end = await run.carry_out()
        assert (end.state is State.DONE) is not beside, end.error
        assert len(model.standing()) == (3 if beside else 2 if isinstance(intent, Update) else 1)


async def test_an_emr_that_never_refuses_is_asked_for_conflicts_after_the_write():
    can = replace(LATE, refuses_overlap=False)
    model, emr, run, _ = world(can, INTENTS["move"])
    emr.staff = lambda book: book.book.update(x=booked("x", 120, 150, resource_id="r2", patient_id="p2"))
    end = await run.carry_out()
    assert (end.state, end.error.problems[0].error_code) == (State.UNDONE, "NO_TIMESLOTS_AVAILABLE")
    assert model.book["a"].start == span(0, 30).start


async def test_nothing_is_sent_while_the_store_is_down():
    model, emr, run, _ = world(LATE, INTENTS["move"])
    journal = Journal()
    journal.down = True
    with pytest.raises(LedgerDown):
        await a_run(run.plan, emr, journal).carry_out()
    assert sum(model.calls.values()) == 0


async def test_intent_stands_in_the_ledger_before_each_write():
    journal = Journal()
    model, emr, run, _ = world(LATE, INTENTS["reschedule, cancelling"])
    write = model.write

    def checked(step):
        assert any(row.state is StepState.ATTEMPTING for row in journal.rows.values())
        return write(step)

    model.write = checked
    await a_run(run.plan, emr, journal).carry_out()
    assert {row.state for row in journal.rows.values()} == {StepState.DONE}


class Crash(BaseException):
    pass


class Boundaries:
    """Before and after each call of what is put between; at the `point`-th of them (from 1) it crashes."""

    def __init__(self, point):
        self.point, self.crossed = point, 0

    def _cross(self):
        self.crossed += 1
        if self.crossed == self.point:
            raise Crash

    def around(self, method):
        async def counted(*args, **kwargs):
            self._cross()
            answer = await method(*args, **kwargs)
            self._cross()
            return answer

        return counted


EACH = [pytest.param(can, i, id=f"{name}: {what}") for name, can in SHAPES.items() for what, i in INTENTS.items()]


@pytest.mark.parametrize(("can", "intent"), EACH)
async def test_after_a_crash_at_every_boundary_it_is_finished_or_undone(can, intent):
    """Before and after each ledger write and each EMR write; then a new run from what the journal holds."""
    reference, _, straight, _ = world(can, intent)
    await straight.carry_out()
    for point in count(1):
        with told(f"a crash at boundary {point}"):
            if not await crashed_at(point, can, intent, seen(reference)):
                break
    assert point > 4


async def crashed_at(point, can, intent, reference):
    """→ whether there was such a boundary."""
    model, emr, run, _ = world(can, intent)
    before, journal, boundaries = seen(model), Journal(), Boundaries(point)
    journal.advance = boundaries.around(journal.advance)
    emr.change = emr.create = emr.cancel = emr.discard = emr.mark_slot = boundaries.around(emr._write)
    payload = codec.dump(run.plan, standard="leyr", single=False, created=False, claims=())
    try:
        end = await a_run(run.plan, emr, journal).carry_out()
        assert end.state is State.DONE
    except Crash:
        del journal.advance, emr.change, emr.create, emr.cancel, emr.discard, emr.mark_slot
        again = a_run(codec.load(payload).plan(), emr, journal)
        again.restore(list(journal.rows.values()))
        end = await again.resume()
    if end.state is State.DONE:
        assert seen(model) == reference
    else:
        assert end.state in (State.UNDONE, State.REFUSED)
        assert seen(model) == before
    assert slots_agree(model)
    return boundaries.crossed >= point


@pytest.mark.parametrize("what", ["move", "bulk", "reschedule, creating", "reschedule, cancelling"])
@pytest.mark.parametrize("point", range(1, 9))
async def test_an_undo_that_was_cut_off_ends_as_undone(what, point):
    """A slot that is marked back already is seen to be, and is not taken for somebody else's."""
    intent = INTENTS[what]
    model, emr, run, _ = world(RECORDS, intent, {3: "refuse"})
    before = seen(model)
    journal, count = Journal(), 0

    async def crashing(step, write=emr.mark_slot):
        nonlocal count
        count += 1
        receipt = await write(step)
        if count == point:
            raise Crash
        return receipt

    emr.mark_slot = crashing
    try:
        end = await a_run(run.plan, emr, journal).carry_out()
    except Crash:
        del emr.mark_slot
        again = a_run(run.plan, emr, journal)
        again.restore(list(journal.rows.values()))
        end = await again.resume()
    assert end.state in (State.UNDONE, State.REFUSED)
    assert seen(model) == before
