"""A stored command as an operator is shown it: times, resources and ids, never a name or a comment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from gateway.domain.errors import Problem
from gateway.domain.model import Appointment, Status
from gateway.domain.steps import Change, Create, Line, MarkSlot, Step
from gateway.execute.codec import Stored
from gateway.execute.progress import base
from gateway.ledger import CommandRow, State, StepRow, StepState
from gateway.restoring import BeyondRepair, stored_of
from gateway.wire import read_error


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Listed(_Seen):
    """A command in a list: nothing of an appointment."""

    id: str
    client: str
    emr: str
    operation: str
    state: State
    since: datetime
    """When it came to its state, in UTC."""
    left: int | None
    """How many appointments are not as they should be, or not known to be; `None` where that can't be read."""


class StepSeen(_Seen):
    action: str
    appointment_id: str | None
    slot_id: str | None
    """Where the EMR has records of slots, and the step takes one or gives it back."""
    state: StepState
    attempted_at: datetime | None
    """When it was last about to be sent, in UTC."""
    open: bool
    """It can still end this way or that."""


class Image(_Seen):
    """Where an appointment stands. Times are in the care unit's zone."""

    start: datetime
    end: datetime
    resource_id: str | None
    status: Status


class AppointmentSeen(_Seen):
    appointment_id: str | None
    """What it is called now, as far as is known; `None` where it was never made."""
    change: str
    """What the command does to it."""
    problem: str | None
    """What is wrong with it, as the client was told."""
    comment_changes: bool
    before: Image | None
    """`None` where it is to be made."""
    after: Image
    """As it should be, once the command is done."""
    patient_id: str | None = None
    """Only where it is to be made: whose it should be, and for what."""
    healthcare_service_id: str | None = None


class RemarkSeen(_Seen):
    at: datetime
    by: str
    text: str


class Shown(Listed):
    """All that is needed to settle a command by hand in its EMR."""

    created_at: datetime
    answer_status: int | None
    """What the client was told last, as an HTTP status."""
    answer_code: str | None
    steps: list[StepSeen]
    appointments: list[AppointmentSeen]
    """Empty where it is settled, and where `beyond` says why it can't be read."""
    beyond: str | None
    remarks: list[RemarkSeen]


def listed(row: CommandRow) -> Listed:
    return Listed(**_listed(row, _plan(row)[0]))


def shown(row: CommandRow) -> Shown:
    plan, beyond = _plan(row)
    told = _told(row)
    planned = {} if plan is None else _steps(plan)
    return Shown(
        **_listed(row, plan),
        created_at=row.created_at,
        answer_status=None if row.answer is None else row.answer.status,
        answer_code=None if told is None else told[0],
        steps=[_step(step, planned.get(step.index), open_=step in row.open_steps) for step in row.steps],
        appointments=[] if plan is None else [_appointment(line, plan, row) for line in plan.lines],
        beyond=beyond,
        remarks=[RemarkSeen(at=r.at, by=r.by, text=r.text) for r in row.remarks],
    )


def _plan(row: CommandRow) -> tuple[Stored | None, str | None]:
    """The plan; or why it can't be read, where there should be one."""
    if row.state.settled or not row.steps:
        return None, None
    try:
        return stored_of(row), None
    except BeyondRepair as why:
        return None, str(why)


def _listed(row: CommandRow, plan: Stored | None) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in ("id", "client", "emr", "operation", "state", "since")}
    return told | {"left": _left(row, plan)}


def _left(row: CommandRow, plan: Stored | None) -> int | None:
    told = _told(row)
    if told is not None and told[1] and not row.state.settled:
        return len(told[1])
    if plan is None:
        return None if row.open_steps else 0
    steps = _steps(plan)
    return len({base(steps[step.index].chain) for step in row.open_steps if step.index in steps})


def _steps(plan: Stored) -> Mapping[int, Step]:
    return dict(plan.plan().steps())


def receipt_id(step: StepRow) -> str | None:
    """What the appointment of a step was called when it had been answered; `None` before."""
    try:
        id = json.loads(step.payload).get("appointment_id") if step.payload else None
    except (ValueError, AttributeError):
        return None
    return id if isinstance(id, str) else None


def _step(step: StepRow, planned: Step | None, *, open_: bool) -> StepSeen:
    before = None if isinstance(planned, Create | MarkSlot | None) else planned.before.id
    return StepSeen(
        action=step.action,
        appointment_id=receipt_id(step) or before,
        slot_id=planned.slot.id if isinstance(planned, MarkSlot) else None,
        state=step.state,
        attempted_at=step.attempted_at,
        open=open_,
    )


def _appointment(line: Line, plan: Stored, row: CommandRow) -> AppointmentSeen:
    made = line.before is None
    return AppointmentSeen(
        appointment_id=current_id(line, plan, row),
        change=line.change,
        problem=_problem(line, row),
        comment_changes=line.expected.comment != (None if line.before is None else line.before.comment),
        before=None if line.before is None else _image(line.before),
        after=_image(line.expected),
        patient_id=line.expected.patient_id if made else None,
        healthcare_service_id=line.expected.healthcare_service_id if made else None,
    )


def current_id(line: Line, plan: Stored, row: CommandRow) -> str | None:
    """What the appointment is called now, as far as is known."""
    steps, known = _steps(plan), line.before.id if line.before is not None else None
    for step in row.steps:
        planned = steps.get(step.index)
        withdrawn = isinstance(planned, Create) and step.state is StepState.UNDONE
        if isinstance(planned, Create | Change) and planned.chain == line.chain and not withdrawn:
            known = receipt_id(step) or known
    return known


def _image(appointment: Appointment) -> Image:
    return Image(
        start=appointment.start, end=appointment.end, resource_id=appointment.resource_id, status=appointment.status
    )


def _told(row: CommandRow) -> tuple[str, Sequence[Problem]] | None:
    return None if row.answer is None else read_error(row.answer)


def _problem(line: Line, row: CommandRow) -> str | None:
    _, problems = _told(row) or ("", ())
    return next((f"{p.error_code}: {p.details}" for p in problems if p.path == line.path), None)
