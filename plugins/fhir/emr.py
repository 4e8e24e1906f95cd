"""The port of a FHIR R4 server: one or two requests per method."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar

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
    Step,
    VendorHttp,
    sense,
)
from plugins.fhir import directories, slots, words
from plugins.fhir.declared import FULL, declared, narrowed, says_transaction
from plugins.fhir.dialects import DIALECTS, Sending, Written
from plugins.fhir.dialects.standard import marking
from plugins.fhir.learned import Learned
from plugins.fhir.problems import resource
from plugins.fhir.proof import proven
from plugins.fhir.receipts import Receipts
from plugins.fhir.search import Found, Params, batches, search
from plugins.fhir.settings import Settings
from plugins.fhir.transactions import encoded, transaction
from plugins.fhir.words import Json

T = TypeVar("T")

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
        self._proves = Receipts(settings, self._speaks.read)

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
        return () if params is None else [a for a in await self._listed(params) if _is_wanted(a, wanted)]

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
        """The statement needs no credentials; to see a slot does, and it can be tried what the server heeds."""
        can, transacts = await self._http.read("/metadata", self._stated)
        place, params = self._speaks.proof
        shown = await self._http.read(place, _shown, params=params)
        if shown and can.slot_records and self._speaks.tries_lock:
            await self.learned.lock(self._http, "Slot", str(shown[0]["id"]), words.version_of(shown[0]))
        tries = can.slot_records and transacts and self._may_try_transactions()
        return replace(can, bundle_max=FULL.bundle_max if tries and await self._transacts(shown) else 0)

    def _stated(self, response: httpx.Response) -> tuple[Capabilities, bool]:
        """What the statement leaves, and whether it speaks of transactions."""
        statement = _body(response)
        can = narrowed(self.capabilities, statement, changes_by=self._speaks.changes_by)
        return can, says_transaction(statement)

    def _may_try_transactions(self) -> bool:
        wanted = self._speaks.transacts and self._settings.transactions == "proven"
        return wanted and self.learned.if_match is not None

    async def _transacts(self, found: Sequence[Json]) -> bool:
        """Tried once: it leaves new versions of two slots."""
        if self.learned.transacts is None:
            self.learned.transacts = await proven(self._http, self._settings.base_url, found)
        return self.learned.transacts

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        return await self._send(step)

    async def cancel(self, step: Cancel) -> Receipt:
        return await self._send(step)

    async def confirm(self, step: Confirm) -> Receipt:
        return await self._send(step)

    async def discard(self, step: Discard) -> Receipt:
        if not self.capabilities.discard:
            raise Refused("unsupported")
        return await self._send(step)

    async def create(self, step: Create) -> Receipt:
        if not self.capabilities.create:
            raise Refused("unsupported")
        return await self._send(step)

    async def mark_slot(self, step: MarkSlot) -> Receipt:
        if not self.capabilities.slot_records:
            raise Refused("unsupported")
        sending = await self._sending(step)
        try:
            return await self._write(sending, lambda response: self._proves.of_slot(step, response))
        except Refused as no:
            if no.reason == "invalid":  # a test failed: it is another version or in another state
                raise Refused("stale", emr_code=no.emr_code) from no
            raise

    async def bundle(self, steps: Sequence[Step]) -> Sequence[Receipt]:
        if len(steps) > self.capabilities.bundle_max:
            raise Refused("unsupported")
        sendings = [await self._sending(step) for step in steps]
        base_url = self._settings.base_url
        whole = Sending(method="POST", path=base_url, body=transaction(sendings, base_url))
        try:
            return await self._write(whole, lambda response: self._proves.of_transaction(steps, response))
        except Refused as no:
            if await self._is_another_world(no, sendings):
                raise Refused("stale", emr_code=no.emr_code) from no
            raise

    async def _is_another_world(self, no: Refused, sendings: Sequence[Sending]) -> bool:
        """Than the one that was planned for: it helps to plan anew."""
        if no.reason == "unsupported":  # what it took of slots it does not take of appointments: by ordered steps, then
            self.learned.transacts = False
            self.capabilities = replace(self.capabilities, bundle_max=0)
            return True
        return no.reason == "taken" or (no.reason == "invalid" and await self._any_other_version(sendings))

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

    async def _sending(self, step: Step) -> Sending:
        """The step, ready to be sent; a patch tests the version itself where that is needed."""
        sending = await self._said(step)
        if sending.over is None or not self._speaks.tries_lock:
            return sending
        kind, id = _place(sending)
        await self.learned.lock(self._http, kind, id, sending.over)
        return replace(sending, body=[*self.learned.guard(sending.over), *sending.body])

    async def _said(self, step: Step) -> Sending:
        match step:
            case Change():
                return await self._speaks.change(step)
            case Cancel():
                return await self._speaks.cancel(step)
            case Confirm():
                return await self._speaks.confirm(step)
            case Discard():
                return await self._speaks.discard(step)
            case Create():
                return await self._speaks.create(step)
            case MarkSlot():
                return marking(step)

    async def _write(self, sending: Sending, parse: Callable[[httpx.Response], T]) -> T:
        headers = {**ANSWER, "Content-Type": sending.media, **sending.headers}
        content = None if sending.body is None else encoded(sending.body)
        return await self._http.write(sending.method, sending.path, parse, content=content, headers=headers)

    async def _send(self, step: Written) -> Receipt:
        sending = await self._sending(step)
        try:
            return await self._write(sending, self._proves.of_appointment)
        except Refused as no:
            guarded = self.learned.if_match is False and no.reason == "invalid"
            if guarded and await self._any_other_version([sending]):
                raise Refused("stale", emr_code=no.emr_code) from no
            meant = await self._speaks.retold(no, step)
            if meant is None:
                raise
            raise Refused(meant, emr_code=no.emr_code) from no

    async def _any_other_version(self, sendings: Sequence[Sending]) -> bool:
        """Where a patch tests the version itself, a test that fails and a value that is refused look the same."""
        over = [sending for sending in sendings if sending.over is not None]
        shown = await asyncio.gather(*(self._one(*_place(sending)) for sending in over))
        return any(b is None or words.version_of(b) != s.over for b, s in zip(shown, over, strict=True))


def _body(response: httpx.Response) -> Json:
    body = resource(response)
    if body is None:
        raise ValueError("no resource in the answer")
    return body


def _shown(response: httpx.Response) -> list[Json]:
    """The slots that a search has found, each with an id and a version."""
    found = [entry["resource"] for entry in _body(response).get("entry") or ()]
    listed = [body for body in found if body["resourceType"] == "Slot"]
    for body in listed:
        words.text(body["id"])
        words.version_of(body)
    return listed


def _is_wanted(one: Appointment, wanted: ReadCalendar) -> bool:
    """One that names no care unit may be of any."""
    return replace(wanted, care_unit_id=one.care_unit_id and wanted.care_unit_id).takes(one)


def _place(sending: Sending) -> tuple[str, str]:
    """Type and id of what a patch is sent to."""
    kind, _, id = sending.path.removeprefix("/").partition("/")
    return kind, id
