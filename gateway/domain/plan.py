"""The planner: a generator that asks in batches and returns a Plan, or raises what must be refused before any write.

Pure: a test drives it with canned answers. Rounds: read, check (only where time is taken), and then the plan's writes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.domain import refusals
from gateway.domain.availability import Offer, holds_time, offer
from gateway.domain.capabilities import Capabilities
from gateway.domain.commands import Book, Command, Confirm, Reschedule, Update
from gateway.domain.commands import Cancel as CancelIntent
from gateway.domain.compare import placed, same_text
from gateway.domain.errors import BadRequest, Conflict, GatewayError, Problem, first_failing
from gateway.domain.lower import Wish, lower, resource_days
from gateway.domain.model import Appointment, Entry, FreeTime, Kind, Slot, Span, Status
from gateway.domain.questions import (
    Claim,
    FindFreeTime,
    LookUp,
    Planning,
    Question,
    ReadAppointments,
    ReadCalendar,
)
from gateway.domain.reschedule import reschedule
from gateway.domain.steps import Confirm as ConfirmStep
from gateway.domain.steps import Plan

Etag = Callable[[Appointment], str]


def plan(command: Command, can: Capabilities, etag: Etag) -> Planning:
    """The cheapest safe way to carry the command out. Raises GatewayError (and nothing else) to refuse it."""
    intent = command.intent
    if isinstance(intent, Book):
        return (yield from _book(command, intent, can))
    ids = (intent.id,) if isinstance(intent, Confirm) else intent.ids
    resource_id = intent.resource_id if isinstance(intent, Update | Reschedule) else None
    read = yield from _read(command, ids, resource_id, can, etag)
    match intent:
        case Update():
            made = yield from _update(command, intent, read, can)
        case Reschedule():
            made = yield from reschedule(command, intent, read, can)
        case CancelIntent():
            made = yield from _cancel(command, intent, read, can)
        case Confirm():
            made = _confirm(command, intent, read[0], can)
    return made if command.single else _named(made, read)


def _named(made: Plan, read: Sequence[Appointment]) -> Plan:
    """The plan with each line's place in the request's ids."""
    paths = {appointment.id: f"ids/{number}" for number, appointment in enumerate(read)}
    return replace(made, lines=tuple(replace(line, path=paths.get(line.chain)) for line in made.lines))


# -- reading --------------------------------------------------------------------------------------------------------


def _read(
    command: Command, ids: tuple[str, ...], resource_id: str | None, can: Capabilities, etag: Etag
) -> Generator[tuple[Question, ...], tuple[Any, ...], list[Appointment]]:
    """The appointments, in the order of the ids: all there, all different, on the client's condition."""
    yield (Claim(appointments=ids),)
    wanted = [(Kind.RESOURCE, resource_id), (Kind.CARE_UNIT, command.care_unit_id)]
    asked = [LookUp(kind, id) for kind, id in wanted if id is not None and kind in can.directories]
    found, *entries = yield (ReadAppointments(ids), *asked)
    known: dict[Kind, Entry | None] = {question.kind: entry for question, entry in zip(asked, entries, strict=True)}
    refusals.unknown_care_unit(known)
    appointments = refusals.missing(command, ids, found)
    refusals.stale(command, appointments, etag)
    refusals.unknown_resource(command, known)
    return appointments


# -- update ---------------------------------------------------------------------------------------------------------


def _update(command: Command, intent: Update, read: Sequence[Appointment], can: Capabilities) -> Planning:
    refusals.comment(intent.comment, can, writes=True)
    refusals.unsayable(intent.span, can)
    wishes = [_wish(appointment, intent, can) for appointment in read]
    refusals.standing(command, read, [w.change for w in wishes], can)
    refusals.moves(wishes, can)
    moving = [w for w in wishes if w.change == "moved"]
    if moving:
        wishes = yield from _fitted(command, wishes, read, can)
    return lower(command.operation, wishes, can)


def _wish(before: Appointment, intent: Update, can: Capabilities) -> Wish:
    """What the intent asks of this appointment, compared with what it is."""
    span = before.span if intent.span is None else intent.span
    resource = before.resource_id if intent.resource_id is None else intent.resource_id
    text = intent.comment if intent.comment is not None and not same_text(intent.comment, before.comment, can) else None
    moved = not span.same(before.span) or resource != before.resource_id
    target = placed(before, span, resource) if moved else before
    return Wish(
        chain=before.id,
        change="moved" if moved else "updated" if text is not None else "kept",
        expected=target if text is None else replace(target, comment=text),
        before=before,
        comment=text,
    )


