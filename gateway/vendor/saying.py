"""Small words that many EMRs' requests are made of."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from gateway.domain.model import Appointment, Entry, Span
from gateway.domain.steps import Create
from gateway.port import EmrError, MaybeDone, NotSent, Refused

T = TypeVar("T")
Named = TypeVar("Named", Appointment, Entry)

SAYS_LITTLE = frozenset({"invalid", "rule", "not_found", "stale"})
"""Reasons that a status alone may have given: what the write was about tells more."""


def given(fields: Mapping[str, T | None]) -> dict[str, T]:
    """What is not `None`: a field that is left out stays as it is, a null or an empty one may be cleared."""
    return {name: value for name, value in fields.items() if value is not None}


def units(span: Span, *, each_s: int, most: int | None = None) -> int:
    """A length as a count of units, for an EMR that is told no end.

    Raises Refused("invalid") where it is no whole number of them (capability `length_unit_s` has it refused earlier),
    and where it is more than `most`.
    """
    count, rest = divmod(span.length, timedelta(seconds=each_s))
    if rest or not count or (most is not None and count > most):
        raise Refused("invalid", "a length that the EMR can't be told")
    return count


def as_number(id: str | None) -> int:
    """An id as the number that some EMRs want it as. Raises Refused("invalid") for what can be none, and for none."""
    if id is None or re.fullmatch(r"[1-9][0-9]{0,18}", id) is None or int(id) >= 2**63:
        raise Refused("invalid", "an id that is no number")
    return int(id)


def mark(step: Create) -> str:
    """What a booking bears where a field of it is free, so that it is known again when the answer was lost."""
    return f"emr-gateway:{step.marker}"


async def if_there(asking: Awaitable[T]) -> T | None:
    """What a read shows, or `None` where the EMR says that there is no such thing."""
    try:
        return await asking
    except Refused as no:
        if no.reason != "not_found":
            raise
        return None


async def if_known(asking: Awaitable[T]) -> T | None:
    """What a read shows, or `None` where it fails: for a look after a write, which may only add to what is known."""
    try:
        return await asking
    except EmrError:
        return None


async def beforehand(asking: Awaitable[T]) -> T:
    """What a read shows without which a write can't go out. Raises NotSent where it fails and nobody knows why: that is
    about the read, and would else be taken for what became of the write."""
    try:
        return await asking
    except MaybeDone:
        raise NotSent("what had to be known before a write could not be read") from None


def the_same(id: str, found: Named | None) -> Named | None:
    """What was asked for by this id, if it is there. Raises `MaybeDone` where the EMR showed something else."""
    if found is not None and found.id != id:
        raise MaybeDone("asked for one record, it showed another")
    return found


async def explained(writing: Awaitable[T], look: Callable[[Refused], Awaitable[Refused]]) -> T:
    """A write to an EMR whose refusals say why by prose alone: `look` reads what it was about, and finds the reason.

    Not asked where the refusal says enough by itself; a look that fails leaves it as it was.
    """
    try:
        return await writing
    except Refused as no:
        why = await if_known(look(no)) if no.reason in SAYS_LITTLE else None
        if why is None or why is no:
            raise
        raise why from no
