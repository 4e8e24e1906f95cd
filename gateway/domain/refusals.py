"""What is refused before any write: each check raises the contract's own error, naming every failing id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gateway.domain.capabilities import Capabilities
from gateway.domain.commands import Command
from gateway.domain.errors import (
    BadRequest,
    Conflict,
    NotFound,
    PreconditionFailed,
    Problem,
)
from gateway.domain.model import Appointment, Entry, Kind, Slot, Span, Status
from gateway.domain.steps import Change, Create, Plan

if TYPE_CHECKING:
    from gateway.domain.availability import Offer
    from gateway.domain.lower import Wish
    from gateway.domain.read import Read

INVALID_STATUS = "INVALID_APPOINTMENT_STATUS"
NO_TIMESLOTS = ("NO_TIMESLOTS_AVAILABLE", "There is no free time slot for this range and resource.")


def not_supported(details: str, path: str | None) -> BadRequest:
    return BadRequest(problems=[Problem("NOT_SUPPORTED", details, path)])


def no_timeslots(path: str | None) -> Problem:
    return Problem(*NO_TIMESLOTS, path)


def unknown_care_unit(known: Mapping[Kind, Entry | None]) -> None:
    if Kind.CARE_UNIT in known and known[Kind.CARE_UNIT] is None:
        raise NotFound(problems=[Problem("INVALID_CARE_UNIT_ID", "There is no such care unit.", "care_unit_id")])


def unknown_resource(command: Command, known: Mapping[Kind, Entry | None]) -> None:
    if Kind.RESOURCE in known and not _belongs(known[Kind.RESOURCE], command):
        raise BadRequest(problems=[Problem("INVALID_RESOURCE_ID", "There is no such resource.", "body/resource_id")])


PARTIES = (
    (Kind.PATIENT, "INVALID_PATIENT_ID", "patient"),
    (Kind.RESOURCE, "INVALID_RESOURCE_ID", "resource"),
    (Kind.SERVICE, "INVALID_HEALTHCARE_SERVICE_ID", "healthcare service"),
)


def unknown_party(command: Command, known: Mapping[Kind, Entry | None]) -> None:
    """Of a booking: the patient, the resource and the service must exist."""
    problems = [
        Problem(code, f"There is no such {word}.", f"body/{word.replace(' ', '_')}_id")
        for kind, code, word in PARTIES
        if kind in known and not _belongs(known[kind], command)
    ]
    if problems:
        raise BadRequest(problems=problems)


def _belongs(entry: Entry | None, command: Command) -> bool:
    """It exists, and not in another care unit than the path's."""
    if entry is None:
        return False
    return command.care_unit_id is None or entry.care_unit_id in (None, command.care_unit_id)


def stale(command: Command, appointments: Sequence[Appointment], etag: Callable[[Appointment], str]) -> None:
    """RFC 9110 §13.1.1: `*` is any; else one of the given tags must be the current one."""
    if command.if_match is None or "*" in command.if_match:
        return
    if etag(appointments[0]) not in command.if_match:
        raise PreconditionFailed("The appointment is not the one that If-Match names.")


def comment(text: str | None, can: Capabilities, *, writes: bool) -> None:
    if text is None:
        return
    if writes and not can.comment:
        raise not_supported("This EMR has no comment that could be written.", "body/comment")
    if can.comment_max is not None and len(text) > can.comment_max:
        details = f"The comment is longer than this EMR's {can.comment_max} characters."
        raise BadRequest(problems=[Problem("INVALID_COMMENT_LENGTH", details, "body/comment")])


def unsayable(span: Span | None, can: Capabilities) -> None:
    """An EMR that speaks local time without an offset can't be told a time that its clock shows twice."""
    problems = [] if span is None else [Problem("BAD_INPUT", why, f"body/{end}") for end, why in _twice(span, can)]
    if problems:
        raise BadRequest(problems=problems)


