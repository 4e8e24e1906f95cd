"""The sandbox: an EMR to try the gateway with, and the plugin that speaks to it.

It speaks local time without an offset, writes over the revision that was read, and knows a booking again by the
caller's mark. What else it does is a matter of each clinic's personality (`declared`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr

import gateway.plugin as gw
from gateway.plugin import Kind, Status, given
from plugins.sandbox.declared import DECLARED, EDITIONS, WIDEST, ZONE, Personality
from plugins.sandbox.emr import build_app

T = TypeVar("T")
Written = gw.Change | gw.Create | gw.Cancel | gw.Confirm | gw.Discard

BATCH = 50
"""How many references one address holds."""
REGISTERS = {Kind.CARE_UNIT: "sites", Kind.RESOURCE: "staff", Kind.SERVICE: "kinds", Kind.PATIENT: "people"}
STAGES = {
    "PLANNED": Status.BOOKED,
    "UNCONFIRMED": Status.AWAITING,
    "AWAITING_CODE": Status.AWAITING,
    "DONE": Status.COMPLETED,
    "ANNULLED": Status.CANCELLED,
    "MOVED": Status.CANCELLED,
    "ABSENT": Status.NO_SHOW,
}
"""Any other stage is OTHER. A moved booking's own record is over: its successor is another one."""
FAULTS: Mapping[str, gw.Reason] = {
    "TIME_TAKEN": "taken",
    "NOT_OFFERED": "taken",
    "STALE": "stale",
    "UNKNOWN_REF": "not_found",
    "WRONG_CODE": "wrong_code",
    "EXPIRED_CODE": "expired_code",
    "WRONG_STAGE": "state",
    "ALREADY": "state",
    "BAD_VALUE": "invalid",
    "NOT_POSSIBLE": "unsupported",
}


class Settings(BaseModel):
    """One clinic of a sandbox EMR. Without a `base_url` it is the one inside the gateway."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: gw.BaseUrl = "http://sandbox.invalid"
    clinic: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    api_key: SecretStr
    personality: Personality = "in-place"

    @property
    def address(self) -> str:
        return f"{self.base_url}/{self.personality}/{self.clinic}"


class SandboxEmr(gw.Emr):
    """One request each; what is said in it, the functions below say."""

    def __init__(self, http: gw.VendorHttp, settings: Settings, tells: Callable[[Written], bool | None]) -> None:
        super().__init__(DECLARED[settings.personality], f"sandbox:{settings.address}", settings.personality)
        self._http, self._tells = http, tells

    # -- reads -----------------------------------------------------------------------------------------------------

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, gw.Appointment | None]:
        parts = [ids[n : n + BATCH] for n in range(0, len(ids), BATCH)]
        pages = await asyncio.gather(*(self._each("/bookings", appointment, ref=part) for part in parts))
        known = {found.id: found for page in pages for found in page}
        if not known.keys() <= set(ids):
            raise gw.MaybeDone("asked for some bookings, it showed others")
        return {id: known.get(id) for id in ids}

    async def calendar(self, wanted: gw.ReadCalendar) -> Sequence[gw.Appointment]:
        return [one for one in await self._each("/bookings", appointment, **question(wanted)) if wanted.takes(one)]

    async def free_time(self, wanted: gw.FindFreeTime) -> gw.FreeTime:
        asked = question(wanted)
        if self.edition != "starts":
            return await self._http.read("/free", lambda answer: free_time(answer.json(), wanted), params=asked)
        asking = self._http.read("/free", lambda answer: gw.records(answer.json()["starts"]), params=asked)
        starts, kinds = await asyncio.gather(asking, self._each("/register/kinds", dict))
        return gw.sense(lambda rows: from_starts(rows, kinds, wanted), starts)

    async def directory(self, kind: Kind) -> Sequence[gw.Entry]:
        return await self._each(f"/register/{REGISTERS[kind]}", entry)

    async def look_up(self, kind: Kind, id: str) -> gw.Entry | None:
        found = await self._each(f"/register/{REGISTERS[kind]}", entry, ref=id)
        return next((one for one in found if one.id == id), None)

    async def find_own(self, step: gw.Create | gw.Change) -> gw.Appointment | None:
        if isinstance(step, gw.Create):
            return next(iter(await self._each("/bookings", appointment, mark=step.marker)), None)
        before = await self.appointment(step.before.id)
        successor = before and before.native.get("moved_to")
        return await self.appointment(str(successor)) if successor else None

    async def slot(self, slot: gw.Slot) -> tuple[Literal["busy", "free"], gw.Slot] | None:
        return await gw.if_there(self._http.read(_slot_path(slot), lambda answer: slot_state(answer.json(), slot)))

    async def probe(self) -> gw.Capabilities:
        await self.directory(Kind.CARE_UNIT)
        return self.capabilities

    async def _each(self, path: str, parse: Callable[[gw.Row], T], **asked: Any) -> list[T]:
        """What the rows of a list say. It is told under the last word of its path."""
        what = path.rpartition("/")[2]
        return await self._http.read(path, lambda a: [parse(row) for row in gw.records(a.json()[what])], params=asked)

    # -- writes ----------------------------------------------------------------------------------------------------

    async def change(self, step: gw.Change) -> gw.Receipt:
        return await self._write("PATCH", _path(step.before), step, changed(step))

    async def create(self, step: gw.Create) -> gw.Receipt:
        return await self._write("POST", "/bookings", step, new_booking(step))

    async def cancel(self, step: gw.Cancel) -> gw.Receipt:
        return await self._write("POST", _path(step.before, "/annul"), step, over(step, {"memo": step.comment}))

    async def confirm(self, step: gw.Confirm) -> gw.Receipt:
        """Not over a revision: the code is the patient's word, whatever the staff has noted since."""
        try:
            return await self._write("POST", _path(step.before, "/code"), step, {"code": step.code or ""})
        except gw.Refused as no:
            if no.emr_code != "ALREADY":
                raise
            return gw.Receipt(id=step.before.id)

    async def discard(self, step: gw.Discard) -> gw.Receipt:
        asked = {"mark": step.marker, "if_rev": step.before.version or ""} | given({"tell": self._tells(step)})
        return await self._http.write("DELETE", _path(step.before), receipt, params=asked)

    async def mark_slot(self, step: gw.MarkSlot) -> gw.Receipt:
        path, asked = _slot_path(step.slot), {"state": step.state, "if_rev": step.slot.version}
        _, now = await self._http.write("PATCH", path, lambda a: slot_state(a.json(), step.slot), json=asked)
        return gw.Receipt(slot=now)

    async def _write(self, method: str, path: str, step: Written, body: Mapping[str, Any]) -> gw.Receipt:
        """With whether the patient is told; without, where it is the clinic's own matter."""
        return await self._http.write(method, path, receipt, json={**body, **given({"tell": self._tells(step)})})


