"""Tryton's search domains, as far as they are used: clauses that all hold, and `OR` before those of which one does."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": lambda value, many: value in many,
}


def matches(domain: list[Any], row: Mapping[str, Any]) -> bool:
    """Raises KeyError for an operator that is not used: the tests must know what they stand on."""
    if domain and domain[0] == "OR":
        return any(_clause(clause, row) for clause in domain[1:])
    return all(_clause(clause, row) for clause in domain)


def _clause(clause: list[Any], row: Mapping[str, Any]) -> bool:
    if not clause or isinstance(clause[0], list) or clause[0] == "OR":
        return matches(clause, row)
    field, sign, wanted = clause
    value = row[field]
    # As in SQL, nothing is before, after or beside an unknown value.
    return OPERATORS[sign](value, wanted) if value is not None or sign == "=" else False
