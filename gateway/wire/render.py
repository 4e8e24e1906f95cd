"""What became of it, in the client's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, TypeAdapter

from gateway.api import AccountInfo
from gateway.domain.model import Appointment, Entry, Slot
from gateway.domain.outcome import Outcome, Shown
from gateway.ledger import Answer, CommandRow, StepRow
from gateway.wire import answers
from gateway.wire.abilities import abilities, tested
from gateway.wire.values import sendable

JSON = "application/json"
_ARRAY: TypeAdapter[list[BaseModel]] = TypeAdapter(list[Any])


def render_outcome(outcome: Outcome, etag: Callable[[Appointment], str], *, dry_run: bool = False) -> Answer:
    """The answer to a read or a write, with `ETag` where it is one appointment that really is so."""
    headers = [("content-type", JSON)]
    if not outcome.single:
        return Answer(200, _array([_changed(shown) for shown in outcome.shown]), tuple(headers))
    shown = outcome.shown[0]
    if shown.appointment.id and not dry_run:
        headers.append(("etag", etag(shown.appointment)))
    body = answers.Appointment(**_fields(shown)).model_dump_json().encode()
    return Answer(201 if outcome.created else 200, body, tuple(headers))


def render_slots(slots: Sequence[Slot]) -> Answer:
    told = [
        answers.Slot(
            start=_time(slot.start),
            end=_time(slot.end),
            resource_id=_text(slot.resource_id),
            healthcare_service_id=_text(slot.healthcare_service_id),
            care_unit_id=_text(slot.care_unit_id),
        )
        for slot in slots
    ]
    return _ok(_array(told))


def render_entries(entries: Sequence[Entry]) -> Answer:
    told = [
        answers.Entry(id=sendable(e.id), name=sendable(e.name), care_unit_id=_text(e.care_unit_id)) for e in entries
    ]
    return _ok(_array(told))


def render_accounts(accounts: Sequence[AccountInfo]) -> Answer:
    return _ok(_array([_account(a) for a in accounts]))


def _account(account: AccountInfo) -> answers.Account:
    can = abilities(account.capabilities)
    return answers.Account(
        key=account.key,
        plugin=account.plugin,
        name=account.name,
        edition=account.edition.name,
        standing=account.standing,
        capabilities=can,
        tested=tested(account.edition, can),
    )


def render_command(row: CommandRow) -> Answer:
    return _ok(_command(row).model_dump_json().encode())


def render_commands(rows: Sequence[CommandRow]) -> Answer:
    return _ok(_array([_command(row) for row in rows]))


def _ok(body: bytes) -> Answer:
    return Answer(200, body, (("content-type", JSON),))


def _array(models: Sequence[BaseModel]) -> bytes:
    return _ARRAY.dump_json(list(models))


def _time(instant: datetime) -> str:
    return instant.isoformat()


def _text(text: str | None) -> str | None:
    return None if text is None else sendable(text)


def _changed(shown: Shown) -> answers.Appointment:
    """A list shows appointments, a bulk write what became of each."""
    if shown.change is None:
        return answers.Appointment(**_fields(shown))
    return answers.ChangedAppointment(**_fields(shown), change=shown.change)


def _fields(shown: Shown) -> dict[str, Any]:
    appointment = shown.appointment
    id = _text(appointment.id) or None
    return {
        "id": id,
        "emr_id": id,
        "start": _time(appointment.start),
        "end": _time(appointment.end),
        "status": appointment.status,
        "confirmed": appointment.confirmed,
        "comment": _text(appointment.comment),
        "patient_id": _text(appointment.patient_id),
        "resource_id": _text(appointment.resource_id),
        "healthcare_service_id": _text(appointment.healthcare_service_id),
        "care_unit_id": _text(appointment.care_unit_id),
        "previous_ids": [sendable(id) for id in shown.previous_ids],
    }


# -- commands -------------------------------------------------------------------------------------------------------


def _command(row: CommandRow) -> answers.Command:
    return answers.Command(
        id=row.id,
        state=row.state,
        operation=row.operation,
        emr=row.emr,
        created_at=_time(row.created_at),
        updated_at=_time(row.updated_at),
        answer=_answer(row.answer),
        steps=[_step(step) for step in row.steps],
        unsettled=[_step(step) for step in row.open_steps],
    )


def _answer(answer: Answer | None) -> answers.CommandAnswer | None:
    if answer is None:
        return None
    return answers.CommandAnswer(status=answer.status, body=json.loads(answer.body) if answer.body else None)


def _step(step: StepRow) -> answers.CommandStep:
    id = step.noted.get("appointment_id")
    return answers.CommandStep(action=step.action, appointment_id=_text(id), state=step.state)