def unwritable(made: Plan, can: Capabilities) -> None:
    """Whatever times the plan has come to, the EMR must have words for them."""
    spans = ((s.chain, s.span) for _, s in made.steps() if isinstance(s, Change | Create) and s.span is not None)
    paths = {line.chain: line.path for line in made.lines}
    problems = [
        Problem("BAD_INPUT", why, paths.get(chain) or f"body/{end}")
        for chain, span in spans
        for end, why in (*_twice(span, can), *_between(span, can))
    ]
    if problems:
        raise BadRequest(problems=problems)


def _twice(span: Span, can: Capabilities) -> Iterator[tuple[str, str]]:
    if can.local_zone is None:
        return
    zone = ZoneInfo(can.local_zone)
    for end, instant in (("start", span.start), ("end", span.end)):
        if len({instant.astimezone(zone).replace(fold=fold).utcoffset() for fold in (0, 1)}) > 1:
            yield end, "This EMR can't tell the repeated hour of a clock change from the first."


def _between(span: Span, can: Capabilities) -> Iterator[tuple[str, str]]:
    start, end = span.key
    if can.start_unit_s and start % can.start_unit_s:
        yield "start", f"This EMR can be told a start in whole multiples of {can.start_unit_s} s only."
    if can.length_unit_s and (end - start) % can.length_unit_s:
        yield "end", f"This EMR can be told a length in whole multiples of {can.length_unit_s} s only."


def not_standing(read: Read, number: int, wish: Wish, can: Capabilities) -> None:
    """Only a booked appointment can be moved; a comment can be written unless it is cancelled."""
    appointment = read.found[number]
    if wish.change == "moved" and not movable(appointment, can):
        read.fail(number, Conflict, INVALID_STATUS, "Only a booked appointment can be moved.")
    gone = appointment.status is Status.CANCELLED or appointment.confirms is not None
    if wish.change == "updated" and gone:
        read.fail(number, Conflict, INVALID_STATUS, "The comment of a cancelled appointment can't be changed.")


def movable(appointment: Appointment, can: Capabilities) -> bool:
    if appointment.confirms is not None:
        return False
    return appointment.status is Status.BOOKED or (can.moves_awaiting and appointment.status is Status.AWAITING)


def moves(wishes: Sequence[Wish], can: Capabilities) -> None:
    """The EMR must be able to move, natively or by booking anew and cancelling without a code."""
    moving = [wish for wish in wishes if wish.change == "moved"]
    if moving:
        unguarded(can)
    for wish in moving:
        if wish.spans and can.move == "none":
            _rebooked(wish, can, "body/start")
        elif wish.reassigns and can.reassign == "none":
            _rebooked(wish, can, "body/resource_id")


def _rebooked(wish: Wish, can: Capabilities, path: str) -> None:
    if not (can.create and can.cancel):
        raise not_supported("This EMR can't move appointments.", path)
    if wish.before is not None and wish.before.code_to_cancel:
        raise not_supported(
            "This EMR moves an appointment only by cancelling it, which asks the patient for a code.",
            None,
        )
    nameless(wish)


def nameless(wish: Wish) -> None:
    """What is to be created must be somebody's, with somebody."""
    if wish.expected.patient_id is None or wish.expected.resource_id is None:
        raise not_supported("An appointment without a patient or a resource can't be booked anew.", None)


def unguarded(can: Capabilities) -> None:
    if not can.guards_time:
        raise not_supported("This EMR neither tells what is free or taken nor refuses a time that is taken.", None)


def not_cancellable(read: Read) -> None:
    for number, appointment in read.found.items():
        open_ = appointment.status in (Status.BOOKED, Status.AWAITING) and appointment.confirms is None
        if not open_ and appointment.status is not Status.CANCELLED:
            details = "Only an appointment that is booked or awaits its confirmation can be cancelled."
            read.fail(number, Conflict, INVALID_STATUS, details)


def not_booked(read: Read) -> None:
    for number, appointment in read.found.items():
        if appointment.status is not Status.BOOKED or appointment.confirms is not None:
            read.fail(number, Conflict, INVALID_STATUS, "Only booked appointments can be rescheduled.")


def held_slots(before: Appointment | None, where: Offer | None) -> tuple[Slot, ...]:
    """The slot records that the appointment alone holds, as read."""
    if before is None or where is None:
        return ()
    return tuple(s for s in where.slots if s.id is not None and s.id in before.slot_ids)
