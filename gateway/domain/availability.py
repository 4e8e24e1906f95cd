"""Is a range available? Free time, own time, and what of it tiles a range (contract §4, *Available*)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.domain.capabilities import Capabilities
from gateway.domain.model import Appointment, FreeTime, Slot, Span, Status
from gateway.domain.questions import FindFreeTime


class Offer:
    """Where one resource can take an appointment: its free time, with the command's own time counted as free."""

    def __init__(self, shape: str, slots: tuple[Slot, ...], *, many: bool) -> None:
        self.shape, self.slots, self._many = shape, slots, many
        self._from: dict[float, list[tuple[float, Slot]]] = {}
        """The slots by the instant at which they begin, with that at which they end; the instants are told once."""
        for slot in slots:
            begins, ends = slot.start.timestamp(), slot.end.timestamp()
            if begins < ends:
                self._from.setdefault(begins, []).append((ends, slot))

    def pieces(self) -> list[tuple[int, int]]:
        """The stretches on offer, in whole POSIX seconds."""
        return sorted({(round(begins), round(ends)) for begins, found in self._from.items() for ends, _ in found})

    def cover(self, span: Span) -> tuple[Slot, ...] | None:
        """The slots that an appointment over `span` would hold; `()` in open time; `None` where it does not fit."""
        start, end = span.key
        if self.shape == "windows":
            return () if within_windows(span, self.slots) else None
        if not self._many:
            return next(((slot,) for ends, slot in self._from.get(start, ()) if ends == end), None)
        return self._chain(start, end)

    def _chain(self, start: float, end: float) -> tuple[Slot, ...] | None:
        """The shortest run of slots, each beginning where the last ended."""
        came: dict[float, tuple[float, Slot]] = {}
        """How each moment was reached first: from which moment, over which slot."""
        edge = [start]
        while edge and end not in came:
            further = []
            for moment in edge:
                for ends, slot in self._from.get(moment, ()):
                    if ends <= end and ends not in came:
                        came[ends] = (moment, slot)
                        further.append(ends)
            edge = further
        if end not in came:
            return None
        run, at = list[Slot](), end
        while at != start:
            at, slot = came[at]
            run.append(slot)
        return tuple(reversed(run))


def within_windows(span: Span, windows: Iterable[Slot]) -> bool:
    """Windows that touch or overlap are one."""
    start, end = span.key
    reached = start
    for window in sorted(windows, key=lambda w: w.span.key):
        if window.span.key[0] > reached:
            break
        reached = max(reached, window.span.key[1])
        if reached >= end:
            return True
    return False


def offer(
    free: FreeTime,
    own: Sequence[Appointment],
    others: Sequence[Appointment],
    resource_id: str | None,
    can: Capabilities,
) -> Offer:
    """Add the command's own time on the resource, unless somebody else's appointment lies there too.

    `others` are the resource's appointments; the own ones among them are told apart by their ids.
    """
    many = can.slots_per_appointment == "many"
    if can.own_time_shown:
        return Offer(free.shape, free.slots, many=many)
    mine = [a for a in own if a.resource_id == resource_id and holds_time(a)]
    own_ids = {a.id for a in own}
    strangers = [o.span for o in others if o.id not in own_ids and holds_time(o) and o.confirms is None]
    given = tuple(
        Slot(a.start, a.end, resource_id) for a in mine if not any(stranger.overlaps(a.span) for stranger in strangers)
    )
    return Offer(free.shape, (*free.slots, *given), many=many)


def bookable(wanted: FindFreeTime, free: Iterable[Slot], standing: Iterable[Appointment]) -> FreeTime:
    """The free slots on which nobody stands, and those that only the ignored appointments hold.

    For an EMR whose slots are records that go when they are booked, one for each appointment: `own_time_shown`. A free
    record may lie under an appointment, where the staff can book beside it; one for another service or care unit than
    the appointment's is no part of its time. Of equal slots everybody is offered the first, so that two can't take one
    each, and an appointment's own before any other.
    """
    records, ignored = list(free), {a.id for a in wanted.ignoring}
    held = [(a.id in ignored, _held(a)) for a in standing if holds_time(a) and a.confirms is None]
    taken = _Taken(slot for own, slot in held if not own)
    offered = [slot for slot in records if _suits(slot, _purpose(wanted)) and not taken.meets(slot)]
    free_too = {of: _Taken(s for s in records if _purpose(s) == of) for of in {_purpose(s) for s in records}}

    def is_alone(slot: Slot) -> bool:
        return not any(_suits(slot, purpose) and there.meets(slot) for purpose, there in free_too.items())

    mine = [slot for own, slot in held if own and not taken.meets(slot) and is_alone(slot)]
    within = [slot for slot in (*mine, *offered) if wanted.span.contains(slot.span)]
    first = {(slot.resource_id, *slot.span.key): slot for slot in reversed(within)}
    return FreeTime("slots", tuple(sorted(first.values(), key=lambda slot: (slot.span.key, slot.resource_id or ""))))


