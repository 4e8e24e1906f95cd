"""Bytes of a body into one of the request models; everything that is wrong with them into one BadRequest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.domain.errors import BadRequest, Problem
from gateway.wire.requests import Booking, PatchMany, PatchOne

MAX_BODY = 1024 * 1024
_MOST_PROBLEMS = 100
_OUR_WORDS = frozenset().union(*(model.model_fields for model in (PatchOne, PatchMany, Booking)))
_SENTENCES = {
    "string_type": "Must be a string.",
    "list_type": "Must be an array.",
    "model_type": "Must be an object.",
    "literal_error": "The only status that can be asked for is `cancelled`.",
}

M = TypeVar("M", bound=BaseModel)


def bad_input(details: str, path: str | None) -> BadRequest:
    return BadRequest(problems=[Problem("BAD_INPUT", details, path)])


def read(model: type[M], body: bytes) -> M:
    """Raises BadRequest, which names places and never repeats what stood there."""
    given = _object(body)
    # Absent and null are one thing, also for a field that has to be there.
    told = {key: value for key, value in given.items() if value is not None or key not in model.model_fields}
    try:
        return model.model_validate(told)
    except ValidationError as no:
        found = no.errors(include_url=False, include_context=False, include_input=False)
        raise BadRequest(problems=[_problem(error, given) for error in found[:_MOST_PROBLEMS]]) from None


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise bad_input("A JSON object is required.", "body")
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
        # Escapes may hold half a character (a lone surrogate), which no UTF-8 can say.
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise bad_input("Must be one JSON object in UTF-8, with no field given twice.", "body") from None
    if not isinstance(found, dict):
        raise bad_input("Must be a JSON object.", "body")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError
    return fields


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _problem(error: ErrorDetails, given: Mapping[str, Any]) -> Problem:
    kind, place = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return _unknown(place, given)
    if kind == "missing":
        return Problem("MISSING_REQUIRED_FIELD", "Required.", _path(place))
    if kind.isupper():
        return Problem(kind, error["msg"], _path(place))
    return Problem("BAD_INPUT", _SENTENCES.get(kind, "Not valid."), _path(place))


def _unknown(place: tuple[int | str, ...], given: Mapping[str, Any]) -> Problem:
    """A field that we don't know may have a patient's name for its name, so it is told by its position, from 0."""
    *parents, name = place
    for parent in parents:
        given = given[str(parent)]
    if name in _OUR_WORDS:
        return Problem("BAD_INPUT", "This field has no place here.", _path(place))
    number = list(given).index(str(name))
    where = "/".join(["body", *map(str, parents)])
    return Problem("BAD_INPUT", "Unknown field.", f"{where}/field[{number}]")


def _path(place: tuple[int | str, ...]) -> str:
    """`ids/2` for an item of `ids`, `body/start` for a field."""
    inside = "/".join(map(str, place))
    return inside if place[0] == "ids" and len(place) > 1 else f"body/{inside}"
