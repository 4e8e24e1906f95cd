"""Wire samples after the R4 specification: a care unit with two practitioners, and invented patients."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Stockholm")
BEYOND = datetime(2027, 4, 6, 9, tzinfo=ZONE)
"""On the other side of the change to summer time."""
PEOPLE = ("Patient/p1", "Practitioner/d1", "Location/u1", "HealthcareService/h1")
Resource = dict[str, Any]


def at(hour: int, minute: int = 0) -> datetime:
    """A local time on the samples' day, 2 March 2027."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)


def appointment(id: str = "a1", **more: Any) -> Resource:
    """09:00-10:00 with the practitioner d1, over two slots."""
    return {
        "resourceType": "Appointment",
        "id": id,
        "meta": {"versionId": "7"},
        "status": "booked",
        "start": "2027-03-02T09:00:00+01:00",
        "end": "2027-03-02T10:00:00.000+01:00",
        "minutesDuration": 60,
        "slot": [{"reference": "Slot/d1-0900"}, {"reference": "Slot/d1-0930"}],
        "comment": "bring the form",
        "participant": participants("accepted"),
        **more,
    }


def participants(status: str, people: tuple[str, ...] = PEOPLE) -> list[Resource]:
    return [{"actor": {"reference": reference}, "status": status} for reference in people]


def slot(who: str, start: datetime, status: str = "free", **more: Any) -> Resource:
    """A half hour of a practitioner's schedule."""
    end = start.replace(hour=start.hour + (start.minute == 30), minute=(start.minute + 30) % 60)
    return {
        "resourceType": "Slot",
        "id": f"{who}-{start:%H%M}",
        "schedule": {"reference": f"Schedule/s-{who}"},
        "status": status,
        "start": start.isoformat(),
        "end": end.isoformat(),
        **more,
    }


def schedule(who: str, **more: Any) -> Resource:
    actors = [{"reference": f"Practitioner/{who}"}, {"reference": "Location/u1"}]
    return {"resourceType": "Schedule", "id": f"s-{who}", "active": True, "actor": actors, **more}


def clinic() -> list[Resource]:
    """Two practitioners with half hours 08:00-12:00; d1 has the appointment a1."""
    half_hours = [at(hour, minute) for hour in range(8, 12) for minute in (0, 30)]
    taken = {at(9), at(9, 30)}
    return [
        {"resourceType": "Location", "id": "u1", "name": "Testunit"},
        {"resourceType": "HealthcareService", "id": "h1", "name": "Testvisit"},
        {"resourceType": "Patient", "id": "p1", "name": [{"family": "Testperson", "given": ["Ett"]}]},
        {"resourceType": "Patient", "id": "p2", "name": [{"text": "Två Testperson"}]},
        {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Testdoctor", "given": ["A"]}]},
        {"resourceType": "Practitioner", "id": "d2", "name": [{"family": "Testdoctor", "given": ["B"]}]},
        {"resourceType": "Practitioner", "id": "d9", "name": [{"family": "Testdoctor", "given": ["Idle"]}]},
        schedule("d1"),
        schedule("d2"),
        *(slot("d1", when, "busy" if when in taken else "free") for when in half_hours),
        *(slot("d2", when) for when in half_hours),
        appointment(),
    ]
