"""The texts, parameters, headers and examples of the API description."""

from __future__ import annotations

from typing import Any

from gateway.wire.standards import LEYR, STANDARDS
from gateway.wire.values import ID_SCHEMA

Json = dict[str, Any]

ABOUT = {
    "api": (
        "One PATCH changes, cancels or confirms an appointment in whatever EMR the clinic has.\n\n"
        "Every path under `/api/emrs/{emr}` also stands under `/api/emrs/{emr}/care-units/{care_unit_id}`; then "
        "what belongs to another care unit is not found. Times are RFC 3339 with an offset or `Z`. Ids are opaque; "
        "percent-encode them in paths. Bodies are JSON; `null` means that a field is not given, and unknown fields "
        "are refused.\n\n"
        "Errors are `application/problem+json`: `code` says what it means for you, each `error_code` in `errors[]` "
        "why. Every answer carries `x-request-id`, and those to writes `x-command-id` and `x-emr-calls`. "
        "An unknown path is answered 404, another method than the listed ones (and HEAD, where GET is) 405."
    ),
    "patchAppointment": (
        "The body decides, and the three intents never mix. Update: `start` and `end` (always together), "
        "`resource_id`, `comment`, at least one of them; a new time or resource needs a free time slot. Cancel: "
        '`{"status": "cancelled"}` with or without a `comment`. Confirm: `{"confirmation": {"code": "…"}}`.\n\n'
        "Where the EMR asks the patient for a code first, a cancellation answers `awaiting_confirmation` with the id "
        "to confirm."
    ),
    "patchAppointments": (
        "All or nothing. With `status`: bulk cancel. Without times: each appointment gets the `resource_id` and/or "
        "the `comment`. With `start` and `end`: continuous reschedule, which fills the range with time slots, re-uses "
        "as many of the appointments as possible, creates further ones for a longer range and cancels the surplus "
        "of a shorter one. They must share patient, resource, healthcare service and care unit; at most 31 days.\n\n"
        "The answer lists first what stands, in order of `start`, then what is cancelled; `change` says what was "
        "done to each."
    ),
    "getCommand": (
        "Seen by the client that made it, nobody else. `unsettled` holds the steps that can still end either way."
    ),
}

_ID: Json = ID_SCHEMA
_STANDARD: Json = {"type": "string", "enum": list(STANDARDS), "default": LEYR}
_INSTANT: Json = {"type": "string", "format": "date-time"}
_PRINTABLE: Json = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}


def _path(name: str, description: str) -> Json:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": _ID}


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": schema}


PARAMETERS: Json = {
    "emr": _path("emr", "The key of one of your EMR accounts, as `GET /api/emrs` lists them."),
    "careUnitId": _path("care_unit_id", "A care unit of the EMR."),
    "appointmentId": _path("appointment_id", "An appointment's present or earlier id."),
    "commandId": _path("command_id", "The `x-command-id` of the answer to a write."),
    "standardHeader": _header("x-leyr-standard", "The language of the answer. The same as `?standard=`.", _STANDARD),
    "standard": _query("standard", "The same as `x-leyr-standard`.", _STANDARD),
    "dryRun": _query(
        "dry_run",
        "Everything is checked and nothing is written; the answer carries `x-dry-run` and `x-plan`.",
        {"type": "string", "enum": ["true", "false"], "default": "false"},
    ),
    "idempotencyKey": _header(
        "Idempotency-Key",
        "The same key with the same request gets the same answer, with `idempotent-replayed: true`. "
        "Ignored on dry runs.",
        _PRINTABLE,
    ),
    "ifMatch": _header("If-Match", "Entity tags; another current one is answered 412.", {"type": "string"}),
    "ifNoneMatch": _header("If-None-Match", "Entity tags; the current one is answered 304.", {"type": "string"}),
    "plan": _header("x-plan", "The `x-plan` of a dry run; another plan is answered 412.", _PRINTABLE),
    "prefer": _header(
        "Prefer",
        "`respond-async` or `wait=N` (seconds, at most 50): what is not settled by then is answered 202.",
        {"type": "string"},
    ),
    "start": _query("start", "Start of the range; without it from today (UTC).", _INSTANT),
    "end": _query("end", "End of the range, at most 92 days after its start; without it 92 days.", _INSTANT),
    "patientId": _query("patient_id", "Only this patient's.", _ID),
    "resourceId": _query("resource_id", "Only this resource's.", _ID),
    "healthcareServiceId": _query("healthcare_service_id", "Only this healthcare service's.", _ID),
    "keyFilter": _query("idempotency_key", "Of the request with this key.", _PRINTABLE),
    "appointmentFilter": _query("appointment_id", "That touched this appointment.", _ID),
    "stateFilter": _query("state", "Not settled yet.", {"type": "string", "enum": ["unsettled"]}),
}


def _told(description: str, type: str = "string") -> Json:
    return {"description": description, "schema": {"type": type}}


HEADERS: Json = {
    "requestId": _told(
        "The client's own `x-request-id`, if it is a UUID, a ULID or 16 to 64 hex digits, else a new one."
    ),
    "commandId": _told("The command, for `GET /api/commands/{command_id}`."),
    "emrCalls": _told("Calls spent on the EMR.", "integer"),
    "etag": _told("A strong entity tag of the appointment."),
    "dryRun": _told("`true` on a dry run."),
    "plan": _told("The digest of the plan, on a dry run."),
    "replayed": _told("`true` where the answer is an earlier request's with the same key."),
    "retryAfter": _told("Seconds to wait.", "integer"),
    "location": _told("Where the command is told of."),
    "allow": _told("The methods that the path knows."),
    "authenticate": _told("The scheme of the credentials."),
}

_APPOINTMENT: Json = {
    "id": "a-1",
    "emr_id": "a-1",
    "start": "2031-03-03T09:00:00+01:00",
    "end": "2031-03-03T09:30:00+01:00",
    "status": "booked",
    "confirmed": None,
    "comment": "Moved",
    "patient_id": "p-1",
    "resource_id": "r-1",
    "healthcare_service_id": "s-1",
    "care_unit_id": "c-1",
    "previous_ids": [],
}
EXAMPLE_INSTANCE = "6f1d4f0a-30a5-4a53-9d8e-2f6f2b6f3d11"
EXAMPLES: Json = {
    "Appointment": _APPOINTMENT,
    "ChangedAppointment": _APPOINTMENT | {"change": "moved"},
    "Slot": {
        "start": "2031-03-03T09:00:00+01:00",
        "end": "2031-03-03T09:30:00+01:00",
        "resource_id": "r-1",
        "healthcare_service_id": "s-1",
        "care_unit_id": "c-1",
    },
    "Entry": {"id": "r-1", "name": "Room 1", "care_unit_id": "c-1"},
    "Command": {
        "id": "0197a0f4c1d27c3e8f5a",
        "state": "done",
        "operation": "update",
        "emr": "clinic",
        "created_at": "2031-03-01T08:00:00+00:00",
        "updated_at": "2031-03-01T08:00:01+00:00",
        "answer": {"status": 200, "body": _APPOINTMENT},
        "steps": [{"action": "change", "appointment_id": "a-1", "state": "done"}],
        "unsettled": [],
    },
    "Health": {"status": "ok"},
    "Readiness": {
        "status": "ok",
        "configuration": {
            "digest": "5f0c1d9b2a7e4c36",
            "since": "2031-03-03T07:30:00+00:00",
            "differs_on_disk": False,
        },
    },
}
