"""Tryton's JSON-RPC: what is sent, what comes back (errors with HTTP 200), and the session in which it is asked."""

from __future__ import annotations

import base64
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import SecretStr

from gateway.plugin import EmrError, Login, MaybeDone, Proof, Refused, Throttled

RULE_OR_MISSING = "UserError"
"""Tryton's name for a rule that forbids, and for a record that is not there: they differ by prose only."""


def call(method: str, *params: Any) -> dict[str, Any]:
    """Exactly these three members: with any other, errors come as pages."""
    return {"id": 1, "method": method, "params": params}


def result(answer: httpx.Response) -> Any:
    """Raises EmrError for an error under HTTP 200; any ValueError or LookupError: it is no answer."""
    body = answer.json()
    if "error" in body:
        raise _error(body["error"])
    return body["result"]


def told_at(answer: httpx.Response) -> float | None:
    """The server's clock when it answered, in whole POSIX seconds."""
    try:
        return parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (LookupError, ValueError):
        return None


def _error(error: Any) -> EmrError:
    match error:
        case ["ConcurrencyException" as name, *_]:
            return Refused("stale", emr_code=name)
        case ["UserError" | "UserWarning" as name, *_]:
            return Refused("rule", emr_code=name)
        case ["LoginException" as name, *_]:
            return Refused("credentials", emr_code=name)
        case ["RateLimitException" as name, *_]:
            return Throttled(emr_code=name)
        case _:
            # The server stumbled. Mostly before it committed, but nobody knows.
            return MaybeDone("it answered with an error of its own")


class Session(Login):
    """A session of Tryton's. Asked for a second factor, which a program has not got, it answers 200 with a
    LoginException."""

    hold_s = 120.0
    """More than five wrong passwords within five minutes lock out whoever has the right one, too."""

    def __init__(self, username: str, password: SecretStr) -> None:
        super().__init__()
        self._username, self._password = username, password
        self.user_id: int | None = None
        """Who the gateway is in the EMR, once it has logged in."""

    def __repr__(self) -> str:
        return f"Session({self._username!r})"

    def login(self, request: httpx.Request) -> httpx.Request:
        params = [self._username, {"password": self._password.get_secret_value()}]
        return self.beside(request, "POST", request.url, json=call("common.db.login", *params))

    def proof(self, answer: httpx.Response) -> Proof:
        user_id, key = result(answer)[:2]
        self.user_id = int(user_id)
        named = f"{self._username}:{self.user_id}:{key}"
        return Proof({"Authorization": "Session " + base64.b64encode(named.encode()).decode()})
