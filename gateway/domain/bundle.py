"""May a plan be sent by one write? Where the EMR carries out several as one, and no step has to wait for another."""

from __future__ import annotations

from gateway.domain.capabilities import Capabilities
from gateway.domain.steps import Cancel, Change, Create, MarkSlot, Plan, Step


def bundles(plan: Plan, can: Capabilities) -> bool:
    steps = [step for _, step in plan.steps()]
    return (
        1 < len(steps) <= can.bundle_max
        and all(_ends_at_once(step) for step in steps)
        and _apart(steps)
        # Conflicts are looked for after the writes: by then all must still be undoable.
        and not (plan.check_conflicts and plan.turning_stage is not None)
    )


def _ends_at_once(step: Step) -> bool:
    """It waits for no code, and nobody has to see its answer first."""
    match step:
        case Change():
            return step.before.id != ""
        case Create() | MarkSlot():
            return True
        case Cancel():
            return not step.before.code_to_cancel
        case _:
            return False


def _apart(steps: list[Step]) -> bool:
    """Each writes a record of its own: a second write would need the version that the first one made."""
    records = [_record(step) for step in steps]
    return len(set(records)) == len(records)


def _record(step: Step) -> tuple[str, str | None]:
    match step:
        case MarkSlot():
            return "slot", step.slot.id
        case Create():
            return "new", step.chain
        case _:
            return "appointment", step.before.id
