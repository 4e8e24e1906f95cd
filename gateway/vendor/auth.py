"""How an account proves itself to its EMR: the families that EMRs use. No secret is ever in a `repr` or an error."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Generator, Mapping
from typing import Literal
from urllib.parse import quote_plus

import httpx
from pydantic import SecretStr

from gateway.clock import monotonic
from gateway.vendor.login import Login, Proof

_DEFAULT_LIFE_S = 300.0


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


class Tokens(Login):
    """An OAuth 2 token, as `Login` keeps it; subclasses say how it is asked for."""

    def proof(self, answer: httpx.Response) -> Proof:
        told = answer.json()
        life = float(told.get("expires_in", _DEFAULT_LIFE_S))
        if not math.isfinite(life):
            raise ValueError
        return _borne(told["access_token"], life)


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

    def login(self, request: httpx.Request) -> httpx.Request:
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
        return self.beside(request, "POST", self._token_url, data=form, headers=headers)


class KeyForToken(Login):
    """A key of the vendor's own that is exchanged for a bearer token, by one request without OAuth."""

    def __init__(
        self,
        url: str,
        secrets: Mapping[str, SecretStr],
        token: Callable[[httpx.Response], object],
        life_s: float,
        *,
        style: Literal["header", "json"] = "header",
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`secrets`: what the request proves itself by, as headers or as a JSON body. `token` finds it in a 2xx answer,
        and may raise as `Login.proof` does. `life_s`: how long one is good, in seconds, as the vendor's documents say.
        `headers`: what else the request bears.
        """
        super().__init__(clock)
        self._url, self._secrets, self._style, self._headers = url, secrets, style, headers or {}
        self._token, self._life_s = token, life_s

    def __repr__(self) -> str:
        return f"KeyForToken({self._url!r})"

    def login(self, request: httpx.Request) -> httpx.Request:
        told = {name: secret.get_secret_value() for name, secret in self._secrets.items()}
        if self._style == "json":
            return self.beside(request, "POST", self._url, json=told, headers=self._headers)
        return self.beside(request, "POST", self._url, headers={**self._headers, **told})

    def proof(self, answer: httpx.Response) -> Proof:
        return _borne(self._token(answer), self._life_s)


def _borne(token: object, life_s: float) -> Proof:
    if not isinstance(token, str) or not token:
        raise TypeError("no token")
    return Proof({"Authorization": f"Bearer {token}"}, life_s)


def _basic(username: str, password: SecretStr) -> str:
    pair = f"{username}:{password.get_secret_value()}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
