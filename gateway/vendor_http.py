"""The one HTTP door for all plugins: pacing, retries, metering, and every failure turned into an `EmrError`.

A read may be tried again. A write is sent again only when it certainly was not executed: never on a guess.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import unquote

import httpx

from gateway import vendor_answer
from gateway.clock import monotonic
from gateway.meter import Meter, current_meter, meter
from gateway.port import EmrError, MaybeDone, NotSent, Refused, Throttled
from gateway.transport import NOT_SENT

__all__ = ["TOKEN_REQUEST", "Door", "Meter", "VendorHttp", "meter"]

# httpx logs whole URLs at INFO: ids, birth dates, names.
logging.getLogger("httpx").setLevel(logging.WARNING)

_sleep = asyncio.sleep

T = TypeVar("T")
_Primitive = str | int | float | bool | None
Params = Mapping[str, _Primitive | Sequence[_Primitive]] | list[tuple[str, _Primitive]]
Parse = Callable[[httpx.Response], T]
Problem = Callable[[httpx.Response], EmrError | None]

TOKEN_REQUEST = "gateway.token_request"  # noqa: S105 - the name of a mark, not a secret
"""The request extension that marks a request for a token: it is no call to the EMR and writes nothing there."""


# -- one try ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Flight:
    """One try of one request, as it passes through the auth flow."""

    is_write: bool
    maybe_done: bool = False
    """May the EMR have executed it? Not before it was handed to the transport, and not once answered by a 401."""


_flight: ContextVar[_Flight] = ContextVar("flight")


class _Watched(httpx.AsyncBaseTransport):
    """Below the auth flow, where a request for a token and the request itself can be told apart."""

    def __init__(self, inner: httpx.AsyncBaseTransport, own: Meter | None) -> None:
        self._inner = inner
        self._own = own

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if TOKEN_REQUEST in request.extensions:
            return await self._inner.handle_async_request(request)
        flight, started, sent = _flight.get(), monotonic(), True
        flight.maybe_done = True
        try:
            response = await self._inner.handle_async_request(request)
        except NOT_SENT:
            flight.maybe_done = sent = False
            raise
        else:
            flight.maybe_done = response.status_code != 401
            return response
        finally:
            if sent:
                self._count(started, is_write=flight.is_write)

    def _count(self, started: float, *, is_write: bool) -> None:
        ended = monotonic()
        for counting in (self._own, current_meter()):
            if counting is not None:
                counting.add(started, ended, is_write=is_write)


@dataclass(frozen=True, slots=True)
class _Patience:
    """How often what may be tried again, and how long a "later" (429) is waited for, in seconds."""

    not_sent: int
    throttled: int
    maybe_done: int
    longest_wait: float

    def allows(self, error: EmrError, tried: int) -> bool:
        match error:
            case NotSent():
                return tried <= self.not_sent
            case Throttled(retry_after=wait):
                return tried <= self.throttled and (wait or 0.0) <= self.longest_wait
            case vendor_answer.Senseless() | MaybeDone(timed_out=True):
                return False
            case MaybeDone():
                return tried <= self.maybe_done
            case _:
                return False


_READ = _Patience(not_sent=2, throttled=2, maybe_done=2, longest_wait=2.0)
_WRITE = _Patience(not_sent=1, throttled=2, maybe_done=0, longest_wait=5.0)


# -- the door ---------------------------------------------------------------------------------------------------------


class Door:
    """How one account reaches the network: at most `concurrency` requests at a time, over a transport that it shares.

    The transport belongs to whoever made it; closing the door leaves it open.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, *, concurrency: int = 8, meter: Meter | None = None
    ) -> None:
        self._transport = transport
        self._meter = meter
        self._slots = asyncio.Semaphore(concurrency)
        self._clients: list[httpx.AsyncClient] = []

    def http(
        self,
        *,
        base_url: str,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
        problem: Problem | None = None,
        timeout_s: float = 20.0,
        connect_timeout_s: float = 5.0,
    ) -> VendorHttp:
        """The account's client: made once, when the account is opened.

        `problem` is asked about every answer but a 2xx; `None` from it leaves the answer to the table of statuses.
        `timeout_s` bounds one try, token and body included.
        """
        client = httpx.AsyncClient(
            transport=_Watched(self._transport, self._meter),
            base_url=base_url,
            auth=auth,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=connect_timeout_s, pool=connect_timeout_s),
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self._clients.append(client)
        return VendorHttp(client, self._slots, problem, timeout_s)

    async def aclose(self) -> None:
        """Ends the account's clients: what they are asked to send afterwards is `NotSent`."""
        for client in self._clients:
            await client.aclose()


