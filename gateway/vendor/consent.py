"""Accounts that somebody has let the gateway into: OAuth 2 authorization code (RFC 6749 §4.1) with PKCE (RFC 7636).

The refresh token that this brings is kept in the gateway's own store. Many servers give another one at each refresh,
and take an old one that comes again for a thief's: so there is one who refreshes, and what is not known is not guessed.
"""

from __future__ import annotations

import base64
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import quote_plus

import httpx
from pydantic import SecretStr

from gateway.port import Account, BadAccount

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
_DEFAULT_LIFE_S = 300.0
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """How the owner of an account is asked, and where the answer is turned into tokens."""

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: SecretStr | None = None
    """`None`: the EMR knows the gateway as a public client."""
    style: Literal["basic", "post"] = "basic"
    """How the secret is borne: as HTTP Basic, or in the form."""
    scope: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What else the authorization request has to say."""
    rotates: bool = True
    """A refresh token is good once. `False`, where the vendor says so: it may be used again if an answer is lost."""

    def request(self, form: Mapping[str, str]) -> httpx.Request:
        """To the token endpoint."""
        told, headers = dict(form), {"Accept": "application/json", "User-Agent": "emr-gateway"}
        if self.client_secret is None:
            told["client_id"] = self.client_id
        elif self.style == "post":
            told |= {"client_id": self.client_id, "client_secret": self.client_secret.get_secret_value()}
        else:
            # RFC 6749 §2.3.1: both are form-encoded first.
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret.get_secret_value())}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        timeouts = {"connect": 5.0, "pool": 5.0, "read": TIMEOUT_S, "write": TIMEOUT_S}
        return httpx.Request("POST", self.token_url, data=told, headers=headers, extensions={"timeout": timeouts})


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gives."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    """`None`: the one there is stays good."""
    life_s: float

    @classmethod
    def of(cls, answer: httpx.Response) -> Tokens:
        """Raises LookupError, ValueError, TypeError or AttributeError for what makes no sense."""
        told = answer.json()
        access, refresh, life_s = told["access_token"], told.get("refresh_token"), told.get("expires_in")
        life_s = _DEFAULT_LIFE_S if life_s is None else float(life_s)
        if not isinstance(access, str) or not access or not math.isfinite(life_s):
            raise ValueError
        if refresh is not None and (not isinstance(refresh, str) or not refresh):
            raise ValueError
        return cls(access, refresh, life_s)


class Grant(Protocol):
    """What an account was granted, and the one who refreshes it."""

    async def token(self, consent: Consent, send: Send, instead_of: str | None = None) -> str:
        """An access token that is good; another one than the one that was refused (`instead_of`).

        Raises Refused("credentials"), Throttled or NotSent.
        """
        ...


class AuthorizationCode(httpx.Auth):
    """Bears the access token. A 401 drops the very token that was refused, and the request is repeated once."""

    def __init__(self, consent: Consent, grant: Grant, send: Send) -> None:
        self._consent, self._grant, self._send = consent, grant, send

    @classmethod
    def of(cls, account: Account, consent: Consent) -> AuthorizationCode:
        """Into this account. Raises BadAccount where there is no store that what was granted could be kept in."""
        if account.grant is None:
            raise BadAccount("somebody has to let the gateway in, which is kept in its own store")
        return cls(consent, account.grant, account.door.beside)

    def __repr__(self) -> str:
        return f"AuthorizationCode({self._consent.client_id!r})"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        raise RuntimeError(f"{self!r} is for asynchronous clients only, not for {request.method}")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await self._grant.token(self._consent, self._send)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != 401:
            return
        await response.aread()
        token = await self._grant.token(self._consent, self._send, token)
        request.headers["Authorization"] = f"Bearer {token}"
        yield request
