"""How accounts prove themselves, and how one token serves them all."""

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from gateway.port import MaybeDone, NotSent, Refused, Throttled
from gateway.vendor import http as vendor_http
from gateway.vendor.auth import ApiKey, Basic, Bearer, ClientCredentials, KeyForToken
from gateway.vendor.http import Door, VendorHttp, meter

TOKEN_URL = "https://login.example/token"
BASE = "https://emr.example/api"
SECRET = SecretStr("wörd:/ &")


class Login:
    """A vendor with its token endpoint: hands out t1, t2, ...; takes only tokens that it has not revoked."""

    def __init__(self, **answer: Any) -> None:
        self.answer = {"expires_in": 3600} | answer
        self.asked: list[httpx.Request] = []
        self.calls: list[tuple[str, str]] = []
        self.revoked: set[str] = set()
        self.fails: list[Any] = []
        self.time = 1000.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.knocked = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if str(request.url) != TOKEN_URL:
            token = request.headers["Authorization"].removeprefix("Bearer ")
            self.calls.append((request.method, token))
            return httpx.Response(401 if token in self.revoked else 200, json={})
        self.asked.append(request)
        self.knocked.set()
        await self.gate.wait()
        fail = self.fails.pop(0) if self.fails else None
        if isinstance(fail, Exception):
            raise fail
        if fail is not None:
            return fail
        return httpx.Response(200, json={"access_token": f"t{len(self.asked)}"} | self.answer)

    def auth(self, **options: Any) -> ClientCredentials:
        return ClientCredentials(TOKEN_URL, "clinic", SECRET, clock=lambda: self.time, **options)

    def http(self, *, concurrency: int = 8, **options: Any) -> VendorHttp:
        door = Door(httpx.MockTransport(self), concurrency=concurrency)
        return door.http(base_url=BASE, auth=self.auth(**options))


@pytest.fixture
async def login(monkeypatch: pytest.MonkeyPatch) -> Login:
    async def at_once(wait: float) -> None:
        pass

    monkeypatch.setattr(vendor_http, "_sleep", at_once)
    return Login()


def exchanged(**options: Any) -> KeyForToken:
    """Of a vendor that tells a token as a field of its own."""
    return KeyForToken(TOKEN_URL, {"X-Key": SECRET}, lambda answer: answer.json()["access_token"], 3600, **options)


def status(response: httpx.Response) -> int:
    return response.status_code


async def header(auth: httpx.Auth, wanted: str = "Authorization") -> str:
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    await Door(httpx.MockTransport(note)).http(base_url=BASE, auth=auth).read("a", status)
    return seen[0].headers[wanted]


async def test_fixed_secrets_go_into_their_headers():
    assert await header(ApiKey("X-Key", SecretStr("word")), "X-Key") == "word"
    assert await header(Bearer(SecretStr("word"))) == "Bearer word"
    assert await header(Basic("clinic", SECRET)) == "Basic " + base64.b64encode("clinic:wörd:/ &".encode()).decode()


def test_no_secret_is_shown():
    shown = [
        ApiKey("X-Key", SECRET),
        Basic("clinic", SECRET),
        Bearer(SECRET),
        ClientCredentials(TOKEN_URL, "clinic", SECRET),
        exchanged(),
    ]
    for auth in shown:
        assert SECRET.get_secret_value() not in repr(auth) + str(auth) + str(vars(auth))


async def test_a_token_is_asked_for_as_the_standard_says(login: Login):
    await login.http(scope="calendar.write").read("a", status)
    (asked,) = login.asked
    assert asked.method == "POST"
    assert parse_qs(asked.content.decode()) == {"grant_type": ["client_credentials"], "scope": ["calendar.write"]}
    name, _, word = base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
    assert (name, word) == ("clinic", "w%C3%B6rd%3A%2F+%26")
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.extensions["timeout"]["connect"] == 5.0


async def test_a_token_can_be_asked_for_in_the_body(login: Login):
    await login.http(style="post").read("a", status)
    (asked,) = login.asked
    assert "Authorization" not in asked.headers
    assert parse_qs(asked.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["clinic"],
        "client_secret": [SECRET.get_secret_value()],
    }


