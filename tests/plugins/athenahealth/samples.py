"""What athenahealth's documents and clients show of its answers, with invented people."""

from __future__ import annotations

from typing import Any

URL = "https://api.preview.platform.athenahealth.com"
PRACTICE = f"{URL}/v1/195900"
TOKEN = {"access_token": "invented-token", "expires_in": 3600, "token_type": "Bearer"}

RECORD: dict[str, Any] = {
    "date": "03/02/2027",
    "appointmentid": "1110189",
    "starttime": "09:00",
    "departmentid": "1",
    "appointmentstatus": "f",
    "patientid": "7968",
    "duration": 30,
    "appointmenttypeid": "4",
    "appointmenttype": "Test visit",
    "providerid": "528",
    "chargeentrynotrequired": False,
    "patientappointmenttypename": "Test visit",
}
"""One by itself, as reads, bookings and moves show it: in a list of one."""
BOOKED: dict[str, Any] = {
    **RECORD,
    "scheduledby": "API-12301",
    "templateappointmenttypeid": "4",
    "templateappointmentid": "1110189",
    "hl7providerid": 528,
    "lastmodifiedby": "API-12301",
    "lastmodified": "06/02/2026 01:01:43",
    "scheduleddatetime": "06/02/2026 01:01:43",
    "copay": 0,
    "coordinatorenterprise": False,
    "appointmentnotes": [{"id": 51, "text": "bring the form", "displayonschedule": False}],
}
"""In a list of booked ones."""
CANCELLED = {
    **{name: value for name, value in BOOKED.items() if name != "appointmentnotes"},
    "appointmentstatus": "x",
    "cancelreasonid": "11",
    "cancelreasonnoshow": "false",
    "cancelreasonslotavailable": "true",
    "cancelledby": "API-12301",
}
MOVED = {**CANCELLED, "rescheduledappointmentid": "1115851"}
NOTES = {
    "notes": [
        {"displayonschedule": False, "notetext": "older", "noteid": "9", "created": "06/03/2026 15:34:25"},
        {"displayonschedule": False, "notetext": "newest", "noteid": "51", "created": "06/03/2026 15:34:33"},
    ],
    "totalcount": 2,
}
SLOT: dict[str, Any] = {
    "date": "03/02/2027",
    "appointmentid": 2204083,
    "departmentid": 1,
    "localproviderid": 528,
    "appointmenttype": "Test visit",
    "providerid": 528,
    "starttime": "11:15",
    "duration": 30,
    "appointmenttypeid": 4,
    "reasonid": ["-1"],
    "patientappointmenttypename": "Test visit",
}
"""Its ids are numbers, and nobody else's are."""
DEPARTMENTS = {
    "totalcount": 2,
    "departments": [
        {"departmentid": "1", "name": "Test Street", "timezonename": "America/New_York", "timezoneoffset": -5},
        {"departmentid": "21", "name": "Far Street", "timezonename": "America/Chicago", "timezoneoffset": -6},
    ],
}
ERROR = {"error": "Prose that nobody has to know.", "detailedmessage": "And more of it."}


def listed(*rows: dict[str, Any], name: str = "appointments") -> dict[str, Any]:
    return {name: list(rows), "totalcount": len(rows)}
