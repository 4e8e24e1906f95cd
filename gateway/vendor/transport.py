"""The bytes: httpx's transport interface over one long-lived aiohttp session.

Whoever writes to an EMR must know which of three things happened, so the error classes are exact:

* certainly not sent: `ConnectError`, `ConnectTimeout`, `PoolTimeout`, `ProxyError` (and `LocalProtocolError`,
  `UnsupportedProtocol`);
* maybe delivered: `ReadError`, `WriteError`, `RemoteProtocolError`, `ReadTimeout`, `WriteTimeout`;
* answered: a response.

Nothing is ever sent a second time here.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import httpx
from yarl import URL

from gateway.vendor.connector import BROKEN, NoTunnel, check_aiohttp, new_session
from gateway.vendor.in_process import InProcessTransport
from gateway.vendor.way import Proxy

__all__ = [
    "KEEPALIVE_S",
    "MAX_RESPONSE_BYTES",
    "NOT_SENT",
    "AiohttpTransport",
    "InProcessTransport",
    "TlsError",
    "TooLarge",
]

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""The classes that promise that no byte of the request left, or that a proxy has kept it to itself."""

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""Of a page of a list, the longest that there is, some times over: JSON of so many bytes may be 100 MiB of objects."""
KEEPALIVE_S = 4.0
"""Below the 5 s after which Node and uvicorn close an idle connection: a write must not meet one that is going away."""

_LARGE_BODY = 1024 * 1024
_Origin = tuple[str, str, int | None]


class TooLarge(httpx.RemoteProtocolError):
    """The answer is longer than any that makes sense."""


class TlsError(httpx.ConnectError):
    """No TLS came about: one of the two does not trust the other's certificate, or does not speak it at all."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 for all accounts; belongs to the event loop in which it sends first.

    `max_response_bytes` bounds a body also after decompression; `keepalive_s` is how long an idle connection is kept;
    `max_connections` bounds the sockets to one origin (waiting for one is `PoolTimeout`, hence not sent): EMRs that do
    not answer use up none of the others'. A `proxy` that can't be passed is `ProxyError`, hence not sent; what it
    answers to a plain `http` request passes for the EMR's answer.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        keepalive_s: float = KEEPALIVE_S,
        max_connections: int = 256,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        check_aiohttp()
        self._ssl, self._proxy = ssl_context, proxy
        self._keepalive_s = keepalive_s
        self._max_response_bytes = max_response_bytes
        # Our own slots, since aiohttp reports waiting for its pool and connecting by one and the same class.
        self._slots: defaultdict[_Origin, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(max_connections))
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        headers = _outgoing(request)
        # Read before connecting: a body that fails half-way is then "not sent", and its length is known.
        content = await request.aread()
        slots = await self._take_slot(request, timeouts)
        try:
            answer = await self._send(request, headers, content, timeouts)
        except BaseException:
            slots.release()
            raise
        return httpx.Response(
            answer.status,
            headers=_incoming(answer),
            stream=_Body(answer, request, self._max_response_bytes, slots.release),
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": (answer.reason or "").encode("utf-8", "surrogateescape"),
            },
        )

    async def aclose(self) -> None:
        """Closes every connection; a request afterwards is `ConnectError`."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _take_slot(self, request: httpx.Request, timeouts: dict[str, float | None]) -> asyncio.Semaphore:
        slots = self._slots[request.url.scheme, request.url.host, request.url.port]
        try:
            async with asyncio.timeout(timeouts.get("pool")):
                await slots.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no connection became free", request=request) from None
        return slots

    async def _send(
        self,
        request: httpx.Request,
        headers: list[tuple[str, str]],
        content: bytes,
        timeouts: dict[str, float | None],
    ) -> aiohttp.ClientResponse:
        try:
            # aiohttp has no write timeout: a peer that does not read a long body would hold us for ever.
            async with asyncio.timeout(_longest(timeouts)):
                answer = await self._open_session(request).request(
                    request.method,
                    _url(request),
                    **_through(self._proxy, request, headers),
                    # aiohttp warns of long bytes; the bytes of a file it takes in pieces.
                    data=(io.BytesIO(content) if len(content) >= _LARGE_BODY else content) or None,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=None, connect=timeouts.get("connect"), sock_read=timeouts.get("read")
                    ),
                )
        except BROKEN as error:
            meaning = _meaning(error, request)
        else:
            if self._proxy is None or answer.status != 407 or request.url.scheme != "http":
                return answer
            answer.close()
            meaning = httpx.ProxyError("the proxy wants other credentials", request=request)
        # Not from the error: it may hold the headers that were sent.
        raise meaning

    def _open_session(self, request: httpx.Request) -> aiohttp.ClientSession:
        if self._closed:
            raise httpx.ConnectError("the transport is closed", request=request)
        if self._session is None:
            self._session = new_session(self._ssl, self._keepalive_s)
        return self._session


class _Body(httpx.AsyncByteStream):
    """The response's body. Closing it early closes the connection; read to the end, the connection is kept."""

    def __init__(
        self,
        answer: aiohttp.ClientResponse,
        request: httpx.Request,
        limit: int,
        release: Callable[[], None],
    ) -> None:
        self._answer = answer
        self._request = request
        self._limit = limit
        self._release: Callable[[], None] | None = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for part in self._answer.content.iter_any():
                size += len(part)
                if size > self._limit:
                    raise TooLarge("the answer is too large", request=self._request)
                yield part
        except BROKEN as error:
            raise _meaning(error, self._request) from error

    async def aclose(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            self._answer.close()
            release()


def _meaning(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """What aiohttp's error says about delivery. Order matters: several are subclasses of later ones.

    The texts are ours, since aiohttp's quote URLs and the peer's bytes.
    """
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout("connecting took too long", request=request)
        case NoTunnel():
            return httpx.ProxyError(f"no way through the proxy ({error})", request=request)
        case aiohttp.ClientConnectorError():  # refused, unreachable, DNS, TLS handshake, certificate
            kind = TlsError if isinstance(error, aiohttp.ClientSSLError) else httpx.ConnectError
            return kind(f"no connection ({type(error).__name__})", request=request)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return httpx.UnsupportedProtocol("not an HTTP URL", request=request)
        case aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout("no answer in time", request=request)
        case aiohttp.ServerDisconnectedError():
            return httpx.RemoteProtocolError("disconnected without an answer", request=request)
        case aiohttp.ClientConnectionResetError():
            return httpx.WriteError("reset while sending", request=request)
        case OSError(errno=None) if isinstance(error, TimeoutError):  # our own bound around it all
            return httpx.WriteTimeout("sending took too long", request=request)
        case OSError():
            return httpx.ReadError(f"the connection broke ({type(error).__name__})", request=request)
        case _:
            return httpx.RemoteProtocolError(f"broken answer ({type(error).__name__})", request=request)


def _outgoing(request: httpx.Request) -> list[tuple[str, str]]:
    """The headers as they are, repeated ones too. aiohttp writes text as UTF-8, so what isn't UTF-8 can't be sent."""
    headers = []
    for name, value in request.headers.raw:
        if any(forbidden in name + value for forbidden in (b"\r", b"\n", b"\0")):
            raise httpx.LocalProtocolError("a header holds a line break", request=request)
        if name.lower() == b"transfer-encoding":  # the body goes out whole, with its length
            continue
        try:
            headers.append((name.decode(), value.decode()))
        except UnicodeDecodeError:
            raise httpx.LocalProtocolError("a header is not UTF-8", request=request) from None
    return headers


def _through(proxy: Proxy | None, request: httpx.Request, headers: list[tuple[str, str]]) -> dict[str, Any]:
    """The headers, and the proxy with its credentials: for it alone, never within a tunnel."""
    if proxy is None:
        return {"headers": headers}
    shown = [] if proxy.authorization is None else [("Proxy-Authorization", proxy.authorization)]
    if request.url.scheme == "http":
        return {"headers": [*headers, *shown], "proxy": proxy.address}
    return {"headers": headers, "proxy": proxy.address, "proxy_headers": dict(shown)}


def _incoming(answer: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    """Without those that describe the encoded body: aiohttp has decoded it in bounded pieces, which httpx can't."""
    encoded = "Content-Encoding" in answer.headers
    gone = (b"content-encoding", b"content-length") if encoded else ()
    return [(name, value) for name, value in answer.raw_headers if name.lower() not in gone]


def _url(request: httpx.Request) -> URL:
    """Byte for byte what httpx would send (`encoded`); credentials in it have become a header already."""
    url = request.url.copy_with(username=None, password=None) if request.url.userinfo else request.url
    return URL(str(url), encoded=True)


def _longest(timeouts: dict[str, float | None]) -> float | None:
    """The time after which even the slowest allowed exchange must have brought the answer's head."""
    parts = [timeouts.get(phase) for phase in ("connect", "write", "read")]
    return None if None in parts else sum(part for part in parts if part is not None)
