"""Everything that can go wrong, grouped by consequence for the client (contract §6).

    GatewayError
    ├─ BadRequest            400  our own no: nothing was written
    ├─ Unauthorized          401
    ├─ NotFound              404
    ├─ MethodNotAllowed      405
    ├─ Conflict              409  the state forbids it
    ├─ EmrRefused            409  the EMR's own rule forbids it
    ├─ RequestInProgress     409  the same idempotency key is at work
    ├─ PreconditionFailed    412  If-Match is stale
    ├─ PlanChanged           412  x-plan is stale
    ├─ PayloadTooLarge       413
    ├─ UnsupportedMediaType  415
    ├─ KeyReused             422
    ├─ RateLimited           429
    ├─ EmrFailed             502  the EMR failed; nothing of the command stands
    ├─ EmrDeviation          502  it stored something else; restored
    ├─ PartiallyApplied      502  neither all nor nothing (yet)
    ├─ OutcomeUnknown        502  a write may or may not have happened (yet)
    ├─ EmrUnavailable        503  could not be reached or throttles; nothing was written
    ├─ Busy                  503  another command holds it, or our store is down
    └─ EmrTimeout            504  a read timed out; nothing was written

Texts never hold patient data nor what an EMR wrote; `emr_error` is an EMR's own *code*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of `errors[]`. `path` names the place in the request (`ids/2`, `query/start`) or an appointment."""

    error_code: str
    details: str
    path: str | None = None
    emr_error: str | None = None


class GatewayError(Exception):
    """Base of all that a client may be told. `problems` become `errors[]`; `retry_after` is in seconds."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "UNKNOWN_ERROR"
    title: ClassVar[str] = "Unknown error"

    def __init__(self, detail: str = "", problems: Sequence[Problem] = (), *, retry_after: float | None = None) -> None:
        self.problems = tuple(problems)
        self.detail = detail or (self.problems[0].details if self.problems else self.title)
        self.retry_after = retry_after
        super().__init__(self.detail)


class BadRequest(GatewayError):
    status, code, title = 400, "BAD_REQUEST", "Request validation failed"


class Unauthorized(GatewayError):
    status, code, title = 401, "UNAUTHORIZED", "Unauthorized"


class NotFound(GatewayError):
    status, code, title = 404, "NOT_FOUND", "Not found"


class MethodNotAllowed(GatewayError):
    status, code, title = 405, "METHOD_NOT_ALLOWED", "Method not allowed"


class Conflict(GatewayError):
    status, code, title = 409, "CONFLICT", "The appointment's state forbids it"


class EmrRefused(GatewayError):
    status, code, title = 409, "EMR_REFUSED", "The EMR's own rule forbids it"


class RequestInProgress(GatewayError):
    status, code, title = 409, "REQUEST_IN_PROGRESS", "The same request is still running"


class PreconditionFailed(GatewayError):
    status, code, title = 412, "PRECONDITION_FAILED", "The appointment has changed"


class PlanChanged(GatewayError):
    status, code, title = 412, "PLAN_CHANGED", "The plan has changed"


class PayloadTooLarge(GatewayError):
    status, code, title = 413, "PAYLOAD_TOO_LARGE", "The body is too large"


class UnsupportedMediaType(GatewayError):
    status, code, title = 415, "UNSUPPORTED_MEDIA_TYPE", "The body's media type is not supported"


class KeyReused(GatewayError):
    status, code, title = 422, "IDEMPOTENCY_KEY_REUSED", "The idempotency key belongs to another request"


class RateLimited(GatewayError):
    status, code, title = 429, "RATE_LIMITED", "Too many requests"


class EmrFailed(GatewayError):
    status, code, title = 502, "EMR_ERROR", "The EMR failed"


class EmrDeviation(GatewayError):
    status, code, title = 502, "EMR_DEVIATION", "The EMR stored something else"


class PartiallyApplied(GatewayError):
    status, code, title = 502, "PARTIALLY_APPLIED", "Neither all nor nothing was done"


class OutcomeUnknown(GatewayError):
    status, code, title = 502, "OUTCOME_UNKNOWN", "It is not known whether the EMR carried out the write"


class EmrUnavailable(GatewayError):
    status, code, title = 503, "EMR_UNAVAILABLE", "The EMR can't be reached"


class Busy(GatewayError):
    status, code, title = 503, "BUSY", "Busy"


class EmrTimeout(GatewayError):
    status, code, title = 504, "EMR_TIMEOUT", "The EMR did not answer in time"


def first_failing(errors: Sequence[tuple[type[GatewayError], Problem]]) -> GatewayError:
    """One error out of many ids' failings: the status is the first one's, every failing id is named."""
    kind = errors[0][0]
    return kind(errors[0][1].details, [problem for _, problem in errors])
