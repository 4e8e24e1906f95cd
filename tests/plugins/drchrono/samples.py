"""What the vendor's documents show as answers, with invented people."""

from __future__ import annotations

from typing import Any

URL = "https://app.drchrono.com/api"

Row = dict[str, Any]

BOOKED: Row = {
    "id": "7001",
    "allow_overlapping": False,
    "appt_is_break": False,
    "base_recurring_appointment": None,
    "billing_status": "",
    "cloned_from": None,
    "color": "#28B2BE",
    "created_at": "2026-11-02T09:33:26",
    "deleted_flag": False,
    "doctor": 11,
    "duration": 30,
    "exam_room": 2,
    "is_virtual_base": False,
    "is_walk_in": False,
    "notes": "bring the form",
    "office": 21,
    "patient": 41,
    "profile": 31,
    "reason": "Test visit",
    "recurring_appointment": False,
    "scheduled_time": "2027-03-02T09:00:00",
    "status": "",
    "updated_at": "2026-11-03T08:10:08",
}
BREAK: Row = {**BOOKED, "id": "7002", "patient": None, "profile": None, "appt_is_break": True}
OFFICE: Row = {"id": 21, "name": "Test Street", "archived": False, "start_time": "08:00:00", "end_time": "17:00:00"}
DOCTOR: Row = {"id": 11, "first_name": "Test", "last_name": "Anna", "practice_group": "4711"}
BLOCK: Row = {
    "id": 12345,
    "description": "Test lunch",
    "provider": 11,
    "office": 21,
    "exam_room": 1,
    "start_time": "2027-03-02T12:00:00",
    "end_time": "2027-03-02T13:00:00",
    "series": None,
}
OVERLAP: Row = {"detail": "test prose"}


def schedule(office: int = 21, off: tuple[str, ...] = (), **days: Any) -> Row:
    """A work schedule: by weekday the hours; of those days that are `off` they are noted, and switched off. So is
    midnight's hour everywhere."""
    rows = [
        {
            "iso_weekday": name,
            "enabled": name not in off,
            "work_hours": [_hours("00:00", "01:00", False), *map(_of, hours)],
        }
        for name, hours in days.items()
    ]
    return {"id": 1, "office": office, "doctor": 11, "work_days": rows}


def _of(hours: tuple[str, str]) -> Row:
    return _hours(*hours, True)


def _hours(start: str, end: str, enabled: bool) -> Row:
    return {"enabled": enabled, "start_time": start, "end_time": end}


def listed(*rows: Row, more: str | None = None, name: str = "data") -> Row:
    return {"previous": None, name: list(rows), "next": more}
