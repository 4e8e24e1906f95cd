"""Ways to lie: honest accounts with something bent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from gateway.domain.capabilities import Capabilities
from gateway.domain.model import Appointment, FreeTime, Slot, Span, Status
from gateway.domain.questions import ReadCalendar
from gateway.domain.steps import Cancel, Create, Discard, Receipt
from gateway.port import Emr, EmrError, MaybeDone, NotSent, Reason, Refused
from gateway.testing.faults import SECRET

Lie = Callable[[Emr], None]
WINTER = timezone(timedelta(hours=1))
STOCKHOLM = ZoneInfo("Europe/Stockholm")


def bend(emr: Emr, method: str, how: Callable[..., Any]) -> None:
    """`how(honest, ...)` takes the place of the method."""
    honest = getattr(emr, method)

    async def bent(*asked: Any) -> Any:
        return await how(honest, *asked)

    setattr(emr, method, bent)


def of_steps(method: str, twist: Callable[[Any], Any]) -> Lie:
    """Asks the EMR for another step than it was asked for."""

    async def how(honest: Any, step: Any) -> Receipt:
        return await honest(twist(step))

    return lambda emr: bend(emr, method, how)


def of_appointments(twist: Callable[[Appointment], Appointment]) -> Lie:
    """Tells everything about appointments otherwise, in answers and when it is asked."""

    async def one(honest: Any, *asked: Any) -> Any:
        found = await honest(*asked)
        return None if found is None else twist(found)

    async def many(honest: Any, *asked: Any) -> Any:
        found = await honest(*asked)
        if isinstance(found, dict):
            return {id: None if a is None else twist(a) for id, a in found.items()}
        return [twist(a) for a in found]

    async def receipt(honest: Any, step: Any) -> Receipt:
        got = await honest(step)
        return got if got.appointment is None else replace(got, appointment=twist(got.appointment))

    def bends(emr: Emr) -> None:
        for method in ("appointment", "find_own"):
            bend(emr, method, one)
        for method in ("appointments", "calendar"):
            bend(emr, method, many)
        for method in ("change", "create", "cancel", "confirm"):
            bend(emr, method, receipt)

    return bends


def of_receipts(method: str, twist: Callable[[Appointment], Appointment]) -> Lie:
    async def how(honest: Any, step: Any) -> Receipt:
        got = await honest(step)
        return replace(got, appointment=twist(got.appointment))

    return lambda emr: bend(emr, method, how)


def of_reasons(method: str, twist: Callable[[EmrError], Exception]) -> Lie:
    async def how(honest: Any, *asked: Any) -> Any:
        try:
            return await honest(*asked)
        except EmrError as error:
            raise twist(error) from None

    return lambda emr: bend(emr, method, how)


def answering(method: str, answer: Callable[..., Any]) -> Lie:
    """Answers at once, without asking the EMR."""

    async def how(_: Any, *asked: Any) -> Any:
        return answer(*asked)

    return lambda emr: bend(emr, method, how)


def swallowing(method: str, answer: Any) -> Lie:
    """Takes every error for an answer."""

    async def how(honest: Any, *asked: Any) -> Any:
        try:
            return await honest(*asked)
        except EmrError:
            return answer

    return lambda emr: bend(emr, method, how)


def both(*lies: Lie) -> Lie:
    def bends(emr: Emr) -> None:
        for lie in lies:
            lie(emr)

    return bends


def versionless(step: Any) -> Any:
    return replace(step, before=replace(step.before, version=None))


def naive(a: Appointment) -> Appointment:
    return replace(a, start=a.start.replace(tzinfo=None), end=a.end.replace(tzinfo=None))


def in_winter(a: Appointment) -> Appointment:
    return replace(a, start=a.start.astimezone(WINTER), end=a.end.astimezone(WINTER))


def by_the_wall(step: Any) -> Any:
    """Whatever clock was meant, it says the same digits."""
    if step.span is None:
        return step
    start, end = (t.replace(tzinfo=STOCKHOLM) for t in (step.span.start, step.span.end))
    return replace(step, span=replace(step.span, start=start, end=end))


def claiming(**more: Any) -> Lie:
    """Claims what it can't keep."""

    def bends(emr: Emr) -> None:
        emr.capabilities = replace(emr.capabilities, **more)

    return bends


def instead(method: str, how: Callable[..., Any]) -> Lie:
    return lambda emr: bend(emr, method, how)


def refusing(reason: Reason, instead_of: Reason) -> Callable[[EmrError], EmrError]:
    return lambda e: Refused(reason) if isinstance(e, Refused) and e.reason == instead_of else e


def listing(keep: Callable[[Appointment, ReadCalendar], bool]) -> Lie:
    async def how(honest: Any, wanted: ReadCalendar) -> Any:
        return [a for a in await honest(wanted) if keep(a, wanted)]

    return instead("calendar", how)


def asking(method: str, twist: Callable[[Any], Any]) -> Lie:
    """Asks the EMR something else than it was asked."""

    async def how(honest: Any, wanted: Any) -> Any:
        return await honest(twist(wanted))

    return instead(method, how)


