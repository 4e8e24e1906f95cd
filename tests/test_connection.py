"""Who sends too slowly, too much, or does not read, is cut off; the others are served meanwhile. Over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager, closing

import pytest

from gateway import connection, serving

BODY = b"x" * 3000


async def app(scope, receive, send):
    """Reads the body, and says how long it was; for `/long`, at length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    told = b"%d" % size if scope["path"] != "/long" else b"y" * 40_000_000
    length = (b"content-length", b"%d" % len(told))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": told})


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    for name in ("HEAD_S", "BODY_S", "UNREAD_S"):
        monkeypatch.setattr(connection, name, 0.2)


@asynccontextmanager
async def served():
    with closing(serving.bound("127.0.0.1", 0)) as listening:
        ready = asyncio.Event()
        server = serving.Server(app, drain_s=1, announce=ready.set)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        await ready.wait()
        yield listening.getsockname()[1]
        server.should_exit = True
        await task


async def talk(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What is answered to these bytes until the connection ends, or a whole answer is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(-1), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


ASK = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"


async def answered(port: int) -> bool:
    return (await talk(port, ASK + b"content-length: 5\r\n\r\nabcde")).endswith(b"\r\n\r\n5")


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"POST",),
        (ASK + b"x-a: ",),
        (ASK, *[b"a: b\r\n"] * 40),
        (ASK + b"content-length: 100\r\n\r\n", *[b"x"] * 40),
        (ASK + b"transfer-encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 40),
    ],
    ids=["nothing", "half a line", "half a head", "a dripping head", "a dripping body", "dripping chunks"],
)
async def test_who_is_too_slow_is_cut_off_and_keeps_nobody_waiting(parts):
    async with served() as port:
        slow = asyncio.create_task(talk(port, *parts, pause=0.02))
        assert await answered(port)
        assert await asyncio.wait_for(slow, 5) == b""
        assert await answered(port)


@pytest.mark.parametrize(
    "parts",
    [
        (ASK + b"x-a: ", *[b"a" * 10_000] * 60),
        (b"GET /", *[b"a" * 10_000] * 60),
        (ASK, *[b"a: %s\r\n" % (b"b" * 9000)] * 60),
        (ASK, b"a: b\r\n" * 201, b"content-length: 0\r\n\r\n"),
        (ASK + b"content-length: 0\r\n" + b"a: b\r\n" * 300 + b"\r\n",),
        (ASK + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", *[b"t: %s\r\n" % (b"b" * 9000)] * 1000),
        (ASK + b"transfer-encoding: chunked\r\n\r\n1;", *[b"e" * 60_000] * 200),
    ],
    ids=["a field", "a line", "many fields", "201 fields", "300 fields at once", "trailers", "a chunk's extension"],
)
async def test_who_sends_too_much_is_cut_off(parts):
    async with served() as port:
        assert b"200 OK" not in await talk(port, *parts)
        assert await answered(port)


async def test_what_is_as_large_as_it_may_be_is_taken():
    head = ASK + b"content-length: %d\r\n" % (7 * 1024 * 1024) + b"x-a: %s\r\n" % (b"a" * 60_000) + b"a: b\r\n" * 190
    async with served() as port:
        told = await talk(port, head + b"\r\n", *[b"x" * 1024 * 1024] * 7)
        assert told.endswith(b"%d" % (7 * 1024 * 1024))


async def test_who_does_not_read_is_cut_off():
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.sleep(0.6)
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read(-1)) < 40_000_000
        writer.close()
        assert await answered(port)


async def test_there_are_only_so_many_connections(monkeypatch):
    monkeypatch.setattr(connection, "most_connections", lambda: 5)
    monkeypatch.setattr(connection, "HEAD_S", 0.5)
    async with served() as port:
        idle = [asyncio.create_task(talk(port)) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert not await answered(port)
        await asyncio.gather(*idle)
        assert await answered(port)


async def test_two_requests_in_a_row_on_one_connection_are_both_answered_also_when_the_first_takes_long(monkeypatch):
    monkeypatch.setattr(connection, "BODY_S", 0.05)
    first = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
    async with served() as port:
        told = await talk(port, first + ASK + b"content-length: 2\r\n\r\nde")
        assert told.count(b"200 OK") == 2
        assert told.endswith(b"\r\n\r\n2")