def _fitted(
    command: Command, wishes: Sequence[Wish], read: Sequence[Appointment], can: Capabilities
) -> Generator[tuple[Question, ...], tuple[Any, ...], list[Wish]]:
    """The wishes with the slots that they will hold. Raises NO_TIMESLOTS_AVAILABLE naming each that does not fit."""
    moving = [w for w in wishes if w.change == "moved"]
    held = set[tuple[str, str]]()
    for w in moving:
        held |= resource_days(w.expected.resource_id, w.expected.span)
        held |= resource_days(w.expected.resource_id if w.before is None else w.before.resource_id, _old_span(w))
    yield (Claim(resource_days=tuple(sorted(held))),)
    offers = yield from offers_for(moving, read, can)
    errors: list[tuple[type[GatewayError], Problem]] = []
    fitted: list[Wish] = []
    for number, wish in enumerate(wishes):
        slots = _fit(wish, wishes, offers, can) if wish.change == "moved" else ()
        if slots is None:
            errors.append((BadRequest, refusals.no_timeslots(None if command.single else f"ids/{number}")))
        else:
            fitted.append(replace(wish, new_slots=slots, old_slots=_old_slots(wish, offers)))
    if errors:
        raise first_failing(errors)
    return fitted


def _old_span(wish: Wish) -> Span:
    return wish.expected.span if wish.before is None else wish.before.span


def _fit(wish: Wish, wishes: Sequence[Wish], offers: Mapping[str, Offer], can: Capabilities) -> tuple[Slot, ...] | None:
    target = wish.expected
    for other in wishes:
        rival = other.expected
        same_place = other is not wish and rival.resource_id == target.resource_id and holds_time(rival)
        if same_place and rival.span.overlaps(target.span):
            return None  # Two of the ids at one time on one resource: neither may have it.
    if can.slot_check != "emr" or can.free_time == "none":
        return ()
    return offers[wish.chain].cover(target.span)


def _old_slots(wish: Wish, offers: Mapping[str, Offer]) -> tuple[Slot, ...]:
    return refusals.held_slots(wish.before, offers.get(f"{wish.chain}/old"))


def offers_for(
    wishes: Sequence[Wish], own: Sequence[Appointment], can: Capabilities
) -> Generator[tuple[Question, ...], tuple[Any, ...], dict[str, Offer]]:
    """Free time for each wish's target, asked in one batch with one question per stretch of days; and, where slots are
    records, for where each stands now (`{chain}/old`), so that its slots can be given back over their versions."""
    places = {w.chain: w.expected for w in wishes} if can.slot_check == "emr" and can.free_time != "none" else {}
    if can.slot_records:
        places |= {f"{w.chain}/old": w.before for w in wishes if w.before is not None}
    groups = _merged(places)
    free = [FindFreeTime(span, *where, ignoring=tuple(own)) for where, span, _ in groups]
    calendars = (
        [ReadCalendar(span, resource_id=where[0]) for where, span, _ in groups] if _ask_calendar(own, can) else []
    )
    if not free:
        return {}
    answers = yield (*free, *calendars)
    offers: dict[str, Offer] = {}
    for n, (where, _, chains) in enumerate(groups):
        found: FreeTime = answers[n]
        others: Sequence[Appointment] = answers[len(groups) + n] if calendars else ()
        for chain in chains:
            offers[chain] = offer(found, own, others, where[0], can)
    return offers


def _ask_calendar(own: Sequence[Appointment], can: Capabilities) -> bool:
    """Own time counts as free unless somebody else is there too: ask who is, where the EMR does not tell itself."""
    return bool(own) and can.lists and not can.own_time_shown


Where = tuple[str | None, str | None, str | None]


def _merged(places: Mapping[str, Appointment]) -> list[tuple[Where, Span, list[str]]]:
    """Places by resource, service and care unit, with neighbours less than a day apart in one stretch."""
    groups: list[tuple[Where, Span, list[str]]] = []
    by_start = sorted(places.items(), key=lambda item: (str(_where(item[1])), item[1].span.key, item[0]))
    for chain, place in by_start:
        where = _where(place)
        if groups and groups[-1][0] == where and place.span.key[0] - groups[-1][1].key[1] < 86_400:
            last = groups[-1][1]
            end = place.end if place.span.key[1] > last.key[1] else last.end
            groups[-1] = (where, Span(last.start, end), [*groups[-1][2], chain])
        else:
            groups.append((where, place.span, [chain]))
    return groups


def _where(place: Appointment) -> Where:
    return (place.resource_id, place.healthcare_service_id, place.care_unit_id)


# -- cancel, confirm, book ------------------------------------------------------------------------------------------


