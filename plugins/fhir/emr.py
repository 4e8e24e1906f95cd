"""The port of a FHIR R4 server: one or two requests per method."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Capabilities,
    Change,
    Confirm,
    Create,
    Discard,
    Emr,
    Entry,
    FindFreeTime,
    FreeTime,
    Kind,
    MarkSlot,
    MaybeDone,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    VendorHttp,
    sense,
)
from plugins.fhir import directories, patches, slots, words
from plugins.fhir.declared import JSON_PATCH, declared, narrowed
from plugins.fhir.dialects import DIALECTS, Sending, Written
from plugins.fhir.learned import Learned
from plugins.fhir.problems import appointment_in, resource
from plugins.fhir.search import Found, Params, batches, search
from plugins.fhir.settings import Settings
from plugins.fhir.words import Json

ANSWER = {"Prefer": "return=representation"}


class FhirEmr(Emr):
    def __init__(self, http: VendorHttp, settings: Settings, cancel_reason: str) -> None:
        dialect = DIALECTS[settings.dialect]
        tenant = str(httpx.URL(settings.base_url))
        super().__init__(declared(settings, dialect.differences), tenant, settings.edition)
        self._http = http
        self._settings = settings
        self.learned = Learned()
        self._speaks = dialect(http, settings, self.learned, self.calendar, cancel_reason)

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        body = await self._one("Appointment", id)
        return None if body is None else sense(self._speaks.read, body)

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, Appointment | None]:
        if len(ids) == 1:
            return {ids[0]: await self.appointment(ids[0])}
        known = [id for id in ids if words.is_id(id)]
        pages = [self._listed([("_id", ",".join(batch))]) for batch in batches(known)]
        found = {a.id: a for listed in await asyncio.gather(*pages) for a in listed}
        if not found.keys() <= set(known):
            raise MaybeDone("a search by ids found others")
        return {id: found.get(id) for id in ids}

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        params = self._speaks.calendar(wanted)
        return () if params is None else [a for a in await self._listed(params) if _wanted(a, wanted)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        if wanted.resource_id is not None and words.split(wanted.resource_id, self._settings.resources) is None:
            return FreeTime("slots")
        return await self._speaks.free(wanted)

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        if kind not in self.capabilities.directories:
            raise Refused("unsupported")
        return await directories.all_of(self._http, self._settings, kind)

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        if directories.only_as_a_list(kind, self._settings):
            return await super().look_up(kind, id)
        place = directories.place(kind, id, self._settings)
        if place is not None and kind is Kind.RESOURCE:
            listed = await directories.scheduled(self._http, self._settings, id)
            known = next((entry for entry in listed if entry.id == id), None)
            if known is not None:
                return known
        body = None if place is None else await self._one(*place)
        return None if body is None else sense(partial(words.entry, settings=self._settings), body)

    async def resolve(self, kind: Kind, id_type: str, value: str) -> str | None:
        return await directories.resolved(self._http, self._settings, kind, id_type, value)

    async def find_own(self, step: Create | Change) -> Appointment | None:
        if not isinstance(step, Create):
            raise Refused("unsupported")
        found = await self._search("Appointment", self._speaks.own(step))
        own = sense(lambda listed: [b for b in listed.of("Appointment") if self._speaks.is_own(b, step)], found)
        read = [sense(self._speaks.read, body) for body in own]
        return next((a for a in read if a is not None), None)

    async def slot(self, slot: Slot) -> tuple[Literal["busy", "free"], Slot] | None:
        body = None if slot.id is None else await self._one("Slot", slot.id)
        return None if body is None else sense(partial(slots.state, slot, settings=self._settings), body)

    async def probe(self) -> Capabilities:
        """The statement needs no credentials; to see a slot does, and it can be tried whether versions are heeded."""
        can = await self._http.read("/metadata", self._narrowed)
        place, params = self._speaks.proof
        shown = await self._http.read(place, _shown, params=params)
        if shown is not None and can.slot_records and self._speaks.tries_lock:
            await self.learned.lock(self._http, "Slot", *shown)
        return can

    def _narrowed(self, response: httpx.Response) -> Capabilities:
        return narrowed(self.capabilities, _body(response), changes_by=self._speaks.changes_by)

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        return await self._send(await self._speaks.change(step), step)

    async def cancel(self, step: Cancel) -> Receipt:
        return await self._send(await self._speaks.cancel(step), step)

    async def confirm(self, step: Confirm) -> Receipt:
        return await self._send(await self._speaks.confirm(step), step)

    async def discard(self, step: Discard) -> Receipt:
        if not self.capabilities.discard:
            raise Refused("unsupported")
        return await self._send(await self._speaks.discard(step), step)

    async def create(self, step: Create) -> Receipt:
        if not self.capabilities.create:
            raise Refused("unsupported")
        return await self._send(await self._speaks.create(step), step)

    async def mark_slot(self, step: MarkSlot) -> Receipt:
        if not self.capabilities.slot_records:
            raise Refused("unsupported")
        id, version = step.slot.id, step.slot.version
        if id is None or not words.is_id(id):
            raise Refused("invalid", "not a slot record")
        await self.learned.lock(self._http, "Slot", id, version)
        try:
            return await self._http.write(
                "PATCH",
                f"/Slot/{id}",
                lambda response: Receipt(slot=slots.marked(step, response, self._settings), id=id),
                content=_encoded([*self.learned.guard(version), *patches.marking(step)]),
                headers=_patching(version),
            )
        except Refused as no:
            if no.reason == "invalid":  # a test failed: it is another version or in another state
                raise Refused("stale", emr_code=no.emr_code) from no
            raise

    # -- one request -------------------------------------------------------------------------------------------

    async def _one(self, kind: str, id: str) -> Json | None:
        if not words.is_id(id):
            return None
        try:
            return await self._http.read(f"/{kind}/{id}", lambda response: words.the(_body(response), kind, id))
        except Refused as no:
            if no.reason == "not_found":
                return None
            raise

    async def _search(self, kind: str, params: Params) -> Found:
        paged = [*params, ("_count", str(self._settings.page_size))]
        return await search(self._http, self._settings.base_url, kind, paged)

    async def _listed(self, params: Params) -> list[Appointment]:
        found = await self._search("Appointment", params)
        read = [sense(self._speaks.read, body) for body in found.of("Appointment")]
        return sorted((a for a in read if a is not None), key=lambda a: (a.span.key, a.id))

    async def _send(self, sending: Sending, step: Written) -> Receipt:
        before, guard = sending.about, list[patches.Op]()
        if before is not None and self._speaks.tries_lock:
            await self.learned.lock(self._http, "Appointment", before.id, before.version)
            guard = self.learned.guard(before.version)
        body = [*guard, *sending.body] if guard else sending.body
        headers = {**ANSWER, "Content-Type": sending.media, **sending.headers}
        content = None if body is None else _encoded(body)
        try:
            return await self._http.write(sending.method, sending.path, self._receipt, content=content, headers=headers)
        except Refused as no:
            if guard and before is not None and no.reason == "invalid" and await self._is_another_version(before):
                raise Refused("stale", emr_code=no.emr_code) from no
            meant = await self._speaks.retold(no, step)
            if meant is None:
                raise
            raise Refused(meant, emr_code=no.emr_code) from no

    async def _is_another_version(self, before: Appointment) -> bool:
        """Where a patch tests the version itself, a test that fails and a value that is refused look the same."""
        body = await self._one("Appointment", before.id)
        return body is None or words.version_of(body) != before.version

    def _receipt(self, response: httpx.Response) -> Receipt:
        """The appointment where the server answers with it, else only its id (and for a booking at least that)."""
        body = resource(response)
        if body is None:
            return Receipt(id=_located(response))
        one = appointment_in(body)
        return Receipt(appointment=self._speaks.read(one), id=one["id"])


def _body(response: httpx.Response) -> Json:
    body = resource(response)
    if body is None:
        raise ValueError("no resource in the answer")
    return body


def _shown(response: httpx.Response) -> tuple[str, str | None] | None:
    """Id and version of what a search has found first."""
    found = next(iter(_body(response).get("entry") or ()), None)
    return None if found is None else (words.text(found["resource"]["id"]), words.version_of(found["resource"]))


def _wanted(one: Appointment, wanted: ReadCalendar) -> bool:
    return (
        one.span.overlaps(wanted.span)
        and wanted.resource_id in (None, one.resource_id)
        and wanted.patient_id in (None, one.patient_id)
        and (wanted.care_unit_id is None or one.care_unit_id in (None, wanted.care_unit_id))
    )


def _encoded(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _patching(version: str | None) -> dict[str, str]:
    headers = {**ANSWER, "Content-Type": JSON_PATCH}
    return headers if version is None else {**headers, "If-Match": f'W/"{version}"'}


def _located(response: httpx.Response) -> str | None:
    """The id in a Location header: `[base]/Appointment/[id]/_history/[version]`."""
    path = response.headers.get("location", "").split("/_history/", 1)[0]
    kind, _, id = path.rpartition("/")
    return id if kind.endswith("Appointment") and words.is_id(id) else None
