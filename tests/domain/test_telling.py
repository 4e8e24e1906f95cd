"""What an EMR is let tell of a plan: only what nothing takes back, all of it or none, and of each appointment once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.commands import Book, Cancel, Confirm, Update
from gateway.domain.lower import irreversible
from gateway.domain.model import Status
from gateway.domain.steps import MarkSlot
from gateway.domain.telling import spoken
from tests.domain.test_plan import (
    IN_PLACE,
    NO_MOVE,
    NO_REFUSAL,
    PIECEMEAL,
    RECORDS,
    SHAPES,
    a_day,
    made,
    rescheduled,
    try_plan,
    worlds,
)
from tests.model import booked, span

ABC = (booked("a", 0, 30), booked("b", 30, 60), booked("c", 60, 90))
CAN_BEFORE = replace(IN_PLACE, cancel_comment="before")


def loud(plan) -> list[str]:
    return [f"{step.kind} {step.chain}" for step in spoken(plan) if not getattr(step, "quiet", True)]


def told(can, intent, *appointments) -> list[str]:
    return loud(made(a_day(can, *(appointments or ABC)), intent, single=len(getattr(intent, "ids", "a")) == 1))


@pytest.mark.parametrize(
    ("can", "intent", "news"),
    [
        # one write, of which nothing can go wrong afterwards
        (IN_PLACE, Update(("a",), span(120, 150)), ["change a"]),
        (IN_PLACE, Update(("a",), span(120, 150), "r2", "text"), ["change a"]),
        (IN_PLACE, Update(("a",), comment="text"), ["change a"]),
        (IN_PLACE, Book(span(120, 150), "p1", "r1", None, None), ["create new/0"]),
        (RECORDS, Book(span(120, 150), "p1", "r1", None, None), ["create new/0"]),
        (IN_PLACE, Cancel(("a",), None), ["cancel a"]),
        (RECORDS, Cancel(("a",), None), ["cancel a"]),
        (CAN_BEFORE, Cancel(("a",), "why"), ["cancel a"]),
        # cancellations stand, each for itself
        (IN_PLACE, Cancel(("a", "b", "c"), "why"), ["cancel a", "cancel b", "cancel c"]),
        (CAN_BEFORE, Cancel(("a", "b"), "why"), ["cancel a", "cancel b"]),
        # what could be undone since something else fails
        (IN_PLACE, Update(("a", "b"), resource_id="r2"), []),
        (IN_PLACE, Update(("a", "b"), comment="text"), []),
        (PIECEMEAL, Update(("a",), span(120, 150), comment="text"), []),
        (RECORDS, Update(("a",), span(120, 150)), []),
        (NO_MOVE, Update(("a",), span(120, 150)), []),
        # what is undone if somebody else turns out to be there
        (NO_REFUSAL, Update(("a",), span(120, 150)), []),
        (NO_REFUSAL, Book(span(120, 150), "p1", "r1", None, None), []),
        (NO_REFUSAL, Update(("a",), comment="text"), ["change a"]),
    ],
)
def test_what_is_told(can, intent, news):
    assert told(can, intent) == news


def test_half_the_news_is_not_told():
    model = a_day(IN_PLACE, *ABC)
    shorter = rescheduled(model, ("a", "b", "c"), 120, 180)
    assert {step.kind for step in spoken(shorter)} == {"change", "cancel"}
    assert loud(shorter) == []


def test_of_a_rebooking_whose_old_time_must_go_first_the_new_one_is_told():
    model = a_day(NO_MOVE, booked("a", 0, 60))
    made_plan = made(model, Update(("a",), span(30, 90)))
    assert [[step.kind for step in stage] for stage in made_plan.stages] == [["cancel"], ["create"]]
    assert loud(made_plan) == ["create a"]


def test_a_confirmation_is_told():
    model = a_day(replace(IN_PLACE, confirm="flag"), replace(booked("a", 0, 30), status=Status.AWAITING))
    assert loud(made(model, Confirm("a", None))) == ["confirm a"]


def test_nothing_else_of_a_step_changes():
    model = a_day(RECORDS, *ABC)
    plan = made(model, Update(("a", "b"), resource_id="r2"), single=False)
    before = [step for _, step in plan.steps()]
    assert [step if isinstance(step, MarkSlot) else replace(step, quiet=False) for step in spoken(plan)] == before


# -- laws -----------------------------------------------------------------------------------------------------------


def undone_by_a_failure(plan, can) -> set[int]:
    """The steps that the failure of another one may undo, by the words of the contract: as in `Run.carry_out`."""
    lost: set[int] = set()
    stages, index = [], 0
    for stage in plan.stages:
        stages.append([*enumerate(stage, start=index)])
        index += len(stage)
    for n, stage in enumerate(stages):
        earlier = [at for done in stages[:n] for at in done]
        for failing, _ in stage:
            # Whatever else of the stage is done by then, it may be one step alone.
            for beside in [None, *(at for at in stage if at[0] != failing)]:
                done = earlier if beside is None else [*earlier, beside]
                if not any(irreversible(step, can) for _, step in done):
                    lost |= {i for i, _ in done}
        last_before_turning = n == (len(stages) if plan.turning_stage is None else plan.turning_stage) - 1
        if plan.check_conflicts and last_before_turning:
            lost |= {i for i, _ in [*earlier, *stage]}
    return lost


@st.composite
def plans(draw):
    """Plans of reschedules, and of bulk updates and cancellations of the same appointments."""
    model, intent = draw(worlds(SHAPES))
    others = [Update(intent.ids, resource_id="r2"), Update(intent.ids, comment="x"), Cancel(intent.ids, None)]
    return model.can, try_plan(model, draw(st.sampled_from([intent, *others])))


@given(plans())
def test_law_what_is_told_can_not_be_undone(drawn):
    can, plan = drawn
    if plan is not None:
        lost = undone_by_a_failure(plan, can)
        assert not [i for i, step in enumerate(spoken(plan)) if not getattr(step, "quiet", True) and i in lost]


@given(plans())
def test_law_all_of_the_news_is_told_or_none_and_of_each_appointment_once(drawn):
    _, plan = drawn
    if plan is not None:
        chains = Counter(step.chain for step in spoken(plan) if not getattr(step, "quiet", True))
        assert set(chains.values()) <= {1}
        news = {line.chain for line in plan.lines if line.change in ("moved", "created", "cancelled")}
        assert not chains or not news or set(chains) == news
