"""The answers' second language in the API description: FHIR R4, with examples from the renderer itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.domain.errors import GatewayError
from gateway.domain.model import Appointment, Entry, Kind, Slot, Status
from gateway.domain.outcome import Outcome, Shown
from gateway.ledger import Answer
from gateway.openapi.operations import Operation
from gateway.openapi.parts import EXAMPLE_INSTANCE, EXAMPLES
from gateway.wire.fhir import FHIR, Fhir, operation_outcome

Json = dict[str, Any]


def _resource(name: str, about: str, **properties: Json) -> Json:
    return {
        "type": "object",
        "description": about,
        "externalDocs": {"url": f"https://hl7.org/fhir/R4/{name.lower()}.html"},
        "properties": {"resourceType": {"const": name}, **properties},
        "required": ["resourceType", *properties],
    }


SCHEMAS: Json = {
    "FhirAppointment": _resource("Appointment", "A FHIR R4 Appointment.", participant={"type": "array", "minItems": 1}),
    "FhirBundle": _resource(
        "Bundle",
        "A FHIR R4 Bundle: what is an array in the other standard, in the same order.",
        type={"const": "collection"},
    ),
    "FhirOperationOutcome": _resource(
        "OperationOutcome",
        "A FHIR R4 OperationOutcome. The first issue is the error itself, each further one an entry of `errors`.",
        issue={"type": "array", "minItems": 1},
    ),
}
SCHEMAS["FhirBundle"]["properties"]["entry"] = {"type": "array", "minItems": 1}

_TOLD = EXAMPLES["Appointment"]
_IDS = {name: _TOLD[name] for name in ("resource_id", "healthcare_service_id", "care_unit_id")}
_START, _END = datetime.fromisoformat(_TOLD["start"]), datetime.fromisoformat(_TOLD["end"])
_SHOWN = Shown(
    Appointment(
        _TOLD["id"], _START, _END, Status.BOOKED, patient_id=_TOLD["patient_id"], comment=_TOLD["comment"], **_IDS
    )
)
_SLOT = Slot(_START, _END, **_IDS)


def media(operation: Operation, public_url: str) -> Json:
    """The second media type of an operation's answer; none where it tells of accounts or commands."""
    told = Fhir(public_url, "clinic")
    if operation.answer == "Appointment":
        answer = told.outcome(Outcome((_SHOWN,), single=not operation.many), lambda _: "")
    elif operation.answer == "ChangedAppointment":
        answer = told.outcome(Outcome((replace(_SHOWN, change="moved"),), single=False), lambda _: "")
    elif operation.answer == "Slot":
        answer = told.slots([_SLOT])
    elif operation.answer == "Entry":
        answer = told.entries(Kind(operation.path.removeprefix("/")), [Entry(**EXAMPLES["Entry"])])
    else:
        return {}
    return {FHIR: {"schema": _schema(answer), "example": json.loads(answer.body)}}


def error_media(kinds: Iterable[type[GatewayError]], public_url: str) -> Json:
    """The second media type of errors of one status."""
    examples = {kind.code: operation_outcome(kind(), EXAMPLE_INSTANCE, public_url) for kind in kinds}
    return {
        FHIR: {
            "schema": {"$ref": "#/components/schemas/FhirOperationOutcome"},
            "examples": {code: {"value": json.loads(answer.body)} for code, answer in examples.items()},
        }
    }


def _schema(answer: Answer) -> Json:
    return {"$ref": f"#/components/schemas/Fhir{json.loads(answer.body)['resourceType']}"}
