"""A transport that breaks on purpose, and everything that can break."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.manners import breaker
from gateway.port import EmrError, MaybeDone, NotSent, Refused, Throttled
from gateway.vendor import http as vendor_http
from gateway.vendor.flight import TOKEN_REQUEST, current_flight

SECRET = "Kanarie Testperson 19000101-0000"  # noqa: S105 - a name that must not be seen again
"""What every broken body says. It must never turn up in the text of an error."""
_JSON = json.dumps({"message": SECRET})
_PAGE = f"<html><body><h1>Oops</h1>{SECRET}</body></html>"
_LONG = 1_000_000

Break = Callable[[httpx.Request, bytes], httpx.Response]
"""Given the request and the body of the true answer, which is empty where the vendor has carried nothing out."""
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
    bent: bool = False
    """It is the true answer in another shape: a read may make sense of it, if that is right in itself."""


def _raising(error: type[httpx.TransportError]) -> Break:
    def breaks(request: httpx.Request, _: bytes) -> httpx.Response:
        raise error("broken on purpose", request=request)

    return breaks


def _answering(status: int, body: str | bytes = _PAGE, kind: str = "text/html", **headers: str) -> Break:
    said = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    content = body.encode() if isinstance(body, str) else body
    return lambda request, _: httpx.Response(status, headers=said, content=content, request=request)


def _telling(body: Any) -> Break:
    return _answering(200, json.dumps(body), "application/json")


def _cutting(request: httpx.Request, truth: bytes) -> httpx.Response:
    cut = truth[: len(truth) // 2] or b'{"message": "'
    return httpx.Response(200, headers={"content-type": "application/json"}, content=cut, request=request)


def bending(name: str, bend: Callable[[Any], Any]) -> Fault:
    """The true answer, with something done to its JSON."""

    def breaks(request: httpx.Request, truth: bytes) -> httpx.Response:
        try:
            bent = bend(json.loads(truth))
        except ValueError:
            bent = 7
        return httpx.Response(200, json=bent, request=request)

    return Fault(name, breaks, EmrError, reaches=True, senseless=True, bent=True)


def _numbers_for_texts(value: Any) -> Any:
    return 7 if isinstance(value, str) else _within(value, _numbers_for_texts)


def _texts_for_numbers(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return SECRET if is_number else _within(value, _texts_for_numbers)


def _nothing_for_values(value: Any) -> Any:
    return _within(value, _nothing_for_values) if isinstance(value, dict | list) else None


def _without_values(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_values(held) for name, held in value.items() if isinstance(held, dict | list)}
    return _within(value, _without_values)


def _lists_for_objects(value: Any) -> Any:
    bent = _within(value, _lists_for_objects)
    return [bent] if isinstance(bent, dict) else bent


def _objects_for_lists(value: Any) -> Any:
    bent = _within(value, _objects_for_lists)
    return {"0": bent} if isinstance(bent, list) else bent


def _within(value: Any, bend: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: bend(held) for name, held in value.items()}
    return [bend(held) for held in value] if isinstance(value, list) else value


OWN_ERRORS = {
    "a fault": {"fault": "BROKEN", "message": SECRET},
    "an error": {"error": ["InternalError", SECRET]},
    "errors": {"errors": [{"code": "internal", "message": SECRET}]},
    "no success": {"success": False, "errormessage": SECRET},
    "an outcome": {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "exception", "diagnostics": SECRET}],
    },
}
"""How vendors tell of an error under a 200."""

CORE = (
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
    Fault("200 with {}", _telling({}), MaybeDone, reaches=True, senseless=True),
)
"""What the contract tries on every method."""

FAULTS = (
    *CORE,
    Fault("103 and no more", _answering(103, ""), MaybeDone),
    Fault("307 to elsewhere", _answering(307, location="https://elsewhere.test/"), MaybeDone),
    Fault("200 with nothing", _answering(200, ""), MaybeDone, reaches=True, senseless=True),
    Fault("204", _answering(204, ""), MaybeDone, reaches=True, senseless=True),
    Fault("200 cut short", _cutting, MaybeDone, reaches=True, senseless=True),
    Fault("200 in Latin-1", _answering(200, b'{"a": "\xe5\xe4\xf6"}', "application/json"), MaybeDone, True, True),
    Fault("200, very long", _telling({"message": SECRET * (_LONG // len(SECRET))}), MaybeDone, True, True),
    *(Fault(f"200 with {name} in it", _telling(body), EmrError) for name, body in OWN_ERRORS.items()),
    *(
        bending(f"200, {bend.__name__.strip('_').replace('_', ' ')}", bend)
        for bend in (
            _numbers_for_texts,
            _texts_for_numbers,
            _nothing_for_values,
            _without_values,
            _lists_for_objects,
            _objects_for_lists,
        )
    ),
)
"""All of them, for the matrix."""


def is_write(_: httpx.Request) -> bool:
    """Does the account's door send it as a write?"""
    flight = current_flight()
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
        return self._fault.breaks(request, await self._carried_out(request) if self._fault.reaches else b"")

    def mend(self) -> None:
        """From now on nothing is broken."""
        self._times = self.broken

    async def _carried_out(self, request: httpx.Request) -> bytes:
        answer = await self._inner.handle_async_request(request)
        truth = await answer.aread()
        await answer.aclose()
        return truth


@contextmanager
def without_waiting() -> Iterator[None]:
    """The door's pauses before it tries again take no time, and however often it fails, it tries."""
    kept = vendor_http._sleep, breaker.FAILURES

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    # By name: they are a function and a constant of other modules, which a type checker won't see replaced.
    setattr(vendor_http, "_sleep", at_once)  # noqa: B010
    setattr(breaker, "FAILURES", sys.maxsize)  # noqa: B010
    try:
        yield
    finally:
        setattr(vendor_http, "_sleep", kept[0])  # noqa: B010
        setattr(breaker, "FAILURES", kept[1])  # noqa: B010
