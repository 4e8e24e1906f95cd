"""Carries a plan out: stage by stage, to the end or back, and on after a crash (house: *The shell*).

Before the turning point a failure undoes everything; from it on there is only forward. Undo and repair write only to
what is still as our own step left it. What could be brought to neither end is said, and tried again by `resume`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.clock import now as clock
from gateway.domain.errors import EmrFailed, GatewayError, Problem
from gateway.domain.lower import irreversible
from gateway.domain.model import Appointment
from gateway.domain.steps import Create, MarkSlot, Plan, Step
from gateway.domain.telling import spoken
from gateway.execute import codec
from gateway.execute.afterwards import conflict
from gateway.execute.again import again
from gateway.execute.attempt import Attempt, Monotonic, Result, Sleep
from gateway.execute.progress import Progress, base, left_behind, partial, ready, renamed, row, to_be_undone
from gateway.execute.together import together
from gateway.execute.undo import RETRIES_S, Undo
from gateway.ledger import Ledger, LedgerDown, State, StepRow, StepState
from gateway.port import Emr

INTERRUPTED = "The gateway was stopped while it carried this out; everything was undone. Try again with a new key."


@dataclass(frozen=True, slots=True)
class End:
    """Where a run came to."""

    state: State
    error: GatewayError | None = None
    sent: bool = True
    """Something may have reached the EMR."""
    stale: bool = False
    """The world was another than the plan's: planning anew may help, where nothing stands."""


