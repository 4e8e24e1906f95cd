"""The planner: a generator that asks in batches and returns a Plan, or raises what must be refused before any write.

Pure: a test drives it with canned answers. Rounds: read, check (only where time is taken), and then the plan's writes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

from gateway.domain import refusals
from gateway.domain.capabilities import Capabilities
from gateway.domain.commands import Book, Command, Confirm, Reschedule, Update
from gateway.domain.commands import Cancel as CancelIntent
from gateway.domain.errors import BadRequest, Conflict, Problem
from gateway.domain.lower import Wish, lower, resource_days
from gateway.domain.model import Appointment, Entry, Kind, Status
from gateway.domain.offers import offers_for
from gateway.domain.questions import (
    Claim,
    LookUp,
    Planning,
    Question,
    ReadAppointments,
)
from gateway.domain.read import Read
from gateway.domain.reschedule import reschedule
from gateway.domain.update import update

Etag = Callable[[Appointment], str]


def plan(command: Command, can: Capabilities, etag: Etag) -> Planning:
    """The cheapest safe way to carry the command out. Raises GatewayError (and nothing else) to refuse it."""
    made = yield from _planned(command, can, etag)
    refusals.unwritable(made, can)
    return made


def _planned(command: Command, can: Capabilities, etag: Etag) -> Planning:
    intent = command.intent
    if isinstance(intent, Book):
        return (yield from _book(command, intent, can))
    ids = (intent.id,) if isinstance(intent, Confirm) else intent.ids
    resource_id = intent.resource_id if isinstance(intent, Update | Reschedule) else None
    read = yield from _read(command, ids, resource_id, can, etag)
    match intent:
        case Update():
            made = yield from update(command, intent, read, can)
        case Reschedule():
            made = yield from reschedule(command, intent, read, can)
        case CancelIntent():
            made = yield from _cancel(command, intent, read, can)
        case Confirm():
            made = yield from _confirm(command, intent, read.found[0], can)
    if command.single:
        return made
    return replace(made, lines=tuple(replace(line, path=read.paths.get(line.chain)) for line in made.lines))


# -- reading --------------------------------------------------------------------------------------------------------


def _read(
    command: Command, ids: tuple[str, ...], resource_id: str | None, can: Capabilities, etag: Etag
) -> Generator[tuple[Question, ...], tuple[Any, ...], Read]:
    """The appointments, on the client's condition. One that stands in the path must be there."""
    yield (Claim(appointments=ids),)
    wanted = [(Kind.RESOURCE, resource_id), (Kind.CARE_UNIT, command.care_unit_id)]
    asked = [LookUp(kind, id) for kind, id in wanted if id is not None and kind in can.directories]
    found, *entries = yield (ReadAppointments(ids), *asked)
    known: dict[Kind, Entry | None] = {question.kind: entry for question, entry in zip(asked, entries, strict=True)}
    refusals.unknown_care_unit(known)
    read = Read(command, ids, found)
    if command.single:
        read.refuse()
        refusals.stale(command, read.appointments, etag)
    refusals.unknown_resource(command, known)
    return read


# -- cancel, confirm, book ------------------------------------------------------------------------------------------


def _cancel(command: Command, intent: CancelIntent, read: Read, can: Capabilities) -> Planning:
    if not can.cancel:
        raise refusals.not_supported("This EMR can't cancel appointments.", "body/status")
    refusals.comment(intent.comment, can, writes=can.cancel_comment == "before")
    if intent.comment is not None and can.cancel_comment == "none":
        raise refusals.not_supported("This EMR takes no comment with a cancellation.", "body/comment")
    refusals.not_cancellable(read)
    read.refuse()
    wishes = [_cancellation(a, intent.comment) for a in read.appointments]
    # Until its code comes, an appointment keeps its time.
    freed = [w for w in wishes if w.change == "cancelled" and w.before and not w.before.code_to_cancel]
    if can.slot_records and freed:
        wishes = yield from _with_slots(wishes, freed, read.appointments, can)
    return lower(command.operation, wishes, can)


def _with_slots(
    wishes: Sequence[Wish], freed: Sequence[Wish], own: Sequence[Appointment], can: Capabilities
) -> Generator[tuple[Question, ...], tuple[Any, ...], list[Wish]]:
    """The wishes with the slot records that are to be given back, as they are now."""
    held = {pair for w in freed for pair in resource_days(w.expected.resource_id, w.expected.span)}
    yield (Claim(resource_days=tuple(sorted(held))),)
    offers = yield from offers_for(freed, own, can)
    return [replace(w, old_slots=refusals.held_slots(w.before, offers.get(f"{w.chain}/old"))) for w in wishes]


def _cancellation(before: Appointment, comment: str | None) -> Wish:
    if before.status is Status.CANCELLED:
        return Wish(chain=before.id, change="kept", expected=before, before=before)
    target = replace(before, status=Status.CANCELLED, comment=before.comment if comment is None else comment)
    return Wish(chain=before.id, change="cancelled", expected=target, before=before, comment=comment)


def _confirm(command: Command, intent: Confirm, before: Appointment, can: Capabilities) -> Planning:
    if can.confirm == "none":
        raise refusals.not_supported("This EMR has nothing to confirm.", "body/confirmation")
    wish = Wish(chain=before.id, change="kept", expected=before, before=before)
    if _confirmed(before):
        return lower(command.operation, [wish], can)
    waiting = before.status is Status.AWAITING or (
        can.confirm == "flag" and before.status is Status.BOOKED and before.confirmed is False
    )
    if not waiting:
        problem = Problem("INVALID_APPOINTMENT_STATUS", "There is nothing to confirm.", "appointment_id")
        raise Conflict(problems=[problem])
    if can.confirm == "code" and intent.code is None:
        problem = Problem("MISSING_REQUIRED_FIELD", "This EMR asks for a code.", "body/confirmation/code")
        raise BadRequest(problems=[problem])
    after = Status.CANCELLED if before.confirms is not None else Status.BOOKED
    wish = replace(wish, expected=replace(before, status=after), code=intent.code, change="confirmed")
    if before.confirms is not None:
        # The request is an id of its own; what its code cancels is another one, which others may be writing to.
        yield (Claim(appointments=(before.confirms,)),)
    if can.slot_records and before.confirms is not None:
        original = replace(before, id=before.confirms)
        (wish,) = yield from _with_slots([wish], [wish], (original,), can)
    return lower(command.operation, [wish], can)


def _confirmed(before: Appointment) -> bool:
    if before.confirms is not None:
        return before.status is Status.CANCELLED
    return before.status is Status.BOOKED and before.confirmed is True


def _book(command: Command, intent: Book, can: Capabilities) -> Planning:
    if not can.create:
        raise refusals.not_supported("This EMR can't book appointments.", None)
    refusals.unguarded(can)
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
    slots = offers[wish.chain].cover(intent.span) if offers else ()
    if slots is None:
        raise BadRequest(problems=[refusals.no_timeslots(None)])
    # The resource's free time is told in its care unit's zone, and so is what will stand there.
    zone = next((s.start.tzinfo for found in offers.values() for s in found.slots), intent.span.start.tzinfo)
    start, end = intent.span.start.astimezone(zone), intent.span.end.astimezone(zone)
    unit = target.care_unit_id or next((s.care_unit_id for s in slots if s.care_unit_id is not None), None)
    expected = replace(target, start=start, end=end, care_unit_id=unit)
    return lower(command.operation, [replace(wish, expected=expected, new_slots=slots)], can)
