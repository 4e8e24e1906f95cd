"""What a clinic app asks for: one request, or a second one that goes by the answer to the first.

Every case has a clinic of its own, as the sandbox seeds it: `B1001` to `B1003` adjoin, of one patient with `D1` on the
first working day; `B1008` is a visit that can only be cancelled with a code, `B1009` one that waits for its code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from plugins.sandbox.emr.clinic import working_day

ZONE = ZoneInfo("Europe/Stockholm")
FIVE = 5
"""The working day, counted from today, on which nothing is booked."""
DAYS = range(1, FIVE + 1)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: dict[str, Any]


Ask = Callable[[date, Sequence[Any]], Request]
"""A request, given today and the answers to those before it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    own: tuple[str, ...]
    """The appointments that it may change."""
    asks: tuple[Ask, ...]


def span(today: date, begins: str, ends: str) -> dict[str, str]:
    day = working_day(today, FIVE)
    return {name: _at(day, time) for name, time in (("start", begins), ("end", ends))}


def _at(day: date, time: str) -> str:
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=ZONE).isoformat()


def _one(id: str, **body: Any) -> Ask:
    return lambda today, _: Request("PATCH", f"/{id}", body)


def _many(count: int, **body: Any) -> Ask:
    return lambda today, _: Request("PATCH", "", {"ids": list(THREE[:count]), **body})


def _moved(today: date, _: Sequence[Any]) -> Request:
    return Request("PATCH", "/B1001", span(today, "10:00", "10:30"))


def _rescheduled(count: int, begins: str, ends: str) -> Ask:
    def ask(today: date, _: Sequence[Any]) -> Request:
        return Request("PATCH", "", {"ids": list(THREE[:count]), **span(today, begins, ends), "comment": "moved"})

    return ask


def _confirmed(_: date, answers: Sequence[Any]) -> Request:
    return Request("PATCH", f"/{answers[0]['id']}", {"confirmation": {"code": "123456"}})


def _booked(today: date, _: Sequence[Any]) -> Request:
    who = {"patient_id": "P4", "resource_id": "D2", "healthcare_service_id": "K1", "comment": "new"}
    return Request("POST", "", {**span(today, "09:00", "09:30"), **who})


THREE = ("B1001", "B1002", "B1003")
CANCELLED = {"status": "cancelled", "comment": "gone"}

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("move", THREE[:1], (_moved,)),
        Scenario("reassign", THREE[:1], (_one("B1001", resource_id="D2", comment="other"),)),
        Scenario("bulk update", THREE, (_many(3, resource_id="D2", comment="other"),)),
        Scenario("reschedule, creating", THREE[:2], (_rescheduled(2, "09:00", "10:30"),)),
        Scenario("reschedule, cancelling", THREE, (_rescheduled(3, "09:00", "10:00"),)),
        Scenario("bulk cancel", THREE, (_many(3, **CANCELLED),)),
        Scenario("cancel with a code", ("B1008",), (_one("B1008", **CANCELLED), _confirmed)),
        Scenario("confirm", ("B1009",), (_one("B1009", confirmation={"code": "123456"}),)),
        Scenario("book", (), (_booked,)),
    )
}
PERSONALITIES = ("in-place", "new-id", "no-move", "slot-records", "no-content", "async")
