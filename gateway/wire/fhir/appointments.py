"""Appointments as FHIR has them."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.model import Appointment, Kind, Status
from gateway.domain.outcome import Shown
from gateway.wire.fhir.parts import UNKNOWN, Json, Urls, present, text

_STATUS: Mapping[Status, str | None] = {
    Status.BOOKED: "booked",
    Status.AWAITING: "pending",
    Status.COMPLETED: "fulfilled",
    Status.CANCELLED: "cancelled",
    Status.NO_SHOW: "noshow",
    Status.OTHER: None,
}
"""FHIR has no word for "another one", and each that it has would say more than is known."""


def appointment(shown: Shown, urls: Urls) -> Json:
    """One appointment with what became of it, its earlier ids as identifiers of use `old`."""
    it = shown.appointment
    status = _STATUS[it.status]
    return {
        **urls.resource("appointments", it.id),
        **present(extension=_extensions(shown, urls), identifier=_identifiers(shown, urls)),
        **({"_status": UNKNOWN} if status is None else {"status": status}),
        "start": it.start.isoformat(),
        "end": it.end.isoformat(),
        **present(comment=text(it.comment)),
        "participant": _participants(it, urls),
    }


def full_url(shown: Shown, urls: Urls) -> str | None:
    """Where the appointment can be read; one that is only planned can't be."""
    return urls.one("appointments", shown.appointment.id) if shown.appointment.id else None


def _extensions(shown: Shown, urls: Urls) -> list[Json]:
    told = []
    if shown.change is not None:
        told.append(urls.extension("change", valueCode=shown.change))
    if shown.appointment.confirmed is not None:
        told.append(urls.extension("confirmed", valueBoolean=shown.appointment.confirmed))
    return told


def _identifiers(shown: Shown, urls: Urls) -> list[Json]:
    now = [urls.identifier("appointments", shown.appointment.id)] if shown.appointment.id else []
    return now + [urls.identifier("appointments", id, use="old") for id in shown.previous_ids]


def _participants(it: Appointment, urls: Urls) -> list[Json]:
    """The patient still has to act where a code or a confirmation is waited for; all others have been booked."""
    waits = it.status is Status.AWAITING or (it.status is Status.BOOKED and it.confirmed is False)
    actors = (
        (Kind.PATIENT, it.patient_id, "needs-action" if waits else "accepted"),
        (Kind.RESOURCE, it.resource_id, "accepted"),
        (Kind.SERVICE, it.healthcare_service_id, "accepted"),
        (Kind.CARE_UNIT, it.care_unit_id, "accepted"),
    )
    told: list[Json] = [{"actor": urls.reference(kind, id), "status": status} for kind, id, status in actors if id]
    return told or [{"actor": UNKNOWN, "_status": UNKNOWN}]
