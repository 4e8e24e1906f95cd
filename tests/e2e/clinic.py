"""The clinic behind a gateway under test: what its staff does at its own desk, and what holds of its book."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse

import plugins.sandbox
from plugins.sandbox.declared import DECLARED
from plugins.sandbox.emr import build_app
from tests.e2e.conftest import PERSONALITIES, Api, span, working_day

RESOURCES = ("D1", "D2", "D3")
HALF_HOUR = timedelta(minutes=30)
LATE_S, PATIENCE_S = 0.2, 2.0

Act = Callable[[], Awaitable[Any]]


@dataclass
class Staff:
    """The sandbox EMR from inside: every request of the gateway's is seen, and the staff may come first."""

    app: Starlette | None = None
    written: dict[str, list[str]] = field(default_factory=dict)
    """The gateway's writes, by clinic: `PATCH /bookings/B1`."""
    acts: dict[tuple[str, int], Act] = field(default_factory=dict)
    """What the staff does just before the gateway's n-th write (from 1) to a clinic's EMR, when the earlier
    ones have ended."""
    watch: dict[str, Callable[[str], Awaitable[Any]]] = field(default_factory=dict)
    """What the staff does before every write, which it is told, by clinic."""
    refusing: set[str] = field(default_factory=set)
    gates: dict[str, asyncio.Lock] = field(default_factory=dict)
    mishaps: list[BaseException] = field(default_factory=list)
    """What the staff meant to do and could not."""
    flying: dict[str, int] = field(default_factory=dict)
    """How many of the gateway's writes are on their way, by clinic."""

    def build(self, state_dir: Path) -> Starlette:
        self.app = build_app(state_dir, late_s=LATE_S)
        self.app.add_middleware(_Seen, staff=self)
        return self.app

    def writes(self, api: Api) -> list[str]:
        return self.written.setdefault(clinic_of(api), [])

    def before(self, api: Api, nth: int, act: Act) -> None:
        """`nth`: counted from now on."""
        self.acts[clinic_of(api), len(self.writes(api)) + nth] = act

    async def does(self, api: Api, method: str, path: str, **body: Any) -> Any:
        assert self.app is not None
        headers = {"x-clinic-key": f"clinic-{api.id}-key", "x-staff": "yes"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://emr.test") as http:
            url = f"/{clinic_of(api)}{path}"
            answer = await http.request(method, url, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def note(self, api: Api, id: str, memo: str) -> None:
        await self.does(api, "PATCH", f"/bookings/{id}", memo=memo)

    async def books(self, api: Api, resource: str, begins: datetime, who: str = "P5") -> None:
        """Half an hour for somebody; as one does it in this EMR, with the slot's record first."""
        at, until = (t.replace(tzinfo=None).isoformat(timespec="minutes") for t in (begins, begins + HALF_HOUR))
        body: dict[str, Any] = {"who": who, "with": resource, "kind": "K1", "begins": at, "ends": until}
        if api.emr == "slot-records":
            body["slots"] = [f"{resource}-{at}"]
            await self.does(api, "PATCH", f"/slots/{resource}-{at}", state="busy")
        await self.does(api, "POST", "/bookings", **body)

    async def stage(self, api: Api, id: str, stage: str) -> None:
        await self.does(api, "POST", "/_control", stages={id: stage})

    def refuses(self, api: Api, whether: bool = True) -> None:
        """From now on the EMR's own rule forbids the gateway every write; or not any more."""
        (self.refusing.add if whether else self.refusing.discard)(clinic_of(api))

    async def seen(self, method: str, clinic: str, what: str) -> None:
        # No write overtakes one that waits for the staff.
        async with self.gates.setdefault(clinic, asyncio.Lock()):
            written = self.written.setdefault(clinic, [])
            written.append(f"{method} /{what}")
            if clinic in self.watch:
                await self._try(partial(self.watch[clinic], written[-1]))
            act = self.acts.pop((clinic, len(written)), None)
            if act is not None:
                while self.flying.get(clinic):  # noqa: ASYNC110  what is under way tells nobody that it has ended
                    await asyncio.sleep(0.001)
                await self._try(act)
            self.fly(clinic, 1)

    async def _try(self, act: Act) -> None:
        try:
            await act()
        except BaseException as error:
            self.mishaps.append(error)
            raise

    def fly(self, clinic: str, by: int) -> None:
        self.flying[clinic] = self.flying.get(clinic, 0) + by


class _Seen:
    """What stands between the gateway and the EMR."""

    def __init__(self, app: Any, staff: Staff) -> None:
        self._app, self._staff = app, staff

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        staffs = scope["type"] != "http" or any(name == b"x-staff" for name, _ in scope["headers"])
        if staffs or scope["method"] == "GET":
            return await self._app(scope, receive, send)
        _, personality, name, what = scope["path"].split("/", 3)
        clinic = f"{personality}/{name}"
        await self._staff.seen(scope["method"], clinic, what)
        refused = JSONResponse({"fault": "RULE_REFUSED"}, 409)
        try:
            await (refused if clinic in self._staff.refusing else self._app)(scope, receive, send)
        finally:
            self._staff.fly(clinic, -1)


def clinic_of(api: Api) -> str:
    """The EMR's own name for where an account leads."""
    return f"{api.emr}/clinic-{api.id}"


def staff_of(monkeypatch: pytest.MonkeyPatch) -> Staff:
    """For a gateway that starts afterwards. Its EMRs are given up on sooner, else as they are."""
    staff = Staff()
    monkeypatch.setattr(plugins.sandbox, "build_app", staff.build)
    for personality, can in list(DECLARED.items()):
        monkeypatch.setitem(DECLARED, personality, replace(can, late_write_s=PATIENCE_S))
    return staff


Scenario = Callable[[Api], Coroutine[Any, Any, None]]


async def on_each(http: httpx.AsyncClient, scenario: Scenario, *emrs: str) -> None:
    """The same on EMRs of several personalities (else of all) at once: they share nothing but the gateway."""
    chosen = emrs or PERSONALITIES
    ends = await asyncio.gather(*(scenario(Api(http, emr)) for emr in chosen), return_exceptions=True)
    failed = [(emr, end) for emr, end in zip(chosen, ends, strict=True) if end is not None]
    for _, end in failed:
        raise AssertionError("\n".join(f"on {emr}: {end}" for emr, end in failed)) from end


async def many(api: Api, ids: Sequence[str], body: dict[str, Any], status: int = 200, **more: Any) -> Any:
    """PATCH many; for bodies that have a `status` of their own."""
    answer = await api.call("PATCH", "appointments", {"ids": list(ids), **body}, more.pop("headers", None), **more)
    assert answer.status_code == status, f"{api.emr}: {answer.text}"
    api.seen.append(answer)
    return answer.json()


async def cancel(api: Api, *ids: str, **more: Any) -> Any:
    return await many(api, ids, {"status": "cancelled", **more})


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


Row = dict[str, Any]
SHARED = ("patient_id", "healthcare_service_id", "care_unit_id")
FIELDS = ("patient_id", "resource_id", "healthcare_service_id", "care_unit_id", "status", "confirmed")


def told(appointment: dict[str, Any]) -> tuple[Any, ...]:
    """What a person would compare of an appointment: all but its id."""
    times = (instant(appointment["start"]).timestamp(), instant(appointment["end"]).timestamp())
    return (*times, *(appointment[name] for name in FIELDS), appointment["comment"] or "")


async def book(api: Api) -> list[tuple[Any, ...]]:
    """The whole of it, as far as clients see."""
    return sorted((told(a) for a in await api.everything()), key=str)


def ids(appointments: Iterable[dict[str, Any]]) -> list[str]:
    return [a["id"] for a in appointments]


def changes(answer: Sequence[dict[str, Any]]) -> list[str]:
    return [a["change"] for a in answer]


def places(answer: Iterable[dict[str, Any]]) -> list[str]:
    """`D1 09:00-09:30` of each."""
    return [f"{a['resource_id']} {a['start'][11:16]}-{a['end'][11:16]}" for a in answer]


def failing(answer: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(e["error_code"], e["path"]) for e in answer["errors"]]


def code(answer: dict[str, Any]) -> tuple[str, list[tuple[str, str | None]]]:
    return answer["code"], failing(answer)


async def agrees(api: Api, *days: int, halfway: bool = False) -> None:
    """Slots and appointments tell the same: a half hour of an open day is free unless somebody has it. `halfway`: what
    somebody has is not free, but the other way round a person has yet to decide."""
    for day in days or (10,):
        midnight = working_day(day)
        whole = span(midnight, midnight + timedelta(days=1))
        listed = await api.get("appointments", **whole)
        free = await api.get("timeslots", **whole, healthcare_service_id="K1")
        for resource in RESOURCES:
            held = [_stretch(a) for a in listed if a["resource_id"] == resource and a["status"] != "cancelled"]
            open_ = [_stretch(s) for s in free if s["resource_id"] == resource]
            for number in range(16):
                begin = midnight.replace(hour=8) + number * HALF_HOUR
                taken = any(s < begin + HALF_HOUR and begin < e for s, e in held)
                offered = any(s <= begin and begin + HALF_HOUR <= e for s, e in open_)
                agreed = offered is not taken or (halfway and not offered)
                assert agreed, f"{api.emr} {resource} {begin:%H:%M}: taken={taken}, offered={offered}"


def _stretch(row: dict[str, Any]) -> tuple[datetime, datetime]:
    return instant(row["start"]), instant(row["end"])


async def as_told(api: Api, answer: Iterable[dict[str, Any]]) -> None:
    """What a write answered is what a read shows."""
    for row in answer:
        read = await api.read(row["id"])
        assert {**read, "change": row["change"]} == row


async def video(api: Api, count: int, **where: Any) -> list[dict[str, Any]]:
    """Adjoining video visits of one patient, each confirmed by its code."""
    made = []
    day = working_day(where.get("day", 10)).replace(hour=9)
    for number in range(count):
        at = day + number * HALF_HOUR
        asked = await api.book(span(at, at + HALF_HOUR, where.get("resource", "D1")), healthcare_service_id="K2")
        assert asked["status"] == "awaiting_confirmation"
        made.append(await api.patch(asked["id"], confirmation={"code": "123456"}))
        assert made[-1]["status"] == "booked"
    return made


async def rescheduled(
    api: Api, own: Sequence[Row], start: datetime, end: datetime, resource: str | None = None, **other: Any
) -> list[Row]:
    """The answer, once the dry run has foreseen it and reads show it."""
    body = {**span(start, end, resource), **other}
    before = await book(api)
    foreseen = await many(api, ids(own), body, dry_run="true")
    assert await book(api) == before
    plan = api.seen[-1].headers["x-plan"]
    answer = await many(api, ids(own), body, headers={"x-plan": plan})
    assert [(a["change"], *told(a)) for a in foreseen] == [(a["change"], *told(a)) for a in answer]
    assert [a["id"] is None for a in foreseen if a["change"] == "created"] == [True] * changes(answer).count("created")
    await as_told(api, answer)
    for name in SHARED:
        assert {a[name] for a in answer} == {own[0][name]}
    return answer


def came_from(answer: Sequence[Row], own: Sequence[Row]) -> list[int | None]:
    """For each of the answer, which of the own it was, by number; None for a new one."""
    names = {a["id"]: n for n, a in enumerate(own)}
    return [next((names[id] for id in (*a["previous_ids"], a["id"]) if id in names), None) for a in answer]
