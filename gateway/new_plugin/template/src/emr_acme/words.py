"""Acme's words into ours, and ours into Acme's. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Create,
    EmrError,
    Entry,
    FindFreeTime,
    Kind,
    ReadCalendar,
    Refused,
    Slot,
    Span,
    Status,
    given,
)

Json = Mapping[str, Any]

DIRECTORIES = {
    Kind.CARE_UNIT: "sites",
    Kind.RESOURCE: "clinicians",
    Kind.SERVICE: "visit-types",
    Kind.PATIENT: "patients",
}
STATES = {
    "planned": Status.BOOKED,
    "done": Status.COMPLETED,
    "void": Status.CANCELLED,
    "missed": Status.NO_SHOW,
}
"""What is not here is news, and `other`."""


# -- theirs into ours -------------------------------------------------------------------------------------------------


def is_id(id: str | None) -> bool:
    return id is not None and re.fullmatch(r"[a-z]{1,3}-[0-9]{1,12}", id) is not None


def appointment(row: Json, zone: ZoneInfo) -> Appointment:
    return Appointment(
        id=row["id"],
        start=instant(row["starts"], zone),
        end=instant(row["ends"], zone),
        status=STATES.get(row["state"], Status.OTHER),
        patient_id=row["patient"],
        resource_id=row["clinician"],
        healthcare_service_id=row["visit_type"],
        care_unit_id=row["site"],
        comment=row["note"] or None,
        version=str(int(row["revision"])),
    )


def slot(row: Json, zone: ZoneInfo, wanted: FindFreeTime) -> Slot:
    if row["clinician"] != wanted.resource_id:
        raise ValueError("free time of another clinician")
    place = (row["clinician"], wanted.healthcare_service_id, wanted.care_unit_id)
    return Slot(instant(row["starts"], zone), instant(row["ends"], zone), *place)


def entry(row: Json) -> Entry:
    return Entry(row["id"], row["name"])


def instant(said: str, zone: ZoneInfo) -> datetime:
    return datetime.strptime(said, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).astimezone(zone)


# -- ours into theirs -------------------------------------------------------------------------------------------------


def said(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def times(span: Span) -> dict[str, str]:
    return {"starts": said(span.start), "ends": said(span.end)}


def booking(step: Create) -> dict[str, str]:
    return given(
        {
            **times(step.span),
            "patient": step.patient_id,
            "clinician": step.resource_id,
            "visit_type": step.healthcare_service_id,
            "site": step.care_unit_id,
            "note": step.comment,
            "reference": step.marker,
        }
    )


def changed(step: Change) -> dict[str, str]:
    moved = {} if step.span is None else times(step.span)
    return {**moved, **given({"clinician": step.resource_id, "note": step.comment})}


def cancellation(step: Cancel) -> dict[str, str]:
    return given({"note": step.comment})


def over(before: Appointment) -> dict[str, str]:
    """The revision that a write goes over: an older one is refused."""
    return given({"If-Match": before.version})


def calendar(wanted: ReadCalendar) -> dict[str, str]:
    span = {"from": said(wanted.span.start), "to": said(wanted.span.end)}
    whose = {"clinician": wanted.resource_id, "patient": wanted.patient_id, "site": wanted.care_unit_id}
    return {**span, **given(whose)}


def free(wanted: FindFreeTime) -> dict[str, str]:
    span = {"from": said(wanted.span.start), "to": said(wanted.span.end)}
    whose = {"clinician": wanted.resource_id, "visit_type": wanted.healthcare_service_id, "site": wanted.care_unit_id}
    return {**span, **given(whose)}


# -- refusals ---------------------------------------------------------------------------------------------------------


def problem(answer: httpx.Response) -> EmrError | None:
    """What its own error codes mean, where a status does not say it. Its prose is never passed on."""
    match answer.json()["error"]:
        case "time_taken":
            return Refused("taken", emr_code="time_taken")
        case "closed":
            return Refused("state", emr_code="closed")
        case "too_late":
            return Refused("rule", emr_code="too_late")
    return None
