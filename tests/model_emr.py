"""The model EMR behind the port, with faults at chosen writes: what an EMR may do wrong, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from gateway.domain.model import Appointment, FreeTime, Kind, Slot
from gateway.domain.questions import FindFreeTime, LookUp, ReadAppointments, ReadCalendar
from gateway.domain.steps import Change, Create, Receipt, Step
from gateway.port import Emr, MaybeDone, NotSent, Refused, Throttled
from tests.model import Model

T = TypeVar("T")


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    seconds: float = 0.0
    due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for when, do in [d for d in self.due if d[0] <= self.seconds]:
            self.due.remove((when, do))
            do()
        await asyncio.sleep(0)

    def monotonic(self) -> float:
        return self.seconds


class ModelEmr(Emr):
    """`faults`: the n-th write (from 1, all kinds counted) → what goes wrong with it."""

    def __init__(self, model: Model, clock: Clock, faults: dict[int, str] | None = None) -> None:
        super().__init__(model.can, "model")
        self.model, self.clock, self.faults = model, clock, faults or {}
        self.writes = 0
        self.down = False
        self.heard: list[str] = []
        """The chains of the writes that the patient was let hear of, carried out or not."""
        self.staff: Callable[[Model], None] | None = None
        """What the clinic's staff does right after the next write."""

    def _ask(self, question: Any) -> Any:
        if self.down:
            raise NotSent
        return self.model.answer((question,))[0]

    async def appointment(self, id: str) -> Appointment | None:
        return self._ask(ReadAppointments((id,)))[id]

    async def calendar(self, wanted: ReadCalendar) -> list[Appointment]:
        return self._ask(wanted)

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        return self._ask(wanted)

    async def look_up(self, kind: Kind, id: str) -> Any:
        return self._ask(LookUp(kind, id))

    async def find_own(self, step: Create | Change) -> Appointment | None:
        if isinstance(step, Create):
            return next((a for a in self.model.book.values() if a.native.get("marker") == step.marker), None)
        moved_to = self.model.book[step.before.id].native.get("moved_to")
        return self.model.book.get(str(moved_to)) if moved_to else None

    async def slot(self, slot: Slot) -> Any:
        state, version = self.model.slot_state[slot.id or ""]
        return state, replace(slot, version=str(version))

    async def _write(self, step: Any) -> Receipt:
        self.writes += 1
        if not getattr(step, "quiet", True):
            self.heard.append(step.chain)
        fault = self.faults.get(self.writes)
        self._strike(fault, lambda: self.model.write(step))
        match fault:
            case "other":
                return self.model.write(replace(step, comment="another text"))
            case "mistaken":
                self.model.write(step)
                other = next(a for a in self.model.book.values() if a.id != getattr(step, "before", a).id)
                return Receipt(appointment=other)
            case "nothing":
                self.model.write(step)
                return Receipt()
            case _:
                receipt = self.model.write(step)
        return self._staffed(receipt)

    def _strike(self, fault: str | None, write: Callable[[], Any]) -> None:
        """What can go wrong with any write: raised here, or another fault's matter."""
        if self.down:
            raise NotSent
        match fault:
            case "refuse":
                raise Refused("rule", emr_code="TOO_LATE")
            case "not sent":
                raise NotSent
            case "busy":
                raise Throttled(retry_after=1)
            case "drop":
                raise MaybeDone
            case "bug":
                raise KeyError("name of nobody")
            case "lost":
                write()
                raise MaybeDone(timed_out=True)
            case "late":
                self.clock.due.append((self.clock.seconds + 2, write))
                raise MaybeDone(timed_out=True)
            case "blackout":
                write()
                self.down = True
                raise MaybeDone

    def _staffed(self, answer: T) -> T:
        if self.staff is not None:
            staff, self.staff = self.staff, None
            staff(self.model)
        return answer

    change = create = cancel = confirm = discard = mark_slot = _write

    async def bundle(self, steps: Sequence[Step]) -> Sequence[Receipt]:
        """One write, all or nothing; with a fault of those that begin with "half" the promise is broken."""
        self.writes += 1
        fault = self.faults.get(self.writes)
        self._strike(fault, lambda: self.model.bundle(steps))
        match fault:
            case "stale":
                raise Refused("stale")
            case "other":
                return self.model.bundle([replace(s, comment="?") if hasattr(s, "comment") else s for s in steps])
            case "nothing":
                self.model.bundle(steps)
                return [Receipt() for _ in steps]
            case "hollow":
                return self.model.copy().bundle(steps)
            case "fewer":
                return self.model.bundle(steps)[:-1]
            case "half, lost":
                self._half(steps)
                raise MaybeDone
            case "half, told as done":
                told = self._half(steps)
                return [told[n] if n in told else Receipt() for n in range(len(steps))]
            case "half, refused":
                self._half(steps)
                raise Refused("stale")
        return self._staffed(self.model.bundle(steps))

    def _half(self, steps: Sequence[Step]) -> dict[int, Receipt]:
        """Every other one, beginning with the first."""
        return {n: self.model.write(steps[n]) for n in range(0, len(steps), 2)}
