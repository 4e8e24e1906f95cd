"""Through a proxy, too, a client is told exactly whether anything was sent, and nothing goes out twice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from cryptography import x509

from gateway.port import EmrError, MaybeDone, NotSent
from gateway.vendor.http import Door, meter
from gateway.vendor.transport import NOT_SENT, AiohttpTransport, TlsError
from gateway.vendor.way import Proxy, Tls
from tests.loopback import FAULTS, Loopback, loopback
from tests.proxy import BASIC, PASSWORD, TUNNEL, Passing, running_proxy, through
from tests.tls import ANOTHER, AUTHORITY, GATEWAY, Issued, TlsServer, server_context, tls_server

METHODS = ("GET", "PUT", "DELETE", "PATCH", "POST")
BROKEN = ("after the head", *FAULTS)


@contextlib.asynccontextmanager
async def client(proxy: Proxy, tls: Tls | None = None) -> AsyncIterator[httpx.AsyncClient]:
    context = (tls or Tls(ca=AUTHORITY.pem)).context()
    transport = AiohttpTransport(ssl_context=context, proxy=proxy)
    async with httpx.AsyncClient(transport=transport, timeout=5) as opened:
        yield opened


@contextlib.asynccontextmanager
async def tunnelled(folder: Path) -> AsyncIterator[tuple[TlsServer, Loopback, Passing, httpx.AsyncClient]]:
    async with (
        tls_server(server_context(folder)) as emr,
        running_proxy() as (proxy, passing),
        client(through(proxy)) as c,
    ):
        yield emr, proxy, passing, c


async def refused(c: httpx.AsyncClient, url: str, method: str = "POST", connect: float = 5) -> httpx.TransportError:
    with pytest.raises(httpx.TransportError) as caught:
        await c.request(method, url, json={"note": "nothing to see"}, timeout=httpx.Timeout(5, connect=connect))
    return caught.value


def shown(error: BaseException | None) -> str:
    """All that a traceback or a debugger shows of an error and of what led to it."""
    if error is None:
        return ""
    told = f"{error!r} {error.args!r} {vars(error)!r} {''.join(traceback.format_exception(error))}"
    return told + shown(error.__cause__) + shown(error.__context__)


# -- through a tunnel --------------------------------------------------------------------------------------------------


async def test_https_goes_through_a_tunnel_and_only_the_proxy_sees_its_credentials(tmp_path: Path):
    async with tunnelled(tmp_path) as (emr, proxy, passing, c):
        for method in METHODS:
            assert (await c.request(method, f"{emr.url}/a?b=c", json={})).status_code == 200
        host = emr.url.removeprefix("https://")
        assert passing.asked == [f"CONNECT {host}"]
        assert (proxy.connections, emr.connections, emr.requests) == (1, 1, 5)
        assert BASIC in proxy.heads[0]
        assert b"/a?b" not in proxy.heads[0]
        assert all(b"proxy-" not in head.lower() for head in emr.heads)
        assert emr.heads[-1].startswith(b"POST /a?b=c HTTP/1.1\r\n")


def test_a_tunnel_leads_through_the_loop_that_serves_too(tmp_path: Path):
    async def ask() -> None:
        async with tunnelled(tmp_path) as (emr, proxy, passing, c):
            assert (await c.post(emr.url, json={})).status_code == 200
            passing.refusing = 502
            async with client(through(proxy)) as other:
                assert type(await refused(other, emr.url)) is httpx.ProxyError
            assert emr.requests == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())


async def test_a_certificate_is_shown_through_a_tunnel(tmp_path: Path):
    own = Tls(ca=AUTHORITY.pem, certificate=GATEWAY.pem, private_key=GATEWAY.key_pem())
    async with (
        tls_server(server_context(tmp_path, callers=AUTHORITY)) as emr,
        running_proxy() as (proxy, _),
        client(through(proxy), own) as c,
    ):
        assert (await c.post(emr.url)).status_code == 200
        assert emr.callers == ["gateway"]


@pytest.mark.parametrize("answer", [301, 401, 403, 407, 429, 500, 502, 503, 504, b"HTTP/1.1 999\r\n\r\n"], ids=str)
async def test_a_proxy_that_refuses_the_tunnel_has_sent_nothing(tmp_path: Path, answer: int | bytes):
    async with tunnelled(tmp_path) as (emr, proxy, passing, c):
        passing.refusing = answer
        for method in ("GET", "POST"):
            error = await refused(c, emr.url, method)
            assert type(error) is httpx.ProxyError
            assert isinstance(error, NOT_SENT)
            assert error.request.method == method
        assert (emr.connections, proxy.requests) == (0, 2)


@pytest.mark.parametrize("fault", ["before reading", *BROKEN])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_proxy_that_breaks_before_there_is_a_tunnel_has_sent_nothing(tmp_path: Path, method: str, fault: str):
    async with tunnelled(tmp_path) as (emr, proxy, _, c):
        proxy.faults[0] = fault
        error = await refused(c, emr.url, method, connect=0.2 if fault == "never answers" else 5)
        assert isinstance(error, NOT_SENT)
        assert (emr.connections, proxy.connections) == (0, 1)
        assert (await c.post(emr.url)).status_code == 200


async def test_a_proxy_that_is_not_there_has_sent_nothing(tmp_path: Path):
    async with running_proxy() as (proxy, _):
        pass
    async with tls_server(server_context(tmp_path)) as emr, client(through(proxy)) as c:
        for url in (emr.url, "http://127.0.0.1:1"):
            assert type(await refused(c, url)) is httpx.ProxyError
        assert emr.connections == 0


@pytest.mark.parametrize("after", [b"", b"SSH-2.0-nothing\r\n"], ids=["silence", "no TLS"])
async def test_a_tunnel_that_leads_to_no_tls_was_not_sent_anything(after: bytes):
    async with running_proxy() as (proxy, passing), client(through(proxy)) as c:
        passing.refusing = TUNNEL + after
        error = await refused(c, "https://emr.example", connect=0.2)
        assert isinstance(error, NOT_SENT)
        assert proxy.requests == 1


async def test_a_tunnel_that_is_cut_in_the_handshake_was_not_sent_anything(tmp_path: Path):
    async with tunnelled(tmp_path) as (emr, _, passing, c):
        passing.cut = lambda _: True
        assert isinstance(await refused(c, emr.url), NOT_SENT)
        assert emr.requests == 0


@pytest.mark.parametrize("wrong", ["authority", "host"])
async def test_a_server_with_a_wrong_certificate_is_not_sent_anything(tmp_path: Path, wrong: str):
    other = Issued("other", AUTHORITY, stands_for=x509.DNSName("other.example"))
    at = server_context(tmp_path, other) if wrong == "host" else server_context(tmp_path)
    trusting = Tls(ca=ANOTHER.pem) if wrong == "authority" else None
    async with tls_server(at) as emr, running_proxy() as (proxy, _), client(through(proxy), trusting) as c:
        assert type(await refused(c, emr.url)) is TlsError
        assert emr.requests == 0


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_request_goes_into_a_tunnel_once_wherever_that_is_cut(tmp_path: Path, method: str, kept: bool):
    async with tunnelled(tmp_path) as (emr, proxy, passing, c):
        if kept:
            await c.get(emr.url)
        before = emr.requests
        # All but a handshake's first message: what holds the request, or the last that the client says before it.
        passing.cut = lambda data: data[:1] != b"\x16"
        error = await refused(c, emr.url, method)
        assert not isinstance(error, NOT_SENT)
        assert (emr.requests, proxy.connections) == (before, 1)


# -- handed to the proxy -----------------------------------------------------------------------------------------------


async def test_plain_http_is_handed_to_the_proxy_byte_for_byte(tmp_path: Path):
    async with loopback() as emr, running_proxy() as (proxy, passing), client(through(proxy)) as c:
        target = f"{emr.url}/a%2Fb//c?start=2026-11-22T08%3A00%3A00%2B01%3A00&x="
        assert (await c.patch(target, json={"a": 1})).json() == {}
        assert passing.asked == [f"PATCH {target}"]
        assert emr.heads[0].startswith(b"PATCH /a%2Fb//c?start=2026-11-22T08%3A00%3A00%2B01%3A00&x= HTTP/1.1\r\n")
        assert emr.bodies == [b'{"a":1}']
        assert (emr.requests, proxy.requests) == (1, 1)


async def test_a_proxy_that_wants_other_credentials_has_handed_nothing_on():
    async with loopback() as emr, running_proxy() as (proxy, _), client(through(proxy, "wrong")) as c:
        assert type(await refused(c, emr.url)) is httpx.ProxyError
        assert (emr.requests, proxy.requests) == (0, 1)


async def test_another_407_is_the_answer_of_the_emr(tmp_path: Path):
    async with loopback(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as emr, AiohttpTransport() as direct:
        answer = await direct.handle_async_request(httpx.Request("POST", emr.url))
        await answer.aclose()
        assert answer.status_code == 407


@pytest.mark.parametrize("fault", ["before reading", *BROKEN])
@pytest.mark.parametrize("method", METHODS)
async def test_what_was_handed_to_a_proxy_that_breaks_may_have_been_done_and_goes_out_once(method: str, fault: str):
    async with loopback() as emr, running_proxy() as (proxy, _), client(through(proxy)) as c:
        proxy.faults[0] = fault
        with pytest.raises(httpx.TransportError) as caught:
            await c.request(method, emr.url, timeout=httpx.Timeout(5, read=0.1 if fault == "never answers" else 5))
        assert not isinstance(caught.value, NOT_SENT)
        assert (emr.requests, proxy.connections) == (0, 1)


# -- what is said of it ------------------------------------------------------------------------------------------------


async def outcome(url: str, proxy: Proxy, tls: Tls) -> tuple[EmrError | None, int]:
    """What a plugin's write comes to, and how many calls it counts as."""
    async with AiohttpTransport(ssl_context=tls.context(), proxy=proxy) as transport:
        door = Door(transport)
        with meter() as spent:
            try:
                await door.http(base_url=url).write("POST", "/", lambda _: None, json={})
            except EmrError as error:
                return error, spent.calls
            else:
                return None, spent.calls
            finally:
                await door.aclose()