class Run:
    """One plan on its way. `paths` name the chains as the client's request does (`ids/2`)."""

    def __init__(
        self,
        plan: Plan,
        *,
        command_id: str,
        emr: Emr,
        ledger: Ledger,
        sleep: Sleep,
        monotonic: Monotonic,
        paths: Mapping[str, str] | None = None,
    ) -> None:
        self.plan, self.emr, self._id, self._ledger = plan, emr, command_id, ledger
        self._sleep, self._monotonic, self._paths = sleep, monotonic, paths or {}
        own = (line.before.id for line in plan.lines if line.before is not None)
        self._attempt = Attempt(emr, sleep=sleep, monotonic=monotonic, own=own)
        self._undo = Undo(emr, self._attempt, sleep)
        self.progress = [Progress(step) for step in spoken(plan)]
        self.images: dict[str, Appointment] = {}
        self._sent = self._stale = False

    # -- forward ----------------------------------------------------------------------------------------------------

    async def carry_out(self) -> End:
        """From the first stage that is not done to the end; back, where that is still possible."""
        for indices in self._sendings():
            failed = await self._stage([n for n in indices if self.progress[n].state is not StepState.DONE])
            if failed is None and indices == self._last_before_turning():
                failed = await conflict(self.emr, self.plan, self.images, self.progress, self._paths)
            if failed is not None:
                return await self._onward(failed) if self._turned() else await self._back(failed)
        return self._arrived()

    def _stages(self) -> list[list[int]]:
        stages, index = [], 0
        for stage in self.plan.stages:
            stages.append(list(range(index, index + len(stage))))
            index += len(stage)
        return stages

    def _sendings(self) -> list[list[int]]:
        """What is sent at a time: a stage, or all of a bundle."""
        return [list(range(len(self.progress)))] if self.plan.bundled else self._stages()

    def _last_before_turning(self) -> list[int] | None:
        stages = self._sendings()
        turning = self.plan.turning_stage
        last = len(stages) - 1 if turning is None else turning - 1
        return stages[last] if 0 <= last < len(stages) else None

    async def _stage(self, indices: Sequence[int]) -> GatewayError | None:
        """Run the steps together. → the first failure, once everything in flight has ended."""
        if not indices:
            return None
        for n in indices:
            at = self.progress[n]
            at.step, at.before = self._current(at.step, n)
            at.state, at.error, at.attempted_at = StepState.ATTEMPTING, None, clock()
        await self._record(indices)
        results = await self._sent_at_once(indices)
        for n, result in zip(indices, results, strict=True):
            self._note(n, result)
        await self._record(indices)
        return next((r.error for r in results if r is not None and r.error is not None), None)

    async def _sent_at_once(self, indices: Sequence[int]) -> Sequence[Result | None]:
        """By one write where they are the whole of a bundle; what is left of one goes step by step."""
        if self.plan.bundled and len(indices) == len(self.progress):
            steps = [self.progress[n].step for n in indices]
            return await self._attempt.send_together(steps, [self._paths.get(base(step.chain)) for step in steps])
        stop, limit = asyncio.Event(), asyncio.Semaphore(self.emr.capabilities.concurrency)
        return await together(*(self._one(n, stop, limit) for n in indices))

    async def _one(self, n: int, stop: asyncio.Event, limit: asyncio.Semaphore) -> Result | None:
        """`None`: not sent any more, since another step of the stage has failed."""
        async with limit:
            if stop.is_set():
                return None
            result = await self._attempt.send(self.progress[n].step, self._paths.get(base(self.progress[n].step.chain)))
            if result.error is not None:
                stop.set()
            return result

    def _current(self, step: Step, n: int) -> tuple[Step, Appointment | None]:
        """The step over what earlier steps have made of its appointment, and that image."""
        if isinstance(step, Create):
            return replace(step, marker=f"{self._id}-{n}"), None
        if isinstance(step, MarkSlot):
            return step, None
        before = self.images.get(step.chain, step.before)
        return replace(step, before=before), before

    def _note(self, n: int, result: Result | None) -> None:
        at = self.progress[n]
        if result is None:
            at.state = StepState.PLANNED
            return
        self._sent |= result.sent
        self._stale |= result.stale
        at.error = result.error
        match result.state:
            case "done":
                at.state, at.receipt = StepState.DONE, result.receipt
                self._image(at)
            case "failed":
                at.state = StepState.FAILED
            case "left":
                at.state, at.receipt = StepState.LEFT, result.receipt
                self._image(at)
            case "unknown":
                at.state = StepState.ATTEMPTING

    def _image(self, at: Progress) -> None:
        if at.receipt is not None and at.receipt.appointment is not None and not at.waiting:
            self.images[at.step.chain] = at.receipt.appointment
            self._attempt.own.add(at.receipt.appointment.id)

    def _turned(self) -> bool:
        return any(
            at.state is StepState.DONE and irreversible(at.step, self.emr.capabilities) and not at.waiting
            for at in self.progress
        )

    async def _onward(self, failed: GatewayError) -> End:
        """Beyond the turning point: try what is missing again, and leave the rest to repair."""
        for pause in RETRIES_S:
            await self._sleep(pause)
            await self._look_up_open()
            await self._look_again([n for n, at in enumerate(self.progress) if at.repeatable])
            for indices in self._stages():
                await self._stage([n for n in indices if ready(n, self.progress)])
            if self._complete():
                return self._arrived()
        left = {base(at.step.chain) for at in self.progress if at.state is StepState.LEFT}
        missing = any(at.state is not StepState.DONE and base(at.step.chain) not in left for at in self.progress)
        missing = not await self._given_back() or missing
        return End(State.REPAIRING if missing else State.NEEDS_ATTENTION, self._partial(failed))

    async def _look_again(self, indices: Sequence[int]) -> list[int]:
        """→ those of which it was seen that they are still to be done."""
        seen = []
        for n in indices:
            found = await again(self.emr, self.progress[n])
            if isinstance(found, Result):
                self._note(n, found)
                continue
            if isinstance(found, MarkSlot):
                self.progress[n].step = found
            elif found is not None:
                self.images[self.progress[n].step.chain] = found
            seen += [n] if found is not None else []
        await self._record(indices)
        return seen

    def _complete(self) -> bool:
        return all(at.state is StepState.DONE for at in self.progress)

    def _arrived(self) -> End:
        """All steps are done; where one that can't be undone stored something else, that is said."""
        deviated = next((at.error for at in self.progress if at.error is not None), None)
        return End(State.DONE) if deviated is None else End(State.NEEDS_ATTENTION, self._partial(deviated))

    # -- back -------------------------------------------------------------------------------------------------------

    async def _back(self, failed: GatewayError) -> End:
        """Undo all that is done, the last stage first. Nothing is called undone that is not."""
        if any(at.state is StepState.ATTEMPTING and not at.maybe_waiting for at in self.progress):
            return End(State.REPAIRING, self._open(failed))
        for indices in reversed(self._stages()):
            await self._undo_stage([n for n in indices if to_be_undone(n, self.progress)])
        if not await self._given_back():
            return End(State.REPAIRING, self._partial(failed))
        states = {at.state for at in self.progress}
        if StepState.UNDOING in states:
            return End(State.REPAIRING, self._partial(failed))
        if StepState.LEFT in states:
            return End(State.NEEDS_ATTENTION, self._partial(failed))
        if StepState.ATTEMPTING in states:
            return End(State.NEEDS_ATTENTION, self._open(failed))
        happened = StepState.UNDONE in states
        # What waits for a patient's code is asked for already: another plan would ask once more.
        stale = self._stale and not any(at.waiting for at in self.progress)
        return End(State.UNDONE if happened else State.REFUSED, failed, self._sent, stale)

    async def _given_back(self) -> bool:
        """Where a move is left to somebody else, its old slot is nobody's any more, unless somebody stands there.
        → whether all these are given back."""
        left = left_behind(self.progress)
        if left:
            await self._stage(await self._look_again(left))
        return all(self.progress[n].state is StepState.DONE for n in left)

    def _open(self, failed: GatewayError) -> GatewayError:
        return failed if len(self.progress) == 1 else self._partial(failed)

    async def _undo_stage(self, indices: Sequence[int]) -> None:
        if not indices:
            return
        for n in indices:
            self.progress[n].state = StepState.UNDOING
        await self._record(indices)
        await together(*(self._undo.undo(self.progress[n]) for n in indices))
        for n in indices:
            self._image(self.progress[n])
        await self._record(indices)

    # -- after a crash, and repair ----------------------------------------------------------------------------------

    def restore(self, rows: Sequence[StepRow]) -> None:
        """Take up where the ledger says that a run was."""
        for kept in rows:
            at = self.progress[kept.index]
            at.state, at.attempted_at = kept.state, kept.attempted_at
            at.step, at.before = self._current(at.step, kept.index)
            at.error = codec.load_failure(kept.payload)
            if kept.payload and at.error is None:
                at.receipt = codec.load_receipt(kept.payload)
                at.error = self._attempt.deviation(at.step, at.receipt) if at.carried_out else None
                self._image(at)

    async def resume(self) -> End:
        """Look up what is open, then go on: forward beyond the turning point or at the end, else back."""
        self._sent = any(at.state is not StepState.PLANNED for at in self.progress)
        await self._look_up_open()
        failed = next((at.error for at in self.progress if at.error is not None), None)
        if self._complete() and failed is None:
            failed = (
                None if self._turned() else await conflict(self.emr, self.plan, self.images, self.progress, self._paths)
            )
            return self._arrived() if failed is None else await self._back(failed)
        failed = failed or GatewayError(INTERRUPTED)
        return await self._onward(failed) if self._turned() else await self._back(failed)

    async def _look_up_open(self) -> None:
        """Steps of which it is not known whether they happened. Their patience begins anew: longer waiting is safe."""
        opened = [n for n, at in enumerate(self.progress) if at.state is StepState.ATTEMPTING]
        if not opened:
            return
        since = self._monotonic()
        details = "The answer to a write was lost, and the EMR has not carried it out."
        failure = EmrFailed(problems=[Problem("EMR_ERROR", details, None)])
        steps = [self.progress[n].step for n in opened]
        looks = await self._attempt.look_up_together(steps, failure, since=since)
        for n, result in zip(opened, looks, strict=True):
            self._note(n, result)
        await self._record(opened)

    # -- the ledger -------------------------------------------------------------------------------------------------

    async def _record(self, indices: Sequence[int]) -> None:
        """Durable before the next call. Once something was sent, a store that is down is waited for."""
        rows = [row(n, self.progress[n]) for n in indices]
        lineage = [(self.emr.tenant, *pair) for n in indices for pair in renamed(n, self.progress, self.images)]
        made = [id for n in indices if (id := self.progress[n].made_id) is not None]
        while True:
            try:
                await self._ledger.advance(self._id, rows, clock(), lineage, made)
            except LedgerDown:
                if not self._sent:
                    raise
                await self._sleep(1.0)
            else:
                return

    def closing(self) -> list[StepRow]:
        """The steps as they are kept of a settled command: what was done to whom, and how it ended."""
        return [
            StepRow(n, at.state, at.step.kind, codec.dump_id(at.appointment_id)) for n, at in enumerate(self.progress)
        ]

    def _partial(self, failed: GatewayError) -> GatewayError:
        return partial(self.progress, self.images, self._paths, failed)
