"""Free time out of Slots and their Schedules, with the command's own slots among them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import httpx

from gateway.plugin import Appointment, FindFreeTime, FreeTime, ReadCalendar, Refused, Slot, VendorHttp, sense
from plugins.fhir import words
from plugins.fhir.learned import Learned
from plugins.fhir.problems import resource
from plugins.fhir.search import Found, Params, batches, completed, search
from plugins.fhir.settings import Settings
from plugins.fhir.words import Json

Calendar = Callable[[ReadCalendar], Awaitable[Sequence[Appointment]]]
HELD = ("busy", "busy-tentative", "free")
"""What a slot may say while an appointment of ours holds it; `busy-unavailable` is the EMR's own no."""


async def free(
    http: VendorHttp, settings: Settings, wanted: FindFreeTime, calendar: Calendar, offered: Awaitable[Found]
) -> FreeTime:
    """Slots that are free (among those `offered`), and those that only the ignored appointments hold."""
    codes, shown, mine = await asyncio.gather(
        _service_codes(http, settings, wanted.healthcare_service_id),
        offered,
        _held(http, settings, wanted, calendar),
    )
    bookable = sense(lambda found: list(_bookable(found, wanted, codes, settings)), shown)
    by_id = {s.id: s for s in [*bookable, *mine]}
    return FreeTime("slots", tuple(sorted(by_id.values(), key=lambda s: (s.span.key, s.id or ""))))


async def _held(http: VendorHttp, settings: Settings, wanted: FindFreeTime, calendar: Calendar) -> list[Slot]:
    ids = _own(wanted)
    if not ids:
        return []
    others, held = await asyncio.gather(
        calendar(ReadCalendar(wanted.span, resource_id=wanted.resource_id)),
        asyncio.gather(*(with_schedules(http, settings, [("_id", ",".join(batch))]) for batch in batches(ids))),
    )
    return [s for one in held for s in sense(lambda found: list(_ours(found, wanted, ids, others, settings)), one)]


def _own(wanted: FindFreeTime) -> list[str]:
    """The slots that the ignored appointments hold on this resource."""
    return [
        id
        for a in wanted.ignoring
        if wanted.resource_id in (None, a.resource_id) and words.standing(a)
        for id in a.slot_ids
        if words.is_id(id)
    ]


def state(one: Slot, body: Json, settings: Settings) -> tuple[Literal["busy", "free"], Slot] | None:
    """How a slot stands, with its version; `None` for one that should not exist."""
    status, read = words.status_of(body), words.slot(body, settings)
    if status == words.NEVER_WAS:
        return None
    return "free" if status == "free" else "busy", replace(one, version=read.version, native=read.native)


async def offered(http: VendorHttp, settings: Settings, learned: Learned, wanted: FindFreeTime) -> Found:
    """Free slots of the resource, in one search where the server follows the chain from slot to schedule to actor.

    Whether it does shows once there is something to find: some find nothing by a chain, and say nothing.
    """
    params = _free_params(wanted)
    if wanted.resource_id is None:
        return await with_schedules(http, settings, params)
    found = Found()
    if learned.chains is not False:
        found = await _chained(http, settings, learned, [*params, ("schedule.actor", wanted.resource_id)])
    if learned.chains:
        return found
    found = await _by_schedules(http, settings, wanted.resource_id, params)
    if learned.chains is None and any(found.of("Slot")):
        learned.chains = False
    return found


async def _chained(http: VendorHttp, settings: Settings, learned: Learned, params: Params) -> Found:
    try:
        found = await with_schedules(http, settings, params)
    except Refused as no:
        if no.reason not in ("invalid", "unsupported"):
            raise
        learned.chains = False
        return Found()
    if any(found.of("Slot")):
        learned.chains = True
    return found


async def _by_schedules(http: VendorHttp, settings: Settings, resource_id: str, params: Params) -> Found:
    paged = ("_count", settings.page_size)
    found = await search(http, settings.base_url, "Schedule", [("actor", resource_id), paged])
    ids = sense(partial(_of_resource, resource_id=resource_id, settings=settings), found)
    searches = (
        search(
            http,
            settings.base_url,
            "Slot",
            [*params, ("schedule", ",".join(f"Schedule/{id}" for id in batch)), paged],
        )
        for batch in batches(ids)
    )
    for one in await asyncio.gather(*searches):
        found.merge(one)
    return found


