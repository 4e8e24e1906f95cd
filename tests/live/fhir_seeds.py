"""Resources of an invented clinic, as a FHIR server is told them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from tests.live.clinics import HALF_HOUR, ZONE

Json = dict[str, Any]

DAY = datetime(2027, 3, 1, tzinfo=ZONE)
"""A Monday."""


def at(hour: int, minute: int = 0) -> datetime:
    """A local time of the clinic's day."""
    return DAY.replace(hour=hour, minute=minute)


def half_hours(first: int, last: int) -> list[datetime]:
    return [at(first) + n * HALF_HOUR for n in range(2 * (last - first))]


def schedule_id(who: str) -> str:
    return who.split("/")[1]


def slot_id(who: str, start: datetime) -> str:
    return f"{schedule_id(who)}-{start.astimezone(ZONE):%H%M}"


def unit(id: str) -> Json:
    return {"resourceType": "Location", "id": id, "status": "active", "name": f"Unit {id}"}


def service(id: str) -> Json:
    return {"resourceType": "HealthcareService", "id": id, "active": True, "name": f"Visit {id}"}


def patient(id: str) -> Json:
    return {"resourceType": "Patient", "id": id, "name": [{"family": f"Testperson {id}", "given": ["Test"]}]}


def practitioner(reference: str) -> Json:
    id = schedule_id(reference)
    return {"resourceType": "Practitioner", "id": id, "name": [{"family": f"Testdoctor {id}"}]}


def schedule(
    who: str, unit: str, id: str, starts: Collection[datetime], busy: Collection[datetime] = ()
) -> Iterator[Json]:
    """With its slots, which are half hours."""
    actors = [{"reference": who}, {"reference": f"Location/{unit}"}]
    yield {"resourceType": "Schedule", "id": id, "active": True, "actor": actors}
    for start in starts:
        yield {
            "resourceType": "Slot",
            "id": f"{id}-{start:%H%M}",
            "schedule": {"reference": f"Schedule/{id}"},
            "status": "busy" if start in busy else "free",
            "start": start.isoformat(),
            "end": (start + HALF_HOUR).isoformat(),
        }


def appointment(
    actors: Collection[str], slots: Collection[str], start: datetime, *, participation: str = "accepted", **more: Any
) -> Json:
    """Over the slots of these ids, the first of which begins at `start`."""
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "start": start.isoformat(),
        "end": (start + len(slots) * HALF_HOUR).isoformat(),
        "slot": [{"reference": f"Slot/{id}"} for id in slots],
        "participant": [{"actor": {"reference": reference}, "status": participation} for reference in actors],
        **more,
    }