class VendorHttp:
    """Requests of one account. What escapes is an `EmrError` of the port or a cancellation, nothing else."""

    def __init__(
        self, client: httpx.AsyncClient, slots: asyncio.Semaphore, problem: Problem | None, timeout_s: float
    ) -> None:
        self._client = client
        self._slots = slots
        self._problem = problem
        self._timeout_s = timeout_s

    async def read(
        self,
        path: str,
        parse: Parse[T],
        *,
        method: str = "GET",
        params: Params | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Asks, and again where that may help. `path` is below the base URL, or a whole URL of the same origin.

        `parse` gets the 2xx answer; where it can't make sense of it: `MaybeDone`. Raises any `EmrError`.
        """
        request = self._build(method, path, params=params, json=json, headers=headers)
        return await self._carry_out(request, parse, _READ, is_write=False)

    async def write(
        self,
        method: str,
        path: str,
        parse: Parse[T],
        *,
        params: Params | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Sends one write, which reaches the EMR at most once unless it said that it did not execute it.

        `MaybeDone` where nobody knows, and also where it was done but `parse` made no sense of the answer.
        """
        request = self._build(method, path, params=params, json=json, data=data, content=content, headers=headers)
        return await self._carry_out(request, parse, _WRITE, is_write=True)

    def same_host(self, url: str) -> bool:
        """Is this a path below the base URL or a URL of the same origin? A link to elsewhere is never followed."""
        wanted, base = httpx.URL(url), self._client.base_url
        if not wanted.scheme and not wanted.host:
            return True
        return _origin(wanted) == _origin(base)

    def _build(self, method: str, path: str, **parts: Any) -> httpx.Request:
        try:
            if not self.same_host(path) or _wanders(path):
                raise Refused("invalid", "a link to another place than the EMR")
            return self._client.build_request(method, path, **parts)
        except (httpx.InvalidURL, ValueError, TypeError):
            # From nobody: the message of, say, an encoding error quotes the value.
            raise Refused("invalid", "a value could not be put into a request") from None

    async def _carry_out(self, request: httpx.Request, parse: Parse[T], patience: _Patience, *, is_write: bool) -> T:
        tried, last_start = 0, monotonic() + self._timeout_s
        async with self._slot():
            while True:
                try:
                    return await self._try(request, parse, is_write=is_write)
                except EmrError as error:
                    tried += 1
                    # Somebody is waiting: all tries together begin within the time of one.
                    if not patience.allows(error, tried) or monotonic() > last_start:
                        raise
                    wait = _wait(error)
                await _sleep(wait)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One of the account's places. It is kept while waiting to try again: that is the pace the EMR asked for."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._slots.acquire()
        except TimeoutError:
            raise NotSent("the account's requests are queueing") from None
        try:
            yield
        finally:
            self._slots.release()

    async def _try(self, request: httpx.Request, parse: Parse[T], *, is_write: bool) -> T:
        flight = _Flight(is_write)
        token = _flight.set(flight)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.send(request)
        except vendor_answer.BROKEN as error:
            raise vendor_answer.failure(error, maybe_done=flight.maybe_done) from None
        finally:
            _flight.reset(token)
        if not response.is_success:
            raise vendor_answer.refusal(response, self._problem)
        return vendor_answer.sense(parse, response)


def _wait(error: EmrError) -> float:
    """Seconds to the next try, with some jitter, so that many do not come back as one."""
    jitter = random.uniform(0.05, 0.3)  # noqa: S311 - no secret
    if isinstance(error, Throttled):
        return jitter + (0.7 if error.retry_after is None else error.retry_after)
    return jitter


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _wanders(path: str) -> bool:
    """Does an id in it climb out of its place (`..`) or cut the rest off (`#`)?"""
    before_query = path.partition("?")[0]
    return "#" in path or any(part in {".", ".."} for part in unquote(before_query).split("/"))
