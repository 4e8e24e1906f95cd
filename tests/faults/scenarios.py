"""What a clinic app asks for: one request, or a second one that goes by the answer to the first.

Every case has a clinic of its own, and nobody else is there to ask for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.cast import Cast


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: dict[str, Any]


Ask = Callable[[Cast, Sequence[Any]], Request]
"""A request, given the cast and the answers to those before it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    own: Callable[[Cast], Sequence[str]]
    """The appointments that it may change."""
    asks: tuple[Ask, ...]


def _first(count: int) -> Callable[[Cast], Sequence[str]]:
    return lambda cast: cast.three[:count]


def _one(**body: Any) -> Ask:
    return lambda cast, _: Request("PATCH", f"/{cast.three[0]}", body)


def _many(**body: Any) -> Ask:
    return lambda cast, _: Request("PATCH", "", {"ids": list(cast.three), **body})


def _moved(cast: Cast, _: Sequence[Any]) -> Request:
    return Request("PATCH", f"/{cast.three[0]}", cast.span(5))


def _reassigned(cast: Cast, _: Sequence[Any]) -> Request:
    return Request("PATCH", f"/{cast.three[0]}", {"resource_id": cast.other, "comment": "other"})


def _all_reassigned(cast: Cast, _: Sequence[Any]) -> Request:
    return Request("PATCH", "", {"ids": list(cast.three), "resource_id": cast.other, "comment": "other"})


def _rescheduled(count: int, first: int, last: int, **body: Any) -> Ask:
    def ask(cast: Cast, _: Sequence[Any]) -> Request:
        return Request("PATCH", "", {"ids": list(cast.three[:count]), **cast.span(first, last), **body})

    return ask


def _visit(cast: Cast) -> Sequence[str]:
    assert cast.visit is not None
    return (cast.visit,)


def _visit_cancelled(cast: Cast, _: Sequence[Any]) -> Request:
    return Request("PATCH", f"/{cast.visit}", CANCELLED)


def _code(cast: Cast) -> dict[str, Any]:
    return {"confirmation": {} if cast.code is None else {"code": cast.code}}


def _visit_confirmed(cast: Cast, answers: Sequence[Any]) -> Request:
    return Request("PATCH", f"/{answers[0]['id']}", _code(cast))


def _confirmed(cast: Cast, _: Sequence[Any]) -> Request:
    return Request("PATCH", f"/{cast.waiting}", _code(cast))


def _booked(cast: Cast, _: Sequence[Any]) -> Request:
    who = {"patient_id": cast.patient, "resource_id": cast.other, "healthcare_service_id": cast.service}
    return Request("POST", "", {**cast.span(3), **who, "comment": "new"})


CANCELLED = {"status": "cancelled", "comment": "gone"}

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("move", _first(1), (_moved,)),
        Scenario("reassign", _first(1), (_reassigned,)),
        Scenario("bulk update", _first(3), (_all_reassigned,)),
        Scenario("reschedule, creating", _first(2), (_rescheduled(2, 3, 5, comment="moved"),)),
        Scenario("reschedule, cancelling", _first(3), (_rescheduled(3, 3, 4, comment="moved"),)),
        Scenario("bulk cancel", _first(3), (_many(**CANCELLED),)),
        Scenario("cancel with a code", _visit, (_visit_cancelled, _visit_confirmed)),
        Scenario("confirm", lambda cast: (cast.waiting,), (_confirmed,)),
        Scenario("book", lambda _: (), (_booked,)),
        Scenario("comment", _first(1), (_one(comment="a word"),)),
        Scenario("cancel", _first(1), (_one(**CANCELLED),)),
        Scenario("reschedule, keeping", _first(3), (_rescheduled(3, 1, 4),)),
    )
}
"""`keeping`: of four half hours two are theirs already, one is moved to and one is booked."""
OF_SANDBOX = tuple(SCENARIOS)[:9]
OF_VENDORS = tuple(name for name in SCENARIOS if name != "cancel with a code")
