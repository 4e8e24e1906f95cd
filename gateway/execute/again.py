"""Before a write that the EMR refused is sent again, its appointment is looked at again: it may be another by now."""

from __future__ import annotations

from gateway.domain.compare import deviations, untouched
from gateway.domain.model import Appointment, Status
from gateway.domain.steps import Cancel, Receipt
from gateway.execute.attempt import Result
from gateway.execute.failures import changed_meanwhile
from gateway.execute.progress import Progress
from gateway.port import Emr, EmrError


async def again(emr: Emr, at: Progress) -> Result | Appointment | None:
    """Somebody else has done it, or something else, which stands; else the appointment to write over, in its present
    version. `None`: nothing is known, or there is nothing to look at."""
    if at.before is None:
        return None
    try:
        now = await emr.appointment(at.before.id)
    except EmrError:
        return None
    if now is not None and _is_done(at, now, emr):
        return Result("done", Receipt(appointment=now))
    if now is None or not untouched(now, at.before, emr.capabilities):
        return Result("left", error=changed_meanwhile())
    return now


def _is_done(at: Progress, now: Appointment, emr: Emr) -> bool:
    waits = isinstance(at.step, Cancel) and now.status is not Status.CANCELLED
    return not waits and not deviations(at.step, now, emr.capabilities)
