"""FHIR's errors into ours: an OperationOutcome is folded into one `EmrError`. Its prose is never passed on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx

from gateway.plugin import EmrError, MaybeDone, Refused, Throttled

LATER = {"lock-error", "throttled"}
BY_CODE = {
    "not-found": "not_found",
    "deleted": "not_found",
    "login": "credentials",
    "unknown": "credentials",
    "expired": "credentials",
    "forbidden": "credentials",
    "security": "credentials",
    "suppressed": "credentials",
    "business-rule": "rule",
    "duplicate": "rule",
    "multiple-matches": "rule",
    "not-supported": "unsupported",
    "conflict": "taken",
    "structure": "invalid",
    "required": "invalid",
    "value": "invalid",
    "invariant": "invalid",
    "invalid": "invalid",
    "code-invalid": "invalid",
    "extension": "invalid",
    "too-long": "invalid",
}
"""What an issue says by itself; `conflict` also needs its circumstances (`_conflict`)."""

BY_STATUS = {
    400: "invalid",
    401: "credentials",
    403: "credentials",
    404: "not_found",
    405: "unsupported",
    406: "unsupported",
    409: "stale",
    410: "not_found",
    412: "stale",
    413: "invalid",
    415: "unsupported",
    422: "invalid",
    424: "rule",
    501: "unsupported",
}
TELLING = {
    400: ("business-rule", "conflict", "duplicate", "not-supported", "not-found"),
    404: ("not-supported",),
    409: ("business-rule", "duplicate"),
    412: ("multiple-matches",),
    422: ("business-rule", "conflict", "duplicate", "not-supported"),
}
"""The codes that say more than the status with which they come."""


CONDITIONS = {"if-match", "if-unmodified-since", "if-none-exist"}


def problem(response: httpx.Response) -> EmrError | None:
    """What an error status means; `None` where FHIR says nothing about it beyond HTTP."""
    status = response.status_code
    issue = worst(body_of(response))
    code = code_of(issue)
    if status not in BY_STATUS:
        return None
    if code in LATER:
        return Throttled("busy", emr_code=code, locked=code == "lock-error")
    reason: Any = BY_CODE[code] if code in TELLING.get(status, ()) else BY_STATUS[status]
    if status == 412 and reason == "stale" and not CONDITIONS & response.request.headers.keys():
        reason = "invalid"  # it wants a condition, and there was none that could be stale
    if status == 409 and reason == "stale" and _about_slot(issue, response):
        reason = "taken"
    return Refused(reason, emr_code=code)


def resource(response: httpx.Response) -> Mapping[str, Any] | None:
    """The resource in a successful answer, `None` where it has no body.

    Raises EmrError where the answer is an OperationOutcome that tells of an error all the same; an outcome that only
    informs counts as no body. Raises ValueError where it is no resource.
    """
    if not response.content.strip():
        return None
    body = response.json()
    if body is None:
        return None
    if not isinstance(body, dict) or "resourceType" not in body:
        raise ValueError("not a FHIR resource")
    if body["resourceType"] != "OperationOutcome":
        return body
    issue = worst(body)
    if issue is not None:
        raise _from_code(code_of(issue))
    return None


def returned(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The resource that an operation answers with, bare or as its parameter `return`."""
    if body.get("resourceType") != "Parameters":
        return body
    found: Mapping[str, Any] = next(p["resource"] for p in body["parameter"] if p.get("name") == "return")
    return found


def appointment_in(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The appointment itself, or the one in the answer to a transaction or operation."""
    body = returned(body)
    if body["resourceType"] != "Bundle":
        return body
    shown = [entry.get("resource") or {} for entry in body.get("entry") or ()]
    for one in shown:
        if (issue := worst(one)) is not None:
            raise _from_code(code_of(issue))
    return next(one for one in shown if one.get("resourceType") == "Appointment")


def worst(body: object) -> Mapping[str, Any] | None:
    """The first issue of an OperationOutcome that is an error."""
    if not isinstance(body, dict) or body.get("resourceType") != "OperationOutcome":
        return None
    issues = [i for i in body.get("issue") or () if isinstance(i, dict)]
    return next((i for i in issues if i.get("severity") in ("fatal", "error")), None)


def code_of(issue: Mapping[str, Any] | None) -> str | None:
    """An issue's code if it looks like one: anything else could be prose."""
    code = (issue or {}).get("code")
    return code if isinstance(code, str) and re.fullmatch(r"[a-z-]{1,32}", code) else None


def body_of(response: httpx.Response) -> object:
    try:
        return response.json()
    except ValueError:
        return None


def _from_code(code: str | None) -> EmrError:
    if code in LATER:
        return Throttled("busy", emr_code=code, locked=code == "lock-error")
    reason: Any = BY_CODE.get(code or "")
    if reason is None:
        return MaybeDone("answered with an error", emr_code=code)
    return Refused(reason, emr_code=code)


def _about_slot(issue: Mapping[str, Any] | None, response: httpx.Response) -> bool:
    """A 409 is about the version where one was sent along, unless it points at the slot."""
    places = (issue or {}).get("expression") or ()
    return "if-match" not in response.request.headers or any("slot" in str(p).lower() for p in places)
