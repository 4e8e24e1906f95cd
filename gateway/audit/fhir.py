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
_ALERT = {"system": _DICOM, "code": "110113", "display": "Security Alert"}
_LOGIN = {"system": _DICOM, "code": "110114", "display": "User Authentication"}
_TYPES = {"command": _RECORD, "credentials": _ALERT, "secret": _ALERT, "key": _ALERT, "authentication": _LOGIN}
"""By the first word of an entry's kind; all others are activities of the application."""
_ACTIONS = {
    **dict.fromkeys(("book", "secret.make"), "C"),
    **dict.fromkeys(("update", "bulk_update", "reschedule", "cancel", "bulk_cancel"), "U"),
    **dict.fromkeys(("credentials.put", "credentials.reseal", "credentials.connect", "key.rotate"), "U"),
    **dict.fromkeys(("credentials.erase", "erased"), "D"),
    "command.show": "R",
}
"""A cancelled appointment stays in its EMR: it was updated."""
_OUTCOMES = {"done": "0", "refused": "4", "undone": "4", "repairing": "8", "needs_attention": "8"}
_ENDS = {"failed": "4", "refused": "4"}
"""Of an act by its state, and of what is refused by the last word of its kind; all others succeeded."""
_PERSON, _THING = "1", "2"
_PATIENT, _RESOURCE, _JOB, _LOG = "1", "4", "20", "13"
_TOLD_ELSEWHERE = {"at", "kind", "by", "command"}
_OF_A_COMMAND = {"client", "operation", "state", "codes", "touched", "steps"}


def audit_event(entry: Entry) -> Json:
    """Valid by the published model; a test holds it to that."""
    told = entry.told
    command = told["kind"] == "command"
    event = {
        "resourceType": "AuditEvent",
        "id": str(entry.number),
        "type": _TYPES.get(told["kind"].partition(".")[0], _ACTIVITY),
        "subtype": [{"system": f"{_OURS}/kind", "code": told["operation"] if command else told["kind"]}],
        "action": _ACTIONS.get(told.get("operation", told["kind"]), "E"),
        "recorded": told["at"],
        "outcome": _OUTCOMES[told["state"]] if command else _end(told),
        "agent": list(_agents(told)),
        "source": {
            "observer": {"display": "EMR appointment gateway"},
            "type": [{"system": f"{_HL7}/security-source-type", "code": "4", "display": "Application Server"}],
        },
        "entity": list(_entities(entry)),
    }
    return event | ({"outcomeDesc": " ".join([told["state"], *told["codes"]])} if command else {})


def _end(told: Mapping[str, Any]) -> str:
    refused = told["kind"].rpartition(".")[2]
    return _ENDS.get(refused) or _ENDS.get(told.get("state", ""), "0")


def _agents(told: Mapping[str, Any]) -> Iterator[Json]:
    """Who asked, and who did it where that is somebody else. What is done about a client, it has not asked for."""
    client, by = told.get("client") if told["kind"] == "command" else None, told["by"]
    if client is not None:
        yield {"who": {"identifier": {"system": f"{_OURS}/client", "value": client}}, "requestor": True}
    if client is None or by not in (GATEWAY, client):
        yield {"altId": by, "who": {"display": by}, "requestor": client is None}


def _entities(entry: Entry) -> Iterator[Json]:
    told = entry.told
    elsewhere = _TOLD_ELSEWHERE | (_OF_A_COMMAND if told["kind"] == "command" else set())
    further = {name: value for name, value in told.items() if name not in elsewhere}
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
