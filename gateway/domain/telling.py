"""What an EMR may tell patients of a plan: news that nothing can take back any more, all of it or none.

An EMR messages a patient as it writes, and no undo calls a message back. So it is kept quiet about a step that a later
failure could undo; and then about the whole plan, since half the news misleads. An undo itself is always quiet.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.steps import Cancel, Change, Confirm, Create, Plan, Step


def spoken(plan: Plan) -> tuple[Step, ...]:
    """The plan's steps in their order, quiet but for those of which patients may hear."""
    placed = [(n, step) for n, stage in enumerate(plan.stages) for step in stage]
    news = {i for i, (_, step) in enumerate(placed) if _is_news(step)}
    # A comment is news only where there is no other.
    news = news or {i for i, (_, step) in enumerate(placed) if isinstance(step, Change)}
    told = news if all(_stands(plan, *placed[i]) for i in news) else ()
    return tuple(step if i in told else quiet(step) for i, (_, step) in enumerate(placed))


def quiet(step: Step) -> Step:
    return replace(step, quiet=True) if isinstance(step, Change | Create | Cancel | Confirm) else step


def _is_news(step: Step) -> bool:
    match step:
        case Change():
            return step.span is not None or step.resource_id is not None
        case Cancel():
            # Where another one takes its place, the news is that one.
            return step.replaced_by is None
        case _:
            return isinstance(step, Create | Confirm)


def _stands(plan: Plan, n: int, step: Step) -> bool:
    """Once the step of the n-th stage is done, nothing that may still go wrong undoes it."""
    beyond = plan.turning_stage is not None and n > plan.turning_stage
    alone_at_the_end = n == len(plan.stages) - 1 and len(plan.stages[n]) == 1 and not plan.check_conflicts
    return beyond or alone_at_the_end or isinstance(step, Cancel | Confirm)
