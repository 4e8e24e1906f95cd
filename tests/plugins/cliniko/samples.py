"""What the vendor's documents show as answers, with invented people."""

from __future__ import annotations

from typing import Any

URL = "https://api.eu1.cliniko.com/v1"

Row = dict[str, Any]


def link(path: str) -> Row:
    return {"links": {"self": f"{URL}/{path}"}}


BOOKED: Row = {
    "id": "1001",
    "created_at": "2026-11-02T09:33:26Z",
    "updated_at": "2026-11-03T08:10:08Z",
    "archived_at": None,
    "deleted_at": None,
    "booking_ip_address": None,
    "cancellation_note": None,
    "cancellation_reason": None,
    "cancellation_reason_description": None,
    "cancelled_at": None,
    "conflicts": link("individual_appointments/1001/conflicts"),
    "did_not_arrive": None,
    "email_reminder_sent": False,
    "has_patient_appointment_notes": False,
    "invoice_status": None,
    "notes": "bring the form",
    "online_booking_policy_accepted": None,
    "patient_arrived": False,
    "patient_name": "Kim Test",
    "repeat_rule": None,
    "repeats": None,
    "sms_reminder_sent": False,
    "starts_at": "2027-03-02T08:00:00Z",
    "ends_at": "2027-03-02T08:30:00Z",
    "telehealth_url": None,
    "treatment_note_status": None,
    "appointment_type": link("appointment_types/31"),
    "business": link("businesses/21"),
    "practitioner": link("practitioners/11"),
    "patient": link("patients/41"),
    "attendees": link("individual_appointments/1001/attendees"),
    **link("individual_appointments/1001"),
}
CANCELLED: Row = {
    **BOOKED,
    "cancelled_at": "2026-11-04T10:00:00Z",
    "cancellation_reason": 50,
    "cancellation_reason_description": "Other",
    "cancellation_note": "ill",
}
TYPE: Row = {"id": "31", "name": "Test visit", "duration_in_minutes": 45}
NO_CONFLICT: Row = {"conflicts": {"exist": False}}
INVALID: Row = {"message": "Validation Failed", "errors": {"starts_at": "test prose"}}


def starts(*times: str, more: str | None = None) -> Row:
    links = {"self": f"{URL}/x"} | ({} if more is None else {"next": more})
    return {"available_times": [{"appointment_start": t} for t in times], "total_entries": len(times), "links": links}


def listed(*rows: Row, total: int | None = None, more: str | None = None) -> Row:
    links = {"self": f"{URL}/individual_appointments"} | ({} if more is None else {"next": more})
    total = len(rows) if total is None else total
    return {"individual_appointments": list(rows), "total_entries": total, "links": links}
