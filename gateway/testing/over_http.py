"""What a clinic app does with any EMR: every form of the PATCH, through the whole gateway, over HTTP.

A plugin's suite inherits `PatchScenarios` and gives it the contract's world and the settings of its account. What the
account calls unsupported must be refused as such, and nothing is skipped.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import running
from gateway.configuration.settings import load
from gateway.domain.model import Span
from gateway.testing.world import World
from gateway.vendor.network import Network

HEADERS = {"x-leyr-client-id": "app", "x-leyr-client-secret": "app-secret"}
CLIENTS = """\
demo = true

[[clients]]
id = "app"
secret = "plain:app-secret"

[clients.emrs.clinic]
plugin = "{plugin}"
settings = {{ {settings} }}
"""

Json = dict[str, Any]


def config_of(folder: Path, plugin: str, settings: Mapping[str, Any]) -> Path:
    # A JSON value of these kinds is a TOML value, too.
    told = ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    (folder / "clients.toml").write_text(CLIENTS.format(plugin=plugin, settings=told))
    (folder / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n')
    return folder / "gateway.toml"


@dataclass
class App:
    """A clinic app with one account, in the world that its EMR's staff sees."""

    http: httpx.AsyncClient
    world: World
    can: Json
    """As `GET /api/emrs` tells it: operation → field → native, emulated or unsupported."""

    async def send(self, method: str, path: str, body: Any = None, /, **params: Any) -> httpx.Response:
        url = f"/api/emrs/clinic/care-units/{self.world.care_unit_id}{path}"
        if self.world.care_unit_id is None:
            url = f"/api/emrs/clinic{path}"
        return await self.http.request(method, url, json=body, params=params or None)

    async def ok(self, method: str, path: str, body: Any = None, status: int = 200, /, **params: Any) -> Any:
        answer = await self.send(method, path, body, **params)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def patch(self, id: str, /, **body: Any) -> Json:
        found: Json = await self.ok("PATCH", f"/appointments/{id}", body)
        return found

    async def many(self, ids: list[str], /, **body: Any) -> list[Json]:
        found: list[Json] = await self.ok("PATCH", "/appointments", {"ids": ids, **body})
        return found

    async def refused(self, status: int, code: str, id: str, /, **body: Any) -> None:
        answer = await self.send("PATCH", f"/appointments/{id}" if id else "/appointments", body)
        assert answer.status_code == status, answer.text
        assert code in [problem["error_code"] for problem in answer.json()["errors"]], answer.text

    async def read(self, id: str) -> Json:
        found: Json = await self.ok("GET", f"/appointments/{id}")
        return found

    def able(self, operation: str, field: str | None = None) -> bool:
        told = self.can[operation]
        return bool((told if field is None else told[field]) != "unsupported")

    # -- what is there -----------------------------------------------------------------------------------------------

    def when(self, first: int, last: int | None = None) -> dict[str, str]:
        """From one opening to the end of another."""
        openings = self.world.openings
        return span(Span(openings[first].start, openings[first if last is None else last].end))

    async def booked(self, opening: int = 0, on: int = 0) -> Json:
        """One that stands: booked by the app, or by the staff where the EMR lets nobody else."""
        resource, when = self.world.resource_ids[on], self.world.openings[opening]
        if not self.able("create", "booking"):
            assert self.world.book_directly is not None
            return await self.read(await self.world.book_directly(when, resource))
        body = {
            **span(when),
            "resource_id": resource,
            "patient_id": self.world.patient_id,
            "healthcare_service_id": self.world.healthcare_service_id,
        }
        made: Json = await self.ok("POST", "/appointments", body, 201)
        if made["status"] == "awaiting_confirmation" and self.can["facts"]["confirmation"] == "flag":
            made = await self.patch(made["id"], confirmation={})
        assert made["status"] == "booked"
        return made


def span(of: Span) -> dict[str, str]:
    return {"start": of.start.isoformat(), "end": of.end.isoformat()}


def stands(told: Json, of: Mapping[str, str]) -> bool:
    return all(datetime.fromisoformat(told[end]) == datetime.fromisoformat(of[end]) for end in ("start", "end"))


