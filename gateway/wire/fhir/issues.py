"""Errors as FHIR has them: the first issue is the error itself, each further one an entry of `errors[]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain.errors import GatewayError, Problem
from gateway.ledger import Answer
from gateway.wire.fhir.parts import Json, answer, extension, present, text
from gateway.wire.problems import further_headers

ISSUE_TYPES: Mapping[str, str] = {
    "BAD_REQUEST": "invalid",
    "UNAUTHORIZED": "login",
    "NOT_FOUND": "not-found",
    "METHOD_NOT_ALLOWED": "not-supported",
    "CONFLICT": "business-rule",
    "EMR_REFUSED": "business-rule",
    "REQUEST_IN_PROGRESS": "transient",
    "PRECONDITION_FAILED": "conflict",
    "PLAN_CHANGED": "conflict",
    "PAYLOAD_TOO_LARGE": "too-long",
    "UNSUPPORTED_MEDIA_TYPE": "not-supported",
    "IDEMPOTENCY_KEY_REUSED": "business-rule",
    "RATE_LIMITED": "throttled",
    "UNKNOWN_ERROR": "exception",
    "EMR_ERROR": "exception",
    "EMR_DEVIATION": "processing",
    "PARTIALLY_APPLIED": "processing",
    "OUTCOME_UNKNOWN": "processing",
    "EMR_UNAVAILABLE": "transient",
    "BUSY": "transient",
    "EMR_TIMEOUT": "timeout",
    "BAD_INPUT": "value",
    "MISSING_REQUIRED_FIELD": "required",
    "INVALID_APPOINTMENT_ID": "not-found",
    "INVALID_RESOURCE_ID": "not-found",
    "INVALID_PATIENT_ID": "not-found",
    "INVALID_HEALTHCARE_SERVICE_ID": "not-found",
    "INVALID_CARE_UNIT_ID": "not-found",
    "NO_TIMESLOTS_AVAILABLE": "business-rule",
    "AMBIGUOUS_TIMESLOTS": "business-rule",
    "MIXED_APPOINTMENTS": "business-rule",
    "INVALID_COMMENT_LENGTH": "too-long",
    "MAX_ITEMS_EXCEEDED": "too-costly",
    "INVALID_CONFIRMATION_CODE": "value",
    "NOT_SUPPORTED": "not-supported",
    "INVALID_APPOINTMENT_STATUS": "business-rule",
    "CONFIRMATION_EXPIRED": "business-rule",
    "CHANGED_MEANWHILE": "conflict",
    "EMR_CREDENTIALS": "processing",
}
"""FHIR's word for each code of ours. It says less; ours stands beside it."""


def operation_outcome(error: GatewayError, instance: str, base_url: str) -> Answer:
    """What a client is told; `instance` becomes the resource's id."""
    issues = [_error(error, base_url), *(_problem(problem, error, base_url) for problem in error.problems)]
    told = {"resourceType": "OperationOutcome", "id": instance, "issue": issues}
    return answer(error.status, told, further_headers(error))


def read_outcome(body: Any) -> tuple[str, Sequence[Problem]]:
    """What `operation_outcome` has told, but for an EMR's codes. Raises LookupError, TypeError for anything else."""
    error, *problems = body["issue"]
    told = [Problem(_code(i), i.get("diagnostics", ""), next(iter(i.get("location", [])), None)) for i in problems]
    return _code(error), told


def _code(issue: Json) -> str:
    return str(issue["details"]["coding"][0]["code"])


def _error(error: GatewayError, base_url: str) -> Json:
    coding = {"system": f"{base_url}/errors", "code": error.code, "display": error.title}
    return _issue(ISSUE_TYPES[error.code], coding, error.detail)


def _problem(problem: Problem, error: GatewayError, base_url: str) -> Json:
    type = ISSUE_TYPES.get(problem.error_code, ISSUE_TYPES[error.code])
    coding = {"system": f"{base_url}/errors", "code": problem.error_code}
    emr_error, path = text(problem.emr_error), text(problem.path)
    extensions = [extension(base_url, "emr-error", valueString=emr_error)] if emr_error else None
    return {
        **present(extension=extensions),
        **_issue(type, coding, problem.details),
        **present(location=[path] if path else None),
    }


def _issue(type: str, coding: Json, diagnostics: str) -> Json:
    told = {"severity": "error", "code": type, "details": {"coding": [coding]}}
    return told | present(diagnostics=text(diagnostics))