def offering(twist: Callable[[FreeTime, Any], FreeTime]) -> Lie:
    async def how(honest: Any, wanted: Any) -> FreeTime:
        return twist(await honest(wanted), wanted)

    return instead("free_time", how)


async def twice(honest: Any, step: Any) -> Receipt:
    await honest(versionless(step))
    return await honest(versionless(step))


async def pretended(honest: Any, step: Any) -> Receipt:
    """Tells of a cancellation, and only notes it."""
    await honest.__self__._http.write("PATCH", f"/bookings/{step.before.id}", lambda _: None, json={"memo": "later"})
    return Receipt(appointment=replace(step.before, status=Status.CANCELLED))


async def stays_in_the_book(honest: Any, step: Discard) -> Receipt:
    return await honest.__self__.cancel(Cancel(chain=step.chain, before=step.before))


async def inventing(honest: Any, id: str) -> Appointment:
    now = datetime(2027, 3, 15, 9, tzinfo=STOCKHOLM)
    return await honest(id) or Appointment(id, now, now + timedelta(hours=1), Status.BOOKED)


async def without_the_unknown(honest: Any, ids: Any) -> Any:
    return {id: a for id, a in (await honest(ids)).items() if a is not None}


async def the_newest(honest: Any, step: Any) -> Appointment | None:
    listed = await honest.__self__.calendar(wider(ReadCalendar(step.span)))
    return max(listed, key=lambda a: a.id, default=None)


async def the_same(honest: Any, step: Any) -> Appointment | None:
    return await honest(step) if isinstance(step, Create) else await honest.__self__.appointment(step.before.id)


async def ignoring_nobody(honest: Any, appointment: Any, *_: Any) -> bool:
    return bool(await honest(appointment))


async def guessing(honest: Any, step: Any) -> Receipt:
    """Puts off by an hour what it can't say."""
    try:
        return await honest(step)
    except Refused as no:
        if no.reason != "invalid":
            raise
        return Receipt()


async def confirms_no_second_time(honest: Any, step: Any) -> Receipt:
    if step.before.status is not Status.AWAITING:
        raise Refused("not_found")
    return await honest(step)


async def cancels_what_needs_no_code(honest: Any, step: Any) -> Receipt:
    if step.before.status is Status.BOOKED:
        return await honest.__self__.cancel(Cancel(chain="x", before=step.before))
    return await honest(step)


async def moves_no_awaiting(honest: Any, step: Any) -> Receipt:
    if step.before.status is Status.AWAITING:
        raise Refused("state")
    return await honest(step)


async def adding_slot_records(honest: Any) -> Capabilities:
    return replace(await honest(), slot_records=True)


async def step_by_step(honest: Any, steps: Any) -> Any:
    """Several writes instead of one, and those before a refused one stay."""
    emr = honest.__self__
    return [await getattr(emr, step.kind)(step) for step in steps]


async def left_standing(honest: Any, steps: Any) -> Any:
    """Refuses the whole of it, and carries out what can be."""
    try:
        return await honest(steps)
    except Refused:
        for step in steps:
            with suppress(Refused):
                await honest([step])
        raise


async def without_the_last(honest: Any, steps: Any) -> Any:
    receipts = await honest(steps[:-1])
    return [*receipts, receipts[-1]]


async def as_many_as_asked(honest: Any, steps: Any) -> Any:
    return await honest(steps[: honest.__self__.capabilities.bundle_max])


async def booking_all_the_same(honest: Any, steps: Any) -> Any:
    try:
        return await honest(steps)
    except Refused:
        await honest([step for step in steps if isinstance(step, Create)])
        raise


def wider(wanted: ReadCalendar) -> ReadCalendar:
    hour = timedelta(hours=1)
    return replace(wanted, span=Span(wanted.span.start - hour, wanted.span.end + hour))


def everything(free: FreeTime, wanted: Any) -> FreeTime:
    """Offers each half hour of the day, whoever holds it."""
    day, half = datetime(2027, 3, 15, 9, tzinfo=STOCKHOLM), timedelta(minutes=30)
    slots = (Slot(day + n * half, day + (n + 1) * half, wanted.resource_id) for n in range(6))
    return replace(free, slots=tuple(s for s in slots if wanted.span.contains(s.span)))


def own_and_everybodys(free: FreeTime, wanted: Any) -> FreeTime:
    own = (Slot(a.start, a.end, a.resource_id) for a in wanted.ignoring if a.resource_id == wanted.resource_id)
    return replace(free, slots=(*free.slots, *own))


def fewer(free: FreeTime, _: Any) -> FreeTime:
    return replace(free, slots=free.slots[1:])


def shorter(step: Any) -> Any:
    return replace(step, span=Span(step.span.start, step.span.start + timedelta(minutes=30)))


def quoting(error: EmrError) -> EmrError:
    return MaybeDone(f"the vendor said: {SECRET}") if isinstance(error, MaybeDone) else error


def naming(error: EmrError) -> EmrError:
    return MaybeDone("no answer about D1") if isinstance(error, MaybeDone) else error


def promising(error: EmrError) -> EmrError:
    return NotSent() if isinstance(error, MaybeDone) else error