@asynccontextmanager
async def app_of(folder: Path, plugin: str, settings: Mapping[str, Any], world: World) -> AsyncIterator[App]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "route", lambda *_: world.transport)
        async with running(load({}, config=config_of(folder, plugin, settings))) as gateway:
            over = httpx.ASGITransport(gateway)
            async with httpx.AsyncClient(transport=over, base_url="http://gateway.test", headers=HEADERS) as http:
                (account,) = (await http.get("/api/emrs")).json()
                yield App(http, world, account["capabilities"])


class PatchScenarios:
    """Needs the fixtures `world` (the contract's own) and `settings` (what a clients file says of its account)."""

    @pytest.fixture
    async def app(self, world: World, settings: Mapping[str, Any], tmp_path: Path) -> AsyncIterator[App]:
        async with app_of(tmp_path, world.vendor.key, settings, world) as app:
            yield app

    # -- one ---------------------------------------------------------------------------------------------------------

    async def test_other_times_move_it_and_nothing_else(self, app: App) -> None:
        made = await app.booked()
        if not app.able("update", "start_end"):
            return await app.refused(400, "NOT_SUPPORTED", made["id"], **app.when(1))
        told = await app.patch(made["id"], **app.when(1))
        assert stands(told, app.when(1))
        for kept in ("status", "comment", "patient_id", "resource_id", "healthcare_service_id"):
            assert told[kept] == made[kept]
        assert await app.read(made["id"]) == told == await app.read(told["id"])
        assert (await app.patch(told["id"], **app.when(1)))["id"] == told["id"]
        return None

    async def test_another_resource_and_all_of_it_in_one(self, app: App) -> None:
        made, bo = await app.booked(), app.world.resource_ids[1]
        if not app.able("update", "resource_id"):
            return await app.refused(400, "NOT_SUPPORTED", made["id"], resource_id=bo)
        told = await app.patch(made["id"], resource_id=bo)
        assert told["resource_id"] == bo
        assert stands(told, app.when(0))
        if app.able("update", "start_end") and app.able("update", "comment"):
            told = await app.patch(
                told["id"], **app.when(1), resource_id=app.world.resource_ids[0], comment="all of it"
            )
            assert stands(told, app.when(1))
            assert (told["resource_id"], told["comment"]) == (app.world.resource_ids[0], "all of it")
        return None

    async def test_a_comment_is_written_and_cleared(self, app: App) -> None:
        made = await app.booked()
        if not app.able("update", "comment"):
            return await app.refused(400, "NOT_SUPPORTED", made["id"], comment="a word")
        assert (await app.patch(made["id"], comment="ett ord å"))["comment"] == "ett ord å"
        assert not (await app.patch(made["id"], comment=""))["comment"]
        return None

    async def test_a_time_that_is_taken_is_refused_and_nothing_changes(self, app: App) -> None:
        made, other = await app.booked(0), await app.booked(1)
        if app.able("update", "start_end"):
            answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(1))
            assert answer.status_code in (400, 409), answer.text
            assert [p["error_code"] for p in answer.json()["errors"]] == ["NO_TIMESLOTS_AVAILABLE"]
        for one in (made, other):
            now = await app.read(one["id"])
            assert (now["start"], now["resource_id"], now["status"]) == (one["start"], one["resource_id"], "booked")

    async def test_a_dry_run_writes_nothing_and_its_plan_can_be_carried_out(self, app: App) -> None:
        made = await app.booked()
        if not app.able("update", "comment"):
            return
        path = f"/appointments/{made['id']}"
        shown = await app.send("PATCH", path, {"comment": "later"}, dry_run="true")
        assert shown.json()["comment"] == "later"
        assert await app.read(made["id"]) == made
        url = str(shown.request.url.copy_with(query=None))
        done = await app.http.patch(url, json={"comment": "later"}, headers={"x-plan": shown.headers["x-plan"]})
        assert (done.status_code, done.json()["comment"]) == (200, "later")

    async def test_a_cancellation_says_why_and_can_be_said_twice(self, app: App) -> None:
        made = await app.booked()
        if not app.able("cancel", "status"):
            return await app.refused(400, "NOT_SUPPORTED", made["id"], status="cancelled")
        why = {"comment": "ill"} if app.able("cancel", "comment") else {}
        for _ in range(2):
            told = await app.patch(made["id"], status="cancelled", **why)
            assert told["status"] == "cancelled"
            assert told["comment"] == (why.get("comment") or told["comment"])
        await app.refused(409, "INVALID_APPOINTMENT_STATUS", made["id"], **app.when(1))
        if app.able("create", "booking"):
            assert (await app.booked())["id"] != made["id"]
        return None

    async def test_a_confirmation_is_as_the_account_claims(self, app: App) -> None:
        if not app.able("confirm"):
            return await app.refused(400, "NOT_SUPPORTED", (await app.booked())["id"], confirmation={})
        if app.can["facts"]["confirmation"] == "code":
            return None  # the contract has its cases; how a code comes about is the EMR's own
        assert app.world.make_unconfirmed is not None
        id = await app.world.make_unconfirmed(app.world.openings[0], app.world.resource_ids[0])
        for _ in range(2):
            told = await app.patch(id, confirmation={})
            assert told["status"] == "booked"
            assert told["confirmed"] is not False
        return None

    # -- many --------------------------------------------------------------------------------------------------------

    async def test_many_go_to_another_resource_or_none_does(self, app: App) -> None:
        ids, bo = [(await app.booked(n))["id"] for n in (0, 1)], app.world.resource_ids[1]
        if not app.able("bulk_update", "resource_id"):
            return await app.refused(400, "NOT_SUPPORTED", "", ids=ids, resource_id=bo)
        word = {"comment": "both"} if app.able("bulk_update", "comment") else {}
        told = await app.many(ids, resource_id=bo, **word)
        assert [(one["change"], one["resource_id"]) for one in told] == [("moved", bo)] * 2
        assert all(one["comment"] == "both" for one in told if word)
        await app.booked(1, 0)
        # One of them can't go back: neither does.
        answer = await app.send(
            "PATCH", "/appointments", {"ids": [one["id"] for one in told], "resource_id": app.world.resource_ids[0]}
        )
        assert answer.status_code in (400, 409), answer.text
        assert {(await app.read(one["id"]))["resource_id"] for one in told} == {bo}
        return None

    async def test_many_are_cancelled(self, app: App) -> None:
        ids = [(await app.booked(n))["id"] for n in (0, 1)]
        if not app.able("bulk_cancel", "status"):
            return await app.refused(400, "NOT_SUPPORTED", "", ids=ids, status="cancelled")
        told = await app.many(ids, status="cancelled")
        assert [(one["change"], one["status"]) for one in told] == [("cancelled", "cancelled")] * 2
        return None

    async def test_a_range_is_filled_and_what_stands_in_it_is_kept(self, app: App) -> None:
        """One stands already where it should, one comes, one is made."""
        ids = [(await app.booked(n))["id"] for n in (0, 1)]
        if not (app.able("continuous_reschedule", "more") and app.able("continuous_reschedule", "start_end")):
            return await app.refused(400, "NOT_SUPPORTED", "", ids=ids, **app.when(1, 3))
        told = await app.many(ids, **app.when(1, 3))
        assert sorted(one["change"] for one in told) == ["created", "kept", "moved"]
        assert [stands(one, app.when(n)) for one, n in zip(told, (1, 2, 3), strict=True)] == [True] * 3
        assert {one["patient_id"] for one in told} == {app.world.patient_id}
        return None

    async def test_a_shorter_range_cancels_what_is_too_much(self, app: App) -> None:
        ids = [(await app.booked(n))["id"] for n in (0, 1)]
        if not (app.able("continuous_reschedule", "fewer") and app.able("continuous_reschedule", "start_end")):
            return await app.refused(400, "NOT_SUPPORTED", "", ids=ids, **app.when(2))
        told = await app.many(ids, **app.when(2))
        assert [one["change"] for one in told] == ["moved", "cancelled"]
        assert stands(told[0], app.when(2))
        return None

    # -- reads -------------------------------------------------------------------------------------------------------

    async def test_what_is_booked_is_listed_and_not_offered(self, app: App) -> None:
        made = await app.booked()
        whole = app.when(0, len(app.world.openings) - 1)
        place = {"resource_id": app.world.resource_ids[0]}
        if app.able("reads", "appointments"):
            listed = await app.ok("GET", "/appointments", **whole, **place)
            assert made["id"] in [one["id"] for one in listed]
        if app.able("reads", "timeslots"):
            service = {"healthcare_service_id": app.world.healthcare_service_id}
            offered = await app.ok("GET", "/timeslots", **whole, **place, **service)
            first = app.world.openings[0]
            assert offered
            assert all(datetime.fromisoformat(slot["start"]) >= first.end for slot in offered)
