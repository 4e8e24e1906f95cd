"""What arrives at the server, how often, and what the client is told about it."""

import asyncio
import contextlib
import gzip
import random
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiohttp
import httpx
import pytest

from gateway.vendor import transport
from gateway.vendor.connector import NoTunnel
from gateway.vendor.transport import NOT_SENT, AiohttpTransport, InProcessTransport
from gateway.vendor.way import Tls
from tests.loopback import FAULTS, OK, Loopback, Peer, loopback
from tests.tls import AUTHORITY, server_context, tls_server

MAYBE = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout, httpx.WriteTimeout)
METHODS = ("GET", "PUT", "DELETE", "PATCH", "POST")
BODY = {"note": "nothing to see"}


@contextlib.asynccontextmanager
async def client(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=AiohttpTransport(**options), timeout=5) as opened:
        yield opened


async def ask(
    c: httpx.AsyncClient, server: Loopback, method: str = "GET", path: str = "/", *, patience: float = 5
) -> httpx.Response:
    body = None if method in {"GET", "DELETE"} else BODY
    return await c.request(method, server.url + path, json=body, timeout=httpx.Timeout(5, read=patience))


def patience(fault: str) -> float:
    """Short only where the time-out is what is tested."""
    return 0.1 if fault == "never answers" else 5


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("fault", ["before reading", "after the head", *FAULTS])
@pytest.mark.parametrize("method", METHODS)
async def test_a_request_goes_out_once_wherever_the_connection_breaks(method: str, fault: str, kept: bool):
    async with loopback() as server, client() as c:
        if kept:
            await ask(c, server)
        before = server.requests
        server.faults[before] = fault
        with pytest.raises(MAYBE) as caught:
            await ask(c, server, method, patience=patience(fault))
        await settle()
        assert not isinstance(caught.value, NOT_SENT)
        assert server.requests - before == (0 if fault == "before reading" else 1)
        assert server.connections == 1
        assert caught.value.request.method == method
        assert server.url not in str(caught.value)
        assert (await ask(c, server)).status_code == 200


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("after the body", httpx.RemoteProtocolError),
        ("in the status line", httpx.RemoteProtocolError),
        ("in the headers", httpx.RemoteProtocolError),
        ("in the body", httpx.RemoteProtocolError),
        ("in a chunk", httpx.RemoteProtocolError),
        ("no HTTP at all", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
        ("never answers", httpx.ReadTimeout),
    ],
)
async def test_each_way_to_break_has_its_class(fault: str, kind: type[httpx.TransportError]):
    async with loopback() as server, client() as c:
        server.faults[0] = fault
        with pytest.raises(httpx.TransportError) as caught:
            await ask(c, server, "PATCH", patience=patience(fault))
        assert type(caught.value) is kind


@pytest.mark.parametrize("method", METHODS)
async def test_a_connection_that_the_server_closed_while_idle_is_replaced(method: str):
    async def answer_and_close(peer: Peer, head: bytes) -> None:
        await peer.send(OK)
        peer.sock.shutdown(2)

    async with loopback(answer_and_close) as server, client() as c:
        await ask(c, server)
        await settle()
        assert (await ask(c, server, method)).status_code == 200
        assert (server.requests, server.connections) == (2, 2)


async def test_a_few_interim_answers_are_passed_over_and_a_stream_of_them_is_a_broken_answer():
    async def interim(peer: Peer, head: bytes, times: int) -> None:
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * times)
        await peer.send(OK)

    for times, kind in ((16, None), (17, httpx.RemoteProtocolError), (100_000, httpx.RemoteProtocolError)):
        async with loopback(partial(interim, times=times)) as server, client() as c:
            if kind is None:
                assert [(await ask(c, server)).text for _ in range(2)] == ["{}", "{}"]
            else:
                with pytest.raises(kind):
                    await ask(c, server)


async def test_what_comes_unasked_on_an_idle_connection_is_nobodys_answer():
    idle, sent = asyncio.Event(), asyncio.Event()

    async def answer_twice(peer: Peer, head: bytes) -> None:
        await peer.send(OK)
        await idle.wait()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse")
        sent.set()

    async with loopback(answer_twice) as server, client() as c:
        for _ in range(3):
            assert (await ask(c, server)).text == "{}"
            idle.set()
            await sent.wait()
            idle.clear()
            sent.clear()
            await asyncio.sleep(0.01)  # what is there is read before any time passes
        assert server.connections == 3


async def test_a_connection_is_kept_and_given_up_before_the_vendor_would():
    async with loopback() as server, client(keepalive_s=0.05) as c:
        await ask(c, server)
        await ask(c, server)
        assert server.connections == 1
        await asyncio.sleep(0.1)
        await ask(c, server)
        assert server.connections == 2
    assert transport.KEEPALIVE_S < 5


