"""Ids of other types than the EMR's own (`hsa_id:…`, national numbers): asked of the EMR's plugin, or not supported."""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.commands import Book, Command, Confirm, Reschedule, Update
from gateway.domain.errors import BadRequest, Problem
from gateway.domain.model import Kind
from gateway.execute.failures import of_read
from gateway.port import Emr, EmrError, Refused
from gateway.wire import typed_id

INVALID = {
    Kind.PATIENT: "INVALID_PATIENT_ID",
    Kind.RESOURCE: "INVALID_RESOURCE_ID",
    Kind.SERVICE: "INVALID_HEALTHCARE_SERVICE_ID",
}


async def with_emr_ids(emr: Emr, command: Command) -> Command:
    """The same command with nothing but the EMR's own ids. Raises BadRequest."""
    intent = command.intent
    match intent:
        case Book():
            patient = await _known(emr, Kind.PATIENT, intent.patient_id, "body/patient_id")
            resource = await _known(emr, Kind.RESOURCE, intent.resource_id, "body/resource_id")
            service = await _known(emr, Kind.SERVICE, intent.healthcare_service_id, "body/healthcare_service_id")
            own = replace(intent, patient_id=patient, resource_id=resource, healthcare_service_id=service)
            return replace(command, intent=own)
        case Update() | Reschedule():
            found = await emr_id(emr, Kind.RESOURCE, intent.resource_id, "body/resource_id")
            ids = tuple(appointment_id(id) for id in intent.ids)
            return replace(command, intent=replace(intent, ids=ids, resource_id=found))
        case Confirm():
            return replace(command, intent=replace(intent, id=appointment_id(intent.id)))
        case _:
            return replace(command, intent=replace(intent, ids=tuple(appointment_id(id) for id in intent.ids)))


def appointment_id(id: str) -> str:
    """Appointments have no ids but the EMR's. Raises BadRequest for any other type."""
    kind, value = typed_id(id)
    if kind != "emr_id":
        raise _unsupported(None)
    return value


async def emr_id(emr: Emr, kind: Kind, id: str | None, path: str) -> str | None:
    """The EMR's own id; `None` stays `None`. Raises BadRequest where the plugin does not know the type or the value."""
    return None if id is None else await _known(emr, kind, id, path)


async def _known(emr: Emr, kind: Kind, id: str, path: str) -> str:
    id_type, value = typed_id(id)
    if id_type == "emr_id":
        return value
    try:
        found = await emr.resolve(kind, id_type, value)
    except Refused as error:
        if error.reason == "unsupported":
            raise _unsupported(path) from None
        if error.reason not in ("invalid", "not_found"):
            raise of_read(error) from None
        found = None
    except EmrError as error:
        raise of_read(error) from None
    if found is None:
        raise BadRequest(problems=[Problem(INVALID[kind], "No such identifier is known.", path)])
    return found


def _unsupported(path: str | None) -> BadRequest:
    return BadRequest(problems=[Problem("NOT_SUPPORTED", "This EMR does not know ids of this type.", path)])
