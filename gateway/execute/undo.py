"""Takes one step back, if it is still as the step left it."""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.compare import untouched
from gateway.domain.model import Appointment, Slot, Status
from gateway.domain.steps import Cancel, Change, Create, Discard, MarkSlot, Step
from gateway.execute.attempt import Attempt, Result, Sleep
from gateway.execute.holders import is_held
from gateway.execute.progress import Progress
from gateway.ledger import StepState
from gateway.port import Emr, EmrError

RETRIES_S = (0.2, 1.0)
"""Pauses before a write that has to come through is tried again while the client waits; then repair goes on alone."""


class Undo:
    def __init__(self, emr: Emr, attempt: Attempt, sleep: Sleep) -> None:
        self._emr, self._attempt, self._sleep = emr, attempt, sleep

    async def undo(self, at: Progress) -> None:
        """Set `at.state` to UNDONE, to LEFT where somebody else has changed it, or leave it at UNDOING: not yet."""
        for pause in (*RETRIES_S, None):
            at.state = await self._once(at)
            if at.state is not StepState.UNDOING or pause is None:
                return
            await self._sleep(pause)

    async def _once(self, at: Progress) -> StepState:
        try:
            step = await self._reverse(at)
        except EmrError:
            return StepState.UNDOING
        if isinstance(step, StepState):
            return step
        result = await self._attempt.send(step)
        if result.state == "done":
            return self._noted(at, result)
        return StepState.LEFT if result.state == "left" or result.stale else StepState.UNDOING

    @staticmethod
    def _noted(at: Progress, result: Result) -> StepState:
        if result.error is not None:
            return StepState.LEFT
        if result.receipt.appointment is not None and isinstance(at.step, Change):
            at.undone_from = at.appointment_id
            at.receipt = result.receipt
        return StepState.UNDONE

    async def _reverse(self, at: Progress) -> Step | StepState:
        """The write that undoes the step; or where it stands, if there is nothing (any more) for us to undo."""
        match at.step:
            case MarkSlot() as step:
                return await self._marking_back(step, at)
            case Create() as step:
                return await self._withdrawal(step, at)
            case Change() as step:
                return await self._restoring(step, at)
            case _:
                return StepState.LEFT

    async def _marking_back(self, step: MarkSlot, at: Progress) -> Step | StepState:
        """Over the version that our own step left. In another one it may be as before: by an undo that was cut off."""
        left = at.receipt.slot if at.receipt and at.receipt.slot else step.slot
        if step.state == "busy" and await is_held(self._emr, left):
            return StepState.UNDONE
        back = replace(step, slot=left, state="free" if step.state == "busy" else "busy")
        found = await self._emr.slot(left)
        if found is not None and found[0] == step.state and left.version in (None, found[1].version):
            return replace(back, slot=found[1])
        return StepState.UNDONE if await self._attempt.marked(back) else StepState.LEFT

    async def _withdrawal(self, step: Create, at: Progress) -> Step | StepState:
        left = _left(at)
        now = await self._emr.appointment(left.id)
        if now is None or now.status is Status.CANCELLED:
            return StepState.LEFT if now is not None and await self._moved_on(step, now) else StepState.UNDONE
        if not untouched(now, left, self._emr.capabilities):
            return StepState.LEFT
        if self._emr.capabilities.discard:
            return Discard(chain=step.chain, before=now, marker=step.marker)
        return Cancel(chain=step.chain, before=now, quiet=True)

    async def _moved_on(self, step: Create, now: Appointment) -> bool:
        """Somebody else has moved it, where that gives it another id: it is not over, it stands there."""
        if self._emr.capabilities.move != "new_id":
            return False
        return await self._emr.find_own(Change(chain=step.chain, before=now, new_id=True)) is not None

    async def _restoring(self, step: Change, at: Progress) -> Step | StepState:
        """The same fields as they were, over what our own step left."""
        left, before = _left(at), at.before
        assert before is not None
        now = await self._emr.appointment(left.id)
        if now is None:
            return StepState.LEFT
        if not untouched(now, left, self._emr.capabilities):
            return StepState.UNDONE if untouched(now, before, self._emr.capabilities) else StepState.LEFT
        moves = step.span is not None or step.resource_id is not None
        return replace(
            step,
            before=now,
            span=before.span if step.span is not None else None,
            resource_id=before.resource_id if step.resource_id is not None else None,
            comment=(before.comment or "") if step.comment is not None else None,
            slots=_slots_of(before) if moves else (),
            restores=before,
            quiet=True,
        )


def _left(at: Progress) -> Appointment:
    """What the step made of the appointment: every step that is done has a receipt that shows it."""
    assert at.receipt is not None
    assert at.receipt.appointment is not None
    return at.receipt.appointment


def _slots_of(appointment: Appointment) -> tuple[Slot, ...]:
    return tuple(
        Slot(appointment.start, appointment.end, appointment.resource_id, id=id) for id in appointment.slot_ids
    )
