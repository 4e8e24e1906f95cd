"""Continuous reschedule: fit the appointments to a new range (contract §5.3)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.domain import refusals
from gateway.domain.availability import Offer, offer, without
from gateway.domain.capabilities import Capabilities
from gateway.domain.commands import Command, Reschedule
from gateway.domain.compare import placed, same_text
from gateway.domain.errors import BadRequest, Problem
from gateway.domain.lower import Cycle, Wish, lower, resource_days
from gateway.domain.model import Appointment, FreeTime, Slot, Span, Status
from gateway.domain.questions import Claim, FindFreeTime, Planning, Question, ReadCalendar
from gateway.domain.read import Read
from gateway.domain.steps import Plan
from gateway.domain.tiling import Ambiguous, Fit, NoTiling, Standing, TooMany, fit_slots, fit_windows

SHARED = ("patient_id", "resource_id", "healthcare_service_id", "care_unit_id")


def reschedule(command: Command, intent: Reschedule, read: Read, can: Capabilities) -> Planning:
    refusals.comment(intent.comment, can, writes=True)
    refusals.unsayable(intent.span, can)
    refusals.not_booked(read)
    read.refuse()
    _all_alike(read.appointments)
    own = sorted(read.appointments, key=lambda a: a.span.key)
    resource_id = intent.resource_id or own[0].resource_id
    _can_place(can)
    held = resource_days(resource_id, intent.span)
    for appointment in own:
        held |= resource_days(appointment.resource_id, appointment.span)
    yield (Claim(resource_days=tuple(sorted(held))),)
    free, others = yield from _ask(intent.span, resource_id, own, can)
    return _best(command, intent, own, resource_id, free, others, can)


def _all_alike(read: Sequence[Appointment]) -> None:
    first = read[0]
    problems = [
        Problem("MIXED_APPOINTMENTS", f"Its {name} is not that of ids/0.", f"ids/{number}")
        for number, appointment in enumerate(read)
        for name in SHARED
        if getattr(appointment, name) != getattr(first, name)
    ]
    if problems:
        raise BadRequest("The appointments differ in what they must share.", problems)


def _can_place(can: Capabilities) -> None:
    if can.free_time == "none":
        raise refusals.not_supported(
            "This EMR does not tell its free time, which a range is filled with.", "body/start"
        )


def _ask(
    span: Span, resource_id: str | None, own: Sequence[Appointment], can: Capabilities
) -> Generator[tuple[Question, ...], tuple[Any, ...], tuple[list[FreeTime], Sequence[Appointment]]]:
    """Free time of the range, and, where slots are records, of where the appointments stand now."""
    like = own[0]
    wanted = [span]
    if can.slot_records:
        wanted.append(Span(own[0].start, max((a.end for a in own), key=lambda end: end.timestamp())))
    resources = (resource_id, like.resource_id)
    free = [
        FindFreeTime(s, r, like.healthcare_service_id, like.care_unit_id, tuple(own))
        for s, r in zip(wanted, resources, strict=False)
    ]
    calendars = [ReadCalendar(span, resource_id=resource_id)] if can.lists and not can.own_time_shown else []
    answers = yield (*free, *calendars)
    return list(answers[: len(free)]), answers[len(free)] if calendars else ()


def _best(
    command: Command,
    intent: Reschedule,
    own: Sequence[Appointment],
    resource_id: str | None,
    free: Sequence[FreeTime],
    others: Sequence[Appointment],
    can: Capabilities,
) -> Plan:
    """The best fit that can really be written: a surplus that only a code can cancel keeps its time until then."""
    blocked: list[Appointment] = []
    while True:
        standing = [a for a in own if a not in blocked]
        left = without(free[0], [b.span for b in blocked])
        available = offer(left, standing, [*others, *blocked], resource_id, can)
        fit = _fit(command, intent, own, resource_id, available, can)
        wishes = _wishes(intent, own, resource_id, fit, available, free, can)
        stuck = _stuck(wishes, resource_id)
        if not stuck:
            return _ordered(command, wishes, can)
        blocked += [a for a in stuck if a not in blocked]


def _stuck(wishes: Sequence[Wish], resource_id: str | None) -> list[Appointment]:
    """Surplus appointments that go on holding time which the plan gives to another."""
    waiting = [w.before for w in wishes if w.change == "cancelled" and w.before and w.before.code_to_cancel]
    taken = [w.expected for w in wishes if w.change in ("moved", "created")]
    return [a for a in waiting if a.resource_id == resource_id and any(t.span.overlaps(a.span) for t in taken)]


def _fit(
    command: Command,
    intent: Reschedule,
    own: Sequence[Appointment],
    resource_id: str | None,
    available: Offer,
    can: Capabilities,
) -> Fit:
    start, end = _seconds(intent.span)
    pieces = available.pieces() if (start, end) == intent.span.key else []
    standings = [Standing(*_seconds(a.span), a.resource_id == resource_id, _dirty(intent.comment, a, can)) for a in own]
    try:
        if available.shape == "windows":
            return fit_windows(start, end, pieces, standings, max_tiles=command.max_items)
        runs = can.slots_per_appointment == "many"
        return fit_slots(start, end, pieces, standings, runs=runs, max_tiles=command.max_items)
    except NoTiling:
        raise BadRequest(problems=[refusals.no_timeslots("body/start")]) from None
    except Ambiguous:
        details = "The appointments differ in length, and no order of them fills the range."
        raise BadRequest(problems=[Problem("AMBIGUOUS_TIMESLOTS", details, "body/start")]) from None
    except TooMany:
        details = f"More than {command.max_items} appointments would result."
        raise BadRequest(problems=[Problem("MAX_ITEMS_EXCEEDED", details, "body/end")]) from None


def _dirty(comment: str | None, appointment: Appointment, can: Capabilities) -> bool:
    return comment is not None and not same_text(comment, appointment.comment, can)


def _seconds(span: Span) -> tuple[int, int]:
    return (round(span.start.timestamp()), round(span.end.timestamp()))


def _wishes(
    intent: Reschedule,
    own: Sequence[Appointment],
    resource_id: str | None,
    fit: Fit,
    available: Offer,
    free: Sequence[FreeTime],
    can: Capabilities,
) -> list[Wish]:
    wishes = []
    for number, (tile, owner) in enumerate(zip(fit.tiles, fit.owner, strict=True)):
        span = Span(*(datetime.fromtimestamp(t, UTC) for t in tile))
        # The tiling chose the tile from these very slots, so they do cover it; open time has none to hold.
        slots = available.cover(span) or ()
        if owner is None:
            wishes.append(_created(f"new/{number}", own[0], span, resource_id, intent.comment, slots))
        else:
            wishes.append(_reused(own[owner], span, resource_id, intent.comment, slots, can))
    wishes += [_surplus(own[n], intent.comment) for n in fit.surplus]
    if not can.slot_records:
        return wishes
    known = {s.id: s for found in free for s in found.slots if s.id is not None}
    return [replace(w, old_slots=_own_slots(w, known)) for w in wishes]


def _own_slots(wish: Wish, known: dict[str, Slot]) -> tuple[Slot, ...]:
    if wish.before is None or (wish.change == "cancelled" and wish.before.code_to_cancel):
        return ()  # Until its code comes, a surplus keeps its time.
    return tuple(known[id] for id in wish.before.slot_ids if id in known)


def _created(
    chain: str,
    like: Appointment,
    span: Span,
    resource_id: str | None,
    comment: str | None,
    slots: tuple[Slot, ...],
) -> Wish:
    blank = replace(like, id="", comment=comment or None, version=None, confirmed=None, slot_ids=(), native={})
    expected = placed(blank, span, resource_id)
    return Wish(chain=chain, change="created", expected=expected, like=like, comment=comment, new_slots=slots)


def _reused(
    before: Appointment,
    span: Span,
    resource_id: str | None,
    comment: str | None,
    slots: tuple[Slot, ...],
    can: Capabilities,
) -> Wish:
    text = comment if _dirty(comment, before, can) else None
    moved = not span.same(before.span) or resource_id != before.resource_id
    expected = placed(before, span, resource_id) if moved else before
    return Wish(
        chain=before.id,
        change="moved" if moved else "updated" if text is not None else "kept",
        expected=expected if text is None else replace(expected, comment=text),
        before=before,
        comment=text,
        new_slots=slots if moved else (),
    )


def _surplus(before: Appointment, comment: str | None) -> Wish:
    text = before.comment if comment is None else comment
    expected = replace(before, status=Status.CANCELLED, comment=text)
    return Wish(chain=before.id, change="cancelled", expected=expected, before=before, comment=comment)


def _ordered(command: Command, wishes: Sequence[Wish], can: Capabilities) -> Plan:
    _check_abilities(wishes, can)
    try:
        return lower(command.operation, wishes, can)
    except Cycle:
        # Only a preference for tiles of the same length lets two moves wait for each other; in order they never do.
        return lower(command.operation, _in_order(wishes), can)


def _check_abilities(wishes: Sequence[Wish], can: Capabilities) -> None:
    refusals.moves(wishes, can)
    created, cancelled = ([w for w in wishes if w.change == change] for change in ("created", "cancelled"))
    if created and not can.create:
        raise refusals.not_supported("The range needs more appointments, and this EMR can't book any.", "body/end")
    if cancelled and not can.cancel:
        raise refusals.not_supported("The range needs fewer appointments, and this EMR can't cancel any.", "body/end")
    if can.cancel_comment == "none" and any(w.comment is not None for w in cancelled):
        raise refusals.not_supported("This EMR takes no comment with a cancellation.", "body/comment")
    for wish in created:
        refusals.nameless(wish)


def _in_order(wishes: Sequence[Wish]) -> list[Wish]:
    """The same moves, with the appointments in chronological order on the tiles in chronological order."""
    moved = [w for w in wishes if w.change == "moved" and w.before is not None]
    owners = sorted(moved, key=lambda w: w.before.span.key if w.before else (0.0, 0.0))
    tiles = sorted(moved, key=lambda w: w.expected.span.key)
    paired = [
        replace(o, expected=replace(o.expected, start=t.expected.start, end=t.expected.end), new_slots=t.new_slots)
        for o, t in zip(owners, tiles, strict=True)
    ]
    return [*(w for w in wishes if w.change != "moved"), *paired]