def _cancel(command: Command, intent: CancelIntent, read: Sequence[Appointment], can: Capabilities) -> Planning:
    if not can.cancel:
        raise refusals.not_supported("This EMR can't cancel appointments.", "body/status")
    refusals.comment(intent.comment, can, writes=can.cancel_comment == "before")
    if intent.comment is not None and can.cancel_comment == "none":
        raise refusals.not_supported("This EMR takes no comment with a cancellation.", "body/comment")
    refusals.cancellable(command, read)
    standing = [a for a in read if a.status is not Status.CANCELLED]
    wishes = [_cancellation(a, intent.comment) for a in read]
    if can.slot_records and standing:
        held = {pair for a in standing for pair in resource_days(a.resource_id, a.span)}
        yield (Claim(resource_days=tuple(sorted(held))),)
        offers = yield from offers_for([w for w in wishes if w.change == "cancelled"], read, can)
        wishes = [replace(w, old_slots=_old_slots(w, offers)) for w in wishes]
    return lower(command.operation, wishes, can)


def _cancellation(before: Appointment, comment: str | None) -> Wish:
    if before.status is Status.CANCELLED:
        return Wish(chain=before.id, change="kept", expected=before, before=before)
    target = replace(before, status=Status.CANCELLED, comment=before.comment if comment is None else comment)
    return Wish(chain=before.id, change="cancelled", expected=target, before=before, comment=comment)


def _confirm(command: Command, intent: Confirm, before: Appointment, can: Capabilities) -> Plan:
    if can.confirm == "none":
        raise refusals.not_supported("This EMR has nothing to confirm.", "body/confirmation")
    if _confirmed(before):
        return lower(command.operation, [Wish(chain=before.id, change="kept", expected=before, before=before)], can)
    waiting = before.status is Status.AWAITING or (
        can.confirm == "flag" and before.status is Status.BOOKED and before.confirmed is False
    )
    if not waiting:
        problem = Problem("INVALID_APPOINTMENT_STATUS", "There is nothing to confirm.", "appointment_id")
        raise Conflict(problems=[problem])
    if can.confirm == "code" and intent.code is None:
        raise BadRequest(
            problems=[Problem("MISSING_REQUIRED_FIELD", "This EMR asks for a code.", "body/confirmation/code")]
        )
    step = ConfirmStep(chain=before.id, before=before, code=intent.code)
    after = Status.CANCELLED if before.confirms is not None else Status.BOOKED
    wish = Wish(chain=before.id, change="updated", expected=replace(before, status=after), before=before)
    made = lower(command.operation, [replace(wish, change="kept")], can)
    return replace(made, stages=((step,),), turning_stage=0, lines=(replace(made.lines[0], change="updated"),))


def _confirmed(before: Appointment) -> bool:
    if before.confirms is not None:
        return before.status is Status.CANCELLED
    return before.status is Status.BOOKED and before.confirmed is True


def _book(command: Command, intent: Book, can: Capabilities) -> Planning:
    if not can.create:
        raise refusals.not_supported("This EMR can't book appointments.", None)
    refusals.comment(intent.comment, can, writes=True)
    refusals.unsayable(intent.span, can)
    asked = [
        LookUp(kind, id)
        for kind, id in (
            (Kind.CARE_UNIT, command.care_unit_id),
            (Kind.PATIENT, intent.patient_id),
            (Kind.RESOURCE, intent.resource_id),
            (Kind.SERVICE, intent.healthcare_service_id),
        )
        if id is not None and kind in can.directories
    ]
    entries = (yield tuple(asked)) if asked else ()
    known: dict[Kind, Entry | None] = {q.kind: entry for q, entry in zip(asked, entries, strict=True)}
    refusals.unknown_care_unit(known)
    refusals.unknown_party(command, known)
    resource = known.get(Kind.RESOURCE)
    target = Appointment(
        id="",
        start=intent.span.start,
        end=intent.span.end,
        status=Status.BOOKED,
        patient_id=intent.patient_id,
        resource_id=intent.resource_id,
        healthcare_service_id=intent.healthcare_service_id,
        care_unit_id=command.care_unit_id or (resource.care_unit_id if resource else None),
        comment=intent.comment or None,
    )
    wish = Wish(chain="new/0", change="created", expected=target)
    yield (Claim(resource_days=tuple(sorted(resource_days(intent.resource_id, intent.span)))),)
    offers = yield from offers_for([wish], (), can)
    slots = _fit(wish, [wish], offers, can)
    if slots is None:
        raise BadRequest(problems=[refusals.no_timeslots(None)])
    return lower(command.operation, [replace(wish, new_slots=slots)], can)
