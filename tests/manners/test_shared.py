"""How the door's manners show in what an EMR gets, in virtual time: told "later", short of calls, or silent."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from gateway import clock
from gateway.domain.capabilities import Capabilities
from gateway.manners.breaker import FAILURES, FIRST_PAUSE_S
from gateway.manners.errand import LEAST_S, errand
from gateway.manners.pacing import MARGIN_S, TurnedAway
from gateway.port import MaybeDone, NotSent, Refused, Throttled
from gateway.vendor import http as vendor_http
from gateway.vendor.http import TOKEN_REQUEST, Door, VendorHttp
from tests.virtual import in_virtual_time, now

LATER = httpx.Response(429, headers={"Retry-After": "30"})
GONE = httpx.ConnectError("x")


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic", now)
    monkeypatch.setattr(vendor_http, "monotonic", now)


class Emr:
    """Answers each request from a list, at the end from `then`; notes when each came."""

    def __init__(self, *answers: Any, then: Any = 200, lasting: float = 0.0) -> None:
        self.answers, self.then, self.lasting = list(answers), then, lasting
        self.came: list[float] = []
        self.start = now()
        self.door = Door(httpx.MockTransport(self.answer))
        self.http = self.door.http(base_url="https://emr.example", problem=locked)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.came.append(now() - self.start)
        answer = self.answers.pop(0) if self.answers else self.then
        await asyncio.sleep(self.lasting)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, json={}) if isinstance(answer, int) else answer

    async def silenced(self) -> None:
        """Now its circuit is open."""
        self.then = GONE
        for _ in range(2):
            with pytest.raises(NotSent):
                await read(self.http)
        assert self.door.manners.standing == "unreachable"
        self.came.clear()


def locked(response: httpx.Response) -> Throttled | None:
    return Throttled(emr_code="locked", locked=True) if response.status_code == 418 else None


async def read(http: VendorHttp) -> int:
    return await http.read("a", lambda response: response.status_code)


async def write(http: VendorHttp) -> int:
    return await http.write("PUT", "a", lambda response: response.status_code, json={})


BOTH = pytest.mark.parametrize("ask", [read, write])


# -- later ------------------------------------------------------------------------------------------------------------


@BOTH
@in_virtual_time
async def test_one_is_told_and_all_wait(ask: Any):
    emr = Emr(LATER)
    with errand(50):
        assert await asyncio.gather(ask(emr.http), *(read(emr.http) for _ in range(3))) == [200] * 4
    assert emr.came[0] == 0
    assert all(came == pytest.approx(30 + MARGIN_S) for came in emr.came[4:])
    assert emr.door.manners.standing == "reachable"


@BOTH
@in_virtual_time
async def test_a_later_beyond_patience_is_said_at_once_and_honestly_to_all(ask: Any):
    emr = Emr(LATER)
    with errand(20):
        with pytest.raises(Throttled) as told:
            await ask(emr.http)
        assert told.value.retry_after == 30
        await asyncio.sleep(4)
        with pytest.raises(TurnedAway) as turned:
            await ask(emr.http)
    assert turned.value.retry_after == pytest.approx(26 + MARGIN_S)
    assert (now() - emr.start, len(emr.came)) == (4, 1)
    assert emr.door.manners.standing == "waiting"


@BOTH
@in_virtual_time
async def test_the_end_of_what_is_left_is_heeded_before_it_is_said(ask: Any):
    emr = Emr(httpx.Response(200, json={}, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "40"}))
    with errand(50):
        await read(emr.http)
        await ask(emr.http)
    assert emr.came == [0, pytest.approx(40 + MARGIN_S)]


@in_virtual_time
async def test_an_overload_that_names_its_end_is_waited_for_and_a_write_stays_unknown():
    emr = Emr(httpx.Response(503, headers={"Retry-After": "30"}))
    with errand(50):
        with pytest.raises(MaybeDone):
            await write(emr.http)
        assert await read(emr.http) == 200
    assert emr.came == [0, pytest.approx(30 + MARGIN_S)]


@BOTH
@in_virtual_time
async def test_what_is_locked_keeps_nobody_else(ask: Any):
    emr = Emr(418)
    locked_one = asyncio.create_task(ask(emr.http))
    await asyncio.sleep(0.1)
    assert await read(emr.http) == 200
    assert await locked_one == 200
    assert emr.came[1] == pytest.approx(0.1)
    assert 0.7 < emr.came[2] < 1.1


@in_virtual_time
async def test_a_write_that_was_not_executed_commits_to_nothing_and_one_that_may_have_been_does():
    emr = Emr(LATER)
    with errand(900, 20) as who:
        with pytest.raises(Throttled):
            await write(emr.http)
        assert not who.committed
        with pytest.raises(TurnedAway):
            await write(emr.http)
        await asyncio.sleep(31)
        emr.answers = [Refused("rule"), httpx.ReadError("x"), LATER]
        with pytest.raises(Refused):
            await write(emr.http)
        assert not who.committed
        with pytest.raises(MaybeDone):
            await write(emr.http)
        assert who.committed
        # What is begun is ended, however long the EMR wants to be left alone for.
        assert await write(emr.http) == 200
    assert emr.came[-1] == pytest.approx(61 + MARGIN_S)


@in_virtual_time
async def test_a_write_beside_one_that_was_done_waits_and_one_beside_none_does_not():
    for beside, ends in ((200, [200, 200]), (LATER, [TurnedAway, Throttled])):
        emr = Emr(LATER, beside, lasting=1)
        with errand(900, 20):
            found = await asyncio.gather(write(emr.http), write(emr.http), return_exceptions=True)
        assert [end if isinstance(end, int) else type(end) for end in found] == ends


@in_virtual_time
async def test_a_request_with_a_refused_token_keeps_the_distance_too():
    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            answer = yield request
            if answer.status_code == 401:
                yield httpx.Request("POST", "https://emr.example/token", extensions={TOKEN_REQUEST: True})
                yield request

    emr = Emr(401, 200)
    emr.door.manners.pace.declare(Capabilities(min_interval_s=5))
    http = emr.door.http(base_url="https://emr.example", auth=Token())
    await read(http)
    await read(http)
    assert emr.came == [0, 0, 5, 10], "a token is no call"


# -- patience ---------------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_read_ends_with_its_clients_patience_and_a_write_never_does():
    for ask, lasts, kind in ((read, 7.0, MaybeDone), (write, 19.0, int)):
        emr = Emr(lasting=19)
        with errand(7):
            end = await asyncio.gather(ask(emr.http), return_exceptions=True)
        assert isinstance(end[0], kind)
        assert now() - emr.start == lasts
        assert emr.door.manners.standing == "reachable"


@in_virtual_time
async def test_that_a_client_has_no_time_says_nothing_of_its_emr():
    emr = Emr(lasting=19)
    for _ in range(2 * FAILURES):
        with errand(0.1), pytest.raises(MaybeDone):
            await read(emr.http)
    assert emr.door.manners.standing == "reachable"


@in_virtual_time
async def test_no_try_begins_when_nobody_waits_any_more():
    emr = Emr(then=500, lasting=4)
    with errand(6), pytest.raises(MaybeDone):
        await read(emr.http)
    assert len(emr.came) == 2
    with errand(6):
        await asyncio.sleep(7)
        with pytest.raises(TurnedAway):
            await write(emr.http)
    assert len(emr.came) == 2


@in_virtual_time
async def test_what_was_begun_is_given_time_when_its_own_is_over():
    emr = Emr(LATER)
    with errand(1, written=1):
        await asyncio.sleep(100)
        with pytest.raises(Throttled):
            await read(emr.http)
        await asyncio.sleep(31 - LEAST_S)
        assert await read(emr.http) == 200


# -- silence ----------------------------------------------------------------------------------------------------------


@BOTH
@in_virtual_time
async def test_who_does_not_answer_is_left_alone_and_then_asked_by_one(ask: Any):
    emr = Emr()
    await emr.silenced()
    for _ in range(3):
        with pytest.raises(TurnedAway) as told:
            await ask(emr.http)
    assert 0 < told.value.retry_after <= FIRST_PAUSE_S
    assert not emr.came
    await asyncio.sleep(FIRST_PAUSE_S)
    emr.then, emr.lasting = 404, 1
    ends = await asyncio.gather(*(ask(emr.http) for _ in range(4)), return_exceptions=True)
    assert len(emr.came) == 1
    assert sorted(type(end).__name__ for end in ends) == ["Refused", "TurnedAway", "TurnedAway", "TurnedAway"]
    emr.then = 200
    assert await ask(emr.http) == 200
    assert emr.door.manners.standing == "reachable"


@in_virtual_time
async def test_those_who_wait_in_line_are_told_when_the_circuit_opens():
    emr = Emr(then=httpx.ReadTimeout("x"), lasting=10)
    with errand(900):
        ends = await asyncio.gather(*(read(emr.http) for _ in range(50)), return_exceptions=True)
    assert now() - emr.start == 10
    assert len(emr.came) == 8
    assert sum(isinstance(end, TurnedAway) for end in ends) == 42


@in_virtual_time
async def test_an_open_circuit_does_not_hide_what_became_of_a_write():
    emr = Emr()
    emr.lasting = 3
    writing = asyncio.create_task(write(emr.http))
    await asyncio.sleep(1)
    emr.lasting = 0
    await emr.silenced()
    assert await writing == 200
    assert emr.door.manners.standing == "reachable"


SILENT = [GONE, httpx.ConnectTimeout("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"), 502, 503, 504]
SAYS_NOTHING = [httpx.PoolTimeout("x"), httpx.LocalProtocolError("x"), RuntimeError("x")]
ANSWERS = [200, 400, 401, 404, 409, 429, 500, httpx.Response(503, headers={"Retry-After": "0"})]


def name(value: object) -> str:
    return str(value) if isinstance(value, int) else type(value).__name__


@pytest.mark.parametrize("end", [*SILENT, *SAYS_NOTHING, *ANSWERS], ids=name)
@in_virtual_time
async def test_what_is_silence_and_what_is_not(end: Any):
    emr = Emr(then=end)
    for _ in range(FAILURES):
        await asyncio.gather(write(emr.http), return_exceptions=True)
        await asyncio.sleep(60)  # after a "later"
    assert (emr.door.manners.standing == "unreachable") is (end in SILENT)


@in_virtual_time
async def test_a_token_endpoint_that_is_dead_opens_the_circuit_and_one_that_refuses_does_not():
    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            answer = yield httpx.Request("POST", "https://emr.example/token", extensions={TOKEN_REQUEST: True})
            answer.raise_for_status()
            yield request

    for end, standing in ((GONE, "unreachable"), (401, "reachable"), (500, "unreachable")):
        emr = Emr(then=end)
        http = emr.door.http(base_url="https://emr.example", auth=Token())
        for _ in range(FAILURES):
            await asyncio.gather(write(http), return_exceptions=True)
        assert emr.door.manners.standing == standing


@in_virtual_time
async def test_it_is_in_the_log_that_an_emr_does_not_answer_and_that_it_answers_again(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO, "gateway.manners.shared")
    emr = Emr()
    emr.door.manners.name = "EMR north of client app"
    await emr.silenced()
    await asyncio.sleep(FIRST_PAUSE_S)
    emr.then = 200
    await read(emr.http)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "EMR north of client app does not answer, and is left alone for a while"),
        ("INFO", "EMR north of client app answers again"),
    ]