def _path(before: gw.Appointment, below: str = "") -> str:
    return f"/bookings/{quote(before.id, safe='')}{below}"


def _slot_path(slot: gw.Slot) -> str:
    return f"/slots/{quote(slot.id or '', safe='')}"


# -- theirs into ours --------------------------------------------------------------------------------------------------


def appointment(row: gw.Row) -> gw.Appointment:
    """A booking, or the request to annul one."""
    return gw.Appointment(
        id=row["ref"],
        start=gw.wall(row["begins"], ZONE),
        end=gw.wall(row["ends"], ZONE),
        status=STAGES.get(row["stage"], Status.OTHER),
        patient_id=row["who"],
        resource_id=row["with"],
        healthcare_service_id=row["kind"],
        care_unit_id=row["place"],
        comment=row["memo"] or None,
        confirmed=row["agreed"],
        version=row["rev"],
        slot_ids=gw.ids_of(row["slots"]),
        code_to_cancel=row["annul_asks_code"],
        confirms=row.get("about"),
        native=given({"moved_to": row["moved_to"]}),
    )


def receipt(answer: httpx.Response) -> gw.Receipt:
    """What a write's answer proves: a booking or request; nothing, where it is empty or only a ticket."""
    told = answer.json() if answer.content else {"ticket": ""}
    return gw.Receipt() if "ticket" in told else gw.Receipt(appointment=appointment(told))


def entry(row: gw.Row) -> gw.Entry:
    return gw.Entry(row["ref"], row["title"], row.get("site"))


def slot(row: gw.Row, service_id: str | None, minutes: int | None = None) -> gw.Slot:
    """A stretch of free time; a start alone lasts so many `minutes`."""
    start = gw.wall(row["begins"], ZONE)
    end = gw.wall(row["ends"], ZONE) if minutes is None else gw.minutes_after(start, minutes)
    return gw.Slot(start, end, row["with"], service_id, row["place"], row.get("ref"), row.get("rev"))