@pytest.mark.parametrize("status", [407, 502])
async def test_a_write_that_a_proxy_refused_was_not_sent(tmp_path: Path, status: int, monkeypatch: Any):
    monkeypatch.setattr("gateway.vendor.http._sleep", lambda _: asyncio.sleep(0))
    async with tls_server(server_context(tmp_path)) as emr, running_proxy() as (proxy, passing):
        passing.refusing = status
        error, calls = await outcome(emr.url, through(proxy), Tls(ca=AUTHORITY.pem))
        assert isinstance(error, NotSent)
        assert (emr.connections, calls) == (0, 0)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_write_that_a_proxy_answered_itself_may_have_been_done(status: int):
    async with loopback() as emr, running_proxy() as (proxy, passing):
        passing.refusing = status
        error, calls = await outcome(emr.url, through(proxy), Tls(ca=AUTHORITY.pem))
        assert isinstance(error, MaybeDone)
        assert (proxy.requests, calls) == (1, 1)


@pytest.mark.parametrize(
    ("scheme", "refusing"),
    [
        *((scheme, how) for scheme in ("https", "http") for how in (407, b"SSH-2.0-nothing\r\n\r\n", None)),
        ("https", b"HTTP/1.1 999\r\n\r\n"),
    ],
    ids=str,
)
async def test_a_password_is_in_no_error_and_no_log(
    scheme: str, refusing: int | bytes | None, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    async with running_proxy() as (proxy, passing), client(through(proxy)) as c:
        passing.refusing = refusing
        if refusing is None:
            proxy.faults[0] = "reset"
        error = await refused(c, f"{scheme}://emr.example:8443/Patient?name=Kanarie")
        for secret in (PASSWORD, BASIC.decode(), BASIC.split()[1].decode()):
            assert secret not in shown(error) + caplog.text
        assert "Kanarie" not in str(error) + caplog.text
