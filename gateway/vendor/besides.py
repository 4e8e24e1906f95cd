"""What an appointment takes besides its resource (a room, a chair), where only the plugin knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.model import Appointment, Slot
from gateway.domain.questions import FindFreeTime
from gateway.domain.steps import Change
from gateway.port import Refused


@dataclass(frozen=True, slots=True)
class Besides:
    """`name`: under which `native` of appointments and slots has its id."""

    name: str

    def of(self, one: Appointment | Slot) -> str | None:
        """`None`: it takes none, or tells none."""
        told = one.native.get(self.name)
        return None if told is None else str(told)

    def both(self, one: Appointment, other: Appointment) -> bool:
        """Do two take the very same one? Of those that tell none that is not known."""
        return self.of(one) is not None and self.of(one) == self.of(other)

    def of_all(self, taken: Iterable[Slot], like: Appointment | None = None) -> str | None:
        """The one that all of the slots are with; what `like` takes, where they tell none.

        Raises Refused("taken") if there are several, as an appointment can't be with.
        """
        own = None if like is None else self.of(like)
        told = {self.of(slot) or own for slot in taken}
        if len(told) > 1:
            raise Refused("taken", "the time is free only in parts of several places")
        return told.pop() if told else own

    def changed(self, step: Change) -> str | None:
        """The one that a change has to name; `None`: it stays as it is. Raises as `of_all` does.

        An undo leads back to where it was, and not only to when.
        """
        to = self.of_all(step.slots, step.before) if step.restores is None else self.of(step.restores)
        return None if to == self.of(step.before) else to

    def best(self, slots: Sequence[Slot], wanted: FindFreeTime) -> list[Slot]:
        """One slot for each time, in the order of their times: of several the one that what is to be moved has already,
        or else the first."""
        own = {self.of(one) for one in wanted.ignoring} - {None}
        preferred = [*reversed(slots), *(slot for slot in slots if self.of(slot) in own)]
        each = {slot.span.key: slot for slot in preferred}
        return [each[key] for key in sorted(each)]
