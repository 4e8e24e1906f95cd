"""What an EMR's answer tells of its limits: when to come again, and how many calls are left until when.

There is no standard that all heed. Read are `Retry-After`, the IETF's `RateLimit` in all its drafts, and every pair of
headers that differ only by `remaining` and `reset`; a moment as seconds, as an epoch in seconds or milliseconds, as an
HTTP date or as ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from gateway.clock import now

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_COUNT = re.compile(r"[0-9]{1,15}")
_MEMBER = re.compile(r"\b(r|t|remaining|reset)\s*=\s*([0-9]{1,15})\b")
_EPOCH_S = 1e9
"""Nobody is asked to wait for 31 years: a number beyond it is a date."""
_EPOCH_MS = 1e12


@dataclass(frozen=True, slots=True)
class Window:
    """Calls left until a reset, in so many seconds; `left` is `None` where only the reset is told."""

    left: int | None
    resets_s: float


@dataclass(frozen=True, slots=True)
class Told:
    """What one answer tells. `later_s`: it wants to be called again after so many seconds, and not before."""

    later_s: float | None = None
    window: Window | None = None
    """The one that leaves the fewest calls."""


def told(response: httpx.Response) -> Told:
    """All that is to be learned from an answer, whatever its status."""
    if not any(_speaks_of_limits(name) for name in response.headers):
        return Told()
    # One that is over says nothing; some tell it all the time.
    counted = [window for window in _windows(response) if window.left is not None and window.resets_s > 0]
    narrowest = min(counted, key=lambda w: (w.left, -w.resets_s), default=None)
    later = retry_after(response) if response.status_code in {429, 503} else None
    return Told(later, narrowest)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait (never negative) after a "later": what it says, else the reset of what is used up."""
    at = _its_now(response)
    for name, value in response.headers.items():
        if name.endswith("retry-after"):
            said = _seconds(value, at)
        elif name.endswith("retry-after-ms"):
            said = float(value) / 1000 if _NUMBER.fullmatch(value) else None
        else:
            continue
        if said is not None:
            return said
    return max((window.resets_s for window in _windows(response) if not window.left), default=None)


def _speaks_of_limits(name: str) -> bool:
    return "limit" in name or "quota" in name or "retry-after" in name


def _windows(response: httpx.Response) -> Iterator[Window]:
    at = _its_now(response)
    for name, value in response.headers.items():
        if name == "ratelimit":
            yield from _structured(value)
        elif "reset" in name and _speaks_of_limits(name):
            yield from _paired(response.headers.get(name.replace("reset", "remaining")), value, at)


def _paired(lefts: str | None, resets: str, at: datetime) -> Iterator[Window]:
    """Both may be lists, one member for each of several windows."""
    pairs = list(zip((lefts or "").split(","), resets.split(","), strict=False))
    if len(pairs) != resets.count(",") + 1 or lefts is None:
        pairs = [(lefts or "", resets)]
    for left, reset in pairs:
        seconds = _seconds(reset, at)
        if seconds is not None:
            yield Window(int(left) if _COUNT.fullmatch(left.strip()) else None, seconds)


def _structured(value: str) -> Iterator[Window]:
    """`"name";r=5;t=30, …` of the newer drafts; `limit=9, remaining=5, reset=30` of an older one."""
    members = [value] if "remaining" in value else value.split(",")
    for member in members:
        found = dict(_MEMBER.findall(member))
        left, reset = found.get("r", found.get("remaining")), found.get("t", found.get("reset"))
        if left is not None and reset is not None:
            yield Window(int(left), float(reset))


# -- moments ----------------------------------------------------------------------------------------------------------


def _seconds(text: str, at: datetime) -> float | None:
    """From `at` to the moment that a text names; `None` where it names none."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        when = _date(text)
        return None if when is None else max(0.0, (when - at).total_seconds())
    number = float(text)
    if number < _EPOCH_S:
        return number
    epoch = number / 1000 if number >= _EPOCH_MS else number
    return max(0.0, epoch - at.timestamp())


def _date(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            when = read(text)
        except (ValueError, OverflowError):
            continue
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None


def _its_now(response: httpx.Response) -> datetime:
    """The EMR's own clock, which its dates are by, and not ours."""
    when = _date(response.headers.get("date", ""))
    return now() if when is None else when
