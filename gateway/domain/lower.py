"""Wishes into stages: what an account can't do natively is said with what it can, in the safest order.

The order (contract §5): take new slots, move and create, comment, cancel, give old slots back. A cancellation comes
earlier only where the EMR would refuse a move because the time is still held; then it is the turning point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.domain.bundle import bundles
from gateway.domain.capabilities import Capabilities
from gateway.domain.model import Appointment, Slot, Span
from gateway.domain.steps import Cancel, Chained, Change, Confirm, Create, Line, MarkSlot, Plan, Step, utc_days


class Cycle(Exception):
    """Moves that wait for each other: no order of in-place writes gets there without an overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One appointment of the answer: where it stands, and what is wanted of it."""

    chain: str
    change: Chained | Literal["confirmed"]
    expected: Appointment
    before: Appointment | None = None
    code: str | None = field(default=None, repr=False)
    """To confirm with."""
    like: Appointment | None = None
    """For one to be created: the appointment that it stands beside."""
    comment: str | None = None
    """To be written; `None`: leave it."""
    new_slots: tuple[Slot, ...] = ()
    old_slots: tuple[Slot, ...] = ()
    """Slot records that only this appointment holds now, as read, to be given back if they are not needed."""

    @property
    def spans(self) -> bool:
        return self.before is not None and not self.before.span.same(self.expected.span)

    @property
    def reassigns(self) -> bool:
        return self.before is not None and self.before.resource_id != self.expected.resource_id


Held = tuple[str | None, float, float]
"""Time of a resource: its id, and the instants in POSIX seconds."""


@dataclass(frozen=True, slots=True)
class Move:
    """A write that takes time: a change or a creation, with the time that it frees by itself."""

    step: Change | Create
    takes: Held
    frees: Appointment | None = None
    text: Change | None = None
    """Its comment, where the EMR takes that by a write of its own."""


@dataclass(slots=True)
class Parts:
    """The steps of a plan by what they do, before they are put in order."""

    moves: list[Move] = field(default_factory=list)
    texts: list[tuple[Step, ...]] = field(default_factory=list)
    cancels: list[tuple[Step | None, Cancel]] = field(default_factory=list)
    confirms: list[Step] = field(default_factory=list)
    take: list[Step] = field(default_factory=list)
    give: list[Step] = field(default_factory=list)


def rebooks(wish: Wish, can: Capabilities) -> bool:
    """Must it be booked anew and cancelled, because the EMR can't move or re-assign it?"""
    return (wish.spans and can.move == "none") or (wish.reassigns and can.reassign == "none")


def lower(operation: str, wishes: Sequence[Wish], can: Capabilities) -> Plan:
    """The plan for the wishes. Raises Cycle."""
    parts = Parts()
    for wish in wishes:
        _sort_into(parts, wish, can)
    stages = _ordered(parts, can)
    plan = Plan(
        operation=operation,
        stages=stages,
        lines=_lines(wishes),
        turning_stage=next((n for n, stage in enumerate(stages) if any(irreversible(s, can) for s in stage)), None),
        resource_days=days(wishes),
        check_conflicts=_to_check(wishes, can),
    )
    return replace(plan, bundled=bundles(plan, can))


def irreversible(step: Step, can: Capabilities) -> bool:
    """Can't be undone: a cancellation, a confirmation, or a booking that the EMR gives no way to withdraw."""
    match step.kind:
        case "cancel" | "confirm":
            return True
        case "create":
            return not (can.discard or can.cancel)
        case _:
            return False


def _sort_into(parts: Parts, wish: Wish, can: Capabilities) -> None:
    match wish.change:
        case "created":
            parts.moves.append(_creation(wish, can))
        case "moved":
            parts.moves.append(_rebooking(parts, wish, can) if rebooks(wish, can) else _move(wish, can))
        case "updated":
            assert wish.before is not None
            parts.texts.append((Change(chain=wish.chain, before=wish.before, comment=wish.comment),))
        case "confirmed":
            assert wish.before is not None
            parts.confirms.append(Confirm(chain=wish.chain, before=wish.before, code=wish.code))
        case "cancelled":
            parts.cancels.append(_cancellation(wish, can))
        case "kept":
            return
    if can.slot_records and wish.change != "updated":
        _slots(parts, wish)


