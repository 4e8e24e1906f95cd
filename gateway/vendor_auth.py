"""How an account proves itself to its EMR: the families that EMRs use. No secret is ever in a `repr` or an error."""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from urllib.parse import quote_plus

import httpx
from pydantic import SecretStr

from gateway.clock import monotonic
from gateway.port import EmrError, NotSent
from gateway.vendor_answer import SENSELESS, token_refusal
from gateway.vendor_http import TOKEN_REQUEST

_DEFAULT_LIFE_S = 300.0
_MARGIN_S = 60.0

Asking = Generator[httpx.Request, httpx.Response, httpx.Response]


class ApiKey(httpx.Auth):
    """A fixed secret in a header of the vendor's choice."""

    def __init__(self, header: str, value: SecretStr) -> None:
        self._header = header
        self._value = value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._header] = self._value.get_secret_value()
        yield request

    def __repr__(self) -> str:
        return f"ApiKey({self._header!r})"


class Basic(httpx.Auth):
    """User name and password (RFC 7617), as UTF-8."""

    def __init__(self, username: str, password: SecretStr) -> None:
        self._username = username
        self._password = password

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = _basic(self._username, self._password)
        yield request

    def __repr__(self) -> str:
        return f"Basic({self._username!r})"


class Bearer(httpx.Auth):
    """A fixed bearer token (RFC 6750)."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request

    def __repr__(self) -> str:
        return "Bearer()"


@dataclass(frozen=True, slots=True)
class _Token:
    value: SecretStr
    good_until: float
    """On the monotonic clock, with the margin taken off."""


class Tokens(httpx.Auth):
    """One OAuth 2 token for all calls of an account, fetched by one of them; subclasses say how it is asked for.

    A 401 drops the very token that was refused, and the request is repeated once with a new one: a refused
    request was not executed. Raises `Refused("credentials")`, `Throttled` or `NotSent` where no token is to be had.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._token: _Token | None = None
        self._lock = asyncio.Lock()
        self._fetches = 0
        self._failure: Callable[[], EmrError] | None = None

    def asking(self, request: httpx.Request) -> Asking:
        """The requests that lead to a token for `request`, each answered; returns the last answer.

        Raises EmrError where it can't lead there.
        """
        raise NotImplementedError

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        raise RuntimeError(f"{self!r} is for asynchronous clients only, not for {request.method}")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for last in (False, True):
            fetches = self._fetches
            async with self._lock:
                if not self._is_good():
                    self._share_failure(since=fetches)
                    with self._fetching():
                        steps = self._obtaining(request)
                        asked = next(steps, None)
                        while asked is not None:
                            answer = yield asked
                            await answer.aread()
                            asked = self._next(steps, answer)
                token = self._token
            assert token is not None
            request.headers["Authorization"] = f"Bearer {token.value.get_secret_value()}"
            response = yield request
            if response.status_code != 401 or last:
                return
            if self._token is token:  # else somebody has dropped it already, and this may be its successor
                self._token = None

    def _is_good(self) -> bool:
        return self._token is not None and self._clock() < self._token.good_until

    def _share_failure(self, *, since: int) -> None:
        """Whoever waited for a fetch that failed fails with it: a queue of fetches would help nobody."""
        if self._fetches != since and self._failure is not None:
            raise self._failure()

    @contextmanager
    def _fetching(self) -> Iterator[None]:
        self._failure = _unreachable
        try:
            yield
        finally:
            # The transport's errors end this generator without being seen here; a caller that gave up is no failure.
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                self._fetches += 1

    def _obtaining(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        answer = yield from self.asking(request)
        told = self.sense(answer)
        try:
            self._token = _token(told, self._clock())
        except SENSELESS:
            raise self.fail(_senseless) from None
        self._failure = None

    @staticmethod
    def _next(steps: Generator[httpx.Request, httpx.Response, None], answer: httpx.Response) -> httpx.Request | None:
        try:
            return steps.send(answer)
        except StopIteration:
            return None

    def sense(self, answer: httpx.Response) -> Mapping[str, Any]:
        """The JSON object in an answer. Raises what everybody who waits for this token will be told, too."""
        if answer.status_code != 200:
            raise self.fail(partial(token_refusal, answer))
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise self.fail(_senseless)
        return told

    def fail(self, failure: Callable[[], EmrError]) -> EmrError:
        """The error of this fetch, remembered for those who wait for it."""
        self._failure = failure
        return failure()


class ClientCredentials(Tokens):
    """OAuth 2 client credentials with a secret (RFC 6749 §4.4), in the header (`basic`) or in the form (`post`)."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: SecretStr,
        scope: str | None = None,
        *,
        style: Literal["basic", "post"] = "basic",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(clock)
        self._token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._style = style

    def __repr__(self) -> str:
        return f"ClientCredentials({self._client_id!r})"

    def asking(self, request: httpx.Request) -> Asking:
        form = {"grant_type": "client_credentials"}
        if self._scope is not None:
            form["scope"] = self._scope
        headers = {}
        if self._style == "post":
            form |= {"client_id": self._client_id, "client_secret": self._client_secret.get_secret_value()}
        else:
            # RFC 6749 §2.3.1: both are form-encoded first.
            secret = SecretStr(quote_plus(self._client_secret.get_secret_value()))
            headers["Authorization"] = _basic(quote_plus(self._client_id), secret)
        return (yield beside(request, "POST", self._token_url, data=form, headers=headers))


def beside(
    request: httpx.Request,
    method: str,
    url: str,
    *,
    data: dict[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Request:
    """A request that a token for `request` needs: with its time bounds, and no call to the EMR."""
    agent = request.headers.get("User-Agent", "emr-gateway")
    told = {"Accept": "application/json", "User-Agent": agent, **(headers or {})}
    return httpx.Request(method, url, data=data, headers=told, extensions={**request.extensions, TOKEN_REQUEST: True})


def _token(told: Mapping[str, Any], now: float) -> _Token:
    value, life = told["access_token"], float(told.get("expires_in", _DEFAULT_LIFE_S))
    if not isinstance(value, str) or not value or not math.isfinite(life):
        raise ValueError
    return _Token(SecretStr(value), now + life - min(_MARGIN_S, life / 5))


def _unreachable() -> EmrError:
    return NotSent("no token: the token endpoint could not be reached")


def _senseless() -> EmrError:
    return NotSent("no token: the token endpoint's answer made no sense")


def _basic(username: str, password: SecretStr) -> str:
    pair = f"{username}:{password.get_secret_value()}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
