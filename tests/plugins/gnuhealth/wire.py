"""What the real server sends, with invented people: one row of each kind, and its answers under HTTP 200."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def datetime(*parts: int) -> Row:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **dict(zip(names, (*parts, 0, 0, 0, 0), strict=False))}


FREE: Row = {
    "appointment_date_end": datetime(2027, 3, 2, 8, 30),
    "create_uid": 1,
    "consultations": None,
    "institution": 1,
    "appointment_date": datetime(2027, 3, 2, 8),
    "state": "free",
    "appointment_type": "outpatient",
    "comments": None,
    "create_date": datetime(2026, 11, 24, 1, 39, 54, 88062),
    "write_date": None,
    "speciality": 1,
    "patient": None,
    "urgency": "a",
    "visit_type": "new",
    "insurance": None,
    "id": 4,
    "healthprof": 12,
    "_timestamp": "1795484394.088062",
}
BOOKED: Row = {
    **FREE,
    "id": 13,
    "state": "confirmed",
    "patient": 3,
    "comments": "bring the form",
    "write_date": datetime(2026, 11, 24, 1, 40, 12, 700425),
    "_timestamp": "1795484412.700425",
}
ON_SQLITE: Row = {**BOOKED, "_timestamp": "1795484412"}

LOGIN = [7, "cfa41be00c73ebcf"]
STALE = ["ConcurrencyException", "Records were modified in the meanwhile"]
MISSING = [
    "UserError",
    ['You are trying to read records "13" of "Patient Appointments" that don\'t exist.', "", None],
]
WARNING = ["UserWarning", ["a warning", "Test prose.", ""]]
SECOND_FACTOR = ["LoginException", ["password", "Password for frontdesk", "password"]]
STUMBLED = ["'state'", ""]
EMPTY_UNAUTHORIZED = {"status_code": 401, "headers": {"WWW-Authenticate": 'Basic realm="Tryton"'}}
PAGE = "<!doctype html>\n<html lang=en>\n<title>{0}</title>\n<h1>{0}</h1>"


def result(value: Any) -> Row:
    return {"id": 1, "result": value}


def error(value: Any) -> Row:
    return {"id": 1, "error": value}
