"""What became of a command, before any wire puts it into words."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.model import Appointment
from gateway.domain.steps import Chained


@dataclass(frozen=True, slots=True)
class Shown:
    """One appointment of an answer. `appointment.id` is "" where the id is not known yet (a dry run's creation)."""

    appointment: Appointment
    change: Chained | None = None
    previous_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """`single`: one object is answered, else an array. `created`: 201 instead of 200."""

    shown: tuple[Shown, ...]
    single: bool
    created: bool = False
