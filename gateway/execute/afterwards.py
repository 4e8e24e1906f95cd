"""After a write that nothing refuses: is somebody else there, too?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.domain.errors import Conflict, EmrFailed, GatewayError, Problem
from gateway.domain.model import Appointment
from gateway.domain.steps import Cancel, Plan
from gateway.execute.failures import taken
from gateway.execute.progress import Progress
from gateway.ledger import StepState
from gateway.port import Emr, EmrError


async def conflict(
    emr: Emr,
    plan: Plan,
    images: Mapping[str, Appointment],
    progress: Sequence[Progress],
    paths: Mapping[str, str],
) -> GatewayError | None:
    """The first conflict of what the plan says to check, or why it is not known."""
    for chain in plan.check_conflicts:
        path, place = paths.get(chain), images[chain]
        try:
            is_taken = await emr.conflicts(place, _leaving(place, progress))
        except EmrError:
            details = "The EMR could not be asked whether the time slot was taken meanwhile."
            return EmrFailed(problems=[Problem("EMR_ERROR", details, path)])
        if is_taken:
            return Conflict(problems=[taken(path)])
    return None


def _leaving(place: Appointment, progress: Sequence[Progress]) -> list[str]:
    """The ids of those that hold its time until the command cancels them, which is yet to come."""
    waiting = (at.step.before for at in progress if isinstance(at.step, Cancel) and at.state is not StepState.DONE)
    return [a.id for a in waiting if a.resource_id == place.resource_id and a.span.overlaps(place.span)]