def _of_resource(found: Found, resource_id: str, settings: Settings) -> list[str]:
    """The ids of the resource's schedules."""
    return [str(b["id"]) for b in found.of("Schedule") if resource_id in words.actors(b, settings, "actor")]


def _free_params(wanted: FindFreeTime) -> list[tuple[str, str]]:
    return [
        ("status", "free"),
        ("start", f"ge{words.said(wanted.span.start)}"),
        ("start", f"lt{words.said(wanted.span.end)}"),
    ]


async def with_schedules(http: VendorHttp, settings: Settings, params: Params) -> Found:
    """Slots with their schedules."""
    whole = [*params, ("_include", "Slot:schedule"), ("_count", str(settings.page_size))]
    found = await search(http, settings.base_url, "Slot", whole)
    schedules = sense(lambda slots: [_schedule_of(body, settings) for body in slots.of("Slot")], found)
    return await completed(http, settings.base_url, found, schedules, ("Schedule",))


def _bookable(found: Found, wanted: FindFreeTime, codes: Sequence[str], settings: Settings) -> Iterable[Slot]:
    for body in found.of("Slot"):
        schedule = _schedule(found, body, settings)
        fits = words.fits(body, schedule, wanted.healthcare_service_id, codes, settings)
        if body.get("status") == "free" and fits:
            one = words.placed(words.slot(body, settings), schedule, settings)
            if _here(one, schedule, wanted, settings):
                yield _told(one, wanted)


def _ours(
    found: Found, wanted: FindFreeTime, ids: Iterable[str], others: Sequence[Appointment], settings: Settings
) -> Iterable[Slot]:
    """Own slots count as free unless somebody else's appointment lies there too."""
    ignored = {a.id for a in wanted.ignoring}
    strangers = [a.span for a in others if a.id not in ignored and words.standing(a)]
    for body in found.of("Slot"):
        if body["id"] in ids and body.get("status") in HELD:
            one = words.placed(words.slot(body, settings), _schedule(found, body, settings), settings)
            if one.span.overlaps(wanted.span) and not any(span.overlaps(one.span) for span in strangers):
                yield _told(one, wanted)


def _schedule(found: Found, body: Json, settings: Settings) -> Json | None:
    return found.get(_schedule_of(body, settings))


def _schedule_of(body: Json, settings: Settings) -> str:
    return words.referred(body["schedule"], settings.base_url)


def _here(one: Slot, schedule: Json | None, wanted: FindFreeTime, settings: Settings) -> bool:
    """Does it start in the span, on this resource and in this care unit? What a schedule leaves out fits all."""
    at = (schedule or {}).get("active", True)
    starts = wanted.span.start.timestamp() <= one.start.timestamp() < wanted.span.end.timestamp()
    on = schedule is None or wanted.resource_id in (None, *words.actors(schedule, settings, "actor"))
    unit = wanted.care_unit_id is None or one.care_unit_id in (None, wanted.care_unit_id)
    return bool(at) and starts and on and unit


def _told(one: Slot, wanted: FindFreeTime) -> Slot:
    return replace(
        one,
        resource_id=wanted.resource_id or one.resource_id,
        care_unit_id=one.care_unit_id or wanted.care_unit_id,
        healthcare_service_id=wanted.healthcare_service_id,
    )


async def _service_codes(http: VendorHttp, settings: Settings, service: str | None) -> list[str]:
    """The codings by which slots may be reserved for a service."""
    if service is None:
        return []
    if settings.services == "serviceType":
        return [service]
    if not words.is_id(service):
        return []
    try:
        return await http.read(f"/HealthcareService/{service}", partial(_codes, service=service))
    except Refused as no:
        if no.reason == "not_found":
            return []
        raise


def _codes(response: httpx.Response, service: str) -> list[str]:
    return words.tokens(words.the(resource(response) or {}, "HealthcareService", service).get("type", ()))
