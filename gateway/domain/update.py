"""Update of one or many, each for itself: other times, another resource, another comment (contract §4, §5.2)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from gateway.domain import refusals
from gateway.domain.availability import Offer, holds_time
from gateway.domain.capabilities import Capabilities
from gateway.domain.commands import Command, Update
from gateway.domain.compare import placed, same_text
from gateway.domain.errors import BadRequest
from gateway.domain.lower import Wish, lower, resource_days
from gateway.domain.model import Appointment, Slot
from gateway.domain.offers import offers_for
from gateway.domain.questions import Claim, Planning, Question
from gateway.domain.read import Read


def update(command: Command, intent: Update, read: Read, can: Capabilities) -> Planning:
    refusals.comment(intent.comment, can, writes=True)
    refusals.unsayable(intent.span, can)
    wishes = {number: _wish(appointment, intent, can) for number, appointment in read.found.items()}
    for number, wish in wishes.items():
        refusals.not_standing(read, number, wish, can)
    refusals.moves([wish for number, wish in wishes.items() if not read.failed(number)], can)
    if any(wish.change == "moved" for number, wish in wishes.items() if not read.failed(number)):
        wishes = yield from _fitted(wishes, read, can)
    read.refuse()
    return lower(command.operation, list(wishes.values()), can)


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
    wishes: Mapping[int, Wish], read: Read, can: Capabilities
) -> Generator[tuple[Question, ...], tuple[Any, ...], dict[int, Wish]]:
    """The wishes with the slots that they will hold; each that does not fit fails."""
    fine = {number: wish for number, wish in wishes.items() if not read.failed(number)}
    moving = [wish for wish in fine.values() if wish.change == "moved"]
    held = set[tuple[str, str]]()
    for wish in moving:
        held |= resource_days(wish.expected.resource_id, wish.expected.span)
        if wish.before is not None:
            held |= resource_days(wish.before.resource_id, wish.before.span)
    yield (Claim(resource_days=tuple(sorted(held))),)
    offers = yield from offers_for(moving, read.appointments, can)
    fitted = dict(wishes)
    for number, wish in fine.items():
        slots = _fit(wish, fine, offers, can)
        if slots is None:
            read.fail(number, BadRequest, *refusals.NO_TIMESLOTS)
        else:
            old = refusals.held_slots(wish.before, offers.get(f"{wish.chain}/old"))
            fitted[number] = replace(wish, new_slots=slots, old_slots=old)
    return fitted


def _rivalled(wish: Wish, wishes: Mapping[int, Wish]) -> bool:
    """Does another of the ids want, or keep, its time on its resource? Where neither moves, that is nobody's matter."""
    target = wish.expected
    return any(
        other.expected.resource_id == target.resource_id
        and other.expected.span.overlaps(target.span)
        and "moved" in (other.change, wish.change)
        and holds_time(other.expected)
        and holds_time(target)
        for other in wishes.values()
        if other is not wish
    )


def _fit(
    wish: Wish, wishes: Mapping[int, Wish], offers: Mapping[str, Offer], can: Capabilities
) -> tuple[Slot, ...] | None:
    if _rivalled(wish, wishes):
        return None
    if wish.change != "moved" or can.slot_check != "emr" or can.free_time == "none":
        return ()
    return offers[wish.chain].cover(wish.expected.span)
