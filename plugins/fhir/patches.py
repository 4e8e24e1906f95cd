"""Our words into FHIR's: JSON Patches and resources, built purely from a step and the image that it is written over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from gateway.plugin import Cancel, Change, Confirm, Create, MarkSlot, Refused, Slot, Span
from plugins.fhir.settings import Settings
from plugins.fhir.words import NEVER_WAS, Json, actors, kind_of, local, split

Op = dict[str, Any]
CANCEL_REASON = "other"
"""Of FHIR's own `appointment-cancellation-reason`."""
LIKE = ("serviceCategory", "serviceType", "specialty", "appointmentType", "reasonCode", "reasonReference")
"""What a new appointment takes over from the one that it stands beside."""


def put(path: str, value: Any) -> Op:
    """Set a member whether or not it is there: `replace` fails on an absent one."""
    return {"op": "add", "path": path, "value": value}


def instead(path: str, value: Any) -> Op:
    return {"op": "replace", "path": path, "value": value}


def drop(path: str) -> Op:
    return {"op": "remove", "path": path}


def test(path: str, value: Any) -> Op:
    return {"op": "test", "path": path, "value": value}


# -- changes ----------------------------------------------------------------------------------------------------------


def change(step: Change, settings: Settings) -> list[Op]:
    native = step.before.native
    ops: list[Op] = []
    if step.span is not None:
        ops += [put("/start", step.span.start.isoformat()), put("/end", step.span.end.isoformat())]
        if "minutesDuration" in native:
            ops.append(put("/minutesDuration", minutes(step.span)))
    if step.span is not None or step.resource_id is not None:
        ops += _slots(step.slots, native)
    if step.resource_id is not None:
        ops += _reassignment(step.before.resource_id, step.resource_id, native, settings)
    if step.comment is not None:
        ops += comment(step.comment, native)
    return ops


def cancellation(step: Cancel, reason: Json) -> list[Op]:
    ops = [instead("/status", "cancelled"), put("/cancelationReason", reason)]
    return ops if step.comment is None else ops + comment(step.comment, step.before.native)


def reason(code: str, settings: Settings) -> Json:
    return {"coding": [{"system": settings.cancel_reason_system, "code": code}]}


def confirmation(step: Confirm) -> list[Op]:
    """Book it, and accept for the patient and for everyone who has not answered yet: that is what `booked` means.
    A refusal of anybody else stays."""
    native: Json = step.before.native
    ops = [instead("/status", "booked")] if native.get("status") in ("proposed", "pending") else []
    return ops + [
        instead(f"/participant/{n}/status", "accepted")
        for n, p in enumerate(native.get("participant", ()))
        if p.get("status") in ("needs-action", "tentative") or (p.get("status") == "declined" and _is_patient(p))
    ]


def _is_patient(participant: Json) -> bool:
    return kind_of(str((participant.get("actor") or {}).get("reference") or "")) == "Patient"


def withdrawal() -> list[Op]:
    return [instead("/status", NEVER_WAS)]


def marking(step: MarkSlot) -> list[Op]:
    """The test holds even where a server does not honour If-Match."""
    other = "free" if step.state == "busy" else "busy"
    return [test("/status", step.slot.native.get("status", other)), instead("/status", step.state)]


def comment(text: str, native: Json) -> list[Op]:
    """FHIR has no empty string: clearing is removing."""
    if text.strip():
        return [put("/comment", text)]
    return [drop("/comment")] if "comment" in native else []


def _slots(slots: Sequence[Slot], native: Json) -> list[Op]:
    held = references(slots)
    if held:
        return [put("/slot", held)]
    return [drop("/slot")] if "slot" in native else []


def _reassignment(old: str | None, new: str, native: Json, settings: Settings) -> list[Op]:
    actor = {"reference": checked(new, settings)}
    for n, participant in enumerate(native.get("participant", ())):
        raw = str((participant.get("actor") or {}).get("reference") or "")
        if old is not None and local(raw, settings.base_url) == old:
            # Where If-Match were ignored, the index could mean somebody else by now.
            guard = [test(f"/participant/{n}/actor/reference", raw)] if raw == old else []
            return [*guard, instead(f"/participant/{n}/actor", actor)]
    return [put("/participant/-", {"actor": actor, "status": "accepted"})]


# -- new resources ----------------------------------------------------------------------------------------------------


def booking(step: Create, settings: Settings) -> dict[str, Any]:
    like: Json = step.like.native if step.like else {}
    body: dict[str, Any] = {
        "resourceType": "Appointment",
        "status": "booked",
        **{key: like[key] for key in LIKE if key in like},
        "start": step.span.start.isoformat(),
        "end": step.span.end.isoformat(),
        "minutesDuration": minutes(step.span),
        "participant": _participants(step, like, settings),
    }
    if step.marker:
        body["identifier"] = [{"system": settings.marker_system, "value": step.marker}]
    if step.slots:
        body["slot"] = references(step.slots)
    if step.comment and step.comment.strip():
        body["comment"] = step.comment
    if settings.services == "serviceType" and step.healthcare_service_id and "serviceType" not in body:
        body["serviceType"] = [{"coding": [coding(step.healthcare_service_id)]}]
    return body


def marker_query(marker: str, settings: Settings) -> str:
    """The condition of a conditional create: none yet that bears the marker."""
    return f"identifier={quote(settings.marker_system, safe='')}|{quote(marker, safe='')}"


def _participants(step: Create, like: Json, settings: Settings) -> list[dict[str, Any]]:
    wanted = [f"Patient/{step.patient_id}", checked(step.resource_id, settings)]
    if step.care_unit_id and settings.care_units == "Location":
        wanted.append(f"Location/{step.care_unit_id}")
    if step.healthcare_service_id and settings.services == "HealthcareService":
        wanted.append(f"HealthcareService/{step.healthcare_service_id}")
    for reference in wanted:
        if split(reference, (kind_of(reference),)) is None:
            raise Refused("invalid", "not a FHIR id")
    # Ahead of the others: the first of the resource types is the resource.
    accepted = [{"actor": {"reference": r}, "status": "accepted"} for r in wanted]
    return accepted + [dict(p) for p in _company(step, like, wanted, settings)]


def _company(step: Create, like: Json, wanted: Sequence[str], settings: Settings) -> list[Json]:
    """Who else takes part in the appointment that this one stands beside (an assistant, a device)."""
    singular = {"Patient", *(kind_of(r) for r in wanted if kind_of(r) not in settings.resources)}
    left = {*wanted, step.like.resource_id if step.like else None}
    listed = zip(like.get("participant", ()), actors(like, settings), strict=True)
    return [p for p, reference in listed if kind_of(reference) not in singular and reference not in left]


def references(slots: Sequence[Slot]) -> list[dict[str, str]]:
    return [{"reference": f"Slot/{s.id}"} for s in slots if s.id is not None]


def checked(resource_id: str, settings: Settings) -> str:
    """Raises Refused("invalid") for what is no reference to a resource of this account's types."""
    if split(resource_id, settings.resources) is None:
        raise Refused("invalid", "not a reference to a resource of this account")
    return resource_id


def coding(token: str) -> dict[str, str]:
    system, bar, code = token.rpartition("|")
    if not bar or not code:
        raise Refused("invalid", "a service is named as system|code")
    return {"system": system, "code": code} if system else {"code": code}


def minutes(span: Span) -> int:
    return max(1, round(span.length.total_seconds() / 60))