def slot_state(row: gw.Row, asked: gw.Slot) -> tuple[Literal["busy", "free"], gw.Slot]:
    """A slot record, and whether it is taken."""
    if row["ref"] != asked.id:
        raise ValueError("another slot than was asked for")
    return "free" if row["state"] == "free" else "busy", slot(row, asked.healthcare_service_id)


def free_time(body: gw.Row, wanted: gw.FindFreeTime) -> gw.FreeTime:
    shape: Literal["slots", "windows"] = "windows" if "windows" in body else "slots"
    return _there(wanted, shape, [slot(row, wanted.healthcare_service_id) for row in gw.records(body[shape])])


def from_starts(starts: Sequence[gw.Row], kinds: Sequence[gw.Row], wanted: gw.FindFreeTime) -> gw.FreeTime:
    """Starts alone are as long as the service; as the shortest one, where any will do."""
    service = wanted.healthcare_service_id
    lengths = [row["minutes"] for row in kinds if service in (None, row["ref"])]
    return _there(wanted, "slots", [slot(row, service, min(lengths)) for row in starts if lengths])


def _there(wanted: gw.FindFreeTime, shape: Literal["slots", "windows"], found: Sequence[gw.Slot]) -> gw.FreeTime:
    theirs = tuple(one for one in found if wanted.resource_id in (None, one.resource_id))
    return gw.within(gw.FreeTime(shape, theirs), wanted.span)


def problem(answer: httpx.Response) -> gw.EmrError | None:
    """What a fault means; `None` where its status says it all (later, broken)."""
    word = answer.json()["fault"]
    reason = "rule" if re.fullmatch(r"RULE[A-Z_]{0,40}", word) else FAULTS.get(word)
    return gw.Refused(reason, emr_code=word) if reason else None


# -- ours into theirs --------------------------------------------------------------------------------------------------


def question(wanted: gw.FindFreeTime | gw.ReadCalendar) -> dict[str, Any]:
    """A question about a stretch of time. It may reach too far: what it brings is held against the span again."""
    start, end = (at.astimezone(ZONE).replace(tzinfo=None) for at in (wanted.span.start, wanted.span.end))
    end += timedelta(hours=gw.repeated(wanted.span.end, ZONE))
    asked = {"from": _text(start), "until": _text(end), "with": wanted.resource_id, "site": wanted.care_unit_id}
    if isinstance(wanted, gw.ReadCalendar):
        return given({**asked, "who": wanted.patient_id})
    ignoring = [own.id for own in wanted.ignoring] or None
    return given({**asked, "kind": wanted.healthcare_service_id, "ignoring": ignoring})


def new_booking(step: gw.Create) -> dict[str, Any]:
    """Raises Refused("invalid") in the hour that a clock change repeats."""
    what = {"with": step.resource_id, "kind": step.healthcare_service_id, "slots": _slot_ids(step.slots)}
    said = {"who": step.patient_id, "memo": step.comment, "mark": step.marker or None}
    return given({**what, **said, **_times(step.span)})


def changed(step: gw.Change) -> dict[str, Any]:
    """Raises Refused("invalid") in the hour that a clock change repeats."""
    fields = {"with": step.resource_id, "memo": step.comment, "slots": _slot_ids(step.slots)}
    return over(step, {**fields, **_times(step.span)})


def over(step: gw.Change | gw.Cancel, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is given of the fields, to be written over the revision that was read."""
    return given({**fields, "if_rev": step.before.version})


def _times(span: gw.Span | None) -> dict[str, str]:
    return {"begins": _text(gw.to_wall(span.start, ZONE)), "ends": _text(gw.to_wall(span.end, ZONE))} if span else {}


def _text(wall: datetime) -> str:
    return wall.isoformat() if wall.second or wall.microsecond else wall.isoformat(timespec="minutes")


def _slot_ids(slots: Sequence[gw.Slot]) -> list[str] | None:
    """Only where slots are records: elsewhere they have no id."""
    return [one.id for one in slots if one.id is not None] or None


# -- introduction ------------------------------------------------------------------------------------------------------


@gw.hookimpl
def emr_vendor() -> gw.Vendor:
    return gw.Vendor(
        key="sandbox",
        name="Sandbox EMR",
        settings=Settings,
        emr=SandboxEmr,
        capabilities=WIDEST,
        editions=EDITIONS,
        embedded=build_app,
    )


@gw.hookimpl
def emr_open(account: gw.Account) -> gw.Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    key = gw.ApiKey("x-clinic-key", settings.api_key)
    http = account.door.http(base_url=settings.address, auth=key, problem=problem)
    return SandboxEmr(http, settings, account.tells)
