"""Headers and queries: everything about a request but its path and its body. Refusals name places, never values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.api import DEFAULT_WAIT_S
from gateway.domain.errors import BadRequest, Problem
from gateway.domain.model import Span
from gateway.wire.parse import LONGEST_RANGE, checked
from gateway.wire.reading import bad_input
from gateway.wire.standards import LEYR, STANDARDS
from gateway.wire.values import Unreadable, instant, opaque_id

_MOST_PARAMETERS = 64
_PRINTABLE = re.compile("[\x20-\x7e]{1,255}")
_ETAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ETAGS = re.compile(rf"[\s,]*{_ETAG}(?:\s*,[\s,]*{_ETAG})*[\s,]*")
_PREFERENCE = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*")+')
_LONGEST_PREFER = 1024
_WAIT = re.compile(r'wait\s*=\s*(?:([0-9]{1,9})|"([0-9]{1,9})")', re.IGNORECASE)
_LOST_PLUS = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:[0-9]{2}$)")


def query(request: Request, known: Collection[str]) -> dict[str, str]:
    """The query's parameters, each known and given once. Raises BadRequest."""
    try:
        pairs = _pairs(request)
    except ValueError:
        raise bad_input("Must be parameters in UTF-8, percent-encoded.", "query") from None
    found: dict[str, str] = {}
    problems = []
    for number, (name, value) in enumerate(pairs):
        if name not in known:
            problems.append(Problem("BAD_INPUT", "Unknown parameter.", f"query[{number}]"))
        elif name in found:
            problems.append(Problem("BAD_INPUT", "Must be given once.", f"query/{name}"))
        else:
            found[name] = value
    if problems:
        raise BadRequest(problems=problems)
    return found


def _pairs(request: Request) -> list[tuple[str, str]]:
    """Raises ValueError."""
    text = request.scope["query_string"].decode("utf-8")
    return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)


def header(request: Request, name: str) -> str | None:
    """A header that may be given once. Raises BadRequest."""
    given = request.headers.getlist(name)
    if len(given) > 1:
        raise bad_input("Must be given once.", f"header/{name}")
    return given[0] if given else None


def standard(request: Request, parameters: Mapping[str, str]) -> str:
    """The language of the answer, from `x-leyr-standard` or `?standard=`."""
    by_header, by_query = header(request, "x-leyr-standard"), parameters.get("standard")
    path = "query/standard" if by_header is None else "header/x-leyr-standard"
    if by_header is not None and by_query is not None and by_header != by_query:
        raise bad_input("The header and the query ask for different standards.", path)
    asked = by_header if by_header is not None else by_query
    if asked is None:
        return LEYR
    if asked not in STANDARDS:
        raise bad_input("Must be `leyr` or `fhir`.", path)
    return asked


def standard_of_refusal(request: Request) -> str:
    """The language that a refusal is told in: the one asked for, as far as that is clear whatever else is wrong."""
    try:
        by_query = [value for name, value in _pairs(request) if name == "standard"]
    except ValueError:
        by_query = []
    by_header = request.headers.getlist("x-leyr-standard")
    asked = {*by_header, *by_query}
    clear = len(by_header) <= 1 and len(by_query) <= 1 and len(asked) == 1 and asked.issubset(STANDARDS)
    return asked.pop() if clear else LEYR


def dry_run(parameters: Mapping[str, str]) -> bool:
    asked = parameters.get("dry_run", "false")
    if asked not in ("true", "false"):
        raise bad_input("Must be `true` or `false`.", "query/dry_run")
    return asked == "true"


def printable(request: Request, name: str) -> str | None:
    """A header of 1 to 255 printable ASCII characters, such as an idempotency key."""
    given = header(request, name)
    if given is not None and not _PRINTABLE.fullmatch(given):
        raise bad_input("Must be 1 to 255 printable ASCII characters.", f"header/{name}")
    return given


def key_filter(parameters: Mapping[str, str]) -> str | None:
    """An idempotency key to look for."""
    key = parameters.get("idempotency_key")
    if key is not None and not _PRINTABLE.fullmatch(key):
        raise bad_input("Must be 1 to 255 printable ASCII characters.", "query/idempotency_key")
    return key


def if_match(request: Request) -> tuple[str, ...] | None:
    """RFC 9110 §13.1.1: `*` or a list of entity tags, as they were sent. Raises BadRequest."""
    if "if-match" not in request.headers:
        return None
    tags = _etags(request, "if-match")
    if not tags:
        raise bad_input("Must be `*` or a list of quoted entity tags.", "header/if-match")
    return tags


def unchanged(request: Request, etag: str) -> bool:
    """RFC 9110 §13.1.2: does If-None-Match hold this tag, by the weak comparison? A malformed one holds none."""
    tags = _etags(request, "if-none-match")
    return "*" in tags or etag in (tag.removeprefix("W/") for tag in tags)


def _etags(request: Request, name: str) -> tuple[str, ...]:
    text = ", ".join(request.headers.getlist(name)).strip()
    if text == "*":
        return ("*",)
    return tuple(re.findall(_ETAG, text)) if _ETAGS.fullmatch(text) else ()


def no_if_match(request: Request) -> None:
    if "if-match" in request.headers:
        raise bad_input("Is only for the PATCH of one appointment.", "header/if-match")


def wait_s(request: Request) -> float:
    """RFC 7240: how long the client would wait, in seconds. What is not understood is no preference."""
    wait: float | None = None
    at_once = False
    preferences = ", ".join(request.headers.getlist("prefer"))
    for preference in _PREFERENCE.findall(preferences[:_LONGEST_PREFER]):
        token = preference.partition(";")[0].strip()
        at_once = at_once or token.lower() == "respond-async"
        asked = _WAIT.fullmatch(token)
        if asked and wait is None:
            wait = float(asked[1] or asked[2])
    if wait is None:
        return 0.0 if at_once else DEFAULT_WAIT_S
    return min(wait, DEFAULT_WAIT_S)


def time_range(parameters: Mapping[str, str], now: datetime) -> Span:
    """`start` to `end`; what is not given is today (UTC) and 92 days on."""
    start, end = _instant(parameters, "start"), _instant(parameters, "end")
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if start is None:
        first = today if end is None or today < end <= today + LONGEST_RANGE else end - LONGEST_RANGE
    else:
        first = start
    return checked(first, first + LONGEST_RANGE if end is None else end, LONGEST_RANGE, "query")


def _instant(parameters: Mapping[str, str], name: str) -> datetime | None:
    text = parameters.get(name)
    if text is None:
        return None
    try:
        # An offset's plus that was not percent-encoded arrives as a space; nothing else can have been meant.
        return instant(_LOST_PLUS.sub("+", text))
    except Unreadable as no:
        raise bad_input(str(no), f"query/{name}") from None


def id_filter(parameters: Mapping[str, str], name: str, error_code: str) -> str | None:
    text = parameters.get(name)
    if text is None:
        return None
    try:
        return opaque_id(text)
    except Unreadable as no:
        raise BadRequest(problems=[Problem(error_code, str(no), f"query/{name}")]) from None