def open_time(
    wanted: FindFreeTime, worked: Iterable[Span], standing: Iterable[Appointment], blocked: Sequence[Span] = ()
) -> FreeTime:
    """The hours that are worked, less what stands there and what is blocked: `own_time_shown`.

    For an EMR that tells all of these and no free time. The ignored appointments' own time is open out of hours and
    where it is blocked, too, unless somebody else stands there.
    """
    place = (wanted.resource_id, wanted.healthcare_service_id, wanted.care_unit_id)
    ignored = {a.id for a in wanted.own}
    others = [a.span for a in standing if a.id not in ignored and holds_time(a)]
    mine = [Slot(a.start, a.end, *place) for a in wanted.own]
    hours = FreeTime("windows", tuple(Slot(span.start, span.end, *place) for span in worked))
    free = without(FreeTime("windows", (*without(hours, blocked).slots, *mine)), others)
    return FreeTime("windows", tuple(slot for slot in free.slots if slot.span.overlaps(wanted.span)))


def _held(a: Appointment) -> Slot:
    id = a.slot_ids[0] if a.slot_ids else None
    return Slot(a.start, a.end, a.resource_id, a.healthcare_service_id, a.care_unit_id, id=id)


Purpose = tuple[str | None, str | None]
"""A healthcare service and a care unit; `None`: all of them."""


def _purpose(of: Slot | FindFreeTime) -> Purpose:
    return (of.healthcare_service_id, of.care_unit_id)


def _suits(slot: Slot, purpose: Purpose) -> bool:
    pairs = zip(_purpose(slot), purpose, strict=True)
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


class _Taken:
    """Time of resources."""

    def __init__(self, slots: Iterable[Slot]) -> None:
        self._stretches: dict[str | None, tuple[list[float], list[float]]] = {}
        """Where they begin, and where they end; those that touch are one."""
        for slot in sorted(slots, key=lambda s: s.span.key):
            starts, ends = self._stretches.setdefault(slot.resource_id, ([], []))
            start, end = slot.span.key
            if ends and start <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)

    def meets(self, slot: Slot) -> bool:
        starts, ends = self._stretches.get(slot.resource_id, ([], []))
        start, end = slot.span.key
        before = bisect_left(starts, end)
        return before > 0 and start < ends[before - 1]


def holds_time(appointment: Appointment) -> bool:
    """A cancelled appointment holds none; a no-show's time is over; whatever else stands, holds its time."""
    return appointment.status is not Status.CANCELLED


def within(free: FreeTime, span: Span) -> FreeTime:
    """Slots that lie within the span whole; open windows as far as they do, each in its own zone."""
    if free.shape == "slots":
        return replace(free, slots=tuple(slot for slot in free.slots if span.contains(slot.span)))
    cut = (_within(slot, span) for slot in free.slots)
    return replace(free, slots=tuple(slot for slot in cut if slot.span.key[0] < slot.span.key[1]))


def _within(slot: Slot, span: Span) -> Slot:
    start = max(slot.start, span.start.astimezone(slot.start.tzinfo), key=datetime.timestamp)
    end = min(slot.end, span.end.astimezone(slot.end.tzinfo), key=datetime.timestamp)
    return replace(slot, start=start, end=end)


def without(free: FreeTime, blocked: Sequence[Span]) -> FreeTime:
    """Free time less what is blocked: slots that touch a blocked span are gone, windows are cut."""
    if not blocked:
        return free
    kept: list[Slot] = []
    for slot in free.slots:
        pieces = [slot]
        for span in blocked:
            pieces = [part for piece in pieces for part in _cut(piece, span, free.shape)]
        kept.extend(pieces)
    return FreeTime(free.shape, tuple(kept))


def _cut(slot: Slot, span: Span, shape: str) -> list[Slot]:
    if not slot.span.overlaps(span):
        return [slot]
    if shape == "slots":
        return []
    parts = []
    if slot.span.key[0] < span.key[0]:
        parts.append(replace(slot, end=span.start))
    if span.key[1] < slot.span.key[1]:
        parts.append(replace(slot, start=span.end))
    return parts
