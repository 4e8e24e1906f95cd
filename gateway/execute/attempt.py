"""One write, of a step or a bundle: sent, settled, looked up when its answer is lost, compared with what was asked."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from gateway.domain.compare import as_before, as_left, deviations, proven
from gateway.domain.errors import Conflict, EmrDeviation, EmrFailed, GatewayError, OutcomeUnknown, Problem
from gateway.domain.model import Appointment, Status
from gateway.domain.steps import (
    Cancel,
    Change,
    Confirm,
    Create,
    Discard,
    MarkSlot,
    Receipt,
    Step,
    makes_new,
    waits_for_code,
)
from gateway.execute.failures import changed_meanwhile, not_carried_out, of_write, otherwise, path_of, taken, unknown
from gateway.execute.holders import is_held
from gateway.execute.together import together
from gateway.port import Emr, EmrError, MaybeDone, NotSent, Refused, Throttled

log = logging.getLogger("gateway.execute")

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]
Monotonic = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Result:
    """How a write ended.

    `done`: it stands, as the receipt shows; with `error` where the EMR stored something else.
    `failed`: certainly not executed. `unknown`: can't be told yet. `left`: the appointment is neither as it was nor as
    asked for: somebody else's change, which stands.
    """

    state: Literal["done", "failed", "unknown", "left"]
    receipt: Receipt = field(default_factory=Receipt)
    error: GatewayError | None = None
    sent: bool = True
    """Something may have reached the EMR."""
    stale: bool = False
    """The world was another than the plan's."""


