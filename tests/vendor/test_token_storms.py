"""Five hundred calls at a token's end ask for one new one: over real sockets, and to an EMR in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.port import NotSent
from gateway.vendor.auth import ClientCredentials
from gateway.vendor.http import Door, VendorHttp
from gateway.vendor.transport import AiohttpTransport, InProcessTransport
from tests.loopback import Peer, loopback

CALLS = 500


class Login:
    """A vendor with its token endpoint: hands out t1, t2, ...; takes only the last one that it has not revoked."""

    def __init__(self) -> None:
        self.tokens = 0
        self.refused = 0
        self.taken = 0
        self.good: set[str] = set()
        self.time = 1000.0
        self.silent = False

    async def answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        if path == "/token":
            self.tokens += 1
            await asyncio.sleep(0.005)
            if self.silent:
                return 500, {}
            self.good = {f"Bearer t{self.tokens}"}
            return 200, {"access_token": f"t{self.tokens}", "expires_in": 3600}
        if authorization in self.good:
            self.taken += 1
            return 200, {}
        self.refused += 1
        return 401, {}

    def http(self, transport: httpx.AsyncBaseTransport, url: str, concurrency: int = 100) -> VendorHttp:
        auth = ClientCredentials(f"{url}/token", "clinic", SecretStr("word"), clock=lambda: self.time)
        return Door(transport, concurrency=concurrency).http(base_url=url, auth=auth)


Way = Callable[[Login], AbstractAsyncContextManager[tuple[httpx.AsyncBaseTransport, str]]]


@asynccontextmanager
async def over_sockets(login: Login) -> AsyncIterator[tuple[httpx.AsyncBaseTransport, str]]:
    async def serve(peer: Peer, head: bytes) -> None:
        lines = head.decode().split("\r\n")
        given = dict(line.split(": ", 1) for line in lines[1:])
        status, body = await login.answer(lines[0].split(" ")[1], given.get("Authorization", ""))
        told = json.dumps(body).encode()
        await peer.send(b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%s" % (status, len(told), told))

    async with loopback(serve) as server, AiohttpTransport() as transport:
        yield transport, server.url


@asynccontextmanager
async def in_process(login: Login) -> AsyncIterator[tuple[httpx.AsyncBaseTransport, str]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        status, body = await login.answer(scope["path"], given)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    async with InProcessTransport(app) as transport:
        yield transport, "http://emr.example"


def status(response: httpx.Response) -> int:
    return response.status_code


both_ways = pytest.mark.parametrize("way", [over_sockets, in_process])


@both_ways
async def test_a_token_that_has_expired_is_asked_for_once(way: Way):
    login = Login()
    async with way(login) as (transport, url):
        http = login.http(transport, url)
        await http.read("a", status)
        login.time += 3600
        assert await asyncio.gather(*(http.read("a", status) for _ in range(CALLS))) == [200] * CALLS
    assert (login.tokens, login.taken, login.refused) == (2, CALLS + 1, 0)


@both_ways
async def test_a_token_that_is_refused_to_all_is_asked_for_once(way: Way):
    login = Login()
    async with way(login) as (transport, url):
        http = login.http(transport, url, concurrency=CALLS)
        await http.read("a", status)
        login.good.clear()
        writes = [http.write("POST", "a", status, json={}) for _ in range(CALLS)]
        assert await asyncio.gather(*writes) == [200] * CALLS
    assert (login.tokens, login.taken) == (2, CALLS + 1)
    assert 1 <= login.refused <= CALLS


@both_ways
async def test_a_token_endpoint_that_fails_is_not_stormed(way: Way):
    login = Login()
    async with way(login) as (transport, url):
        http = login.http(transport, url)
        login.silent = True
        ends = await asyncio.gather(*(http.write("POST", "a", status) for _ in range(CALLS)), return_exceptions=True)
    assert all(isinstance(end, NotSent) for end in ends)
    assert (login.tokens <= 2, login.taken) == (True, 0)
