"""Answers as Open Dental's API pages show them. The people and the office are invented."""

from __future__ import annotations

from typing import Any

URL = "https://api.opendental.com/api/v1"

BOOKED: dict[str, Any] = {
    "serverDateTime": "2027-02-20 09:32:45",
    "AptNum": 1001,
    "PatNum": 41,
    "AptStatus": "Scheduled",
    "Pattern": "//XX//",
    "Confirmed": 19,
    "confirmed": "Not Called",
    "TimeLocked": "false",
    "Op": 3,
    "Note": "bring the form",
    "ProvNum": 11,
    "provAbbr": "TEST1",
    "ProvHyg": 0,
    "AptDateTime": "2027-03-02 09:00:00",
    "NextAptNum": 0,
    "UnschedStatus": 0,
    "unschedStatus": "",
    "IsNewPatient": "false",
    "ProcDescript": "",
    "ClinicNum": 21,
    "IsHygiene": "false",
    "DateTStamp": "2027-02-19 08:30:12",
    "DateTimeArrived": "0001-01-01 00:00:00",
    "DateTimeSeated": "0001-01-01 00:00:00",
    "DateTimeDismissed": "0001-01-01 00:00:00",
    "InsPlan1": 0,
    "InsPlan2": 0,
    "DateTimeAskedToArrive": "0001-01-01 00:00:00",
    "colorOverride": "0,0,0",
    "AppointmentTypeNum": 31,
    "SecUserNumEntry": 0,
    "SecDateTEntry": "2027-02-04 09:12:05",
    "Priority": "Normal",
    "PatternSecondary": "//////",
    "ItemOrderPlanned": 0,
}
HYGIENE = {**BOOKED, "IsHygiene": "true", "ProvHyg": 12}
PLANNED = {**BOOKED, "AptNum": 1002, "AptStatus": "Planned", "Op": 0}
WINDOW = {"DateTimeStart": "2027-03-02 08:00:00", "DateTimeEnd": "2027-03-02 10:30:00", "ProvNum": 11, "OpNum": 3}
CHAIR = {
    "OperatoryNum": 3,
    "OpName": "Test chair",
    "Abbrev": "OP-1",
    "ItemOrder": 0,
    "IsHidden": "false",
    "ProvDentist": 11,
    "ProvHygienist": 12,
    "IsHygiene": "false",
    "ClinicNum": 21,
    "SetProspective": "false",
    "IsWebSched": "false",
    "OperatoryType": 0,
    "operatoryType": "",
}
PROVIDER = {"ProvNum": 13, "Abbr": "TEST3", "LName": "Test", "FName": "Anna", "IsHidden": "false"}
"""Of many more fields."""
PROSE = "Test prose about Kim Test."
