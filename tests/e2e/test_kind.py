"""Being kind to EMRs, as clients see it: refused before writing, told when to come again, and never for nothing."""

from __future__ import annotations

import asyncio
import time as clock_of_the_machine
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

import plugins.sandbox
from gateway import clock
from gateway.manners.breaker import FIRST_PAUSE_S
from gateway.vendor import http as vendor_http
from plugins.sandbox.declared import DECLARED, Personality
from plugins.sandbox.emr import build_app
from tests.e2e.conftest import Api, at, span, started

Answer = Callable[[str], Awaitable[Response | None]]
EMR: Personality = "in-place"


class Hurry:
    """Whoever sleeps until an EMR may be called again makes time go by instead."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return clock_of_the_machine.monotonic() + self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


@dataclass
class Mood:
    """What stands between the gateway and the sandbox EMR: it may answer itself, and sees what is asked."""

    answers: Answer | None = None
    asked: list[str] = field(default_factory=list)
    """What one account was asked."""

    @property
    def writes(self) -> list[str]:
        return [line for line in self.asked if not line.startswith("GET ")]

    def build(self, state_dir: Path) -> Any:
        app = build_app(state_dir)
        app.add_middleware(_Moody, mood=self)
        return app

    def later(self, seconds: int, *, only: str = "") -> None:
        async def later(line: str) -> Response | None:
            return JSONResponse({}, 429, {"retry-after": str(seconds)}) if line.startswith(only) else None

        self.answers = later


class _Moody:
    def __init__(self, app: Any, mood: Mood) -> None:
        self._app, self._mood = app, mood

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            line = f"{scope['method']} {scope['path']}"
            if scope["path"].startswith(f"/{EMR}/clinic-one/"):
                self._mood.asked.append(line)
            answer = None if self._mood.answers is None else await self._mood.answers(line)
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Hurry:
    hurry = Hurry()
    monkeypatch.setattr(clock, "monotonic", hurry.monotonic)
    monkeypatch.setattr(vendor_http, "monotonic", hurry.monotonic)
    monkeypatch.setattr(vendor_http, "_sleep", hurry.sleep)
    return hurry


@pytest.fixture
def mood(monkeypatch: pytest.MonkeyPatch) -> Mood:
    made = Mood()
    monkeypatch.setattr(plugins.sandbox, "build_app", made.build)
    return made


@pytest.fixture
async def api(mood: Mood, config: Path) -> AsyncIterator[Api]:
    async with started(config) as http:
        yield Api(http)


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def limit(personality: Personality, **limits: Any) -> None:
        monkeypatch.setitem(DECLARED, personality, replace(DECLARED[personality], **limits))

    return limit


def unavailable(answer: Any, least: float, most: float) -> None:
    assert (answer.status_code, answer.headers.get("retry-after") is None) == (503, False), answer.text
    assert answer.json()["code"] == "EMR_UNAVAILABLE"
    assert least <= int(answer.headers["retry-after"]) <= most


# -- later ------------------------------------------------------------------------------------------------------------


async def test_a_write_that_is_told_later_than_its_client_waits_is_refused_and_everybody_is_told(api, mood, time):
    (own,) = await api.booked(1)
    mood.later(120, only="PATCH")
    key = {"idempotency-key": "patience"}
    told = await api.call("PATCH", f"appointments/{own['id']}", {"comment": "later"}, key)
    unavailable(told, 120, 120)
    asked = len(mood.asked)
    for answer in (
        await api.call("GET", f"appointments/{own['id']}"),
        await api.call("PATCH", f"appointments/{own['id']}", {"comment": "later"}),
        await api.call("GET", "appointments"),
    ):
        unavailable(answer, 110, 121)
    assert len(mood.asked) == asked, "an EMR that is to be left alone is left alone"
    command = (await api.call("GET", f"/api/commands/{told.headers['x-command-id']}")).json()
    assert command["state"] == "refused"
    other = Api(api.http, "new-id")
    assert (await other.call("GET", "appointments")).status_code == 200
    mood.answers = None
    time.seconds += 121
    again = await api.call("PATCH", f"appointments/{own['id']}", {"comment": "later"}, key)
    assert (again.status_code, again.json()["comment"]) == (200, "later"), (
        "nothing was executed, so nothing is replayed"
    )


async def test_what_is_soon_is_waited_for(api, mood, time):
    (own,) = await api.booked(1)

    async def once(line: str) -> Response | None:
        mood.answers = None if line.startswith("PATCH") else once
        return JSONResponse({}, 429, {"retry-after": "30"}) if line.startswith("PATCH") else None

    mood.answers, before = once, time.seconds
    told = await api.call("PATCH", f"appointments/{own['id']}", {"comment": "soon"})
    assert (told.status_code, told.json()["comment"]) == (200, "soon")
    assert 30 <= time.seconds - before <= 31


# -- budgets ----------------------------------------------------------------------------------------------------------


async def test_a_plan_that_does_not_fit_what_is_left_is_refused_before_its_first_write(mood, config, limited):
    limited("in-place", quota=100)
    async with started(config) as http:
        api = Api(http)
        own = [a["id"] for a in await api.booked(4)]
        # Of a hundred five are kept in reserve.
        while len(mood.asked) < 95 - 12:
            await api.read(own[0])
        written = len(mood.writes)
        bulk = {"ids": own, "comment": "all four"}
        for params in ({"dry_run": "true"}, {}):
            unavailable(await api.call("PATCH", "appointments", bulk, **params), 3500, 3700)
        assert len(mood.writes) == written
        one = await api.call("PATCH", f"appointments/{own[0]}", {"comment": "one"})
        assert one.status_code == 200, "four calls with those of its undo: they are left"
        while (await api.call("GET", f"appointments/{own[0]}")).status_code == 200:
            assert len(mood.asked) <= 95
        unavailable(await api.call("GET", f"appointments/{own[0]}"), 3500, 3700)
        assert len(mood.asked) == 95


async def test_two_plans_do_not_both_get_what_is_enough_for_one(mood, config, limited):
    limited("in-place", quota=100)
    async with started(config) as http:
        api = Api(http)
        own = [a["id"] for a in await api.booked(6)]
        while len(mood.asked) < 95 - 19:
            await api.read(own[0])
        bulks = [{"ids": own[:3], "comment": "x"}, {"ids": own[3:], "comment": "y"}]
        ends = await asyncio.gather(*(api.call("PATCH", "appointments", bulk) for bulk in bulks))
        assert sorted(end.status_code for end in ends) == [200, 503]
        assert len(mood.asked) <= 95


async def test_a_command_that_takes_its_emr_longer_than_15_minutes_is_refused_before_writing(mood, config, limited):
    limited("async", settles_within_s=901.0)
    limited("in-place", min_interval_s=600.0)
    async with started(config) as http:
        slow = Api(http, "async")
        free = {**span(at(10, 9), at(10, 9, 30), "D1"), "patient_id": "P4", "healthcare_service_id": "K1"}
        unavailable(await slow.call("POST", "appointments", free), 1, 2)
        # One call was made when it was opened; the next one may begin in ten minutes, the one after it in twenty.
        paced = Api(http, "in-place")
        unavailable(await paced.call("GET", "patients"), 550, 600)
        unavailable(await paced.call("POST", "appointments", free), 1100, 1800)
        assert not mood.writes


# -- circuits ---------------------------------------------------------------------------------------------------------


async def test_an_emr_that_does_not_answer_is_left_alone_and_found_again(api, mood, time):
    (own,) = await api.booked(1)
    path = f"appointments/{own['id']}"

    async def dead(line: str) -> Response | None:
        return JSONResponse({}, 502)

    mood.answers = dead
    for _ in range(2):
        assert (await api.call("GET", path)).status_code >= 502
    asked = len(mood.asked)
    unavailable(await api.call("GET", path), 1, 5)
    unavailable(await api.call("PATCH", path, {"comment": "x"}), 1, 5)
    assert len(mood.asked) == asked
    metrics = (await api.call("GET", "/metrics")).text
    assert 'gateway_emr_accounts{plugin="sandbox",standing="unreachable"} 1.0' in metrics
    assert 'gateway_emr_accounts{plugin="sandbox",standing="reachable"} 19.0' in metrics
    mood.answers = None
    time.seconds += FIRST_PAUSE_S
    assert (await api.call("PATCH", path, {"comment": "back"})).status_code == 200