# -- certainly not sent ------------------------------------------------------------------------------------------------


async def test_a_refused_connection_was_not_sent():
    async with loopback() as server:
        pass
    async with client() as c:
        with pytest.raises(httpx.ConnectError):
            await ask(c, server, "POST")


async def test_a_server_that_speaks_no_tls_was_not_sent_anything():
    async with loopback() as server, client() as c:
        server.faults[0] = "before reading"
        with pytest.raises(httpx.ConnectError):
            await c.post(server.url.replace("http:", "https:"))
        assert server.requests == 0


async def test_a_hanging_tls_handshake_is_a_connect_timeout():
    async def never(peer: Peer, head: bytes) -> None:
        raise AssertionError

    async with loopback(never) as server, client() as c:
        with pytest.raises(httpx.ConnectTimeout):
            await c.post(server.url.replace("http:", "https:"), timeout=httpx.Timeout(5, connect=0.1))
        assert server.requests == 0


async def test_waiting_for_a_free_connection_is_a_pool_timeout():
    async with loopback() as server, client(max_connections=1) as c:
        server.faults[0] = "never answers"
        first = asyncio.create_task(ask(c, server))
        while not server.requests:
            await settle()
        with pytest.raises(httpx.PoolTimeout):
            await c.post(server.url, timeout=httpx.Timeout(5, pool=0.05))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert server.requests == 1
        assert (await ask(c, server)).status_code == 200


async def test_connections_to_one_place_are_none_that_another_place_lacks():
    async with loopback() as silent, loopback() as server, client(max_connections=1) as c:
        silent.faults[0] = "never answers"
        first = asyncio.create_task(ask(c, silent))
        while not silent.requests:
            await settle()
        answer = await c.get(server.url, timeout=httpx.Timeout(5, pool=0.05))
        assert answer.status_code == 200
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_a_closed_transport_sends_nothing():
    async with loopback() as server:
        closed = AiohttpTransport()
        await closed.aclose()
        with pytest.raises(httpx.ConnectError):
            await closed.handle_async_request(httpx.Request("GET", server.url))
        assert server.connections == 0


@pytest.mark.parametrize("value", [b"a\r\nX-Other: b", b"a\nb", b"a\0b", b"\xe4"])
async def test_a_header_that_cannot_be_sent_is_refused_before_connecting(value: bytes):
    async with loopback() as server, client() as c:
        with pytest.raises(httpx.LocalProtocolError):
            await c.post(server.url, headers=[(b"x-name", value)])
        assert server.connections == 0


async def test_a_body_that_fails_half_way_is_never_begun():
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    async with loopback() as server, client() as c:
        with pytest.raises(ZeroDivisionError):
            await c.post(server.url, content=half())
        assert server.connections == 0


async def test_another_scheme_is_unsupported():
    async with AiohttpTransport() as t:
        with pytest.raises(httpx.UnsupportedProtocol):
            await t.handle_async_request(httpx.Request("GET", "ftp://127.0.0.1/"))


