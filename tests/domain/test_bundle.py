"""When a plan may be sent as one write: laws over all that the planner makes, and each reason not to by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.bundle import bundles
from gateway.domain.commands import Book, Cancel, Command, Confirm, Reschedule, Update
from gateway.domain.cost import cost
from gateway.domain.errors import BadRequest, Conflict
from gateway.domain.model import Status
from gateway.domain.plan import plan
from gateway.domain.steps import Cancel as CancelStep
from gateway.domain.steps import Change, Create, MarkSlot
from gateway.execute import codec
from tests.domain.test_plan import NO_MOVE, NO_REFUSAL, PIECEMEAL, RECORDS, SHAPES, a_day, made, worlds
from tests.model import CAN, booked, no_etag, span

AT_ONCE = replace(RECORDS, bundle_max=100)


def records(steps):
    """What each step writes, by names of the test's own."""
    for step in steps:
        match step:
            case MarkSlot():
                yield f"slot {step.slot.id}"
            case Create():
                yield f"a new one for {step.chain}"
            case _:
                yield f"appointment {step.before.id}"


def steps_of(plan):
    return [step for _, step in plan.steps()]


# -- laws -----------------------------------------------------------------------------------------------------------


@st.composite
def questions(draw):
    """Any of the planner's shapes and limits, and any intent for a day on which one may ask for a code to cancel."""
    shapes = [*SHAPES, RECORDS, RECORDS, RECORDS]
    model, reschedule = draw(worlds([replace(shape, bundle_max=n) for shape in shapes for n in (100, 100, 3, 1)]))
    if draw(st.integers(0, 3)) == 3:
        asks = draw(st.sampled_from(sorted(model.book)))
        model.book[asks] = replace(model.book[asks], code_to_cancel=True)
    ids, comment = reschedule.ids, draw(st.sampled_from([None, "new"]))
    moved = Update(ids[:1], reschedule.span, draw(st.sampled_from([None, "r2"])), comment)
    many = Update(ids, resource_id="r2", comment=comment)
    intents = [reschedule, moved, many, Cancel(ids, comment), Book(reschedule.span, "p1", "r1", "s1")]
    return model, draw(st.sampled_from(intents))


def asked(model, intent, can):
    """The plan on such an EMR, or `None` where it is refused."""
    single = isinstance(intent, Book)
    try:
        return replace(model, can=can).ask(plan(Command(intent, single=single), can, no_etag))
    except (BadRequest, Conflict):
        return None


@settings(max_examples=150, deadline=None)
@given(questions())
def test_law_a_bundle_is_only_a_way_to_send_what_would_be_sent_anyway(question):
    model, intent = question
    found = asked(model, intent, model.can)
    ordered = asked(model, intent, replace(model.can, bundle_max=0))
    if found is None or ordered is None:
        assert found is ordered
        return
    assert not ordered.bundled
    assert replace(found, bundled=False) == ordered


@settings(max_examples=150, deadline=None)
@given(questions())
def test_law_the_steps_of_a_bundle_are_few_apart_and_wait_for_nobody(question):
    model, intent = question
    found = asked(model, intent, model.can)
    if found is None or not found.bundled:
        return
    steps = steps_of(found)
    assert 1 < len(steps) <= model.can.bundle_max
    assert len(set(records(steps))) == len(steps)
    assert {step.kind for step in steps} <= {"change", "create", "cancel", "mark_slot"}
    assert not any(step.before.code_to_cancel for step in steps if isinstance(step, CancelStep))
    assert not (found.check_conflicts and found.turning_stage is not None)


@settings(max_examples=150, deadline=None)
@given(questions())
def test_law_what_is_sent_as_one_ends_where_the_steps_would(question):
    model, intent = question
    found = asked(model, intent, model.can)
    if found is None or not found.bundled:
        return
    at_once, in_turn = model.copy(), model.copy()
    at_once.bundle(steps_of(found))
    in_turn.execute(found)
    assert (at_once.book, at_once.slot_state) == (in_turn.book, in_turn.slot_state)


# -- by tables ------------------------------------------------------------------------------------------------------


def day(can):
    return a_day(can, booked("a", 0, 30), booked("b", 30, 60), booked("c", 60, 90))


