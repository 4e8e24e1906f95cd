"""What the planner may ask. A batch of questions is answered at the same time, so a batch is one round of waiting."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from gateway.domain.model import Appointment, Kind, Span, Status
from gateway.domain.steps import Plan


@dataclass(frozen=True, slots=True)
class Claim:
    """Hold these while the command is at work. Appointments first, in a batch of their own, then resource-days.

    Answered with `None` once they are held; `Busy` is raised where that takes too long.
    """

    appointments: tuple[str, ...] = ()
    resource_days: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReadAppointments:
    """→ Mapping[str, Appointment | None], keyed by the ids as they were asked for (an old id finds its successor)."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindFreeTime:
    """→ FreeTime of a resource within `span`, for a service and care unit (`None`: any).

    `ignoring`: the command's own appointments. Where the account's capabilities say `own_time_shown`, the slots that
    only they hold are shown as free.
    """

    span: Span
    resource_id: str | None = None
    healthcare_service_id: str | None = None
    care_unit_id: str | None = None
    ignoring: tuple[Appointment, ...] = ()

    @property
    def own(self) -> tuple[Appointment, ...]:
        """Those of the ignored that hold time of this very resource within the span."""
        return tuple(
            a
            for a in self.ignoring
            if a.resource_id == self.resource_id and a.status is not Status.CANCELLED and a.span.overlaps(self.span)
        )


@dataclass(frozen=True, slots=True)
class ReadCalendar:
    """→ Sequence[Appointment]: all that overlap `span`, whatever their status, of a resource and/or a patient."""

    span: Span
    resource_id: str | None = None
    patient_id: str | None = None
    care_unit_id: str | None = None

    def takes(self, one: Appointment) -> bool:
        """Is it an answer to this? An EMR may show more than it was asked for, where it does not know a filter."""
        return (
            one.span.overlaps(self.span)
            and self.resource_id in (None, one.resource_id)
            and self.patient_id in (None, one.patient_id)
            and self.care_unit_id in (None, one.care_unit_id)
        )


@dataclass(frozen=True, slots=True)
class LookUp:
    """→ Entry | None: does it exist?"""

    kind: Kind
    id: str


Question = Claim | ReadAppointments | FindFreeTime | ReadCalendar | LookUp
Planning = Generator[tuple[Question, ...], tuple[Any, ...], Plan]
