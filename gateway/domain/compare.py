"""When are two appointments, texts or times the same? Under what the plugin declares equal, and nothing more."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gateway.domain.capabilities import Capabilities
from gateway.domain.model import Appointment, Span, Status
from gateway.domain.steps import Cancel, Change, Confirm, Create, Receipt, Step


def same_text(one: str | None, other: str | None, can: Capabilities) -> bool:
    """Equal as far as the EMR can tell; no comment and an empty one are the same."""
    left, right = one or "", other or ""
    if can.joins_lines:
        return left.split() == right.split()
    return left.strip() == right.strip() if can.trims_comment else left == right


def same_time(one: datetime, other: datetime, can: Capabilities) -> bool:
    """The same instant, or the same one after the EMR's rounding."""
    apart = abs(one.timestamp() - other.timestamp())
    return apart < can.grid_s if can.grid_s else apart == 0


def same_span(one: Span, other: Span, can: Capabilities) -> bool:
    return same_time(one.start, other.start, can) and same_time(one.end, other.end, can)


def placed(appointment: Appointment, span: Span, resource_id: str | None) -> Appointment:
    """The appointment elsewhere, its ends told in its own zone."""
    zone = appointment.start.tzinfo
    return replace(
        appointment, start=span.start.astimezone(zone), end=span.end.astimezone(zone), resource_id=resource_id
    )


def untouched(now: Appointment, left: Appointment, can: Capabilities) -> bool:
    """Is it still as it was left? Compared by what a client or the staff can see, not by the EMR's version:
    a version may grow without anybody having changed anything."""
    return (
        same_span(now.span, left.span, can)
        and now.resource_id == left.resource_id
        and now.status == left.status
        and same_text(now.comment, left.comment, can)
    )


def deviations(step: Step, now: Appointment, can: Capabilities) -> tuple[str, ...]:
    """The names of the fields that the step wrote and that hold something else."""
    match step:
        case Change():
            return _changed(step, now, can)
        case Create():
            wanted = {
                "start": same_span(step.span, now.span, can),
                "resource_id": now.resource_id == step.resource_id,
                "patient_id": now.patient_id == step.patient_id,
                "healthcare_service_id": step.healthcare_service_id in (None, now.healthcare_service_id),
                "comment": same_text(step.comment, now.comment, can),
                "status": now.status in (Status.BOOKED, Status.AWAITING),
            }
            return tuple(name for name, fine in wanted.items() if not fine)
        case Cancel():
            # A booking that waits for its own code says nothing about its cancellation; a request names what it is for.
            if now.status is Status.AWAITING and (now.confirms or step.before.status is not Status.AWAITING):
                return ()
            fine = step.comment is None or same_text(step.comment, now.comment, can)
            return () if fine and now.status is Status.CANCELLED else ("comment" if not fine else "status",)
        case Confirm():
            if step.before.confirms is not None:
                return () if now.status is Status.CANCELLED else ("status",)
            # Some EMRs book first and ask the patient afterwards: then only the flag tells.
            return () if now.status is Status.BOOKED and now.confirmed is not False else ("status",)
        case _:
            return ()


def _changed(step: Change, now: Appointment, can: Capabilities) -> tuple[str, ...]:
    fine = {
        "start": step.span is None or same_span(step.span, now.span, can),
        "resource_id": step.resource_id is None or now.resource_id == step.resource_id,
        "comment": step.comment is None or same_text(step.comment, now.comment, can),
        "status": now.status is not Status.CANCELLED,
    }
    return tuple(name for name, is_fine in fine.items() if not is_fine)


def as_left(now: Appointment, made: Appointment | None) -> Appointment:
    """What our write made of it, where the answer told and somebody else has written since.

    What was pending when it was answered with gets another version when it is written.
    """
    return now if made is None or made.pending or made.version == now.version else made


def proven(receipt: Receipt, now: Appointment, can: Capabilities) -> Appointment | None:
    """The appointment as our write certainly left it, by what its answer told. `None`: that it is `now` otherwise than
    was asked for may be the EMR's doing, or that of somebody who came in between."""
    made = receipt.appointment
    named = receipt.version if made is None else made.version
    if named is not None and named == now.version:
        return now
    if made is None or made.id != now.id:
        return None
    told_apart = named is not None and now.version is not None
    return made if told_apart or untouched(now, made, can) else None


def as_before(step: Step, now: Appointment) -> bool:
    """None of the fields that the step sets has changed."""
    match step:
        case Change():
            return (
                (step.span is None or now.span.same(step.before.span))
                and (step.resource_id is None or now.resource_id == step.before.resource_id)
                and (step.comment is None or (now.comment or "") == (step.before.comment or ""))
                and now.status == step.before.status
            )
        case Cancel() | Confirm():
            return now.status == step.before.status or now.status is Status.AWAITING
        case _:
            return False
