"""Logging in to vendors that are no OAuth servers: a token, a header or a cookie, by one request or by two."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any

import httpx
import pytest

from gateway.plugin import EmrError, Login, MaybeDone, NotSent, Proof, Refused, Throttled
from gateway.vendor import http as vendor_http
from gateway.vendor.http import Door, VendorHttp, meter

BASE = "https://emr.example/api"
LOGIN_URL = "https://emr.example/login"
WORD = "open sesame"


class Emr:
    """Gives out s1, s2, ... and takes what it has not ended."""

    def __init__(self) -> None:
        self.logins: list[httpx.Request] = []
        self.calls: list[tuple[str, str]] = []
        self.ended: set[str] = set()
        self.fails: list[httpx.Response] = []
        self.time = 1000.0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/login":
            session = request.headers.get("X-Session") or request.headers["Cookie"].partition("sid=")[2]
            self.calls.append((request.method, session))
            return httpx.Response(401 if session in self.ended else 200, json={})
        if request.method == "GET":
            return httpx.Response(200, headers={"Set-Cookie": "csrf=c1; HttpOnly"})
        self.logins.append(request)
        await self.gate.wait()
        if self.fails:
            return self.fails.pop(0)
        session = f"s{len(self.logins)}"
        headers = {"X-Session": session, "Set-Cookie": f"sid={session}; HttpOnly; Secure"}
        return httpx.Response(201, json={"data": {"token": session, "minutes": 10}}, headers=headers)

    def http(self, kind: type[Login], *, concurrency: int = 100) -> VendorHttp:
        return self.through_a_new_door(kind(clock=lambda: self.time), concurrency=concurrency)

    def through_a_new_door(self, login: Login, *, concurrency: int = 100) -> VendorHttp:
        return Door(httpx.MockTransport(self), concurrency=concurrency).http(base_url=BASE, auth=login)


class ByToken(Login):
    def login(self, request: httpx.Request) -> httpx.Request:
        return self.beside(request, "POST", LOGIN_URL, json={"user": "clinic", "word": WORD})

    def proof(self, answer: httpx.Response) -> Proof:
        told = answer.json()["data"]
        return Proof({"X-Session": told["token"]}, life_s=60.0 * told["minutes"])


class ByHeader(ByToken):
    def proof(self, answer: httpx.Response) -> Proof:
        return Proof({"X-Session": answer.headers["X-Session"]})


class ByCookie(Login):
    """As a page does it: its form has a secret of its own."""

    def asking(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, httpx.Response]:
        form = yield self.beside(request, "GET", LOGIN_URL)
        csrf = form.cookies["csrf"]
        headers = {"Cookie": f"csrf={csrf}", "X-CSRF": csrf}
        return (yield self.beside(request, "POST", LOGIN_URL, data={"word": WORD}, headers=headers))

    def proof(self, answer: httpx.Response) -> Proof:
        return Proof({"Cookie": f"sid={answer.cookies['sid']}"})


KINDS = pytest.mark.parametrize("kind", [ByToken, ByHeader, ByCookie])


@pytest.fixture
async def emr(monkeypatch: pytest.MonkeyPatch) -> Emr:
    monkeypatch.setattr(vendor_http, "_sleep", lambda _: asyncio.sleep(0))
    return Emr()


def status(response: httpx.Response) -> int:
    return response.status_code


async def failure(asking: Any) -> EmrError:
    with pytest.raises(EmrError) as failed:
        await asking
    assert WORD not in str(failed.value)
    return failed.value


@KINDS
async def test_one_login_serves_all_calls_and_is_none_itself(emr: Emr, kind: type[Login]):
    client = emr.http(kind)
    with meter() as counted:
        await asyncio.gather(*(client.read("a", status) for _ in range(50)))
        await client.write("POST", "a", status, json={})
    assert len(emr.logins) == 1
    assert {session for _, session in emr.calls} == {"s1"}
    assert (counted.calls, counted.writes) == (51, 1)
    assert emr.logins[0].extensions["timeout"]["connect"] == 5.0


@KINDS
async def test_a_session_that_has_ended_is_followed_by_another_and_nothing_is_written_twice(
    emr: Emr, kind: type[Login]
):
    client = emr.http(kind)
    await client.read("a", status)
    emr.ended = {"s1"}
    assert await client.write("POST", "a", status, json={}) == 200
    assert emr.calls == [("GET", "s1"), ("POST", "s1"), ("POST", "s2")]


async def test_a_session_that_is_refused_at_once_is_not_asked_for_for_ever(emr: Emr):
    emr.ended = {"s1", "s2", "s3"}
    error = await failure(emr.http(ByHeader).write("POST", "a", status))
    assert (type(error), error.reason, len(emr.logins)) == (Refused, "credentials", 2)


async def test_a_life_that_is_told_ends_before_the_server_ends_it(emr: Emr):
    client = emr.http(ByToken)
    for later in (0, 539, 2):
        emr.time += later
        await client.read("a", status)
    assert [session for _, session in emr.calls] == ["s1", "s1", "s2"]


async def test_a_life_that_is_not_told_has_no_end(emr: Emr):
    client = emr.http(ByHeader)
    for later in (0, 10**9):
        emr.time += later
        await client.read("a", status)
    assert len(emr.logins) == 1


# -- refusals ---------------------------------------------------------------------------------------------------------


def no(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, text=f"not with {WORD}", headers=headers)


async def test_those_who_wait_share_a_refusal(emr: Emr):
    emr.fails = [no(401)] * 50
    client = emr.http(ByHeader)
    emr.gate.clear()
    calls = [asyncio.create_task(client.read("a", status)) for _ in range(50)]
    for _ in range(20):
        await asyncio.sleep(0)
    emr.gate.set()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert {(type(e), e.reason) for e in errors} == {(Refused, "credentials")}
    assert len({id(error) for error in errors}) == 50
    assert (len(emr.logins), emr.calls) == (1, [])


async def test_wrong_credentials_are_not_sent_again_for_a_while(emr: Emr):
    emr.fails = [no(401)]
    client = emr.http(ByHeader)
    for later in (0, 0, 30, 29):
        emr.time += later
        error = await failure(client.read("a", status))
        assert (type(error), error.reason, len(emr.logins)) == (Refused, "credentials", 1)
    emr.time += 1
    assert await client.read("a", status) == 200


class Strict(ByHeader):
    hold_s = 200.0


async def test_how_long_a_refusal_stands_is_the_vendors_to_say(emr: Emr):
    emr.fails = [no(403)]
    client = emr.http(Strict)
    for later in (0, 199):
        emr.time += later
        await failure(client.read("a", status))
    emr.time += 1
    assert await client.read("a", status) == 200
    assert len(emr.logins) == 2


@pytest.mark.parametrize(
    ("answer", "wait"),
    [(no(429), 60), (no(429, **{"Retry-After": "30"}), 30), (no(429, **{"Retry-After": "86400"}), 600)],
)
async def test_a_server_that_says_later_is_asked_later_and_everybody_told_when(emr: Emr, answer: Any, wait: float):
    emr.fails = [answer]
    login = ByHeader(clock=lambda: emr.time)

    def written() -> Awaitable[int]:
        # A door that was told "later" would not even ask.
        return emr.through_a_new_door(login).write("POST", "a", status)

    for later in (0.0, wait - 5.0):
        emr.time += later
        error = await failure(written())
        assert isinstance(error, Throttled)
        assert error.retry_after == pytest.approx(wait - later)
    assert len(emr.logins) == 1
    emr.time += 5
    assert await written() == 200


async def test_a_server_that_says_soon_is_waited_for(emr: Emr, monkeypatch: pytest.MonkeyPatch):
    async def wait(seconds: float) -> None:
        emr.time += seconds

    monkeypatch.setattr(vendor_http, "_sleep", wait)
    emr.fails = [no(429, **{"Retry-After": "1"})]
    assert await emr.http(ByHeader).write("POST", "a", status) == 200
    assert len(emr.logins) == 2


class Wordy(ByHeader):
    """Says in its answers under 200 what is wrong."""

    def proof(self, answer: httpx.Response) -> Proof:
        match answer.headers.get("X-No"):
            case None:
                return super().proof(answer)
            case "credentials":
                raise Refused("credentials", emr_code="E7")
            case "later":
                raise Throttled(emr_code="E8", retry_after=30.0)
            case "rule":
                raise Refused("rule")
            case _:
                raise MaybeDone


@pytest.mark.parametrize(
    ("said", "kind", "code", "stands"),
    [
        ("credentials", Refused, "E7", True),
        ("later", Throttled, "E8", True),
        ("rule", NotSent, None, False),
        ("what?", NotSent, None, False),
    ],
)
async def test_an_answer_under_200_may_say_no_and_no_write_was_sent(emr: Emr, said, kind, code, stands):
    emr.fails = [httpx.Response(200, headers={"X-No": said})] * 2
    client = emr.http(Wordy)
    error = await failure(client.write("POST", "a", status))
    assert (type(error), error.emr_code, emr.calls) == (kind, code, [])
    asked = len(emr.logins)
    emr.fails = [httpx.Response(200, headers={"X-No": said})]
    if stands:
        await failure(client.write("POST", "a", status))
        assert len(emr.logins) == asked
    else:
        assert await client.write("POST", "a", status) == 200


@pytest.mark.parametrize("answer", [no(500), no(404), httpx.Response(302), httpx.Response(200, json=[])], ids=str)
async def test_a_login_that_makes_no_sense_is_tried_again_and_nothing_was_sent(emr: Emr, answer: httpx.Response):
    copies = [httpx.Response(answer.status_code, content=answer.content) for _ in range(2)]
    emr.fails = [*copies]
    assert isinstance(await failure(emr.http(ByToken).write("POST", "a", status)), NotSent)
    assert (len(emr.logins), emr.calls) == (2, [])


async def test_a_form_that_is_not_there_is_no_way_in(emr: Emr):
    async def without_csrf(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200) if request.method == "GET" else await emr(request)

    client = Door(httpx.MockTransport(without_csrf)).http(base_url=BASE, auth=ByCookie())
    assert isinstance(await failure(client.write("POST", "a", status)), NotSent)
    assert (emr.logins, emr.calls) == ([], [])


async def test_a_refusal_after_a_success_is_told_and_ends(emr: Emr):
    client = emr.http(ByHeader)
    await client.read("a", status)
    emr.ended, emr.fails = {"s1"}, [no(401)]
    assert isinstance(await failure(client.read("a", status)), Refused)
    emr.time += 60
    assert await client.read("a", status) == 200
    assert [session for _, session in emr.calls] == ["s1", "s1", "s3"]


async def test_nothing_that_lets_in_is_shown(emr: Emr):
    auth = ByHeader(clock=lambda: emr.time)
    client = Door(httpx.MockTransport(emr)).http(base_url=BASE, auth=auth)
    await client.read("a", status)
    assert "s1" not in repr(auth) + str(vars(auth))
