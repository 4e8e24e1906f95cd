"""What a client may want: a closed union, already checked for shape by the wire."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.model import Span


@dataclass(frozen=True, slots=True)
class Update:
    """Change times, resource or comment of one or many appointments, each for itself. `None`: leave as it is."""

    ids: tuple[str, ...]
    span: Span | None = None
    resource_id: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Continuous reschedule: re-use, create and cancel appointments until they fill `span`."""

    ids: tuple[str, ...]
    span: Span
    resource_id: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    ids: tuple[str, ...]
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    id: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Book:
    span: Span
    patient_id: str
    resource_id: str
    healthcare_service_id: str
    comment: str | None = None


Intent = Update | Reschedule | Cancel | Confirm | Book


@dataclass(frozen=True, slots=True)
class Command:
    """An intent with its circumstances: where in the wire it came from and on what condition.

    `single`: the id stood in the path (an unknown one is 404), not in `ids` (400). `max_items` bounds both the ids and
    what may result.
    """

    intent: Intent
    single: bool
    care_unit_id: str | None = None
    if_match: tuple[str, ...] | None = None
    max_items: int = 100

    @property
    def operation(self) -> str:
        name = type(self.intent).__name__.lower()
        return name if self.single or name in ("reschedule", "book", "confirm") else f"bulk_{name}"
