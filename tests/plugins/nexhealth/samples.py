"""What the vendor's documents show as answers, with invented people."""

from __future__ import annotations

from typing import Any

URL = "https://nexhealth.info"

Row = dict[str, Any]

BOOKED: Row = {
    "id": 1001,
    "patient_id": 41,
    "provider_id": 11,
    "provider_name": "Test Anna",
    "start_time": "2027-03-02T15:00:00.000Z",
    "end_time": "2027-03-02T15:30:00.000Z",
    "confirmed": False,
    "patient_missed": False,
    "created_at": "2026-11-02T09:33:26.007Z",
    "updated_at": "2026-11-03T08:10:08.400Z",
    "note": "bring the form",
    "unavailable": False,
    "cancelled": False,
    "timezone": "America/Chicago",
    "institution_id": 1,
    "appointment_type_id": 31,
    "checkin_at": None,
    "location_id": 21,
    "foreign_id": "94",
    "foreign_id_type": "msg-test-DataSource-100",
    "misc": {},
    "last_sync_time": "2026-11-03T08:10:08.000Z",
    "patient_confirmed": False,
    "cancelled_at": None,
    "confirmed_at": None,
    "operatory_id": 51,
    "checked_out": False,
    "checked_out_at": None,
    "referrer": None,
    "timezone_offset": "-06:00",
}
NEW: Row = {**BOOKED, "foreign_id": None, "last_sync_time": None, "referrer": "emr-gateway:m1"}
BLOCK: Row = {**BOOKED, "id": 1002, "unavailable": True, "patient_id": None, "appointment_type_id": 0}


SYNC: Row = {"sync_source_type": "DataSource", "read_status": "green", "write_status": "green"}


def told(data: Any) -> Row:
    return {"code": True, "description": "", "error": [], "data": data}


def listed(*rows: Row, more: str | None = None) -> Row:
    cursors = {"start_cursor": "first", "end_cursor": more or "last"}
    return {**told([*rows]), "page_info": {"has_previous_page": False, "has_next_page": more is not None, **cursors}}


def free(*slots: tuple[str, str, int | None]) -> Row:
    """Start, end, operatory; by the clock of a practice."""
    rows = [
        {"time": start, "end_time": end, "provider_id": 11, **({} if room is None else {"operatory_id": room})}
        for start, end, room in slots
    ]
    return told([{"lid": 21, "pid": 11, "next_available_date": None, "slots": rows}])
