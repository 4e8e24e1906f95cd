"""What every code means and what to do about it: the one table behind the error pages and the API "
"description."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.domain.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Text:
    meaning: str
    remedy: str


def kinds(root: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    """Every kind of error there is, in the order of the tree."""
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


CODES: dict[str, Text] = {
    "BAD_REQUEST": Text(
        "The request can't be carried out as it was put. Nothing was written.",
        "Read errors[]: each entry has an error_code, and in path the place in the request. Correct it and "
        "send it again.",
    ),
    "UNAUTHORIZED": Text(
        "The client's id or secret is missing or wrong. The answer is the same whichever it was.",
        "Send x-leyr-client-id and x-leyr-client-secret, each once, as the gateway's operator gave them to you.",
    ),
    "NOT_FOUND": Text(
        "There is no such path, EMR, appointment, care unit or command, or it is not yours to see.",
        "Look at errors[] for what was not found. GET /api/emrs lists your EMRs; an appointment of another "
        "care unit is not "
        "found under this one's path; an id with a slash in it must be percent-encoded.",
    ),
    "METHOD_NOT_ALLOWED": Text(
        "The path exists, but not with this method.",
        "The Allow header of the answer lists the methods.",
    ),
    "CONFLICT": Text(
        "The state of the appointment, or of somebody else's, forbids it. What was begun has been undone.",
        "Read the appointment again and decide anew; errors[] says what stood in the way.",
    ),
    "EMR_REFUSED": Text(
        "The EMR's own rule forbids it, for example because it is too late to cancel. Nothing of the command stands.",
        "emr_error holds the EMR's own code. Sending the same request again won't help; the clinic can say "
        "what the rule is.",
    ),
    "REQUEST_IN_PROGRESS": Text(
        "A request with the same Idempotency-Key is still being carried out.",
        "Wait, then send the same request with the same key: you get its answer. GET "
        "/api/commands?idempotency_key= shows it.",
    ),
    "PRECONDITION_FAILED": Text(
        "The appointment is no longer the one that If-Match names. Nothing was written.",
        "Read it again, decide whether the change is still wanted, and send it with the new ETag.",
    ),
    "PLAN_CHANGED": Text(
        "What the gateway would do now is not what the dry run with this x-plan said. Nothing was written.",
        "Make another dry run, show what it says, and send its x-plan.",
    ),
    "PAYLOAD_TOO_LARGE": Text("The body is longer than 1 MiB.", "Send fewer appointments at a time."),
    "UNSUPPORTED_MEDIA_TYPE": Text(
        "The body is not said to be JSON in UTF-8.", "Send Content-Type: application/json, uncompressed."
    ),
    "IDEMPOTENCY_KEY_REUSED": Text(
        "This Idempotency-Key was already used for another request. Nothing was written.",
        "Give every new request a key of its own; use a key again only to repeat the very same request.",
    ),
    "RATE_LIMITED": Text("Too many requests.", "Wait as many seconds as Retry-After says."),
    "UNKNOWN_ERROR": Text(
        "Something went wrong inside the gateway. It is not your request's fault.",
        "Give the operator the instance of the answer: the log has it. If it was a write, look at GET "
        "/api/commands "
        "before you send it again, or send it again with the same Idempotency-Key.",
    ),
    "EMR_ERROR": Text(
        "The EMR failed. What was begun has been undone; nothing of the command stands.",
        "Try again later. If it persists, emr_error may tell the clinic's vendor why.",
    ),
    "EMR_DEVIATION": Text(
        "The EMR accepted the write and showed that it stored something else than was asked for. What was there "
        "has been restored.",
        "Try other values (a shorter comment, a time on the clinic's grid), or ask the clinic what its EMR "
        "does with them.",
    ),
    "PARTIALLY_APPLIED": Text(
        "The command could be brought neither to all nor to nothing yet. errors[] names each appointment "
        "that is not as it was.",
        "Repair goes on in the background for up to 15 minutes. GET /api/commands/{id}, with the answer's "
        "x-command-id, "
        "tells how it stands. Don't repeat the request; an appointment that somebody else has changed "
        "meanwhile is left to them.",
    ),
    "OUTCOME_UNKNOWN": Text(
        "A write may or may not have reached the EMR, and the EMR can't be asked at the moment; or the EMR asks the "
        "patient for a code before it cancels, which nothing shows until the code comes.",
        "The gateway goes on asking. Watch GET /api/commands/{id}; don't repeat the write until it is settled. Where a "
        "code is asked for, cancel again: asking twice is asking once, and the answer has the id to confirm.",
    ),
    "EMR_UNAVAILABLE": Text(
        "The EMR can't be reached, is throttling, or has failed so often that it is left alone for a while; "
        "or the command "
        "would need more calls or time than the EMR allows. Nothing was written.",
        "Try again after as many seconds as Retry-After says.",
    ),
    "BUSY": Text(
        "Another command is at work on the same appointment or resource, or the gateway's own store is down, or "
        "it is being stopped. Nothing was written.",
        "Try again after as many seconds as Retry-After says.",
    ),
    "EMR_TIMEOUT": Text(
        "The EMR did not answer a read in time. Nothing was written.", "Try again; the request is safe to repeat."
    ),
}

ERROR_CODES: dict[str, Text] = {
    "BAD_INPUT": Text("A value is not what it has to be.", "path names it, details says what it has to be."),
    "MISSING_REQUIRED_FIELD": Text(
        "Something that has to be there is not. null counts as not there.", "Add the field that path names."
    ),
    "INVALID_APPOINTMENT_ID": Text(
        "There is no appointment with this id in this EMR (and care unit).", "List appointments to see which ids exist."
    ),
    "INVALID_RESOURCE_ID": Text("There is no such resource.", "GET …/resources lists those that exist."),
    "INVALID_PATIENT_ID": Text("There is no such patient.", "GET …/patients lists them, where the EMR can."),
    "INVALID_HEALTHCARE_SERVICE_ID": Text(
        "There is no such healthcare service.", "GET …/healthcare-services lists those that exist."
    ),
    "INVALID_CARE_UNIT_ID": Text("There is no such care unit.", "GET …/care-units lists those that exist."),
    "NO_TIMESLOTS_AVAILABLE": Text(
        "No free time slot fits the range and resource, or it was taken while the gateway wrote.",
        "GET …/timeslots shows what is free. A range must be covered by whole slots from its start to its end.",
    ),
    "AMBIGUOUS_TIMESLOTS": Text(
        "The range can be filled in more than one way: the appointments differ in length and no order of "
        "them fits exactly.",
        "Choose a range that is as long as they are together, or move them one at a time.",
    ),
    "MIXED_APPOINTMENTS": Text(
        "The appointments of a continuous reschedule must share patient, resource, healthcare service and care unit.",
        "details names what differs. Send those that belong together, or update them one at a time.",
    ),
    "INVALID_COMMENT_LENGTH": Text(
        "The comment is longer than this EMR takes.", "comment_max in GET /api/emrs says how long it may be."
    ),
    "MAX_ITEMS_EXCEEDED": Text(
        "More appointments are named, or would result, than one request may have.", "Split it into several requests."
    ),
    "INVALID_CONFIRMATION_CODE": Text(
        "The code is not the one that the patient was sent.", "Ask the patient to look again, and send the code anew."
    ),
    "NOT_SUPPORTED": Text(
        "This EMR can't do that, and the gateway can't do it for it.", "GET /api/emrs says what each EMR can do."
    ),
    "INVALID_APPOINTMENT_STATUS": Text(
        "The appointment's status forbids it: only a booked one can be moved, only a standing one be "
        "cancelled, and only "
        "one that waits for it be confirmed.",
        "Read the appointment and look at its status.",
    ),
    "CONFIRMATION_EXPIRED": Text(
        "The code was right once, but is expired or used up.",
        "Ask for the booking or cancellation again, for a new code.",
    ),
    "CHANGED_MEANWHILE": Text(
        "Somebody else changed the appointment between the gateway's read and its write, twice in a row.",
        "Read it again and decide anew.",
    ),
    "EMR_CREDENTIALS": Text(
        "The EMR refused the gateway's credentials for this account.",
        "The operator has to renew them; nothing in the request can help.",
    ),
}
