"""What the tests of all servers know of a clinic in one: who is there, what its staff do, and what is to be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from tests.live.witness import State

ZONE = ZoneInfo("Europe/Stockholm")
HALF_HOUR = timedelta(minutes=30)


class Facts(NamedTuple):
    """One appointment as the server itself shows it, in the contract's words."""

    resource_id: str
    start: datetime
    end: datetime
    status: str
    comment: str
    patient_id: str

    @property
    def stands(self) -> bool:
        return self.status != "cancelled"

    def meets(self, other: Facts) -> bool:
        return self.resource_id == other.resource_id and self.start < other.end and other.start < self.end


class Clinic(Protocol):
    """A day of two resources, Anna and Bo, free in half hours but for what is booked, and for the other patient."""

    unit: str
    service: str
    anna: str
    bo: str
    patient: str
    theirs: set[str]
    """The appointments that the staff have made or changed."""
    seen: State | None
    """Where this is given, it is what there is to be seen, and nobody is asked."""

    def at(self, hour: int, minute: int = 0) -> datetime:
        """A local time of the day."""

    # -- who there is

    def booked(self, *hours: int) -> list[str]:
        """The ids of Anna's half hours with the patient that begin then."""

    def colleague(self, *starts: datetime) -> tuple[str, list[str]]:
        """One more resource, and the ids of its half hours with the patient that begin then."""

    # -- what the staff do

    def note(self, id: str, text: str) -> None: ...
    def cancel(self, id: str) -> None: ...
    def finish(self, id: str) -> None: ...
    def take(self, who: str, start: datetime) -> str | None:
        """A half hour for the other patient; → its id, or `None` where somebody else has it already."""

    # -- what is to be seen

    def facts(self, id: str) -> Facts | None: ...
    def standing(self) -> Mapping[str, Facts]:
        """Everything on this day that holds time but what the other patient came for in the first place."""

    def disagreements(self) -> Sequence[str]:
        """Where the free time and the appointments say different things."""


def lo_comes(hours: tuple[int, int]) -> list[tuple[int, int]]:
    """When the other patient is with either resource: in no scenario's time, and right beside it."""
    return [time for time in ((12, 30), (15, 30)) if hours[0] <= time[0] < hours[1]]


def starts(clinic: Clinic, who: str) -> list[str]:
    """The local times at which what stands with `who` begins."""
    found = [one.start for one in clinic.standing().values() if one.resource_id == who]
    return [f"{start.astimezone(ZONE):%H:%M}" for start in sorted(found)]


def doubled(clinic: Clinic) -> list[tuple[str, str]]:
    """Pairs of appointments that stand on the same time."""
    there = list(clinic.standing().items())
    return [
        (id, other_id) for n, (id, one) in enumerate(there) for other_id, other in there[n + 1 :] if one.meets(other)
    ]
