"""Before a write that the EMR refused is sent again, what it writes to is looked at again: it may be another by now."""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.compare import deviations, untouched
from gateway.domain.model import Appointment, Status
from gateway.domain.steps import Cancel, MarkSlot, Receipt
from gateway.execute.attempt import Result
from gateway.execute.failures import changed_meanwhile
from gateway.execute.holders import is_held
from gateway.execute.progress import Progress
from gateway.port import Emr, EmrError


async def again(emr: Emr, at: Progress) -> Result | Appointment | MarkSlot | None:
    """Somebody else has done it, or something else, which stands; else the appointment to write over in its present
    version, or the step over the slot's. `None`: nothing is known, or there is nothing to look at."""
    try:
        if isinstance(at.step, MarkSlot):
            return await _slot(emr, at.step) if at.step.state == "free" else None
        return None if at.before is None else await _appointment(emr, at, at.before)
    except EmrError:
        return None


async def _appointment(emr: Emr, at: Progress, before: Appointment) -> Result | Appointment:
    now = await emr.appointment(before.id)
    if now is not None and _is_done(at, now, emr):
        return Result("done", Receipt(appointment=now))
    if now is None or not untouched(now, before, emr.capabilities):
        return Result("left", error=changed_meanwhile())
    return now


async def _slot(emr: Emr, step: MarkSlot) -> Result | MarkSlot:
    """To be given back. What is free already, or somebody's by now, is left as it is: that is all that was wanted."""
    found = await emr.slot(step.slot)
    if found is None or found[0] == "free" or await is_held(emr, step.slot):
        return Result("done", Receipt(slot=None if found is None else found[1]))
    return replace(step, slot=found[1])


def _is_done(at: Progress, now: Appointment, emr: Emr) -> bool:
    waits = isinstance(at.step, Cancel) and now.status is not Status.CANCELLED
    return not waits and not deviations(at.step, now, emr.capabilities)
