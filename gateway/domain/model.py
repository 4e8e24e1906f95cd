"""What the gateway talks about: appointments, slots, free time. Names are FHIR's and the field's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal


class Status(StrEnum):
    """An appointment's state in the gateway's six words; an EMR's unknown word is OTHER, never a guess."""

    BOOKED = "booked"
    AWAITING = "awaiting_confirmation"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    OTHER = "other"


class Kind(StrEnum):
    """What a directory lists."""

    CARE_UNIT = "care-units"
    RESOURCE = "resources"
    SERVICE = "healthcare-services"
    PATIENT = "patients"


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time, [start, end); both ends are aware and are compared as instants."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        # Aware datetimes of one ZoneInfo subtract as wall time; instants must be subtracted in UTC.
        return timedelta(seconds=self.end.timestamp() - self.start.timestamp())

    @property
    def key(self) -> tuple[float, float]:
        """The two instants as POSIX seconds: equal for equal stretches, whatever the offsets."""
        return (self.start.timestamp(), self.end.timestamp())

    def same(self, other: Span) -> bool:
        return self.key == other.key

    def overlaps(self, other: Span) -> bool:
        return self.start.timestamp() < other.end.timestamp() and other.start.timestamp() < self.end.timestamp()

    def contains(self, other: Span) -> bool:
        return self.start.timestamp() <= other.start.timestamp() and other.end.timestamp() <= self.end.timestamp()


def later(start: datetime, length: timedelta) -> datetime:
    """The end of what lasts so long, in the zone of `start`: Python would add to what its clock shows."""
    return (start.astimezone(UTC) + length).astimezone(start.tzinfo)


def _check(kind: type, *values: object) -> None:
    """An EMR may send anything. Raises TypeError while its answer is being read, so that it does no further harm."""
    for value in values:
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"a {type(value).__name__} where a {kind.__name__} is due")


def _check_given(*values: object) -> None:
    if None in values:
        raise TypeError("nothing where something is due")


@dataclass(frozen=True, slots=True)
class Appointment:
    """An appointment as the EMR has it. Raises TypeError for fields of other types.

    `start`/`end` carry the care unit's zone (or at least its offset). `version` is whatever the EMR changes with
    every write (an ETag, a modified stamp), `None` where it has none. `native` is JSON that only the plugin
    understands and gets back with the next write (for example the resource that a JSON Patch refers to).
    """

    id: str
    start: datetime
    end: datetime
    status: Status
    patient_id: str | None = None
    resource_id: str | None = None
    healthcare_service_id: str | None = None
    care_unit_id: str | None = None
    comment: str | None = None
    confirmed: bool | None = None
    version: str | None = None
    slot_ids: tuple[str, ...] = ()
    """The EMR's slot records this appointment holds, where it ties appointments to slot records."""
    code_to_cancel: bool = False
    """The EMR will ask the patient for a code before it cancels this appointment."""
    confirms: str | None = None
    """For a request that only waits for a code (a requested cancellation): the appointment it is about."""
    pending: bool = field(default=False, compare=False)
    """What is shown was accepted and is not written yet (capability `settles_within_s`): it proves no write."""
    native: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_given(self.id, self.status, self.code_to_cancel, self.pending, *self.slot_ids)
        _check(Status, self.status)
        _check(bool, self.confirmed, self.code_to_cancel, self.pending)
        place = (self.resource_id, self.healthcare_service_id, self.care_unit_id)
        _check(str, self.id, self.patient_id, *place, self.comment, self.version, *self.slot_ids, self.confirms)

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Slot:
    """A bookable stretch of one resource. `id` and `version` are set where slots are records in the EMR."""

    start: datetime
    end: datetime
    resource_id: str | None = None
    healthcare_service_id: str | None = None
    care_unit_id: str | None = None
    id: str | None = None
    version: str | None = None
    native: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        place = (self.resource_id, self.healthcare_service_id, self.care_unit_id)
        _check(str, *place, self.id, self.version)

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


@dataclass(frozen=True, slots=True)
class FreeTime:
    """What an EMR offers, in the shape in which it offers it.

    `slots`: discrete stretches; an appointment takes whole ones. `windows`: open time; an appointment lies anywhere
    inside. An EMR that gives starts only is told as slots of the service's length (see `from_starts`).
    """

    shape: Literal["slots", "windows"]
    slots: tuple[Slot, ...] = ()

    @classmethod
    def from_starts(cls, starts: Iterable[Slot], length: timedelta) -> FreeTime:
        """Starts (slots whose `end` says nothing yet) as slots of `length`."""
        return cls(
            "slots",
            tuple(
                Slot(
                    start=s.start,
                    end=later(s.start, length),
                    resource_id=s.resource_id,
                    healthcare_service_id=s.healthcare_service_id,
                    care_unit_id=s.care_unit_id,
                    id=s.id,
                    version=s.version,
                    native=s.native,
                )
                for s in starts
            ),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a directory: a care unit, resource, healthcare service or patient that exists."""

    id: str
    name: str
    care_unit_id: str | None = None

    def __post_init__(self) -> None:
        _check_given(self.id, self.name)
        _check(str, self.id, self.name, self.care_unit_id)
