"""How an account proves itself to its EMR: the families that EMRs use. No secret is ever in a `repr` or an error."""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal
from urllib.parse import quote_plus

import httpx
from pydantic import SecretStr

from gateway.clock import monotonic
from gateway.port import EmrError, NotSent
from gateway.vendor_answer import SENSELESS, token_refusal
from gateway.vendor_http import TOKEN_REQUEST

_DEFAULT_LIFE_S = 300.0
_MARGIN_S = 60.0


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


class ClientCredentials(httpx.Auth):
    """OAuth 2 client credentials (RFC 6749 §4.4): one token for all calls of the account, fetched by one of them.

    A 401 drops the very token that was refused, and the request is repeated once with a new one: a refused
    request was not executed. Raises `Refused("credentials")`, `Throttled` or `NotSent` where no token is to be had.
    """

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
        self._token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._style = style
        self._clock = clock
        self._token: _Token | None = None
        self._lock = asyncio.Lock()
        self._fetches = 0
        self._failure: Callable[[], EmrError] | None = None

    def __repr__(self) -> str:
        return f"ClientCredentials({self._client_id!r})"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        raise RuntimeError(f"{self!r} is for asynchronous clients only, not for {request.method}")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for last in (False, True):
            fetches = self._fetches
            async with self._lock:
                if not self._is_good():
                    self._share_failure(since=fetches)
                    with self._fetching():
                        answer = yield self._token_request(request)
                        await answer.aread()
                        self._take(answer)
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

    def _take(self, answer: httpx.Response) -> None:
        self._failure = partial(token_refusal, answer) if answer.status_code != 200 else _senseless
        if answer.status_code != 200:
            raise self._failure()
        try:
            self._token = _token(answer, self._clock())
        except SENSELESS:
            raise self._failure() from None
        self._failure = None

    def _token_request(self, request: httpx.Request) -> httpx.Request:
        form = {"grant_type": "client_credentials"}
        if self._scope is not None:
            form["scope"] = self._scope
        headers = {"Accept": "application/json", "User-Agent": request.headers.get("User-Agent", "emr-gateway")}
        if self._style == "post":
            form |= {"client_id": self._client_id, "client_secret": self._client_secret.get_secret_value()}
        else:
            # RFC 6749 §2.3.1: both are form-encoded first.
            secret = SecretStr(quote_plus(self._client_secret.get_secret_value()))
            headers["Authorization"] = _basic(quote_plus(self._client_id), secret)
        extensions = {**request.extensions, TOKEN_REQUEST: True}  # its timeouts among them
        return httpx.Request("POST", self._token_url, data=form, headers=headers, extensions=extensions)


def _token(answer: httpx.Response, now: float) -> _Token:
    body = answer.json()
    value, life = body["access_token"], float(body.get("expires_in", _DEFAULT_LIFE_S))
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
