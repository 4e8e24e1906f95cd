"""A model EMR in memory, with rules and counters of its own: it decides by itself what it accepts.

It shares no code with the planner: what the planner may do is what this book lets it do.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.domain.capabilities import Capabilities
from gateway.domain.model import Appointment, Entry, FreeTime, Kind, Slot, Span, Status
from gateway.domain.questions import Claim, FindFreeTime, LookUp, ReadAppointments, ReadCalendar
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, MarkSlot, Plan, Receipt
from gateway.port import Refused

DAY = datetime(2030, 3, 4, 8, 0, tzinfo=UTC)
CAN = Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    own_time_shown=True,
    move="in_place",
    reassign="in_place",
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    comment=True,
    comment_max=100,
    confirm="code",
)


def at(minutes: int) -> datetime:
    return DAY + timedelta(minutes=minutes)


def span(start: int, end: int) -> Span:
    return Span(at(start), at(end))


def minutes(moment: datetime) -> int:
    return round((moment - DAY).total_seconds() / 60)


def booked(id: str, start: int, end: int, **other: Any) -> Appointment:
    known = {"patient_id": "p1", "resource_id": "r1", "healthcare_service_id": "s1", "care_unit_id": "u1"}
    return Appointment(id=id, start=at(start), end=at(end), status=Status.BOOKED, version="1", **{**known, **other})


def grid(start: int, end: int, length: int = 30) -> list[tuple[int, int]]:
    return [(t, t + length) for t in range(start, end, length)]


@dataclass
class Model:
    """The book. `offered`: per resource the (start, end) minutes that can be booked at all."""

    can: Capabilities = CAN
    offered: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    book: dict[str, Appointment] = field(default_factory=dict)
    slot_state: dict[str, tuple[str, int]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    made: int = 0

    def __post_init__(self) -> None:
        for resource, pieces in self.offered.items():
            for start, _ in pieces:
                self.slot_state.setdefault(f"{resource}@{start}", ("free", 1))
        for appointment in self.book.values():
            for id in appointment.slot_ids:
                self.slot_state[id] = ("busy", 1)

    def copy(self) -> Model:
        return copy.deepcopy(self)

    # -- answers ------------------------------------------------------------------------------------------------

    def answer(self, batch: Sequence[Any]) -> tuple[Any, ...]:
        self.rounds += not any(isinstance(q, Claim) for q in batch)
        return tuple(self._answer(q) for q in batch)

    def _answer(self, question: Any) -> Any:
        match question:
            case Claim():
                return None
            case ReadAppointments():
                return {id: self.book.get(id) for id in question.ids}
            case FindFreeTime():
                return self.free_time(question)
            case ReadCalendar():
                return [
                    a
                    for a in self.book.values()
                    if a.span.overlaps(question.span) and question.resource_id in (None, a.resource_id)
                ]
            case LookUp():
                known = {Kind.RESOURCE: "r", Kind.PATIENT: "p", Kind.SERVICE: "s", Kind.CARE_UNIT: "u"}
                if question.id.startswith(known[question.kind]) and question.id[1:].isdigit():
                    return Entry(question.id, "An invented name", "u1" if question.kind is Kind.RESOURCE else None)
                return None

    def free_time(self, question: FindFreeTime) -> FreeTime:
        ignored = {a.id for a in question.ignoring} if self.can.own_time_shown else set()
        pieces = self.offered.get(question.resource_id or "", [])
        if self.can.free_time == "windows":
            return FreeTime("windows", tuple(self._open(question, pieces, ignored)))
        found = []
        for start, end in pieces:
            id = f"{question.resource_id}@{start}"
            state, version = self.slot_state[id]
            free = self._nobody(question.resource_id, span(start, end), ignored)
            if self.can.slot_records:
                own = any(id in a.slot_ids for a in question.ignoring)
                free = state == "free" or (own and free)
            if free and question.span.overlaps(span(start, end)):
                record = (id, str(version)) if self.can.slot_records else (None, None)
                found.append(Slot(at(start), at(end), question.resource_id, id=record[0], version=record[1]))
        return FreeTime("slots", tuple(found))

    def _open(self, question: FindFreeTime, pieces: Sequence[tuple[int, int]], ignored: set[str]) -> list[Slot]:
        """Open time minute by minute, told as windows."""
        free = [
            m
            for start, end in pieces
            for m in range(start, end)
            if self._nobody(question.resource_id, span(m, m + 1), ignored)
        ]
        windows: list[list[int]] = []
        for m in free:
            if windows and windows[-1][1] == m:
                windows[-1][1] = m + 1
            else:
                windows.append([m, m + 1])
        return [Slot(at(a), at(b), question.resource_id) for a, b in windows]

    def _nobody(self, resource: str | None, where: Span, ignored: set[str]) -> bool:
        return not any(
            a.resource_id == resource and a.status is not Status.CANCELLED and a.id not in ignored
            for a in self.book.values()
            if a.span.overlaps(where)
        )

    # -- writes -------------------------------------------------------------------------------------------------

    def write(self, step: Any) -> Receipt:
        self.calls[step.kind] += 1
        return getattr(self, f"_{step.kind}")(step)

    def bundle(self, steps: Sequence[Any]) -> list[Receipt]:
        """All of them or none, in the order in which they come."""
        before = copy.deepcopy((self.book, self.slot_state, self.made))
        try:
            return [self.write(step) for step in steps]
        except Refused:
            self.book, self.slot_state, self.made = before
            raise

    def _change(self, step: Change) -> Receipt:
        now = self.book.get(step.before.id)
        if now is None:
            raise Refused("not_found")
        if self.can.version_check and now.version != step.before.version:
            raise Refused("stale")
        if now.status is Status.CANCELLED:
            raise Refused("state")
        target = step.span or now.span
        resource = step.resource_id or now.resource_id
        if step.span or step.resource_id:
            self._place(target, resource, {now.id})
        made = replace(
            now,
            start=target.start,
            end=target.end,
            resource_id=resource,
            comment=now.comment if step.comment is None else step.comment or None,
            version=str(int(now.version or "0") + 1),
            slot_ids=tuple(s.id for s in step.slots if s.id) if step.slots else now.slot_ids,
        )
        if step.new_id:
            self.book[now.id] = replace(now, status=Status.CANCELLED, native={"moved_to": self._fresh()})
            made = replace(made, id=f"n{self.made}")
        self.book[made.id] = made
        return Receipt(appointment=made)

    def _create(self, step: Create) -> Receipt:
        self._place(step.span, step.resource_id, set())
        made = Appointment(
            id=self._fresh(),
            start=step.span.start,
            end=step.span.end,
            status=Status.BOOKED,
            patient_id=step.patient_id,
            resource_id=step.resource_id,
            healthcare_service_id=step.healthcare_service_id,
            care_unit_id=step.care_unit_id,
            comment=step.comment,
            version="1",
            slot_ids=tuple(s.id for s in step.slots if s.id),
            native={"marker": step.marker},
        )
        self.book[made.id] = made
        return Receipt(appointment=made)

    def _cancel(self, step: Cancel) -> Receipt:
        now = self.book.get(step.before.id)
        if now is None:
            raise Refused("not_found")
        if now.code_to_cancel:
            return Receipt(appointment=replace(now, id=f"c-{now.id}", status=Status.AWAITING, confirms=now.id))
        comment = now.comment if step.comment is None else step.comment
        self.book[now.id] = replace(now, status=Status.CANCELLED, comment=comment, version=f"{now.version}9")
        return Receipt(appointment=self.book[now.id])

    def _confirm(self, step: Confirm) -> Receipt:
        self.book[step.before.id] = replace(self.book[step.before.id], status=Status.BOOKED, confirmed=True)
        return Receipt(appointment=self.book[step.before.id])

    def _discard(self, step: Discard) -> Receipt:
        del self.book[step.before.id]
        return Receipt()

    def _mark_slot(self, step: MarkSlot) -> Receipt:
        assert step.slot.id
        state, version = self.slot_state[step.slot.id]
        if step.slot.version is not None and step.slot.version != str(version):
            raise Refused("stale")
        assert state != step.state, "a slot is marked what it is already"
        self.slot_state[step.slot.id] = (step.state, version + 1)
        return Receipt(slot=replace(step.slot, version=str(version + 1)))

    def _fresh(self) -> str:
        self.made += 1
        return f"n{self.made}"

    def _place(self, where: Span, resource: str | None, ignored: set[str]) -> None:
        if self.can.refuses_overlap and not self._nobody(resource, where, ignored):
            raise Refused("taken")
        if self.can.free_time == "slots":
            ends = {at(a): at(b) for a, b in self.offered.get(resource or "", [])}
            moment = where.start
            while moment < where.end and moment in ends:
                moment = ends[moment]
            if moment != where.end:
                raise Refused("taken")

    # -- driving ------------------------------------------------------------------------------------------------

    def ask(self, planning: Any) -> Plan:
        """Drive the planner with this book's answers."""
        answers = None
        while True:
            try:
                batch = next(planning) if answers is None else planning.send(answers)
            except StopIteration as done:
                return done.value
            answers = self.answer(batch)

    def execute(self, plan: Plan) -> dict[str, Appointment]:
        """The plan's writes, one after the other; → the appointments by chain. Raises Refused as the book does."""
        images: dict[str, Appointment] = {}
        for stage in plan.stages:
            for step in stage:
                now = step
                if not isinstance(step, Create | MarkSlot):
                    now = replace(step, before=images.get(step.chain, step.before))
                receipt = self.write(now)
                if receipt.appointment is not None:
                    images[step.chain] = receipt.appointment
        return images

    def standing(self) -> list[Appointment]:
        return sorted(
            (a for a in self.book.values() if a.status is not Status.CANCELLED), key=lambda a: (a.start, a.id)
        )


def no_etag(appointment: Appointment) -> str:
    return f'"{appointment.id}/{appointment.version}"'
