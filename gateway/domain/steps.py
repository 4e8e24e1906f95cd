"""Steps, stages and plans: *how* a command will be carried out. Pure data that survives a restart as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from gateway.domain.model import Appointment, Slot, Span, Status

Chained = Literal["kept", "updated", "moved", "created", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Set what is not `None`, in one write. `before` is the image (and version) that it is written over."""

    chain: str
    """Names the appointment through the whole plan, even when its id changes on the way."""
    before: Appointment
    span: Span | None = None
    resource_id: str | None = None
    comment: str | None = None
    slots: tuple[Slot, ...] = ()
    """The slots it will hold; given with every new `span` or `resource_id` where the EMR has slots at all."""
    new_id: bool = False
    """The EMR will give it another id."""
    restores: Appointment | None = None
    """Of a step back: how it was before, for what only the EMR knows about it."""
    quiet: bool = False
    """The patient is not to hear of it from the EMR, whatever the account says: here and in the other steps."""
    kind: Literal["change"] = "change"

    @property
    def after(self) -> Appointment:
        """As it is to be then; under its old id, also where it gets a new one."""
        resource_id = self.before.resource_id if self.resource_id is None else self.resource_id
        comment = self.before.comment if self.comment is None else self.comment or None
        span = self.span or self.before.span
        return replace(self.before, start=span.start, end=span.end, resource_id=resource_id, comment=comment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Book. `marker` names this very step for ever, so that its appointment can be found again after a lost answer."""

    chain: str
    span: Span
    patient_id: str
    resource_id: str
    healthcare_service_id: str | None = None
    care_unit_id: str | None = None
    comment: str | None = None
    slots: tuple[Slot, ...] = ()
    marker: str = ""
    like: Appointment | None = None
    """The appointment that it continues or stands beside, for what only the EMR knows about it."""
    quiet: bool = False
    kind: Literal["create"] = "create"

    @property
    def after(self) -> Appointment:
        """As it is to be then; `id` is ""."""
        place = (self.resource_id, self.healthcare_service_id, self.care_unit_id)
        return Appointment(
            "", self.span.start, self.span.end, Status.BOOKED, self.patient_id, *place, self.comment or None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel, with `comment` where the EMR takes one along; `None` leaves the comment as it is."""

    chain: str
    before: Appointment
    comment: str | None = None
    replaced_by: str | None = None
    """The chain of the appointment that takes its place (an EMR that can only cancel and rebook)."""
    quiet: bool = False
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    chain: str
    before: Appointment
    code: str | None = None
    quiet: bool = False
    kind: Literal["confirm"] = "confirm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """Withdraw an appointment that this command itself created: the undo of `Create`, never planned forward."""

    chain: str
    before: Appointment
    marker: str = ""
    quiet: bool = True
    kind: Literal["discard"] = "discard"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSlot:
    """Take (`busy`) or give back (`free`) a slot record, over the version that was read."""

    chain: str
    slot: Slot
    state: Literal["busy", "free"]
    kind: Literal["mark_slot"] = "mark_slot"


Step = Change | Create | Cancel | Confirm | Discard | MarkSlot


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one appointment of the answer comes from, and what it should be in the end."""

    chain: str
    change: Chained
    expected: Appointment
    """The appointment as it should then be; `id` is "" for one to be created."""
    before: Appointment | None = None
    path: str | None = None
    """How the client's request names it (`ids/2`); `None` where the request names one only, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Stages of steps: the steps of a stage run together, a stage starts when the one before it is settled.

    A `bundled` plan is sent by one write instead, which the EMR carries out as a whole or not at all; its stages still
    say in which order it is undone, and in which its steps follow each other should the EMR break its word.

    `turning_stage` is the first stage with a step that can't be undone, or `None`. Everything before it is undone on
    failure; from its first success on there is only forward.
    """

    operation: str
    stages: tuple[tuple[Step, ...], ...]
    lines: tuple[Line, ...]
    turning_stage: int | None = None
    resource_days: tuple[tuple[str, str], ...] = ()
    """(resource id, UTC date) pairs to be held while the plan runs; appointments are held by their chains."""
    check_conflicts: tuple[str, ...] = ()
    """Chains to be asked for conflicts after the writes, where the EMR never refuses a double booking."""
    bundled: bool = False

    def steps(self) -> Iterator[tuple[int, Step]]:
        """All steps with their index, in the order of the stages."""
        index = 0
        for stage in self.stages:
            for step in stage:
                yield index, step
                index += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a write's answer proves: the appointment or slot as it now is, or at least its id; or nothing."""

    appointment: Appointment | None = None
    slot: Slot | None = None
    id: str | None = None
    version: str | None = None
    """The version that the write made, where the answer names it without showing the appointment."""


def makes_new(step: Step) -> bool:
    """What it writes gets an id that only the EMR knows."""
    return isinstance(step, Create) or (isinstance(step, Change) and step.new_id)


def waits_for_code(step: Step) -> bool:
    """A cancellation that changes nothing before the patient has said a code: that the appointment is as it was does
    not show whether the EMR has taken it."""
    return isinstance(step, Cancel) and step.before.code_to_cancel


def utc_days(span: Span) -> tuple[str, ...]:
    """The UTC dates that a span touches, as ISO dates."""
    day: datetime = span.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = []
    while day.timestamp() < span.end.timestamp():
        days.append(day.date().isoformat())
        day += timedelta(days=1)
    return tuple(days)
