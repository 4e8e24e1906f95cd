"""One try of one request, from its turn to its end, as it passes through the auth flow to the transport."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import httpx

from gateway.clock import monotonic
from gateway.manners.meter import Meter, current_meter
from gateway.port import EmrError
from gateway.vendor.limits import Told
from gateway.vendor.transport import NOT_SENT

TOKEN_REQUEST = "gateway.token_request"  # noqa: S105 - the name of a mark, not a secret
"""The request extension that marks a request for a token: it is no call to the EMR and writes nothing there."""


@dataclass(slots=True)
class Flight:
    """What is known of it so far."""

    is_write: bool
    began: float
    """When its turn came, in seconds of the monotonic clock."""
    probe: bool
    """It finds out whether the EMR is back."""
    maybe_done: bool = False
    """May the EMR have executed it? Not before it was handed to the transport, and not once answered by a 401."""
    requests: int = 0
    """How many of the EMR's own: two, if a token was refused in between."""
    answered: bool | None = None
    """Did the EMR answer? `None`: what became of it says nothing about the EMR."""
    told: Told = field(default_factory=Told)
    error: EmrError | None = None
    lasted_s: float = 0.0
    """In seconds, once it has ended."""


_flight: ContextVar[Flight | None] = ContextVar("flight", default=None)


def current_flight() -> Flight | None:
    return _flight.get()


@contextmanager
def flying(flight: Flight) -> Iterator[None]:
    token = _flight.set(flight)
    try:
        yield
    finally:
        _flight.reset(token)


class Watched(httpx.AsyncBaseTransport):
    """Below the auth flow, where a request for a token and the request itself can be told apart.

    `again` is awaited before a flight's second request: it has had only one turn.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, own: Meter | None, again: Callable[[], Awaitable[None]]
    ) -> None:
        self._inner, self._own, self._again = inner, own, again

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        flight = _flight.get()
        if TOKEN_REQUEST in request.extensions or flight is None:
            return await self._inner.handle_async_request(request)
        if flight.requests:
            await self._again()
        started, sent = monotonic(), True
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
                flight.requests += 1
                self._count(started, is_write=flight.is_write)

    def _count(self, started: float, *, is_write: bool) -> None:
        ended = monotonic()
        for counting in (self._own, current_meter()):
            if counting is not None:
                counting.add(started, ended, is_write=is_write)


class _NoCookies(httpx.Cookies):
    """To look for them in every answer, only to refuse them, takes as long as to build a request."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


class Client(httpx.AsyncClient):
    """Keeps no cookies."""

    @property  # type: ignore[misc]
    def cookies(self) -> httpx.Cookies:
        return _NoCookies()