class Attempt:
    def __init__(self, emr: Emr, *, sleep: Sleep, monotonic: Monotonic, own: Iterable[str] = ()) -> None:
        self._emr, self._sleep, self._monotonic = emr, sleep, monotonic
        self.own = set(own)
        """The ids of the command's appointments: a slot that one of them holds is nobody else's."""

    async def send(self, step: Step, path: str | None = None) -> Result:
        """Carry the step out. Never raises: what a plugin raises beyond the port's errors is shown as our fault."""
        answer = await self._answer(self._write(step), step.kind, path)
        match answer:
            case Result():
                return answer
            case GatewayError():
                # Not since it was to be sent: it may have waited long for its turn.
                return await self.look_up(step, answer, since=self._monotonic())
            case _ if self._is_believed(step, answer):
                return await self._settled(step, answer, path)
            case _:
                failure = Problem("EMR_ERROR", "The EMR answered a write with something else than was written.", path)
                return await self.look_up(step, EmrFailed(problems=[failure]), since=self._monotonic(), answer=answer)

    async def send_together(self, steps: Sequence[Step], paths: Sequence[str | None]) -> Sequence[Result]:
        """Carry all of them out by one write. Never raises. An answer is not proof enough: each is read back."""
        # Which of them was refused is not told.
        path = paths[0] if len(set(paths)) == 1 else None
        answer = await self._answer(self._bundle(steps), "bundle", path)
        match answer:
            case Result():
                return [answer] * len(steps)
            case GatewayError():
                return await self.look_up_together(steps, answer, since=self._monotonic())
            case _:
                sent = zip(steps, answer, paths, strict=True)
                return await together(*(self._shown(*one) for one in sent))

    async def _answer(self, writing: Awaitable[T], kind: str, path: str | None) -> T | Result | GatewayError:
        """What the write gave; how it ended, if it was not carried out; or what to say if a look-up finds nothing."""
        try:
            return await writing
        except (NotSent, Throttled) as error:
            return Result("failed", error=of_write(error, path), sent=False)
        except Refused as error:
            return Result("failed", error=of_write(error, path), stale=error.reason in ("stale", "not_found"))
        except MaybeDone as error:
            return of_write(error, path)
        except Exception as error:  # noqa: BLE001  a plugin's bug: it may have sent, so it is looked up like a lost answer
            log.error("plugin failed in %s: %s", kind, type(error).__name__)
            return GatewayError("The gateway failed in a write.")

    async def _write(self, step: Step) -> Receipt:
        match step:
            case Change():
                return await self._emr.change(step)
            case Create():
                return await self._emr.create(step)
            case Cancel():
                return await self._emr.cancel(step)
            case Confirm():
                return await self._emr.confirm(step)
            case Discard():
                return await self._emr.discard(step)
            case MarkSlot():
                return await self._emr.mark_slot(step)

    async def _bundle(self, steps: Sequence[Step]) -> Sequence[Receipt]:
        try:
            receipts = await self._emr.bundle(steps)
        except Refused:
            if await self._any_booked(steps):
                raise MaybeDone("refused as a whole, and carried out in part") from None
            raise
        if len(receipts) != len(steps):
            raise MaybeDone("answered for other steps than were sent")
        return receipts

    async def _any_booked(self, steps: Sequence[Step]) -> bool:
        """Has an EMR that refused the whole booked all the same? A booking is known for ours whatever else happened."""
        try:
            return any([await self._emr.find_own(step) is not None for step in steps if isinstance(step, Create)])
        except EmrError:
            return False

    # -- an answer came -------------------------------------------------------------------------------------------

    def _is_believed(self, step: Step, receipt: Receipt) -> bool:
        """Is the answer about what was written? Of what is new, only that it is as asked for shows whose it is."""
        if isinstance(step, MarkSlot):
            return receipt.slot is None or receipt.slot.id == step.slot.id
        now = receipt.appointment
        if now is None or isinstance(step, Discard):
            return True
        if makes_new(step):
            return not deviations(step, now, self._emr.capabilities)
        return not isinstance(step, Create) and step.before.id in (now.id, now.confirms)

    async def _settled(self, step: Step, receipt: Receipt, path: str | None) -> Result:
        if isinstance(step, Discard | MarkSlot):
            return Result("done", receipt)
        if receipt.appointment is not None and not receipt.appointment.pending:
            return self._compared(step, receipt.appointment, path)
        return await self._read_back(step, receipt, path)

    async def _shown(self, step: Step, receipt: Receipt, path: str | None) -> Result:
        if isinstance(step, MarkSlot):
            return await self._slot_shown(step, receipt, path)
        return await self._read_back(step, receipt, path)

    async def _slot_shown(self, step: MarkSlot, receipt: Receipt, path: str | None) -> Result:
        """A slot that was given back may be taken again by now: only one in the old version was not written."""
        try:
            found = await self._emr.slot(step.slot)
        except EmrError:
            return Result("unknown", error=unknown(path))
        if found is None or (found[0] != step.state and found[1].version == step.slot.version):
            return Result("failed", error=not_carried_out(path))
        return Result("done", Receipt(slot=receipt.slot or found[1]))

    async def _read_back(self, step: Step, receipt: Receipt, path: str | None) -> Result:
        """The answer proves nothing: read until the write shows, or until it is too late for that."""
        made, now, is_known = receipt.appointment, None, False
        id = receipt.id if made is None else made.id
        async for _ in self._moments(self._monotonic(), self._emr.capabilities.settles_within_s):
            try:
                now = await self._find(step, id)
            except EmrError:
                is_known = False
                continue
            is_known = now is None or not now.pending
            if now is not None and is_known and not deviations(step, now, self._emr.capabilities):
                return Result("done", Receipt(appointment=as_left(now, made)))
        if not is_known:
            return Result("unknown", error=unknown(path))
        if now is None or as_before(step, now):
            return _unchanged(step, not_carried_out(path))
        left = proven(receipt, now, self._emr.capabilities)
        if left is None and not _surely_cancelled(step, now):
            return _left_alone(step, now, path)
        return self._compared(step, left or now, path)

    def _compared(self, step: Step, now: Appointment, path: str | None) -> Result:
        receipt = Receipt(appointment=now)
        error = self.deviation(step, receipt, path)
        if error is not None and isinstance(step, Cancel | Confirm) and now.status is step.before.status:
            return Result("failed", error=error)
        return Result("done", receipt, error)

    def deviation(self, step: Step, receipt: Receipt, path: str | None = None) -> EmrDeviation | None:
        """What the EMR stored other than it was asked to."""
        if receipt.appointment is None:
            return None
        fields = deviations(step, receipt.appointment, self._emr.capabilities)
        if not fields:
            return None
        details = f"The EMR accepted the write and stored something else as {', '.join(fields)}."
        return EmrDeviation(problems=[Problem("EMR_DEVIATION", details, path)])

    # -- no answer came ---------------------------------------------------------------------------------------------

    async def look_up_together(self, steps: Sequence[Step], failure: GatewayError, *, since: float) -> Sequence[Result]:
        """Appointments first: then it is known which of them are the command's own."""
        results: dict[int, Result] = {}
        for slots in (False, True):
            part = [n for n, step in enumerate(steps) if isinstance(step, MarkSlot) is slots]
            looks = (self.look_up(steps[n], failure, since=since) for n in part)
            results |= zip(part, await together(*looks), strict=True)
        return [results[n] for n in range(len(steps))]

    async def look_up(
        self, step: Step, failure: GatewayError, *, since: float, answer: Receipt | None = None
    ) -> Result:
        """What became of a write whose answer was lost, or (`answer`) about something else than was written.

        "Not done" only once it can't come through any more."""
        patience = max(self._emr.capabilities.late_write_s, self._emr.capabilities.settles_within_s)
        result = Result("unknown", error=OutcomeUnknown())
        async for _ in self._moments(since, patience):
            try:
                result = await self._seen(step, failure, answer or Receipt())
            except EmrError:
                result = Result("unknown", error=unknown(path_of(failure)))
                continue
            if result.state in ("done", "left") or waits_for_code(step):
                return result
        return result

    async def _seen(self, step: Step, failure: GatewayError, answer: Receipt) -> Result:
        if isinstance(step, MarkSlot):
            return await self._slot_seen(step, failure)
        now = await self._find(step, None)
        if isinstance(step, Discard):
            return Result("done") if now is None else Result("failed", error=failure)
        if now is None:
            return Result("failed", error=failure) if makes_new(step) else Result("left", error=changed_meanwhile())
        if now.pending:
            return Result("unknown", error=unknown(path_of(failure)))
        if not deviations(step, now, self._emr.capabilities):
            return Result("done", Receipt(appointment=now))
        if makes_new(step):
            left = proven(answer, now, self._emr.capabilities)
            path = path_of(failure)
            # Made by this very step; but since when it is not as was asked for, and by whom, only the answer tells.
            return _left_alone(step, now, path) if left is None else self._compared(step, left, path)
        if as_before(step, now):
            return _unchanged(step, failure)
        return Result("left", error=changed_meanwhile())

    async def _slot_seen(self, step: MarkSlot, failure: GatewayError) -> Result:
        """A slot tells whether it is taken, not by whom: it is ours if nobody else's appointment lies there."""
        found = await self._emr.slot(step.slot)
        if found is None or found[0] != step.state:
            return Result("failed", error=failure)
        if step.state == "busy" and await is_held(self._emr, step.slot, but=self.own):
            return Result("failed", error=Conflict(problems=[taken()]))
        return Result("done", Receipt(slot=found[1]))

    async def marked(self, step: MarkSlot) -> bool:
        """Is the slot as the step would have it, and nobody else's? Raises EmrError."""
        return (await self._slot_seen(step, OutcomeUnknown())).state == "done"

    async def _find(self, step: Step, new_id: str | None) -> Appointment | None:
        if new_id is not None:
            return await self._emr.appointment(new_id)
        match step:
            case Create() | Change(new_id=True):
                return await self._find_own(step)
            case MarkSlot():
                return None
            case _:
                return await self._emr.appointment(step.before.id)

    async def _find_own(self, step: Create | Change) -> Appointment | None:
        found = await self._emr.find_own(step)
        if found is not None:
            self.own.add(found.id)
        return found

    async def _moments(self, since: float, patience: float) -> AsyncIterator[None]:
        """The times at which to look: at once, then ever more rarely, the last time when patience has just ended."""
        delay, longest = 0.05, max(1.0, patience / 60)
        while True:
            yield
            left = since + patience - self._monotonic()
            if left <= 0:
                return
            await self._sleep(min(delay, left))
            delay = min(delay * 2, longest)


def _surely_cancelled(step: Step, now: Appointment) -> bool:
    """Whatever else it holds: that can't be taken back, and is told as the command's own."""
    return isinstance(step, Cancel) and now.status is Status.CANCELLED


def _left_alone(step: Step, now: Appointment, path: str | None) -> Result:
    """Neither as it was nor as asked for, and by whom can't be told: it stands."""
    return Result("left", Receipt(appointment=now) if makes_new(step) else Receipt(), otherwise(path))


def _unchanged(step: Step, failure: GatewayError) -> Result:
    if not waits_for_code(step):
        return Result("failed", error=failure)
    details = "It is not known whether the EMR asks the patient for a code. Cancelling again tells."
    return Result("unknown", error=OutcomeUnknown(problems=[Problem("OUTCOME_UNKNOWN", details, path_of(failure))]))
