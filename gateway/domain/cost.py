"""What a plan costs its EMR: calls, those of its undo, and time that is spent waiting for writes to show."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.capabilities import Capabilities
from gateway.domain.lower import irreversible
from gateway.domain.steps import Change, Create, Discard, MarkSlot, Plan, Step


@dataclass(frozen=True, slots=True)
class Cost:
    """At least so much, if nothing has to be asked for or tried twice."""

    calls: int
    """Forward, with those that see how the writes ended."""
    undo_calls: int
    """To take back all that can be taken back, each step looked at first."""
    settling_s: float


def cost(plan: Plan, can: Capabilities) -> Cost:
    steps = [step for _, step in plan.steps()]
    # Of a bundle, which is one write, each step is read back.
    sent = 1 + len(steps) if plan.bundled else sum(_calls(step, can) for step in steps)
    forward = sent + len(plan.check_conflicts)
    last = len(plan.stages) if plan.turning_stage is None else plan.turning_stage + 1
    undoable = [step for stage in plan.stages[:last] for step in stage if not irreversible(step, can)]
    settling = sum(any(_is_read_back(step, can) for step in stage) for stage in plan.stages) * can.settles_within_s
    return Cost(forward, sum(_undo_calls(step, can) for step in undoable), settling)


def _is_read_back(step: Step, can: Capabilities) -> bool:
    return can.answers_with == "nothing" and not isinstance(step, Discard | MarkSlot)


def _calls(step: Step, can: Capabilities) -> int:
    return 1 + _is_read_back(step, can)


def _undo_calls(step: Step, can: Capabilities) -> int:
    match step:
        case Change():
            return 1 + _calls(step, can)
        case Create():
            return 2 + (can.answers_with == "nothing" and not can.discard)
        case MarkSlot():
            return 2 + (step.state == "busy" and can.lists)
        case _:
            return 1
