"""An entry as a FHIR R4 AuditEvent.

Patients and appointments are named by their keyed hashes, in naming systems of the gateway's own: whoever has the key
and an id can look for it, and nobody else can tell whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.audit import GATEWAY
from gateway.audit.reading import Entry

Json = dict[str, Any]

_HL7 = "http://terminology.hl7.org/CodeSystem"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_OURS = "urn:emr-gateway:audit"
_RECORD = {"system": _DICOM, "code": "110110", "display": "Patient Record"}
_ACTIVITY = {"system": _DICOM, "code": "110100", "display": "Application Activity"}
_ACTIONS = {"book": "C", "update": "U", "bulk_update": "U", "reschedule": "U", "cancel": "U", "bulk_cancel": "U"}
"""A cancelled appointment stays in its EMR: it was updated."""
_OUTCOMES = {"done": "0", "refused": "4", "undone": "4", "repairing": "8", "needs_attention": "8"}
_PERSON, _THING = "1", "2"
_PATIENT, _RESOURCE, _JOB, _LOG = "1", "4", "20", "13"
_TOLD_ELSEWHERE = {"at", "kind", "by", "command", "client", "operation", "state", "codes", "touched", "steps"}


def audit_event(entry: Entry) -> Json:
    """Valid by the published model; a test holds it to that."""
    told = entry.told
    command = told["kind"] == "command"
    event = {
        "resourceType": "AuditEvent",
        "id": str(entry.number),
        "type": _RECORD if command else _ACTIVITY,
        "subtype": [{"system": f"{_OURS}/kind", "code": told["operation"] if command else told["kind"]}],
        "action": _ACTIONS.get(told.get("operation", ""), "E"),
        "recorded": told["at"],
        "outcome": _OUTCOMES[told["state"]] if command else "0",
        "agent": list(_agents(told)),
        "source": {
            "observer": {"display": "EMR appointment gateway"},
            "type": [{"system": f"{_HL7}/security-source-type", "code": "4", "display": "Application Server"}],
        },
        "entity": list(_entities(entry)),
    }
    return event | ({"outcomeDesc": " ".join([told["state"], *told["codes"]])} if command else {})


def _agents(told: Mapping[str, Any]) -> Iterator[Json]:
    """Who asked, and who did it where that is somebody else."""
    client, by = told.get("client"), told["by"]
    if client is not None:
        yield {"who": {"identifier": {"system": f"{_OURS}/client", "value": client}}, "requestor": True}
    if client is None or by not in (GATEWAY, client):
        yield {"altId": by, "who": {"display": by}, "requestor": client is None}


def _entities(entry: Entry) -> Iterator[Json]:
    told = entry.told
    further = {name: value for name, value in told.items() if name not in _TOLD_ELSEWHERE}
    yield _entity("entry", str(entry.number), _THING, _LOG, {"mac": entry.mac.hex(), **further})
    if "command" in told:
        yield _entity("command", told["command"], _THING, _JOB, {})
    for one in told.get("touched", ()):
        if one["appointment"] is not None:
            details = {"change": one["change"], "fields": one["fields"]}
            yield _entity("appointment", one["appointment"], _THING, _RESOURCE, details)
    for patient in sorted({one["patient"] for one in told.get("touched", ()) if one["patient"] is not None}):
        yield _entity("patient", patient, _PERSON, _PATIENT, {})
    for step in told.get("steps", ()):
        if step["appointment"] is not None:
            details = {"step": step["action"], "state": step["state"]}
            yield _entity("appointment", step["appointment"], _THING, _RESOURCE, details)


def _entity(system: str, value: str, type: str, role: str, details: Mapping[str, Any]) -> Json:
    entity: Json = {
        "what": {"identifier": {"system": f"{_OURS}/{system}", "value": value}},
        "type": {"system": f"{_HL7}/audit-entity-type", "code": type},
        "role": {"system": f"{_HL7}/object-role", "code": role},
    }
    texts = [{"type": name, "valueString": text} for name, fact in details.items() if (text := _text(fact))]
    return entity | ({"detail": texts} if texts else {})


def _text(fact: Any) -> str:
    return " ".join(map(str, fact)) if isinstance(fact, list) else "" if fact is None else str(fact)