@pytest.mark.parametrize("style", ["header", "json"])
async def test_a_key_is_exchanged_for_a_token_that_is_kept_as_long_as_it_is_good(login: Login, style: Any):
    key = KeyForToken(
        TOKEN_URL,
        {"X-Key": SecretStr("word")},
        lambda answer: answer.json()["access_token"],
        600,
        style=style,
        headers={"X-Version": "3"},
        clock=lambda: login.time,
    )
    client = Door(httpx.MockTransport(login)).http(base_url=BASE, auth=key)
    for later in (0, 539, 2):
        login.time += later
        await client.read("a", status)
    asked = login.asked[0]
    assert (asked.method, asked.headers["X-Version"]) == ("POST", "3")
    assert (asked.headers.get("X-Key"), asked.content) == {
        "header": ("word", b""),
        "json": (None, b'{"X-Key":"word"}'),
    }[style]
    assert [token for _, token in login.calls] == ["t1", "t1", "t2"]


@pytest.mark.parametrize("told", [{"access_token": ""}, {"access_token": 7}, {"access_token": None}, {"other": "t"}])
async def test_an_exchange_that_brings_no_token_is_no_login(login: Login, told: dict[str, Any]):
    login.fails = [httpx.Response(200, json=told)] * 2
    with pytest.raises(NotSent):
        await Door(httpx.MockTransport(login)).http(base_url=BASE, auth=exchanged()).write("POST", "a", status)
    assert not login.calls


async def test_a_token_is_kept_until_shortly_before_it_expires(login: Login):
    client = login.http()
    for _ in range(3):
        await client.read("a", status)
    login.time += 3600 - 61
    await client.read("a", status)
    assert len(login.asked) == 1
    login.time += 2
    await client.read("a", status)
    assert [token for _, token in login.calls] == ["t1"] * 4 + ["t2"]


@pytest.mark.parametrize(("life", "good", "late"), [({"expires_in": "100"}, 79, 81), ({"expires_in": None}, 1, 301)])
async def test_a_life_may_be_a_string_or_missing(login: Login, life: dict[str, Any], good: float, late: float):
    login.answer = {key: value for key, value in life.items() if value is not None}
    client = login.http()
    await client.read("a", status)
    login.time += good
    await client.read("a", status)
    assert len(login.asked) == 1
    login.time += late - good
    await client.read("a", status)
    assert len(login.asked) == 2


async def test_500_calls_at_its_expiry_ask_for_one_token(login: Login):
    client = login.http(concurrency=500)
    await client.read("a", status)
    login.time += 3600
    login.gate.clear()
    login.knocked.clear()
    calls = [asyncio.create_task(client.read("a", status)) for _ in range(500)]
    await login.knocked.wait()
    login.gate.set()
    await asyncio.gather(*calls)
    assert len(login.asked) == 2
    assert len(login.calls) == 501


async def test_a_refused_token_is_dropped_and_the_request_repeated_once(login: Login):
    client = login.http()
    await client.read("a", status)
    login.revoked = {"t1"}
    with meter() as counted:
        assert await client.write("POST", "a", status, json={}) == 200
    assert login.calls == [("GET", "t1"), ("POST", "t1"), ("POST", "t2")]
    assert (counted.calls, counted.writes) == (2, 2)


async def test_many_calls_with_one_refused_token_ask_for_one_new_one(login: Login):
    client = login.http(concurrency=100)
    await client.read("a", status)
    login.revoked = {"t1"}
    await asyncio.gather(*(client.read("a", status) for _ in range(100)))
    assert len(login.asked) == 2


async def test_a_new_token_that_is_refused_too_is_the_end(login: Login):
    login.revoked = {"t1", "t2", "t3"}
    with pytest.raises(Refused) as caught:
        await login.http().write("POST", "a", status)
    assert caught.value.reason == "credentials"
    assert len(login.calls) == 2