def _creation(wish: Wish, can: Capabilities) -> Move:
    new, comment = wish.expected, wish.expected.comment or None
    assert new.patient_id is not None
    assert new.resource_id is not None
    step = Create(
        chain=wish.chain,
        span=new.span,
        patient_id=new.patient_id,
        resource_id=new.resource_id,
        healthcare_service_id=new.healthcare_service_id,
        care_unit_id=new.care_unit_id,
        comment=comment if can.books_comment else None,
        slots=wish.new_slots,
        like=wish.like or wish.before,
    )
    takes = (new.resource_id, *new.span.key)
    if can.books_comment or comment is None:
        return Move(step, takes)
    # What it is written over is known once the booking stands: until then it has no id.
    blank = replace(new, id="", comment=None)
    return Move(step, takes, text=Change(chain=wish.chain, before=blank, comment=comment))


def _rebooking(parts: Parts, wish: Wish, can: Capabilities) -> Move:
    """Create the new one, then cancel the old one, which goes on being found under the new id."""
    assert wish.before is not None
    old = f"{wish.chain}/old"
    parts.cancels.append((None, Cancel(chain=old, before=wish.before, replaced_by=wish.chain)))
    return _creation(wish, can)


def _move(wish: Wish, can: Capabilities) -> Move:
    before, target = wish.before, wish.expected
    assert before is not None
    new_id = (wish.spans and can.move == "new_id") or (wish.reassigns and can.reassign == "new_id")
    span = target.span if wish.spans else None
    resource = target.resource_id if wish.reassigns else None
    whole = Change(
        chain=wish.chain,
        before=before,
        span=span,
        resource_id=resource,
        comment=wish.comment if can.combines else None,
        slots=wish.new_slots,
        new_id=new_id,
    )
    takes = (target.resource_id, *target.span.key)
    if can.combines or wish.comment is None:
        return Move(whole, takes, before)
    text = Change(chain=wish.chain, before=before, comment=wish.comment)
    return Move(whole, takes, before, text)


def _cancellation(wish: Wish, can: Capabilities) -> tuple[Step | None, Cancel]:
    before = wish.before
    assert before is not None
    if wish.comment is not None and can.cancel_comment == "before":
        text = Change(chain=wish.chain, before=before, comment=wish.comment)
        return text, Cancel(chain=wish.chain, before=before)
    return None, Cancel(chain=wish.chain, before=before, comment=wish.comment)


def _slots(parts: Parts, wish: Wish) -> None:
    needed = {slot.id for slot in wish.new_slots}
    held = {slot.id for slot in wish.old_slots}
    parts.take += [MarkSlot(chain=wish.chain, slot=s, state="busy") for s in wish.new_slots if s.id not in held]
    parts.give += [MarkSlot(chain=wish.chain, slot=s, state="free") for s in wish.old_slots if s.id not in needed]


# -- the order ------------------------------------------------------------------------------------------------------


def _ordered(parts: Parts, can: Capabilities) -> tuple[tuple[Step, ...], ...]:
    taken = {s.slot.id for s in parts.take if isinstance(s, MarkSlot)}
    # A slot that one appointment leaves and another takes is already busy: it changes hands without a write.
    changing_hands = taken & {s.slot.id for s in parts.give if isinstance(s, MarkSlot)}
    take = [s for s in parts.take if isinstance(s, MarkSlot) and s.slot.id not in changing_hands]
    give = [s for s in parts.give if isinstance(s, MarkSlot) and s.slot.id not in changing_hands]
    before_cancel = [text for text, _ in parts.cancels if text is not None]
    cancels = sorted((c for _, c in parts.cancels), key=lambda c: c.before.span.key)
    stages: list[Sequence[Step]] = [take]
    layers, late = _layers(parts.moves, cancels, can)
    texts = [t[0] for t in parts.texts]
    # Comments are free to be written at any time: with the first writes, so that they cost no round of their own.
    first: list[Step] = [*texts, *before_cancel]
    stages += [[*layers[0], *first], *layers[1:]] if layers and not _cancels(layers[0]) else [first, *layers]
    stages.append([m.text for m in parts.moves if m.text is not None])
    # One cancellation goes alone: if the EMR refuses that, nothing has changed yet.
    turned = any(_cancels(layer) for layer in layers)
    stages += [late] if turned else [late[:1], late[1:]]
    stages += [parts.confirms, give]
    return tuple(tuple(stage) for stage in stages if stage)


