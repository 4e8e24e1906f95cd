"""What a command is about, as it is recorded: which appointments, whose, and which of their fields."""

from __future__ import annotations

from gateway.audit import Touched
from gateway.domain.commands import Book, Command, Confirm
from gateway.domain.model import Appointment
from gateway.domain.steps import Line, Plan

_CHANGING = ("start", "end", "resource_id", "comment", "status", "confirmed")
_BOOKED = ("start", "end", "patient_id", "resource_id", "healthcare_service_id", "comment")


def asked(command: Command) -> tuple[Touched, ...]:
    """As the client named them; there is no plan yet, and maybe never one."""
    match command.intent:
        case Book(patient_id=patient):
            return (Touched(patient_id=patient),)
        case Confirm(id=id):
            return (Touched(appointment_id=id),)
        case intent:
            return tuple(Touched(appointment_id=id) for id in intent.ids)


def planned(plan: Plan) -> tuple[Touched, ...]:
    return tuple(map(_line, plan.lines))


def _line(line: Line) -> Touched:
    known = line.before or line.expected
    return Touched(
        appointment_id=None if line.before is None else line.before.id,
        patient_id=known.patient_id,
        change=line.change,
        fields=_fields(line.before, line.expected),
    )


def _fields(before: Appointment | None, after: Appointment) -> tuple[str, ...]:
    if before is None:
        return tuple(name for name in _BOOKED if getattr(after, name) is not None)
    return tuple(name for name in _CHANGING if getattr(before, name) != getattr(after, name))