KEY: Any = type("Key", (), {"host": "vendor", "port": 443, "ssl": True})()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, OSError(1, "x")), httpx.ConnectError),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, "x")), transport.TlsError),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "x")), transport.TlsError),
        (aiohttp.ClientConnectorError(KEY, OSError(1, "x")), httpx.ConnectError),
        (NoTunnel("407"), httpx.ProxyError),
        (aiohttp.ConnectionTimeoutError(), httpx.ConnectTimeout),
        (aiohttp.InvalidURL("x"), httpx.UnsupportedProtocol),
        (aiohttp.SocketTimeoutError(), httpx.ReadTimeout),
        (aiohttp.ServerDisconnectedError(), httpx.RemoteProtocolError),
        (aiohttp.ClientConnectionResetError(), httpx.WriteError),
        (aiohttp.ClientOSError(104, "x"), httpx.ReadError),
        (aiohttp.ClientOSError(), httpx.ReadError),
        (ConnectionResetError(104, "x"), httpx.ReadError),
        (TimeoutError(110, "x"), httpx.ReadError),
        (TimeoutError(), httpx.WriteTimeout),
        (aiohttp.ClientPayloadError("x"), httpx.RemoteProtocolError),
        (aiohttp.ClientConnectionError("x"), httpx.RemoteProtocolError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_every_error_of_aiohttp_says_whether_anything_was_sent(error: Exception, kind: type[Exception]):
    assert type(transport._meaning(error, httpx.Request("GET", "http://vendor"))) is kind


@pytest.mark.parametrize("name", ["_retry_connection", "_get", "_create_connection"])
def test_an_aiohttp_without_the_private_switches_is_not_run_with(name: str, monkeypatch: pytest.MonkeyPatch):
    if name != "_retry_connection":
        monkeypatch.delattr(aiohttp.BaseConnector, name)
    else:
        monkeypatch.setattr(aiohttp.ClientSession, "ATTRS", aiohttp.ClientSession.ATTRS - {name})
    with pytest.raises(RuntimeError):
        AiohttpTransport()


# -- cancelled ---------------------------------------------------------------------------------------------------------


async def test_cancelled_requests_cost_the_pool_nothing():
    size = 10
    together = asyncio.Barrier(size)

    async def answer(peer: Peer, head: bytes) -> None:
        await (together.wait() if b" /together " in head else asyncio.sleep(0.003))
        await peer.send(OK)

    dice = random.Random(20261122)

    async def impatient(c: httpx.AsyncClient, server: Loopback) -> None:
        for _ in range(15):
            task = asyncio.create_task(ask(c, server, dice.choice(METHODS)))
            await asyncio.sleep(dice.random() * 0.012)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async with loopback(answer) as server, client(max_connections=size) as c:
        await asyncio.gather(*(impatient(c, server) for _ in range(4 * size)))
        # The server answers only when as many as the pool holds are there at the same time.
        answers = await asyncio.gather(*(ask(c, server, path="/together") for _ in range(2 * size)))
        assert [answer.status_code for answer in answers] == [200] * 2 * size


async def test_a_body_that_is_not_read_to_the_end_gives_its_place_back():
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000

    async with loopback(long) as server, client(max_connections=1) as c:
        for _ in range(3):
            async with c.stream("GET", server.url) as response:
                await anext(response.aiter_raw())
        assert server.connections == 3


async def test_a_peer_that_does_not_read_is_not_waited_for_for_ever():
    async with loopback() as server, client() as c:
        server.faults[0] = "never reads"
        with pytest.raises(httpx.WriteTimeout):
            await c.put(server.url, content=b"x" * 30_000_000, timeout=0.1)
        assert server.connections == 1


# -- as it was meant ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/fhir/Appointment/a%2Fb%20c",
        "/a?start=2026-11-22T08%3A00%3A00%2B01%3A00&x=a+b&x=",
        "/a//b;v=1/(c)'!*,=:@?q=%7B%22a%22%3A1%7D",
        "/%C3%A5ngstr%C3%B6m?q=%c3%a5",
    ],
)
async def test_a_url_goes_out_byte_for_byte(target: str):
    async with loopback() as server, client() as c:
        await ask(c, server, path=target)
        assert server.heads[0].split(b" ")[1].decode() == target


async def test_headers_go_out_and_come_back_as_they_are():
    reply = b"HTTP/1.1 207 Odd Reason\r\nX-Twice: 1\r\nx-twice: 2\r\nX-Name: \xc3\xa5\r\nContent-Length: 0\r\n\r\n"
    async with loopback(reply) as server, client() as c:
        headers = [(b"X-Twice", b"1"), (b"X-Twice", b"2"), (b"X-Name", "å".encode())]
        response = await c.put(server.url, content=b"<a/>", headers=headers)
        lines = server.heads[0].split(b"\r\n")[1:]
        assert [line for line in lines if line.lower().startswith(b"x-")] == [
            b"X-Twice: 1",
            b"X-Twice: 2",
            b"X-Name: \xc3\xa5",
        ]
        names = sorted(line.split(b":")[0].lower() for line in lines)
        assert names == sorted(
            [b"host", b"accept", b"accept-encoding", b"connection", b"user-agent", b"content-length"]
            + [b"x-twice"] * 2
            + [b"x-name"]
        )
        assert server.bodies == [b"<a/>"]
        assert response.headers.raw[:3] == [(b"X-Twice", b"1"), (b"x-twice", b"2"), (b"X-Name", b"\xc3\xa5")]
        assert (response.status_code, response.reason_phrase) == (207, "Odd Reason")


async def test_a_streamed_and_a_long_body_arrive_whole():
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with loopback() as server, client() as c:
        await c.post(server.url, content=parts())
        await c.post(server.url, content=b"x" * 2_000_000)
        assert server.bodies[0] == b"onetwo"
        assert server.bodies[1] == b"x" * 2_000_000
        assert b"transfer-encoding" not in server.heads[0].lower()


async def test_credentials_in_a_url_become_a_header_and_no_part_of_the_target():
    async with loopback() as server, client() as c:
        await c.get(server.url.replace("//", "//user:word@") + "/a")
        assert server.heads[0].startswith(b"GET /a HTTP/1.1\r\n")
        assert b"basic dxnlcjp3b3jk" in server.heads[0].lower()