def _cancels(stage: Iterable[Step]) -> bool:
    return any(step.kind == "cancel" for step in stage)


def _layers(
    moves: Sequence[Move], cancels: Sequence[Cancel], can: Capabilities
) -> tuple[list[list[Step]], list[Cancel]]:
    """Moves in the order in which the time that they need gets free, and the cancellations that can wait."""
    if not can.refuses_overlap:
        return [[m.step for m in moves]] if moves else [], list(cancels)
    movers = [_held(m.frees) for m in moves]
    leavers = [_held(c.before) for c in cancels]
    behind = [{i for i, other in enumerate(movers) if i != n and _meet(other, m)} for n, m in enumerate(moves)]
    under = [{i for i, other in enumerate(leavers) if _meet(other, m)} for m in moves]
    waiting, gone = set(range(len(moves))), set[int]()
    layers: list[list[Step]] = []
    while waiting:
        ready = [n for n in sorted(waiting) if not behind[n] & waiting and under[n] <= gone]
        if ready:
            layers.append([moves[n].step for n in ready])
            waiting -= set(ready)
            continue
        blocking = sorted(set[int]().union(*(under[n] for n in waiting)) - gone)
        if not blocking:
            raise Cycle
        # The turning point goes alone, as in `_ordered`.
        first = [blocking] if gone else [blocking[:1], blocking[1:]]
        layers += [[cancels[i] for i in part] for part in first if part]
        gone |= set(blocking)
    return layers, [c for i, c in enumerate(cancels) if i not in gone]


def _held(appointment: Appointment | None) -> Held | None:
    return None if appointment is None else (appointment.resource_id, *appointment.span.key)


def _meet(holder: Held | None, move: Move) -> bool:
    if holder is None:
        return False
    resource, start, end = move.takes
    return holder[0] == resource and holder[1] < end and start < holder[2]


# -- the rest of the plan -------------------------------------------------------------------------------------------


def _lines(wishes: Sequence[Wish]) -> tuple[Line, ...]:
    """First the ones that stand, in order of start, then the cancelled ones."""
    ordered = sorted(wishes, key=lambda w: (w.change == "cancelled", w.expected.span.key))
    return tuple(Line(chain=w.chain, change=_told(w.change), expected=w.expected, before=w.before) for w in ordered)


def _told(change: Chained | Literal["confirmed"]) -> Chained:
    """A client is told of a confirmation as of any other update."""
    return "updated" if change == "confirmed" else change


def days(wishes: Iterable[Wish]) -> tuple[tuple[str, str], ...]:
    """The resource-days that must be the command's own, old and new, sorted: nobody needs a day to give time back."""
    touched = set()
    for wish in wishes:
        if wish.change in ("moved", "created") or wish.old_slots:
            touched |= resource_days(wish.expected.resource_id, wish.expected.span)
            if wish.before is not None:
                touched |= resource_days(wish.before.resource_id, wish.before.span)
    return tuple(sorted(touched))


def resource_days(resource_id: str | None, span: Span) -> set[tuple[str, str]]:
    return set() if resource_id is None else {(resource_id, day) for day in utc_days(span)}


def _to_check(wishes: Sequence[Wish], can: Capabilities) -> tuple[str, ...]:
    return tuple(w.chain for w in wishes if can.checks_afterwards and w.change in ("moved", "created"))
