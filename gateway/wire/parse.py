"""A body into an intent: update, reschedule, cancel, confirm or book; they never mix."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from json import dumps
from typing import Any

from gateway.domain.commands import Book, Cancel, Confirm, Intent, Reschedule, Update
from gateway.domain.errors import BadRequest, Problem
from gateway.domain.model import Span
from gateway.wire import values
from gateway.wire.reading import bad_input, read
from gateway.wire.requests import Booking, PatchMany, PatchOne

LONGEST_RESCHEDULE = timedelta(days=31)
LONGEST_RANGE = timedelta(days=92)


def patch_one(body: bytes, id: str) -> Update | Cancel | Confirm:
    """What a `PATCH …/appointments/{id}` wants. Raises BadRequest."""
    wish = read(PatchOne, body)
    if wish.confirmation is not None:
        _only(wish, "confirmation")
        return Confirm(id, wish.confirmation.code)
    if wish.status is not None:
        _only(wish, "status", "comment")
        return Cancel((id,), wish.comment)
    span = _span(wish.start, wish.end, LONGEST_RANGE)
    _something(wish, "start` and `end", "resource_id", "comment", "status", "confirmation")
    return Update((id,), span, wish.resource_id, wish.comment)


def patch_many(body: bytes, max_items: int) -> Update | Reschedule | Cancel:
    """What a `PATCH …/appointments` wants. Raises BadRequest."""
    wish = read(PatchMany, body)
    ids = _ids(wish.ids, max_items)
    if wish.status is not None:
        _only(wish, "ids", "status", "comment")
        return Cancel(ids, wish.comment)
    span = _span(wish.start, wish.end, LONGEST_RESCHEDULE)
    if span is not None:
        return Reschedule(ids, span, wish.resource_id, wish.comment)
    _something(wish, "start` and `end", "resource_id", "comment", "status")
    return Update(ids, None, wish.resource_id, wish.comment)


def booking(body: bytes) -> Book:
    """What a `POST …/appointments` wants. Raises BadRequest."""
    wish = read(Booking, body)
    span = _span(wish.start, wish.end, LONGEST_RANGE)
    assert span is not None
    return Book(span, wish.patient_id, wish.resource_id, wish.healthcare_service_id, wish.comment)


def fingerprint(method: str, emr: str, standard: str, intent: Intent, *, single: bool = True) -> str:
    """Canonical text of a request: equal for equal ones, whatever their white space, offsets or order of fields.

    The intent holds the path's id, and the care unit is not in it: the long and the short path are one request.
    One of many (not `single`) is answered by an array, even for the same intent, so it is another request.
    """
    told = {**asdict(intent), "": [method, emr, standard, type(intent).__name__, single]}
    return dumps(told, sort_keys=True, separators=(",", ":"), default=datetime.isoformat)


def _ids(ids: list[str], max_items: int) -> tuple[str, ...]:
    if not ids:
        raise bad_input("Must name at least one appointment.", "body/ids")
    if len(ids) > max_items:
        problem = Problem("MAX_ITEMS_EXCEEDED", f"Must name at most {max_items} appointments.", "body/ids")
        raise BadRequest(problems=[problem])
    first: dict[str, int] = {}
    twice = [(n, first[id]) for n, id in enumerate(ids) if first.setdefault(id, n) != n]
    if twice:
        raise BadRequest(problems=[Problem("BAD_INPUT", f"Is the same as ids/{m}.", f"ids/{n}") for n, m in twice])
    return tuple(ids)


def _span(start: datetime | None, end: datetime | None, longest: timedelta) -> Span | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        missing, given = ("start", "end") if start is None else ("end", "start")
        details = f"Required together with `{given}`."
        raise BadRequest(problems=[Problem("MISSING_REQUIRED_FIELD", details, f"body/{missing}")])
    return checked(start, end, longest, "body")


def checked(start: datetime, end: datetime, longest: timedelta, where: str) -> Span:
    """The span, if it has a length and not too much of it; else BadRequest about `{where}/end`."""
    try:
        return values.span(start, end, longest)
    except values.Unreadable as no:
        raise bad_input(str(no), f"{where}/end") from None


def _given(wish: PatchOne | PatchMany) -> list[str]:
    fields: dict[str, Any] = dict(wish)
    return [name for name, value in fields.items() if value is not None]


def _only(wish: PatchOne | PatchMany, *allowed: str) -> None:
    intent = allowed[0] if allowed[0] != "ids" else allowed[1]
    details = f"Can't stand together with `{intent}`."
    problems = [Problem("BAD_INPUT", details, f"body/{n}") for n in _given(wish) if n not in allowed]
    if problems:
        raise BadRequest("The body mixes intents.", problems)


def _something(wish: PatchOne | PatchMany, *choices: str) -> None:
    if not set(_given(wish)) - {"ids"}:
        details = f"Give at least one of `{'`, `'.join(choices)}`."
        raise BadRequest(problems=[Problem("MISSING_REQUIRED_FIELD", details, "body")])
