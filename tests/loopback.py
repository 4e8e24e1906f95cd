"""A bare server on 127.0.0.1 that counts what arrives and can break the connection at every point."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


class Peer:
    """One accepted connection, on a raw socket: asyncio's streams would read ahead of us."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    async def readable(self) -> None:
        """Something has come, or the end, and is still unread."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.sock, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self.sock)

    async def head(self) -> bytes:
        """The next request's head; `b""` at the end of the connection."""
        while b"\r\n\r\n" not in self._buffer:
            part = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
            if not part:
                return b""
            self._buffer += part
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    async def body(self, head: bytes) -> bytes:
        found = re.search(rb"(?i)content-length: *(\d+)", head)
        length = int(found[1]) if found else 0
        while len(self._buffer) < length:
            self._buffer += await asyncio.get_running_loop().sock_recv(self.sock, 65536)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Loopback:
    """`faults[n]` breaks the n-th request; every other one is answered by `answer` (200 and `{}`)."""

    def __init__(self, answer: bytes | Callable[[Peer, bytes], Awaitable[None]] = OK) -> None:
        self.answer = answer
        self.faults: dict[int, str] = {}
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> int:
        return len(self.heads)

    async def accept(self, listening: socket.socket) -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listening)
            self.connections += 1
            task = asyncio.create_task(self._serve(sock))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket) -> None:
        with sock:
            peer = Peer(sock)
            try:
                while await self._request(peer):
                    pass
            except (ConnectionError, OSError):
                pass  # the client went away

    async def _request(self, peer: Peer) -> bool:
        await peer.readable()
        if self.faults.get(self.requests) == "before reading":
            del self.faults[self.requests]
            return False
        if self.faults.get(self.requests) == "never reads":
            await _silence(peer)
            return False
        head = await peer.head()
        if not head:
            return False
        fault = self.faults.get(self.requests)
        self.heads.append(head)
        if fault == "after the head":
            return False
        self.bodies.append(await peer.body(head))
        if fault is not None:
            await FAULTS[fault](peer)
            return False
        if callable(self.answer):
            await self.answer(peer, head)
        else:
            await self.answer_with(peer, self.answer)
        return True

    @staticmethod
    async def answer_with(peer: Peer, data: bytes) -> None:
        await peer.send(data)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _close(peer: Peer) -> None:
    pass


async def _reset(peer: Peer) -> None:
    peer.reset()


async def _silence(peer: Peer) -> None:
    await asyncio.sleep(5)


def _say(data: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def say(peer: Peer) -> None:
        await peer.send(data)

    return say


FAULTS: dict[str, Callable[[Peer], Awaitable[None]]] = {
    "after the body": _close,
    "reset": _reset,
    "in the status line": _say(b"HTTP/1.1 2"),
    "in the headers": _say(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "in the body": _say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"),
    "in a chunk": _say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "no HTTP at all": _say(b"SSH-2.0-nothing\r\n\r\n"),
    "never answers": _silence,
}


@asynccontextmanager
async def loopback(answer: bytes | Callable[[Peer, bytes], Awaitable[None]] = OK) -> AsyncIterator[Loopback]:
    server = Loopback(answer)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        server.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        accepting = asyncio.create_task(server.accept(listening))
        try:
            yield server
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            await server.stop()
