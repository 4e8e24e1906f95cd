"""Every operation of the API, one entry each."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.model import Kind
from gateway.openapi.parts import ABOUT

_READ = (400, 401, 404, 429, 500, 502, 503, 504)
_WRITE = (400, 401, 404, 409, 412, 413, 415, 422, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One line of the API: a method of a path."""

    method: str
    path: str
    id: str
    summary: str
    description: str = ""
    parameters: tuple[str, ...] = ()
    body: str | None = None
    answer: str
    many: bool = False
    status: int = 200
    errors: tuple[int, ...] = _READ


_WRITING = ("standardHeader", "standard", "dryRun", "idempotencyKey", "plan", "prefer")
_READING = ("standardHeader", "standard")


def of_an_emr() -> list[Operation]:
    """The operations on one EMR; each also stands under a care unit."""
    return [
        Operation(
            method="get",
            path="/appointments",
            id="listAppointments",
            summary="List the appointments that overlap a range.",
            parameters=(*_READING, "start", "end", "patientId", "resourceId"),
            answer="Appointment",
            many=True,
        ),
        Operation(
            method="patch",
            path="/appointments",
            id="patchAppointments",
            summary="Change or cancel many appointments, all or nothing.",
            description=ABOUT["patchAppointments"],
            parameters=_WRITING,
            body="PatchMany",
            answer="ChangedAppointment",
            many=True,
            errors=_WRITE,
        ),
        Operation(
            method="post",
            path="/appointments",
            id="bookAppointment",
            summary="Book a free time slot.",
            parameters=_WRITING,
            body="Booking",
            answer="Appointment",
            status=201,
            errors=_WRITE,
        ),
        Operation(
            method="get",
            path="/appointments/{appointment_id}",
            id="getAppointment",
            summary="Read one appointment, with its `ETag`.",
            parameters=(*_READING, "appointmentId", "ifNoneMatch"),
            answer="Appointment",
        ),
        Operation(
            method="patch",
            path="/appointments/{appointment_id}",
            id="patchAppointment",
            summary="Update, cancel or confirm one appointment.",
            description=ABOUT["patchAppointment"],
            parameters=(*_WRITING, "appointmentId", "ifMatch"),
            body="PatchOne",
            answer="Appointment",
            errors=_WRITE,
        ),
        Operation(
            method="get",
            path="/timeslots",
            id="listTimeslots",
            summary="List free time slots.",
            parameters=(*_READING, "start", "end", "resourceId", "healthcareServiceId"),
            answer="Slot",
            many=True,
        ),
        *(_directory(kind) for kind in Kind),
    ]


def _directory(kind: Kind) -> Operation:
    words = kind.value.split("-")
    return Operation(
        method="get",
        path=f"/{kind}",
        id="list" + "".join(word.capitalize() for word in words),
        summary=f"List the {' '.join(words)} that exist.",
        parameters=_READING,
        answer="Entry",
        many=True,
    )


OF_A_CLIENT = (
    Operation(
        method="get",
        path="/api/emrs",
        id="listEmrs",
        summary="List your EMRs and what each can do, per operation and field.",
        parameters=_READING,
        answer="Account",
        many=True,
    ),
    Operation(
        method="get",
        path="/api/commands",
        id="listCommands",
        summary="List your commands, newest first, by at most one filter.",
        parameters=(*_READING, "keyFilter", "appointmentFilter", "stateFilter"),
        answer="Command",
        many=True,
    ),
    Operation(
        method="get",
        path="/api/commands/{command_id}",
        id="getCommand",
        summary="What became of a command.",
        description=ABOUT["getCommand"],
        parameters=(*_READING, "commandId"),
        answer="Command",
    ),
)
