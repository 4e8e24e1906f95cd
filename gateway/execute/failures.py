"""What an EMR's error means for a client: on a read, and on a write that is known not to stand."""

from __future__ import annotations

from gateway.domain.errors import (
    BadRequest,
    Conflict,
    EmrFailed,
    EmrRefused,
    EmrTimeout,
    EmrUnavailable,
    GatewayError,
    OutcomeUnknown,
    Problem,
)
from gateway.port import EmrError, MaybeDone, NotSent, Reason, Refused, Throttled

CREDENTIALS = "EMR_CREDENTIALS"

REFUSALS: dict[Reason, tuple[type[GatewayError], str, str]] = {
    "not_found": (Conflict, "CHANGED_MEANWHILE", "The EMR does not have it any more."),
    "taken": (Conflict, "NO_TIMESLOTS_AVAILABLE", "The time slot was taken meanwhile."),
    "stale": (Conflict, "CHANGED_MEANWHILE", "It was changed in the EMR between our read and our write."),
    "state": (Conflict, "INVALID_APPOINTMENT_STATUS", "The appointment's status in the EMR forbids it."),
    "rule": (EmrRefused, "EMR_REFUSED", "A rule of the EMR forbids it."),
    "invalid": (BadRequest, "BAD_INPUT", "The EMR did not accept a value."),
    "wrong_code": (BadRequest, "INVALID_CONFIRMATION_CODE", "The confirmation code is wrong."),
    "expired_code": (Conflict, "CONFIRMATION_EXPIRED", "The confirmation code is expired or used up."),
    "credentials": (EmrFailed, CREDENTIALS, "The EMR refused the gateway's credentials."),
    "unsupported": (BadRequest, "NOT_SUPPORTED", "This EMR can't do that."),
}
PATHS: dict[Reason, str] = {"wrong_code": "body/confirmation/code"}


def of_read(error: EmrError) -> GatewayError:
    """A read failed: nothing was written."""
    match error:
        case NotSent() | Throttled():
            return _unavailable(error)
        case MaybeDone(timed_out=True):
            return EmrTimeout("The EMR did not answer a read in time.")
        case Refused(reason="credentials"):
            return _refused(error, None)
        case Refused(reason="unsupported"):
            return BadRequest(problems=[Problem("NOT_SUPPORTED", "This EMR can't be asked for that.", None)])
        case Refused(reason="not_found" | "invalid"):
            return EmrFailed(problems=[_problem("EMR_ERROR", "The EMR refused a read.", None, error)])
        case _:
            return EmrFailed(problems=[_problem("EMR_ERROR", "A read from the EMR failed.", None, error)])


def of_write(error: EmrError, path: str | None) -> GatewayError:
    """A write failed, and is known not to stand."""
    match error:
        case NotSent() | Throttled():
            return _unavailable(error)
        case Refused():
            return _refused(error, path)
        case _:
            return EmrFailed(problems=[_problem("EMR_ERROR", "The EMR failed to carry out a write.", path, error)])


def _unavailable(error: NotSent | Throttled) -> EmrUnavailable:
    details = "The EMR could not be reached."
    if isinstance(error, Throttled):
        details = "The EMR asks to be called later."
    elif error.retry_after is not None:
        details = "The EMR is not called just now."
    return EmrUnavailable(details, retry_after=error.retry_after or 5)


def _refused(error: Refused, path: str | None) -> GatewayError:
    kind, code, details = REFUSALS[error.reason]
    return kind(problems=[_problem(code, details, PATHS.get(error.reason, path), error)])


def _problem(code: str, details: str, path: str | None, error: EmrError) -> Problem:
    return Problem(code, details, path, error.emr_code)


# -- what a look at the EMR says of a write --------------------------------------------------------------------------


def path_of(failure: GatewayError) -> str | None:
    return failure.problems[0].path if failure.problems else None


def not_carried_out(path: str | None) -> EmrFailed:
    details = "The EMR accepted the write and did not carry it out."
    return EmrFailed(problems=[Problem("EMR_ERROR", details, path)])


def unknown(path: str | None) -> OutcomeUnknown:
    details = "The EMR did not tell whether it carried the write out, and could not be asked."
    return OutcomeUnknown(problems=[Problem("OUTCOME_UNKNOWN", details, path)])


def changed_meanwhile() -> Conflict:
    return Conflict(problems=[Problem("CHANGED_MEANWHILE", "Somebody else changed the appointment meanwhile.", None)])


def otherwise(path: str | None) -> Conflict:
    details = "The appointment holds something else than was written, by the EMR or by somebody else; that stands."
    return Conflict(problems=[Problem("CHANGED_MEANWHILE", details, path)])


def taken(path: str | None = None) -> Problem:
    return Problem("NO_TIMESLOTS_AVAILABLE", "The time slot was taken meanwhile.", path)