@pytest.mark.parametrize(
    ("fail", "kind", "times"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), Refused, 1),
        (httpx.Response(401), Refused, 1),
        (httpx.Response(403), Refused, 1),
        (httpx.Response(429, headers={"Retry-After": "60"}), Throttled, 1),
        (httpx.Response(302), NotSent, 2),
        (httpx.Response(500), NotSent, 2),
        (httpx.Response(200, text="<html>"), NotSent, 2),
        (httpx.Response(200, json=[]), NotSent, 2),
        (httpx.Response(200, json={"token_type": "bearer"}), NotSent, 2),
        (httpx.Response(200, json={"access_token": 7}), NotSent, 2),
        (httpx.Response(200, json={"access_token": "a", "expires_in": "NaN"}), NotSent, 2),
        (httpx.Response(200, json={"access_token": "a", "expires_in": []}), NotSent, 2),
        (httpx.ConnectError("x"), NotSent, 2),
        (httpx.ReadTimeout("x"), NotSent, 2),
        (httpx.RemoteProtocolError("x"), NotSent, 2),
    ],
    ids=str,
)
async def test_a_write_without_a_token_was_not_sent(login: Login, fail: Any, kind: type[Exception], times: int):
    login.fails = [fail] * 10
    client = login.http()
    with meter() as counted, pytest.raises(kind) as caught:
        await client.write("POST", "a", status)
    assert getattr(caught.value, "reason", "credentials") == "credentials"
    assert len(login.asked) == times
    assert not login.calls
    assert counted.calls == 0
    login.fails = []
    login.time += 60  # a refusal stands for a while
    if kind is not Throttled:  # then it is not called for a minute
        assert await client.write("POST", "a", status) == 200


async def test_a_write_refused_for_its_token_and_then_left_without_a_new_one_was_not_done(login: Login):
    client = login.http()
    await client.read("a", status)
    login.revoked, login.fails = {"t1"}, [httpx.ReadError("x")] * 2
    with pytest.raises(NotSent):
        await client.write("POST", "a", status)


async def test_a_lost_answer_to_the_repeated_write_is_maybe_done(login: Login):
    calls = 0

    async def drop_the_second(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        if str(request.url) == TOKEN_URL:
            return await login(request)
        calls += 1
        if calls == 1:
            return httpx.Response(401)
        raise httpx.ReadError("x")

    client = Door(httpx.MockTransport(drop_the_second)).http(base_url=BASE, auth=login.auth())
    with pytest.raises(MaybeDone):
        await client.write("POST", "a", status)
    assert calls == 2


@pytest.mark.parametrize("fail", [httpx.Response(401), httpx.Response(500), httpx.ConnectTimeout("x")], ids=str)
async def test_those_who_waited_for_a_token_that_did_not_come_do_not_queue_up_to_ask_again(login: Login, fail: Any):
    login.gate.clear()
    login.fails = [fail] * 1000
    auth = login.auth()
    transport = httpx.MockTransport(login)
    clients = [httpx.AsyncClient(transport=transport, auth=auth) for _ in range(50)]
    calls = [asyncio.create_task(client.post(BASE)) for client in clients]
    for _ in range(20):
        await asyncio.sleep(0)
    login.gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert len(login.asked) == 1
    assert all(isinstance(result, Exception) for result in results)


async def test_a_caller_that_gives_up_leaves_the_others_their_token(login: Login):
    login.gate.clear()
    # Without the door, whose new try would hide a failure.
    client = httpx.AsyncClient(transport=httpx.MockTransport(login), auth=login.auth())
    first = asyncio.create_task(client.get(BASE))
    await login.knocked.wait()
    second = asyncio.create_task(client.get(BASE))
    await asyncio.sleep(0)
    first.cancel()
    login.gate.set()
    assert (await second).status_code == 200
    assert len(login.asked) == 2
    assert first.cancelled()


async def test_a_late_no_to_an_old_token_does_not_drop_its_successor(login: Login):
    arrived, late = asyncio.Event(), asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/slow" and not late.is_set():
            arrived.set()
            await late.wait()
        return await login(request)

    client = Door(httpx.MockTransport(answer)).http(base_url=BASE, auth=login.auth())
    slow = asyncio.create_task(client.read("slow", status))
    await arrived.wait()
    login.revoked = {"t1"}
    await client.read("a", status)
    late.set()
    assert await slow == 200
    assert [token for _, token in login.calls] == ["t1", "t2", "t1", "t2"]
    assert len(login.asked) == 2


def test_there_is_no_synchronous_way_past_the_token():
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError

    auth = ClientCredentials(TOKEN_URL, "clinic", SECRET)
    with httpx.Client(transport=httpx.MockTransport(never), auth=auth) as client, pytest.raises(RuntimeError):
        client.get(BASE)