async def test_a_redirect_is_not_followed():
    async with loopback(b"HTTP/1.1 307 Go\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n") as server, client() as c:
        response = await ask(c, server, "PUT")
        assert (response.status_code, server.requests) == (307, 1)


async def test_the_transport_keeps_no_cookies():
    async with loopback(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n")) as server:
        async with AiohttpTransport() as shared:
            for _ in range(2):
                response = await shared.handle_async_request(httpx.Request("GET", server.url))
                await response.aread()
        assert all(b"cookie" not in head.lower() for head in server.heads)


# -- bounded -----------------------------------------------------------------------------------------------------------


def gzipped(body: bytes, encoding: bytes = b"gzip") -> bytes:
    packed = gzip.compress(body)
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(packed)) + packed


async def test_a_compressed_answer_is_read():
    async with loopback(gzipped(b'{"a": 1}')) as server, client() as c:
        response = await ask(c, server)
        assert response.json() == {"a": 1}
        assert "content-encoding" not in response.headers


async def test_a_decompression_bomb_is_neither_read_nor_held_in_memory():
    bomb = gzipped(bytes(100_000_000))
    async with loopback(bomb) as server, client(max_response_bytes=1_000_000) as c:
        tracemalloc.start()
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(c, server)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10_000_000


async def test_a_bomb_within_a_bomb_is_not_unpacked():
    twice = gzip.compress(bytes(50_000_000))
    async with loopback(gzipped(twice, b"gzip, gzip")) as server, client(max_response_bytes=1_000_000) as c:
        response = await ask(c, server)
        assert len(response.content) < 1_000_000


async def test_an_endless_body_is_cut_off():
    async def endless(peer: Peer, head: bytes) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b"x" * 65536)

    async with loopback(endless) as server, client(max_response_bytes=1_000_000) as c:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(c, server, "POST")
        assert server.requests == 1


# -- TLS ---------------------------------------------------------------------------------------------------------------


async def test_tls_with_a_trusted_certificate_works_and_with_another_nothing_is_sent(tmp_path: Any):
    async with tls_server(server_context(tmp_path)) as server:
        async with client(ssl_context=Tls(ca=AUTHORITY.pem).context()) as c:
            assert (await c.get(server.url)).status_code == 200
            assert (await c.get(server.url)).status_code == 200
        async with client() as c:
            with pytest.raises(httpx.ConnectError):
                await c.post(server.url)
        assert (server.requests, server.connections) == (2, 1)


# -- an app in this process --------------------------------------------------------------------------------------------


class Clinic:
    """A tiny ASGI app whose path says what happens."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.release = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        path = scope["path"]
        if path == "/drop":
            raise ZeroDivisionError
        if path == "/slow":
            await self.release.wait()
        self.written.append(path + message["body"].decode())
        if path == "/lost":
            raise ZeroDivisionError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if path == "/half":
            raise ZeroDivisionError
        await send({"type": "http.response.body", "body": b"whole"})
        if path == "/after":
            await self.release.wait()
            self.written.append("afterwards")


@pytest.fixture
async def clinic() -> Clinic:
    return Clinic()


@pytest.mark.parametrize(("path", "written"), [("/drop", []), ("/lost", ["/lost{}"]), ("/half", ["/half{}"])])
async def test_an_app_that_raises_has_dropped_the_connection(clinic: Clinic, path: str, written: list[str]):
    async with httpx.AsyncClient(transport=InProcessTransport(clinic), base_url="http://emr") as c:
        with pytest.raises(httpx.RemoteProtocolError):
            await c.put(path, json={})
        assert clinic.written == written
        assert (await c.put("/fine", json={})).text == "halfwhole"


async def test_a_slow_app_is_a_read_timeout_and_goes_on(clinic: Clinic):
    async with httpx.AsyncClient(transport=InProcessTransport(clinic), base_url="http://emr") as c:
        with pytest.raises(httpx.ReadTimeout):
            await c.put("/slow", json={}, timeout=0.02)
        clinic.release.set()
    assert clinic.written == ["/slow{}"]


async def test_a_caller_that_goes_away_does_not_stop_the_app_half_way(clinic: Clinic):
    async with httpx.AsyncClient(transport=InProcessTransport(clinic), base_url="http://emr") as c:
        task = asyncio.create_task(c.put("/slow", json={}))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        clinic.release.set()
    assert clinic.written == ["/slow{}"]


async def test_the_answer_does_not_wait_for_what_the_app_does_afterwards(clinic: Clinic):
    async with httpx.AsyncClient(transport=InProcessTransport(clinic), base_url="http://emr") as c:
        assert (await c.put("/after", json={}, timeout=1)).text == "halfwhole"
        assert "afterwards" not in clinic.written
        clinic.release.set()
    assert clinic.written[-1] == "afterwards"
