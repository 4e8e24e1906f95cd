"""The port onto the sandbox EMR: one request each, and what it says in `wire`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

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
)
from plugins.sandbox import wire
from plugins.sandbox.settings import DECLARED, Settings

BATCH = 50
"""How many references one address holds."""


Written = Change | Create | Cancel | Confirm | Discard


class SandboxEmr(Emr):
    def __init__(self, http: VendorHttp, settings: Settings, tells: Callable[[Written], bool | None]) -> None:
        super().__init__(DECLARED[settings.personality], f"sandbox:{settings.address}", settings.personality)
        self._http, self._tells = http, tells
        self._starts_only = settings.personality == "starts"

    # -- reads ------------------------------------------------------------------------------------------------------

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, Appointment | None]:
        parts = [ids[n : n + BATCH] for n in range(0, len(ids), BATCH)]
        pages = await asyncio.gather(*(self._bookings({"ref": part}) for part in parts))
        known = {found.id: found for page in pages for found in page}
        if not known.keys() <= set(ids):
            raise MaybeDone("asked for some bookings, it showed others")
        return {id: known.get(id) for id in ids}

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        found = await self._bookings(wire.question(wanted))
        return [a for a in found if wanted.takes(a)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        params = wire.question(wanted)
        if not self._starts_only:
            return await self._http.read("/free", partial(wire.free_time, wanted=wanted), params=params)
        starts, lengths = await asyncio.gather(
            self._http.read("/free", partial(wire.starts, wanted=wanted), params=params),
            self._http.read("/register/kinds", wire.lengths),
        )
        return wire.from_starts(starts, lengths, wanted)

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        return await self._register(kind)

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        return next((entry for entry in await self._register(kind, id) if entry.id == id), None)

    async def find_own(self, step: Create | Change) -> Appointment | None:
        if isinstance(step, Create):
            return next(iter(await self._bookings({"mark": step.marker})), None)
        before = await self.appointment(step.before.id)
        successor = None if before is None else before.native.get("moved_to")
        return None if successor is None else await self.appointment(str(successor))

    async def slot(self, slot: Slot) -> tuple[Literal["busy", "free"], Slot] | None:
        try:
            return await self._http.read(_slot_path(slot), partial(wire.slot_state, asked=slot))
        except Refused as error:
            if error.reason == "not_found":
                return None
            raise

    async def probe(self) -> Capabilities:
        await self.directory(Kind.CARE_UNIT)
        return self.capabilities

    async def _bookings(self, params: Mapping[str, Any]) -> list[Appointment]:
        return await self._http.read("/bookings", wire.appointments, params=params)

    async def _register(self, kind: Kind, *ids: str) -> list[Entry]:
        path = f"/register/{wire.REGISTERS[kind]}"
        return await self._http.read(path, partial(wire.entries, kind), params={"ref": ids})

    # -- writes -----------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        return await self._write(step, "PATCH", _path(step.before), wire.changed(step))

    async def create(self, step: Create) -> Receipt:
        return await self._write(step, "POST", "/bookings", wire.new_booking(step))

    async def cancel(self, step: Cancel) -> Receipt:
        return await self._write(step, "POST", f"{_path(step.before)}/annul", wire.over(step, {"memo": step.comment}))

    async def confirm(self, step: Confirm) -> Receipt:
        # Not over a revision: the code is the patient's word, whatever the staff has noted since.
        try:
            return await self._write(step, "POST", f"{_path(step.before)}/code", {"code": step.code or ""})
        except Refused as error:
            if error.emr_code == "ALREADY":
                return Receipt(id=step.before.id)
            raise

    async def discard(self, step: Discard) -> Receipt:
        over = {"mark": step.marker, "if_rev": step.before.version or ""}
        params = {**over, **self._switch(step)}
        return await self._http.write("DELETE", _path(step.before), wire.receipt, params=params)

    async def mark_slot(self, step: MarkSlot) -> Receipt:
        asked = {"state": step.state, "if_rev": step.slot.version}
        return await self._http.write("PATCH", _slot_path(step.slot), partial(wire.marked, asked=step.slot), json=asked)

    async def _write(self, step: Written, method: str, path: str, body: Mapping[str, object]) -> Receipt:
        return await self._http.write(method, path, wire.receipt, json={**body, **self._switch(step)})

    def _switch(self, step: Written) -> dict[str, str | bool]:
        """Whether the patient is told; left out, where it is the clinic's own matter."""
        tell = self._tells(step)
        return {} if tell is None else {"tell": tell}


def _path(before: Appointment) -> str:
    return f"/bookings/{quote(before.id, safe='')}"


def _slot_path(slot: Slot) -> str:
    return f"/slots/{quote(slot.id or '', safe='')}"
