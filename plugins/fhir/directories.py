"""What exists: care units, resources, healthcare services, patients, and ids of other kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from gateway.plugin import Entry, Kind, Refused, VendorHttp, sense
from plugins.fhir import words
from plugins.fhir.search import Found, completed, search
from plugins.fhir.settings import Settings
from plugins.fhir.words import Json


async def all_of(http: VendorHttp, settings: Settings, kind: Kind) -> list[Entry]:
    """A whole directory, sorted by name."""
    match kind:
        case Kind.RESOURCE:
            entries = await scheduled(http, settings)
        case Kind.SERVICE if settings.services == "serviceType":
            entries = await _codings(http, settings)
        case Kind.CARE_UNIT if settings.care_units == "none":
            raise Refused("unsupported")
        case _:
            found = await _found(http, settings, _type(kind, settings), [])
            entries = sense(lambda listed: _active(listed.of(_type(kind, settings)), settings), found)
    return sorted(entries, key=lambda e: (e.name.casefold(), e.id))


def _active(listed: Iterable[Json], settings: Settings) -> list[Entry]:
    return [words.entry(body, settings) for body in listed if body.get("active", True)]


def only_as_a_list(kind: Kind, settings: Settings) -> bool:
    return kind is Kind.SERVICE and settings.services == "serviceType"


def place(kind: Kind, id: str, settings: Settings) -> tuple[str, str] | None:
    """Resource type and id under which one entry is read; `None` where there can't be one."""
    if kind is Kind.RESOURCE:
        return words.split(id, settings.resources)
    if kind is Kind.CARE_UNIT and settings.care_units == "none":
        return None
    return (_type(kind, settings), id)


async def resolved(http: VendorHttp, settings: Settings, kind: Kind, id_type: str, value: str) -> str | None:
    """The id for an identifier. Raises Refused: "unsupported" for a type that the account does not know,
    "invalid" where several resources bear the identifier."""
    system = settings.identifiers.get(id_type)
    if system is None:
        raise Refused("unsupported")
    types = settings.resources if kind is Kind.RESOURCE else (_type(kind, settings),)
    wanted = [("identifier", f"{system}|{value}")]
    searches = await asyncio.gather(*(_found(http, settings, one, wanted) for one in types))
    bearing = partial(_bearing, system=system, value=value, settings=settings)
    bodies = [body for one, found in zip(types, searches, strict=True) for body in found.of(one)]
    ids = sense(bearing, bodies)
    if len(ids) > 1:
        raise Refused("invalid", "several resources bear the identifier")
    return ids[0] if ids else None


def _bearing(bodies: Iterable[Json], system: str, value: str, settings: Settings) -> list[str]:
    return [words.entry(body, settings).id for body in bodies if words.bears(body, system, value)]


def _type(kind: Kind, settings: Settings) -> str:
    types = {Kind.CARE_UNIT: "Location", Kind.SERVICE: "HealthcareService", Kind.PATIENT: "Patient"}
    return types[kind] if kind in types else settings.resources[0]


async def _found(http: VendorHttp, settings: Settings, kind: str, params: list[tuple[str, str]]) -> Found:
    return await search(http, settings.base_url, kind, [*params, ("_count", str(settings.page_size))])


async def scheduled(http: VendorHttp, settings: Settings, id: str | None = None) -> list[Entry]:
    """Resources (or the one) that have a schedule: only they can be booked. Those whose schedules are all of one care
    unit are said to be there."""
    only = [] if id is None else [("actor", id)]
    found = await _found(http, settings, "Schedule", [*only, ("_include", "Schedule:actor")])
    named = sense(lambda listed: [r for b in listed.of("Schedule") for r in words.actors(b, settings, "actor")], found)
    found = await completed(http, settings.base_url, found, named, settings.resources)
    return sense(partial(_with_schedules, settings=settings), found)


def _with_schedules(found: Found, settings: Settings) -> list[Entry]:
    units: dict[str, set[str | None]] = {}
    for schedule in found.of("Schedule"):
        listed = words.actors(schedule, settings, "actor")
        if schedule.get("active", True):
            for reference in listed:
                units.setdefault(reference, set()).add(words.unit_of(listed, settings))
    entries = []
    for reference, where in units.items():
        body = found.get(reference)
        if body is not None and body["resourceType"] in settings.resources:
            one = words.entry(body, settings)
            entries.append(replace(one, care_unit_id=next(iter(where)) if len(where) == 1 else None))
    return entries


async def _codings(http: VendorHttp, settings: Settings) -> list[Entry]:
    """The service types that healthcare services and schedules name."""
    services, schedules = await asyncio.gather(
        _found(http, settings, "HealthcareService", []), _found(http, settings, "Schedule", [])
    )
    return sense(lambda both: _named(*both), (services, schedules))


def _named(services: Found, schedules: Found) -> list[Entry]:
    concepts = [
        *(c for body in services.of("HealthcareService") for c in body.get("type", ())),
        *(c for body in schedules.of("Schedule") for c in body.get("serviceType", ())),
    ]
    named: dict[str, Entry] = {}
    for concept in concepts:
        for coding, token in zip(words.coded(concept), words.tokens([concept]), strict=True):
            named.setdefault(token, Entry(token, str(coding.get("display") or concept.get("text") or token)))
    return list(named.values())