MOVE = Update(("a",), span(120, 150), "r2", "text")
MANY = Update(("a", "b", "c"), comment="text")


@pytest.mark.parametrize(
    ("can", "intent", "bundled"),
    [
        (AT_ONCE, MOVE, True),
        (AT_ONCE, MANY, True),
        (AT_ONCE, Update(("a",), comment="text"), False),
        (AT_ONCE, Reschedule(("a", "b"), span(120, 210), None, "text"), True),
        (AT_ONCE, Reschedule(("a", "b", "c"), span(120, 180), None, "text"), True),
        (AT_ONCE, Cancel(("a", "b"), "text"), True),
        (AT_ONCE, Book(span(120, 150), "p1", "r1", "s1"), True),
        (replace(AT_ONCE, bundle_max=3), MOVE, True),
        (replace(AT_ONCE, bundle_max=2), MOVE, False),
        (RECORDS, MOVE, False),
        # Two writes on one appointment.
        (replace(PIECEMEAL, bundle_max=100), MOVE, False),
        (replace(CAN, cancel_comment="before", bundle_max=100), Cancel(("a", "b"), "text"), False),
        (replace(CAN, cancel_comment="before", bundle_max=100), Cancel(("a", "b")), True),
        # The new one and the old one are two.
        (replace(NO_MOVE, bundle_max=100), MOVE, True),
        # Conflicts are looked for after the writes; a cancellation among them would stand by then.
        (replace(NO_REFUSAL, bundle_max=100), Update(("a", "b"), resource_id="r2"), True),
        (replace(NO_REFUSAL, bundle_max=100), Reschedule(("a", "b", "c"), span(120, 180)), False),
    ],
)  # fmt: skip
def test_what_is_bundled(can, intent, bundled):
    assert made(day(can), intent, single=isinstance(intent, Book)).bundled is bundled


def test_a_cancellation_that_asks_for_a_code_is_sent_by_itself():
    for asks in (False, True):
        model = a_day(AT_ONCE, booked("a", 0, 30, code_to_cancel=asks), booked("b", 30, 60))
        assert made(model, Cancel(("a", "b")), single=False).bundled is not asks


def test_a_confirmation_is_sent_by_itself():
    waiting = replace(booked("w", 240, 270), status=Status.AWAITING, confirmed=False)
    (confirm,) = steps_of(made(a_day(AT_ONCE, waiting), Confirm("w", "123456")))
    moved = made(day(AT_ONCE), MOVE)
    assert bundles(moved, AT_ONCE)
    assert not bundles(replace(moved, stages=((confirm,), *moved.stages)), AT_ONCE)


def test_two_writes_on_one_slot_are_never_sent_together():
    take, change, give = steps_of(made(day(AT_ONCE), MOVE))
    found = made(day(AT_ONCE), MOVE)
    assert bundles(replace(found, stages=((take,), (change,))), AT_ONCE)
    assert not bundles(replace(found, stages=((take,), (replace(give, slot=take.slot),))), AT_ONCE)


def test_a_bundle_takes_one_write_and_its_undo_one_for_each():
    ordered, at_once = cost(made(day(RECORDS), MOVE), RECORDS), cost(made(day(AT_ONCE), MOVE), AT_ONCE)
    assert (ordered.calls, at_once.calls) == (3, 1 + 3)
    assert ordered.undo_calls == at_once.undo_calls


def test_a_bundle_is_another_plan_and_is_stored_as_one():
    bundled, ordered = made(day(AT_ONCE), MOVE), made(day(RECORDS), MOVE)
    stored = [codec.dump(p, standard="leyr", single=True, created=False, claims=()) for p in (bundled, ordered)]
    assert stored[0] != stored[1]
    assert [codec.load(payload).plan() for payload in stored] == [bundled, ordered]
    assert isinstance(steps_of(bundled)[1], Change)


def test_what_was_stored_before_there_were_bundles_is_taken_up_step_by_step():
    payload = codec.dump(made(day(RECORDS), MOVE), standard="leyr", single=True, created=False, claims=())
    older = payload.replace(b',"bundled":false', b"")
    assert older != payload
    assert codec.load(older).plan() == made(day(RECORDS), MOVE)
