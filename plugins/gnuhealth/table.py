"""Tryton's models over HTTP: rows read page by page, writes that are refused over any version but the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from gateway.plugin import Refused, Slot, Span, VendorHttp
from plugins.gnuhealth import rpc, words
from plugins.gnuhealth.settings import Settings
from plugins.gnuhealth.words import Json, Record

APPOINTMENT = "gnuhealth.appointment"
BY_ID = [["id", "ASC"]]

Domain = list[Any]
T = TypeVar("T")

_sleep = asyncio.sleep


class Table:
    """`gnuhealth.appointment`, and what other models list."""

    def __init__(self, http: VendorHttp, settings: Settings) -> None:
        self._http, self._settings = http, settings

    # -- reads -------------------------------------------------------------------------------------------------

    async def ask(self, parse: Callable[[rpc.Answer], T], method: str, *params: Any) -> T:
        json = rpc.request(method, [*params, {}])
        return await self._http.read("/", lambda response: parse(rpc.answer(response)), method="POST", json=json)

    async def listed(
        self, parse: Callable[[Json, float | None], T], model: str, domain: Domain, *fields: str
    ) -> list[T]:
        """Page by page, in order of the ids and from id to id: what is made or goes meanwhile shifts none."""
        found: list[T] = []
        size, last, full = self._settings.page_size, 0, True
        while full:
            beyond = [*domain, ["id", ">", last]]
            page = await self.ask(
                lambda answer: [(int(row["id"]), parse(row, answer.at)) for row in answer.result],
                *(f"model.{model}.search_read", beyond, 0, size, BY_ID, list(fields)),
            )
            found += [one for _, one in page]
            last, full = max((id for id, _ in page), default=last), len(page) == size
        return found

    async def records(self, domain: Domain) -> list[Record]:
        found = await self.listed(self._record, APPOINTMENT, domain, *words.FIELDS)
        return [record for record in found if record is not None]

    def _record(self, row: Json, at: float | None) -> Record | None:
        return words.record(row, at, self._settings)

    async def overlapping(self, span: Span, domain: Domain) -> list[Record]:
        """Sorted by their times."""
        ends = ["appointment_date_end", ">", words.instant(span.start)]
        # One that has no end is as long as the settings say.
        late = ["appointment_date", ">", words.instant(span.start - self._settings.default_length)]
        within = [["appointment_date", "<", words.instant(span.end)], ["OR", ends, late]]
        found = await self.records([*domain, *within])
        return sorted((r for r in found if r.span.overlaps(span)), key=lambda r: (r.span.key, r.row["id"]))

    async def free_record(self, slot: Slot) -> Slot | None:
        """The free record that is exactly this time; of equal ones always the same, so that nobody gets the second."""
        place = {**words.placed(slot.span), "healthprof": words.number(slot.resource_id), "state": words.FREE}
        found = await self.records(equal(place))
        return words.slot(found[0]) if found else None

    # -- writes ------------------------------------------------------------------------------------------------

    async def create(self, values: Mapping[str, Any]) -> str:
        return await self._write(lambda answer: str(int(answer.result[0])), "create", [values], {})

    async def write_over(
        self, method: str, id: str, version: str | None, guard: Mapping[str, Any], *values: Any
    ) -> None:
        """`guard` is what was read with the version. Raises Refused("stale") where it is not the newest."""
        number = words.number(id)
        if guard.get("leaks"):
            await self._outlive(number, version)
        context = {"_timestamp": {f"{APPOINTMENT},{number}": guard.get("token")}}
        try:
            await self._write(_nothing, method, [number], *values, context)
        except Refused as no:
            if no.emr_code == rpc.RULE_OR_MISSING and not await self.records([["id", "=", number]]):
                raise Refused("not_found", emr_code=no.emr_code) from no
            raise

    async def _write(self, parse: Callable[[rpc.Answer], T], method: str, *params: Any) -> T:
        json = rpc.request(f"model.{APPOINTMENT}.{method}", params)
        return await self._http.write("POST", "/", lambda response: parse(rpc.answer(response)), json=json)

    async def _outlive(self, number: int, version: str | None) -> None:
        """A token of whole seconds that was read in its own second does not show another write in it. Wait until any
        further write would show, and look whether there was one."""
        await _sleep(words.LATE_S)
        now = await self.records([["id", "=", number]])
        if not now:
            raise Refused("not_found")
        if now[0].version != version:
            raise Refused("stale")


def _nothing(answer: rpc.Answer) -> None:
    """That it is an answer is all that there is in it."""


def equal(values: Mapping[str, Any]) -> Domain:
    return [[name, "=", value] for name, value in values.items()]
