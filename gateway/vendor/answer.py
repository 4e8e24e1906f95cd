"""What an EMR's answer, or its absence, means: statuses, broken connections and senseless bodies as `EmrError`s.

The texts name a status or a class and nothing more: URLs, bodies and headers hold patient data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import httpx

from gateway.port import EmrError, MaybeDone, NotSent, Reason, Refused, Throttled
from gateway.vendor.limits import retry_after
from gateway.vendor.transport import NOT_SENT, TooLarge

A = TypeVar("A")
T = TypeVar("T")

SENSELESS = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError, RecursionError, StopIteration,
    httpx.InvalidURL,
)  # fmt: skip
"""What a parser raises that meets something else than it was written for (`ValidationError` is a `ValueError`)."""

BROKEN = (
    httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError,
)  # fmt: skip
"""What sending may raise: the transport's errors, our time bound, a closed client, an auth flow's confusion.

Not `AssertionError`: a mocked vendor that was asked for something unexpected must be heard.
"""

_REASONS: dict[int, Reason] = {
    400: "invalid", 401: "credentials", 403: "credentials", 404: "not_found", 405: "invalid", 406: "invalid",
    409: "rule", 410: "not_found", 412: "stale", 413: "invalid", 415: "invalid", 422: "invalid", 424: "invalid",
}  # fmt: skip


UNREACHED = frozenset({502, 503, 504})
"""Answers of something before an EMR that does not answer itself."""


class Senseless(MaybeDone):
    """The answer is there but makes no sense: asking again would bring the same."""


def failure(error: Exception, *, maybe_done: bool) -> EmrError:
    """Why there is no answer. `maybe_done`: the request itself may have reached the EMR."""
    if isinstance(error, httpx.HTTPStatusError) and not maybe_done:  # of an auth flow that checked its token answer
        return login_refusal(error.response)
    if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
        return Refused("invalid", "the request can't be sent as it is")
    if isinstance(error, NOT_SENT) or not maybe_done:
        return NotSent(f"not sent ({type(error).__name__})")
    if isinstance(error, TooLarge):
        return Senseless("its answer is too large")
    timed_out = isinstance(error, (TimeoutError, httpx.TimeoutException))
    return MaybeDone(f"no answer ({type(error).__name__})", timed_out=timed_out)


def is_silence(error: Exception) -> bool:
    """Is it the peer's doing that there is no answer? Not our own pool's, nor of a request that can't be sent.

    An account without a token gets no answer either.
    """
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    own = (httpx.PoolTimeout, httpx.LocalProtocolError, httpx.UnsupportedProtocol)
    return isinstance(error, (httpx.TransportError, OSError, NotSent)) and not isinstance(error, own)


def refusal(response: httpx.Response, problem: Callable[[httpx.Response], EmrError | None] | None) -> EmrError:
    """What an answer means that is not a 2xx: what the plugin says, else what HTTP says."""
    return _own_words(response, problem) or _by_status(response)


def login_refusal(response: httpx.Response) -> EmrError:
    """What the answer to a login (a token endpoint's, too) means for the request that wanted it: it was not sent."""
    status = response.status_code
    said = f"no login: it was answered with {status}"
    if status in {400, 401, 403}:
        return Refused("credentials", said)
    if status == 429:
        return Throttled(said, retry_after=retry_after(response))
    return NotSent(said)


def sense(parse: Callable[[A], T], answer: A) -> T:
    """The parsed answer, or part of one; `MaybeDone` where it is not what the plugin knows: a write did happen then."""
    try:
        return parse(answer)
    except SENSELESS as error:
        raise Senseless(f"its answer made no sense ({type(error).__name__}{_place(error)})") from None


def nothing(response: httpx.Response) -> None:
    """Parses a "done" that is said by saying nothing (204). Raises ValueError for an answer with something in it."""
    if response.content:
        raise ValueError("an answer where none is due")


def _own_words(
    response: httpx.Response, problem: Callable[[httpx.Response], EmrError | None] | None
) -> EmrError | None:
    if problem is None:
        return None
    try:
        return problem(response)
    except SENSELESS:  # an error page of something before the EMR: the status says enough
        return None


def _by_status(response: httpx.Response) -> EmrError:
    status = response.status_code
    said = f"it answered {status}"
    if status in _REASONS:
        return Refused(_REASONS[status], said)
    if status in {423, 429}:
        return Throttled(said, retry_after=retry_after(response), locked=status == 423)
    if 300 <= status < 400:
        return Senseless(f"{said}, and redirects are not followed")
    return MaybeDone(said)


def _place(error: BaseException) -> str:
    """Where the parser stumbled, for its author; what it stumbled over may be patient data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    name = trace.tb_frame.f_globals.get("__name__", "?")
    return f" at {name}:{trace.tb_lineno}"
