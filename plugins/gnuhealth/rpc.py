"""Tryton's JSON-RPC: what is sent, and what comes back; errors come with HTTP 200."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from gateway.plugin import EmrError, MaybeDone, Refused, Throttled

RULE_OR_MISSING = "UserError"
"""Tryton's name for a rule that forbids, and for a record that is not there: they differ by prose only."""
NAMED = (RULE_OR_MISSING, "UserWarning", "ConcurrencyException", "LoginException", "RateLimitException")


@dataclass(frozen=True, slots=True)
class Answer:
    result: Any
    at: float | None
    """The server's clock when it answered, in whole POSIX seconds."""


def request(method: str, params: Sequence[Any]) -> dict[str, Any]:
    """Exactly these three members: with any other, errors come as pages."""
    return {"id": 1, "method": method, "params": list(params)}


def answer(response: httpx.Response) -> Answer:
    """The result. Raises EmrError for an error under HTTP 200; any ValueError or LookupError: it is no answer."""
    body = response.json()
    if "error" in body:
        raise _error(body["error"])
    return Answer(body["result"], _date(response))


def _error(error: Any) -> EmrError:
    name = error[0] if isinstance(error, list) and error and error[0] in NAMED else None
    match name:
        case "ConcurrencyException":
            return Refused("stale", emr_code=name)
        case "UserError" | "UserWarning":
            return Refused("rule", emr_code=name)
        case "LoginException":
            return Refused("credentials", emr_code=name)
        case "RateLimitException":
            return Throttled(emr_code=name)
        case _:
            # The server stumbled. Mostly before it committed, but nobody knows.
            return MaybeDone("it answered with an error of its own")


def _date(response: httpx.Response) -> float | None:
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (LookupError, ValueError):
        return None
