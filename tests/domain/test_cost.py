"""What a plan is said to cost, held against what it costs an EMR that counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.cost import Cost, cost
from gateway.domain.steps import Plan
from gateway.ledger import State
from tests.model_emr import ModelEmr
from tests.test_run import INTENTS, LATE, SHAPES, a_run, world

TELLS_NOTHING = replace(LATE, answers_with="nothing", settles_within_s=4.0)
CASES = [
    pytest.param(can, intent, id=f"{name}: {what}") for name, can in SHAPES.items() for what, intent in INTENTS.items()
]


class Counting(ModelEmr):
    calls = 0

    def _ask(self, question):
        self.calls += 1
        return super()._ask(question)

    async def _write(self, step):
        self.calls += 1
        return await super()._write(step)

    change = create = cancel = confirm = discard = mark_slot = _write


def counted(can, intent, faults=None):
    model, emr, run, _ = world(can, intent)
    counting = Counting(model, emr.clock, faults)
    return counting, a_run(run.plan, counting)


@pytest.mark.parametrize(("can", "intent"), CASES)
async def test_a_plan_that_goes_well_costs_its_calls(can, intent):
    emr, run = counted(can, intent)
    assert (await run.carry_out()).state is State.DONE
    assert emr.calls == cost(run.plan, can).calls


@pytest.mark.parametrize(("can", "intent"), CASES)
async def test_a_plan_that_is_undone_costs_no_more_than_with_its_undo(can, intent):
    _, straight = counted(can, intent)
    for nth in range(1, len(straight.progress) + 1):
        emr, run = counted(can, intent, {nth: "refuse"})
        if (await run.carry_out()).state in (State.REFUSED, State.UNDONE):
            told = cost(run.plan, can)
            assert emr.calls <= told.calls + told.undo_calls


def test_what_is_read_back_and_asked_for_afterwards_counts_and_so_does_the_waiting():
    _, run = counted(TELLS_NOTHING, INTENTS["bulk"])
    assert cost(run.plan, TELLS_NOTHING) == Cost(calls=6, undo_calls=9, settling_s=4.0)
    afterwards = replace(run.plan, check_conflicts=("a", "b"))
    assert cost(afterwards, TELLS_NOTHING).calls == 8
    assert cost(Plan(operation="update", stages=(), lines=()), LATE) == Cost(0, 0, 0.0)


def test_what_can_not_be_taken_back_costs_nothing_to_take_back():
    _, run = counted(LATE, INTENTS["bulk cancel"])
    assert cost(run.plan, LATE) == Cost(calls=3, undo_calls=0, settling_s=0.0)
