"""Tryton's sessions: one login for all requests of an account, and another one when the session has ended."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial

import httpx
from pydantic import SecretStr

from gateway.plugin import TOKEN_REQUEST, EmrError, NotSent, Refused, Throttled
from plugins.gnuhealth import rpc


class Session(httpx.Auth):
    """A 401 was not executed: the request is repeated once, in a new session.

    Raises `Refused("credentials")`, `Throttled` or `NotSent` where there is no logging in. Wrong passwords are counted
    by the server, which then locks everybody out: so those who waited for a login share its refusal.
    """

    def __init__(self, username: str, password: SecretStr) -> None:
        self._username, self._password = username, password
        self.user_id: int | None = None
        """Who the gateway is in the EMR, once it has logged in."""
        self._header: str | None = None
        self._lock = asyncio.Lock()
        self._logins = 0
        self._refusal: Callable[[], EmrError] | None = None

    def __repr__(self) -> str:
        return f"Session({self._username!r})"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        raise RuntimeError(f"{self!r} is for asynchronous clients only, not for {request.method}")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for last in (False, True):
            logins = self._logins
            async with self._lock:
                if self._header is None:
                    self._share_refusal(since=logins)
                    answer = yield self._login(request)
                    await answer.aread()
                    self._begin(answer)
                header = self._header
            assert header is not None
            request.headers["Authorization"] = header
            response = yield request
            if response.status_code != 401 or last:
                return
            if self._header is header:  # else somebody has noticed already, and this may be the next session
                self._header = None

    def _share_refusal(self, *, since: int) -> None:
        if self._logins != since and self._refusal is not None:
            raise self._refusal()

    def _login(self, request: httpx.Request) -> httpx.Request:
        params = [self._username, {"password": self._password.get_secret_value()}]
        extensions = {**request.extensions, TOKEN_REQUEST: True}
        headers = {"User-Agent": request.headers.get("User-Agent", "emr-gateway")}
        json = rpc.request("common.db.login", params)
        return httpx.Request("POST", request.url, json=json, headers=headers, extensions=extensions)

    def _begin(self, answer: httpx.Response) -> None:
        self._logins += 1
        self._refusal = partial(_refusal, answer)
        if answer.status_code != 200:
            raise self._refusal()
        try:
            user_id, key = rpc.answer(answer).result[:2]
            pair = f"{self._username}:{int(user_id)}:{key}"
        except (EmrError, ValueError, LookupError, TypeError):
            raise self._refusal() from None
        self.user_id, self._refusal = user_id, None
        self._header = "Session " + base64.b64encode(pair.encode()).decode()


def _refusal(answer: httpx.Response) -> EmrError:
    """Why there is no session. Whatever wanted one was not sent."""
    status = answer.status_code
    # Asked for a second factor, which a program has not got, it answers 200 with a LoginException.
    if status in {200, 401, 403} and (status != 200 or b'"LoginException"' in answer.content):
        return Refused("credentials", f"no session: the login was answered with {status}")
    if status == 429:
        return Throttled("no session: too many wrong passwords")
    return NotSent(f"no session: the login was answered with {status}")
