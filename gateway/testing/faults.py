"""A transport that breaks on purpose, and everything that can break."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from gateway import vendor_http
from gateway.port import EmrError, MaybeDone, NotSent, Refused, Throttled
from gateway.vendor_http import TOKEN_REQUEST

SECRET = "Kanarie Testperson 19000101-0000"  # noqa: S105 - a name that must not be seen again
"""What every broken body says. It must never turn up in the text of an error."""
_JSON = json.dumps({"message": SECRET})
_PAGE = f"<html><body><h1>Oops</h1>{SECRET}</body></html>"

Break = Callable[[httpx.Request], httpx.Response]
Which = Callable[[httpx.Request], bool]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break, and what must be said of it."""

    name: str
    breaks: Break
    means: type[EmrError]
    reaches: bool = False
    """The vendor has carried the request out all the same."""
    senseless: bool = False
    """There is an answer, as of a success: a write may take it for one if it looks at nothing in it."""


def _raising(error: type[httpx.TransportError]) -> Break:
    def breaks(request: httpx.Request) -> httpx.Response:
        raise error("broken on purpose", request=request)

    return breaks


def _answering(status: int, body: str = _PAGE, kind: str = "text/html", **headers: str) -> Break:
    said = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return lambda request: httpx.Response(status, headers=said, text=body, request=request)


FAULTS = (
    Fault("connection refused", _raising(httpx.ConnectError), NotSent),
    Fault("timeout, never arrived", _raising(httpx.ReadTimeout), MaybeDone),
    Fault("timeout, carried out", _raising(httpx.ReadTimeout), MaybeDone, reaches=True),
    Fault("dropped, carried out", _raising(httpx.RemoteProtocolError), MaybeDone, reaches=True),
    Fault("401", _answering(401), Refused),
    Fault("429", _answering(429, retry_after="1"), Throttled),
    Fault("400 with a page", _answering(400), Refused),
    Fault("500 with JSON", _answering(500, _JSON, "application/json"), MaybeDone, reaches=True),
    Fault("502 with a page", _answering(502), MaybeDone, reaches=True),
    Fault("200 with a page", _answering(200), MaybeDone, reaches=True, senseless=True),
    Fault("200 with {}", _answering(200, "{}", "application/json"), MaybeDone, reaches=True, senseless=True),
)


def is_write(_: httpx.Request) -> bool:
    """Does the account's door send it as a write?"""
    flight = vendor_http._flight.get(None)
    return flight is not None and flight.is_write


def is_plain_read(request: httpx.Request) -> bool:
    """Not one that tries out, by a write that can't be carried out, what the vendor would do."""
    return not is_write(request) and request.method in ("GET", "HEAD", "POST")


def every(_: httpx.Request) -> bool:
    return True


class Faulty(httpx.AsyncBaseTransport):
    """Breaks from the `at`-th request on, so that asking again does not help either; `times` bounds it.

    Only requests that `which` picks are counted and broken; requests for tokens never are.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        fault: Fault,
        at: int = 1,
        times: int | None = None,
        which: Which = every,
    ) -> None:
        self._inner, self._fault, self._at, self._times, self._which = transport, fault, at, times, which
        self.requests = 0
        """How many requests it has counted, broken or not."""
        self.broken = 0
        """How many requests it has broken."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if TOKEN_REQUEST in request.extensions or not self._which(request):
            return await self._inner.handle_async_request(request)
        self.requests += 1
        if self.requests < self._at or self.broken == self._times:
            return await self._inner.handle_async_request(request)
        self.broken += 1
        if self._fault.reaches:
            answer = await self._inner.handle_async_request(request)
            await answer.aread()
            await answer.aclose()
        return self._fault.breaks(request)


@contextmanager
def without_waiting() -> Iterator[None]:
    """The door's pauses before it tries again take no time."""
    kept = vendor_http._sleep

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    # By name: it is a function of that module, which a type checker won't see replaced.
    setattr(vendor_http, "_sleep", at_once)  # noqa: B010
    try:
        yield
    finally:
        setattr(vendor_http, "_sleep", kept)  # noqa: B010
