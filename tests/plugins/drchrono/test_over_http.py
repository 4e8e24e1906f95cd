"""A clinic app, the whole gateway that somebody has let in, and a fake DrChrono whose staff does things meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from gateway.credentials.store import Account
from gateway.plugin import Span
from gateway.serving import bound
from gateway.terminal.connecting import Connecting
from gateway.testing import World
from gateway.vendor.in_process import InProcessTransport
from plugins.drchrono import Settings, consent
from tests.granting import grant, granted
from tests.plugins import spec
from tests.plugins.drchrono.conftest import HALF_HOUR, Practice, wall
from tests.plugins.drchrono.test_by_document import GAPS, NAME
from tests.plugins.drchrono.test_contract import world_of
from tests.plugins.over_http import App, PatchScenarios, app_of, span

CLINIC, SECRET = Account("app", "clinic"), "app-secret"


class TestDrChronoOverHttp(PatchScenarios):
    @pytest.fixture
    def world(self, practice: Practice) -> Iterator[World]:
        with spec.judging(world_of(practice), NAME, ignoring=("/o/token/",), gaps=GAPS) as world:
            yield world

    @pytest.fixture
    async def app(self, world: World, practice: Practice, tmp_path: Path) -> AsyncIterator[App]:
        grant(tmp_path / "state", CLINIC, SECRET, practice.fake.let_in())
        async with app_of(tmp_path, "drchrono", practice.settings, world) as app:
            yield app

    # -- who is let in -----------------------------------------------------------------------------------------------

    async def test_each_refresh_is_kept_and_none_is_used_twice(self, app: App, practice: Practice, tmp_path: Path):
        made = await app.booked()
        assert practice.fake.refreshed == 1
        for n in (2, 3):
            practice.fake.access.clear()
            told = await app.patch(made["id"], comment=f"word {n}")
            assert (told["comment"], practice.fake.refreshed) == (f"word {n}", n)
            kept = granted(tmp_path / "state", CLINIC, SECRET)
            assert (kept.refresh_token, kept.state) == (practice.fake.refresh, "good")
        assert len(practice.fake.spent) == 3

    async def test_a_write_that_meets_an_old_token_is_carried_out_once(self, app: App, practice: Practice):
        made = await app.booked()
        practice.fake.calls.clear()
        practice.fake.before_write = practice.fake.access.clear
        await app.patch(made["id"], **app.when(2))
        assert [method for method, _ in practice.fake.written()] == ["PATCH"]
        assert practice.fake.refreshed == 2

    async def test_a_user_lets_the_gateway_in_anew(self, app: App, practice: Practice, tmp_path: Path):
        """What was granted is over, as if the same user had let the application in elsewhere."""
        made = await app.booked()
        practice.fake.let_in()
        practice.fake.access.clear()
        answer = await app.send("PATCH", f"/appointments/{made['id']}", {"comment": "word"})
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (502, "EMR_CREDENTIALS")
        grant(tmp_path / "state", CLINIC, SECRET, await _connected(practice))
        assert (await app.patch(made["id"], comment="word"))["comment"] == "word"

    # -- others ------------------------------------------------------------------------------------------------------

    async def test_a_double_booking_that_comes_first_is_refused_by_drchrono(self, app: App, practice: Practice):
        made = await app.booked(0)
        before = practice.fake.shown(made["id"])
        practice.fake.before_write = lambda: practice.staff_books(practice.half_hour(2), patient=int(practice.lo))
        answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(2))
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (409, "NO_TIMESLOTS_AVAILABLE")
        assert practice.fake.shown(made["id"]) == before

    async def test_what_is_refused_to_one_of_many_is_done_to_none(self, app: App, practice: Practice):
        ids = [(await app.booked(n))["id"] for n in (0, 1)]
        before = [_still(practice, id) for id in ids]
        taken: list[str] = []

        def comes_first() -> None:
            taken.append(practice.staff_books(practice.half_hour(1), practice.bo, patient=int(practice.lo)))

        practice.fake.before_write = comes_first
        answer = await app.send("PATCH", "/appointments", {"ids": ids, "resource_id": practice.bo})
        assert (answer.status_code, len(taken)) == (409, 1), answer.text
        assert [_still(practice, id) for id in ids] == before

    @pytest.mark.parametrize("kind", ["a break", "a block", "a holiday", "another office's"])
    async def test_whatever_is_in_the_way_is_no_free_time(self, app: App, practice: Practice, kind: str):
        there = practice.half_hour(2)
        if kind == "a break":
            practice.staff_books(there, patient=None, profile=None, appt_is_break=True)
        elif kind == "a block":
            practice.staff_blocks(there)
        elif kind == "a holiday":
            practice.staff_blocks(Span(there.start - timedelta(days=50), there.end))
        else:
            practice.staff_books(there, office=int(practice.fake.put("offices", name="Far", archived=False)))
        made = await app.read(practice.staff_books(practice.half_hour(0)))
        await app.refused(400, "NO_TIMESLOTS_AVAILABLE", made["id"], **app.when(2))
        listed = await app.ok("GET", "/appointments", **app.when(0, 3), resource_id=practice.anna)
        assert [one["id"] for one in listed] == [made["id"]]

    async def test_what_stands_for_a_series_is_not_written_to(self, app: App, practice: Practice):
        there = practice.half_hour(2)
        id = practice.staff_books(there, recurring_appointment=True)
        before = practice.fake.shown(id)
        answer = await app.send("PATCH", f"/appointments/{id}", {"comment": "word"})
        assert (answer.status_code, answer.json()["code"]) == (409, "EMR_REFUSED")
        assert answer.json()["errors"][0]["emr_error"] == "RECURRING"
        assert practice.fake.shown(id) == before
        assert practice.fake.written() == []

    # -- clocks ------------------------------------------------------------------------------------------------------

    async def test_beyond_a_clock_change_the_wall_time_is_what_was_asked_for(self, app: App, practice: Practice):
        made, beyond = await app.booked(), practice.half_hour(beyond=True)
        told = await app.patch(made["id"], **span(beyond))
        row = practice.fake.shown(made["id"])
        assert (row["scheduled_time"], row["duration"]) == (wall(beyond.start), 30)
        assert told["start"] == beyond.start.isoformat()
        assert beyond.start.utcoffset() != practice.half_hour().start.utcoffset()

    async def test_the_repeated_hour_is_refused_before_anything_is_written(self, app: App, practice: Practice):
        made = await app.booked()
        start = _autumn(practice.zone).replace(hour=1, minute=30)
        before = len(practice.fake.written())
        await app.refused(400, "BAD_INPUT", made["id"], **span(Span(start, start + HALF_HOUR)))
        assert len(practice.fake.written()) == before


async def _connected(practice: Practice) -> str:
    """As by `python -m gateway connect`, and a browser; → the refresh token."""
    transport, shown = InProcessTransport(practice.fake.app), asyncio.Queue[str]()
    attempt = Connecting(
        consent(Settings.model_validate(practice.settings)), transport.handle_async_request, shown.put_nowait
    )
    with bound("127.0.0.1", 0) as listening:
        connecting = asyncio.create_task(attempt.refresh_token(listening))
        await shown.get()
        async with httpx.AsyncClient(transport=transport) as there, httpx.AsyncClient() as here:
            yes = await there.get(await shown.get())
            assert (await here.get(yes.headers["location"])).status_code == 200
        return await connecting


def _still(practice: Practice, id: str) -> dict[str, Any]:
    return {name: value for name, value in practice.fake.shown(id).items() if name != "updated_at"}


def _autumn(zone: ZoneInfo) -> Any:
    """Midnight of the next day that has 25 hours."""
    day = Practice(zone.key).day()
    while True:
        later = day + timedelta(days=1)
        if later.timestamp() - day.timestamp() > 86_400:
            return day
        day = later
