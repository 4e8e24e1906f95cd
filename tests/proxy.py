"""An HTTP proxy on 127.0.0.1 that wants Basic credentials, and counts what passes through it."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.vendor.way import Proxy
from tests.loopback import Loopback, Peer, loopback

USER, PASSWORD = "gateway", "let me/through"
BASIC = b"Basic Z2F0ZXdheTpsZXQgbWUvdGhyb3VnaA=="
REFUSED = b"HTTP/1.1 %d Refused\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Passing:
    """What the proxy does with a request: `refusing` answers with a status (or with bytes) instead of passing it on."""

    def __init__(self) -> None:
        self.refusing: int | bytes | None = None
        self.asked: list[str] = []
        """The request lines that had good credentials, without the version."""
        self.bodies: list[bytes] = []
        """Of all requests, passed on or not."""
        self._tunnels: set[socket.socket] = set()
        self.cut: Callable[[bytes], bool] = lambda _: False
        """Is the tunnel cut instead of passing these bytes on to the server?"""

    async def __call__(self, peer: Peer, head: bytes) -> None:
        refusal = 407 if BASIC not in head else self.refusing
        if refusal is not None:
            await peer.send(refusal if isinstance(refusal, bytes) else REFUSED % refusal)
            return
        line = head.split(b"\r\n")[0].decode()
        self.asked.append(line.removesuffix(" HTTP/1.1"))
        method, target, _ = line.split(" ")
        host, _, port = target.removeprefix("http://").partition("/")[0].partition(":")
        with socket.socket() as server:
            server.setblocking(False)
            await asyncio.get_running_loop().sock_connect(server, (host, int(port)))
            if method == "CONNECT":
                await peer.send(TUNNEL)
            else:
                await asyncio.get_running_loop().sock_sendall(server, _direct(head) + self.bodies[-1])
            await self._splice(peer.sock, server)
        raise ConnectionError  # the connection is used up

    def drop(self) -> None:
        """Close what passes through now."""
        for client in self._tunnels:
            client.shutdown(socket.SHUT_RDWR)

    async def _splice(self, client: socket.socket, server: socket.socket) -> None:
        """Both ways until either end closes."""
        self._tunnels.add(client)
        ways = {asyncio.create_task(self._flow(*ends)) for ends in ((client, server, True), (server, client, False))}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._tunnels.discard(client)
            for one in ways:
                one.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _flow(self, source: socket.socket, sink: socket.socket, onward: bool) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, 65536):
            if onward and self.cut(data):
                return
            await loop.sock_sendall(sink, data)


def _direct(head: bytes) -> bytes:
    """The request as it goes on to the server: the path alone, and nothing that was for the proxy."""
    first, _, rest = head.partition(b"\r\n")
    first = re.sub(rb"http://[^/ ]+", b"", first)
    lines = [line for line in rest.split(b"\r\n") if not line.lower().startswith(b"proxy-")]
    return b"\r\n".join([first, *lines]) + b"\r\n\r\n"


@asynccontextmanager
async def running_proxy() -> AsyncIterator[tuple[Loopback, Passing]]:
    passing = Passing()
    async with loopback(passing) as server:
        passing.bodies = server.bodies
        yield server, passing


def through(server: Loopback, password: str = PASSWORD) -> Proxy:
    host = server.url.removeprefix("http://")
    return Proxy.parse(f"http://{USER}:{password.replace('/', '%2F').replace(' ', '%20')}@{host}")
