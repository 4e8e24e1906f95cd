"""What is kept of a client's secret: `hmac:…`, `argon2:…` or `plain:…`, and perhaps until when it is good."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_ENDS = re.compile(r"(?P<kept>.*\S) until (?P<until>\S+)", re.DOTALL)
_MOST = 2
"""So many secrets of one client overlap: the one that it has, and the one that it is to have."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One secret as it stands in the clients file, taken apart."""

    kind: str
    value: str
    until: datetime | None = None
    """From this instant (UTC) on it lets nobody in."""

    def is_good(self, now: datetime) -> bool:
        return self.until is None or now < self.until


def taken_apart(text: str) -> Kept:
    """Raises ValueError for an end that is no instant with an offset."""
    ends = _ENDS.fullmatch(text)
    kind, _, value = (ends["kept"] if ends else text).partition(":")
    return Kept(kind, value, _instant(ends["until"]) if ends else None)


def _instant(text: str) -> datetime:
    until = datetime.fromisoformat(text)
    if until.tzinfo is None:
        raise ValueError("an end without an offset")
    return until.astimezone(UTC)


def overlapping(new: str, present: Sequence[str], now: datetime, until: datetime) -> list[str]:
    """The secrets of a client that is given a `new` one: of the present ones the first that is good stays so until
    then, or until its own, earlier end."""
    good = [text for text in present if taken_apart(text).is_good(now)]
    return [new, *(_ending(text, until) for text in good)][:_MOST]


def _ending(text: str, until: datetime) -> str:
    own = taken_apart(text).until
    if own is not None and own <= until:
        return text
    ends = _ENDS.fullmatch(text)
    return f"{ends['kept'] if ends else text} until {until:%Y-%m-%dT%H:%M:%SZ}"
