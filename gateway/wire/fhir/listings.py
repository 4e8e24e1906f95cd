"""Free slots, and the directories: care units, resources, healthcare services, patients."""

from __future__ import annotations

from gateway.domain.model import Entry, Kind, Slot
from gateway.wire.fhir.parts import UNKNOWN, Json, Urls, present, text


def slot(free: Slot, urls: Urls) -> Json:
    """A free slot. It has no identity here; whose time it is stands in the schedule that it carries along."""
    actors = ((Kind.RESOURCE, free.resource_id), (Kind.SERVICE, free.healthcare_service_id))
    told = [urls.reference(kind, id) for kind, id in (*actors, (Kind.CARE_UNIT, free.care_unit_id)) if id]
    return {
        "resourceType": "Slot",
        "contained": [{"resourceType": "Schedule", "id": "schedule", "actor": told or [UNKNOWN]}],
        "schedule": {"reference": "#schedule"},
        "status": "free",
        "start": free.start.isoformat(),
        "end": free.end.isoformat(),
    }


def entry(kind: Kind, listed: Entry, urls: Urls) -> Json:
    """What exists: its id, its name, and the care unit that it belongs to."""
    name = text(listed.name)
    unit = urls.reference(Kind.CARE_UNIT, listed.care_unit_id) if listed.care_unit_id else None
    named: Json
    if kind in (Kind.PATIENT, Kind.RESOURCE):
        named = present(name=[{"text": name}] if name else None)
    else:
        named = present(name=name)
    if kind is Kind.SERVICE:
        named |= present(location=[unit] if unit else None)
        unit = None
    return {
        **urls.resource(kind, listed.id),
        **present(extension=[urls.extension("care-unit", valueReference=unit)] if unit else None),
        "identifier": [urls.identifier(kind, listed.id)],
        **named,
    }
