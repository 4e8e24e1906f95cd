"""The one HTTP door for all plugins: pacing, retries, metering, and every failure turned into an `EmrError`.

A read may be tried again. A write is sent again only when it certainly was not executed: never on a guess.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

import httpx

from gateway.clock import monotonic
from gateway.domain.capabilities import Capabilities
from gateway.manners.errand import Errand, current_errand
from gateway.manners.meter import Meter, meter
from gateway.manners.pacing import TurnedAway
from gateway.manners.shared import Manners
from gateway.port import EmrError, MaybeDone, NotSent, Refused, Throttled
from gateway.vendor import answer as vendor_answer
from gateway.vendor import limits as vendor_limits
from gateway.vendor.flight import TOKEN_REQUEST, Client, Flight, Watched, flying

__all__ = ["TOKEN_REQUEST", "Door", "Meter", "VendorHttp", "meter"]

# httpx logs whole URLs at INFO: ids, birth dates, names.
logging.getLogger("httpx").setLevel(logging.WARNING)

_sleep = asyncio.sleep

T = TypeVar("T")
_Primitive = str | int | float | bool | None
Params = Mapping[str, _Primitive | Sequence[_Primitive]] | Sequence[tuple[str, _Primitive]]
Parse = Callable[[httpx.Response], T]
Problem = Callable[[httpx.Response], EmrError | None]
Heard = Callable[[Flight], None]


@dataclass(frozen=True, slots=True)
class _Patience:
    """How often what may be tried again."""

    not_sent: int
    throttled: int
    maybe_done: int

    def allows(self, error: EmrError, tried: int) -> bool:
        match error:
            case TurnedAway() | vendor_answer.Senseless() | MaybeDone(timed_out=True):
                return False
            case NotSent():
                return tried <= self.not_sent
            case Throttled():
                return tried <= self.throttled
            case MaybeDone():
                return tried <= self.maybe_done
            case _:
                return False


def _clock() -> float:
    return monotonic()


async def _nap(seconds: float) -> None:
    await _sleep(seconds)


_READ = _Patience(not_sent=2, throttled=2, maybe_done=2)
_WRITE = _Patience(not_sent=1, throttled=2, maybe_done=0)


# -- the door ---------------------------------------------------------------------------------------------------------


class Door:
    """How one account reaches the network: with good manners, over a transport that it shares.

    The transport belongs to whoever made it; closing the door leaves it open. `name` is for the log.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        concurrency: int = 8,
        meter: Meter | None = None,
        name: str = "an EMR",
        heard: Heard = lambda _: None,
    ) -> None:
        """`heard` is told of every call that has ended."""
        self.heard = heard
        self._transport = transport
        self._meter = meter
        self.manners = Manners(
            Capabilities(concurrency=concurrency),
            name=name,
            clock=_clock,
            sleep=_nap,
        )
        """Known beforehand is the concurrency; `manners.pace.declare` says more. May be replaced by another account's
        before the first call: what the EMR takes for one account is called as one."""
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
        client = Client(
            transport=Watched(self._transport, self._meter, self._once_more),
            base_url=base_url,
            auth=auth,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=connect_timeout_s, pool=connect_timeout_s),
            follow_redirects=False,
            trust_env=False,
        )
        self._clients.append(client)
        return VendorHttp(client, self, problem, timeout_s)

    async def beside(self, request: httpx.Request) -> httpx.Response:
        """Sends what is no call to the EMR, such as a request for a token, by the same way. Raises httpx's errors."""
        return await self._transport.handle_async_request(request)

    async def _once_more(self) -> None:
        await self.manners.pace.once_more()

    async def aclose(self) -> None:
        """Ends the account's clients: what they are asked to send afterwards is `NotSent`."""
        for client in self._clients:
            await client.aclose()


class VendorHttp:
    """Requests of one account. What escapes is an `EmrError` of the port or a cancellation, nothing else."""

    def __init__(self, client: httpx.AsyncClient, door: Door, problem: Problem | None, timeout_s: float) -> None:
        self._client = client
        self._door = door
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
        if ":" not in url and not url.startswith("//"):
            return True
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
        # Outside of any errand it is as if somebody waited for one try.
        who = current_errand() or Errand(monotonic() + self._timeout_s)
        tried = 0
        while True:
            try:
                return await self._try(request, parse, who, is_write=is_write)
            except EmrError as error:
                tried += 1
                if not patience.allows(error, tried) or not self._waits(who, pause := _pause(error)):
                    raise
            if pause is not None:
                await _sleep(pause)

    def _waits(self, who: Errand, pause: float | None) -> bool:
        """Is there time for another try, after a pause or whenever the EMR wants?"""
        if pause is None:
            return self._door.manners.pace.waits_for(who)
        now = monotonic()
        return now + pause <= who.waits(now)

    async def _try(self, request: httpx.Request, parse: Parse[T], who: Errand, *, is_write: bool) -> T:
        """One turn. A write counts for its errand from here on, unless it certainly was not executed."""
        manners = self._door.manners
        flight = await manners.enter(who, is_write=is_write)
        who.written += is_write
        try:
            return await self._send(request, parse, flight)
        except EmrError as error:
            who.written -= is_write and not isinstance(error, MaybeDone)
            flight.error = error
            raise
        finally:
            flight.lasted_s = monotonic() - flight.began
            manners.leave(flight)
            self._door.heard(flight)

    async def _send(self, request: httpx.Request, parse: Parse[T], flight: Flight) -> T:
        bound = self._bound(flight)
        try:
            with flying(flight):
                async with asyncio.timeout(bound):
                    response = await self._client.send(request)
        except (*vendor_answer.BROKEN, EmrError) as error:
            cut_short = bound < self._timeout_s and isinstance(error, TimeoutError)
            flight.answered = False if vendor_answer.is_silence(error) and not cut_short else None
            if isinstance(error, EmrError):  # of the auth flow
                raise
            raise vendor_answer.failure(error, maybe_done=flight.maybe_done) from None
        flight.told = vendor_limits.told(response)
        flight.answered = response.status_code not in vendor_answer.UNREACHED or flight.told.later_s is not None
        if not response.is_success:
            raise vendor_answer.refusal(response, self._problem)
        return vendor_answer.sense(parse, response)

    def _bound(self, flight: Flight) -> float:
        """Seconds for one try. A read ends with its client's patience; a write that is under way is not cut short."""
        who, now = current_errand(), monotonic()
        if who is None or flight.is_write:
            return self._timeout_s
        return min(self._timeout_s, who.lasts(now) - now)


def _pause(error: EmrError) -> float | None:
    """Seconds to the next try, with some jitter, so that many do not come back as one; `None`: the pace knows."""
    jitter = random.uniform(0.05, 0.3)  # noqa: S311 - no secret
    if not isinstance(error, Throttled):
        return jitter
    if error.locked:
        return jitter + (0.7 if error.retry_after is None else error.retry_after)
    return None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _wanders(path: str) -> bool:
    """Does an id in it climb out of its place (`..`) or cut the rest off (`#`)?"""
    before_query = path.partition("?")[0]
    return "#" in path or any(part in {".", ".."} for part in unquote(before_query).split("/"))
