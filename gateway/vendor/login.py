"""Logging in: one login serves all calls of an account, whatever it is asked with and whatever it is answered with."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeGuard

import httpx

from gateway.clock import monotonic
from gateway.port import EmrError, NotSent, Refused, Throttled
from gateway.vendor.answer import SENSELESS, login_refusal
from gateway.vendor.http import TOKEN_REQUEST

_MARGIN_S = 60.0
_LONGEST_HOLD_S = 600.0

Asking = Generator[httpx.Request, httpx.Response, httpx.Response]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a login is answered with."""

    headers: Mapping[str, str] = field(repr=False)
    """What every request bears from then on."""
    life_s: float = math.inf
    """How long it is good, in seconds. A 401 may end it before."""


@dataclass(frozen=True, slots=True)
class _Held:
    proof: Proof
    good_until: float
    """On the monotonic clock, with the margin taken off."""


class Login(httpx.Auth):
    """One login for all calls of an account, made by one of them. A vendor's subclass says how: `login` and `proof`.

    A 401 drops the very proof that was refused, and the request is repeated once with a new one: a refused request was
    not executed. Whoever waits for a login that fails, fails with it. A refusal stands for a while even so: servers
    count wrong passwords, and then lock everybody out.

    Raises `Refused("credentials")`, `Throttled` or `NotSent` where there is no logging in.
    """

    hold_s: ClassVar[float] = 60.0
    """How long a refusal stands, in seconds, where the server does not say when to come back."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._held: _Held | None = None
        self._lock = asyncio.Lock()
        self._logins = 0
        self._failure: EmrError | None = None
        self._stands_until = 0.0

    # -- what a vendor says ------------------------------------------------------------------------------------

    def login(self, request: httpx.Request) -> httpx.Request:
        """The request that logs in, so that `request` can be sent (see `beside`)."""
        raise NotImplementedError

    def proof(self, answer: httpx.Response) -> Proof:
        """What a 2xx answer is good for. Raises Refused("credentials") or Throttled where it says no all the same;
        anything else that it raises (other EmrErrors, LookupErrors, ValueErrors, TypeErrors): it makes no sense."""
        raise NotImplementedError

    def asking(self, request: httpx.Request) -> Asking:
        """The requests that lead to the answer with the proof: `login` alone, unless it takes several. Raises what
        `proof` does."""
        return (yield self.login(request))

    # -- what a vendor needs for it ----------------------------------------------------------------------------

    @staticmethod
    def beside(
        request: httpx.Request,
        method: str,
        url: str | httpx.URL,
        *,
        data: dict[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        """A request that `request` needs to be sent: with its time bounds, and no call to the EMR."""
        agent = request.headers.get("User-Agent", "emr-gateway")
        told = {"Accept": "application/json", "User-Agent": agent, **(headers or {})}
        extensions = {**request.extensions, TOKEN_REQUEST: True}
        return httpx.Request(method, url, data=data, json=json, headers=told, extensions=extensions)

    # -- what every login is ------------------------------------------------------------------------------------

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        raise RuntimeError(f"{self!r} is for asynchronous clients only, not for {request.method}")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for last in (False, True):
            logins = self._logins
            async with self._lock:
                if not self._is_good():
                    self._stand_by_failure(since=logins)
                    with self._logging_in():
                        steps = self._obtaining(request)
                        asked = next(steps, None)
                        while asked is not None:
                            answer = yield asked
                            await answer.aread()
                            asked = self._next(steps, answer)
                held = self._held
            assert held is not None
            request.headers.update(held.proof.headers)
            response = yield request
            if response.status_code != 401 or last:
                return
            await response.aread()  # or those who wait for a login would keep the connection that it needs
            if self._held is held:  # else somebody has dropped it already, and this may be its successor
                self._held = None

    def _is_good(self) -> bool:
        return self._held is not None and self._clock() < self._held.good_until

    def _stand_by_failure(self, *, since: int) -> None:
        """Whoever waited for a login that failed fails with it: a queue of logins would help nobody."""
        if self._failure is not None and (self._logins != since or self._clock() < self._stands_until):
            raise self._told(self._failure)

    @contextmanager
    def _logging_in(self) -> Iterator[None]:
        self._failure, self._stands_until = NotSent("no login: it could not be reached"), 0.0
        try:
            yield
        finally:
            # The transport's errors end this generator without being seen here; a caller that gave up is no failure.
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                self._logins += 1

    def _obtaining(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        try:
            answer = yield from self.asking(request)
            if not answer.is_success:
                raise login_refusal(answer)
            proof = self.proof(answer)
        except (EmrError, *SENSELESS) as error:
            raise self._failed(error) from None
        margin = min(_MARGIN_S, proof.life_s / 5)
        self._held, self._failure = _Held(proof, self._clock() + proof.life_s - margin), None

    def _failed(self, error: Exception) -> EmrError:
        self._failure = copy(error) if _tells(error) else NotSent("no login: the answer made no sense")
        self._stands_until = self._clock() + self._hold(self._failure)
        return self._told(self._failure)

    def _hold(self, failure: EmrError) -> float:
        match failure:
            case Throttled(retry_after=float() as wait):
                return min(wait, _LONGEST_HOLD_S)
            case Throttled() | Refused():
                return self.hold_s
            case _:
                return 0.0

    def _told(self, failure: EmrError) -> EmrError:
        """An error of their own for all who are told, since raising one writes into it."""
        told = copy(failure)
        if isinstance(told, Throttled):
            told.retry_after = max(0.0, self._stands_until - self._clock())
        return told

    @staticmethod
    def _next(steps: Generator[httpx.Request, httpx.Response, None], answer: httpx.Response) -> httpx.Request | None:
        try:
            return steps.send(answer)
        except StopIteration:
            return None


def _tells(error: Exception) -> TypeGuard[EmrError]:
    """Does it say why there is no login, so that whatever wanted one was not sent?"""
    return isinstance(error, NotSent | Throttled) or (isinstance(error, Refused) and error.reason == "credentials")
