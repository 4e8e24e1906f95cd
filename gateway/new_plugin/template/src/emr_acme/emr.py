"""The port of an Acme account: one or two requests for each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import httpx

from emr_acme import words
from emr_acme.settings import Settings
from gateway.plugin import (
    Appointment,
    Cancel,
    Capabilities,
    Change,
    Create,
    Discard,
    Emr,
    Entry,
    FindFreeTime,
    FreeTime,
    Kind,
    MaybeDone,
    Page,
    ReadCalendar,
    Receipt,
    Refused,
    VendorHttp,
    by_cursor,
    given,
    if_there,
    nothing,
)

FULL = Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    free_time_by=frozenset({Kind.RESOURCE}),
    move="in_place",
    reassign="in_place",
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    comment=True,
    version_check=True,
    concurrency=4,
    late_write_s=30.0,
)
T = TypeVar("T")


class AcmeEmr(Emr):
    def __init__(self, http: VendorHttp, settings: Settings) -> None:
        super().__init__(replace(FULL, late_write_s=settings.late_write_s), tenant=settings.base_url)
        self._http, self._zone = http, settings.zone

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        return await self._one(f"/visits/{id}", id, self._appointment)

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        found = await self._listed("/visits", words.calendar(wanted), self._appointment)
        return [one for one in found if wanted.takes(one)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        if wanted.resource_id is None:
            raise Refused("unsupported", "free time is of one clinician")

        def slots(answer: httpx.Response) -> FreeTime:
            rows = answer.json()["openings"]
            return FreeTime("slots", tuple(words.slot(row, self._zone, wanted) for row in rows))

        return await self._http.read("/openings", slots, params=words.free(wanted))

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        return await self._listed(f"/{words.DIRECTORIES[kind]}", {}, words.entry)

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        return await self._one(f"/{words.DIRECTORIES[kind]}/{id}", id, words.entry)

    async def find_own(self, step: Create | Change) -> Appointment | None:
        """A booking bears its marker, so that it is known again after a lost answer."""
        if not isinstance(step, Create):
            raise Refused("unsupported")
        found = await self._listed("/visits", {"reference": step.marker}, self._appointment)
        return found[0] if found else None

    async def probe(self) -> Capabilities:
        await self._http.read("/sites", lambda answer: answer.json()["items"])
        return self.capabilities

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        body, over = words.changed(step), words.over(step.before)
        return await self._http.write("PATCH", _path(step), self._written, json=body, headers=over)

    async def create(self, step: Create) -> Receipt:
        return await self._http.write("POST", "/visits", self._written, json=words.booking(step))

    async def cancel(self, step: Cancel) -> Receipt:
        body, over = words.cancellation(step), words.over(step.before)
        return await self._http.write("POST", f"{_path(step)}/void", self._written, json=body, headers=over)

    async def discard(self, step: Discard) -> Receipt:
        await self._http.write("DELETE", _path(step), nothing, headers=words.over(step.before))
        return Receipt(id=step.before.id)

    # -- answers -----------------------------------------------------------------------------------------------

    def _appointment(self, row: words.Json) -> Appointment:
        return words.appointment(row, self._zone)

    def _written(self, answer: httpx.Response) -> Receipt:
        return Receipt(appointment=self._appointment(answer.json()))

    async def _one(self, path: str, id: str, parse: Callable[[words.Json], T]) -> T | None:
        if not words.is_id(id):
            return None

        def asked_for(answer: httpx.Response) -> T:
            if answer.json()["id"] != id:
                raise MaybeDone("asked for one record, it showed another")
            return parse(answer.json())

        return await if_there(self._http.read(path, asked_for))

    async def _listed(self, path: str, params: Mapping[str, str], parse: Callable[[words.Json], T]) -> list[T]:
        """All pages, or an error."""

        def page(answer: httpx.Response) -> Page[T]:
            body = answer.json()
            return Page([(row["id"], parse(row)) for row in body["items"]], next=body["next"], total=body["total"])

        async def ask(cursor: str | None) -> Page[T]:
            return await self._http.read(path, page, params={**params, **given({"cursor": cursor})})

        return await by_cursor(ask)


def _path(step: Change | Cancel | Discard) -> str:
    if not words.is_id(step.before.id):
        raise Refused("not_found")
    return f"/visits/{step.before.id}"
