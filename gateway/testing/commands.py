"""Commands on an account that breaks at one of their requests, or from it on, and what must hold when all is well.

Only a client's errors may come out of a command. Afterwards all is as before, or as it should be, or it is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from zlib import crc32

from gateway import clock
from gateway.domain.commands import Book, Cancel, Confirm, Intent, Reschedule, Update
from gateway.domain.errors import GatewayError
from gateway.domain.model import Appointment, Span
from gateway.execute.run import End
from gateway.ledger import State
from gateway.testing.cases.failing import NEVER
from gateway.testing.claims import moves, reassigns
from gateway.testing.desk import Desk
from gateway.testing.faults import FAULTS, Fault, Faulty, without_waiting
from gateway.testing.matrix import Opens, Tally
from gateway.testing.practice import Practice

REPAIRS = 6
HONEST = ("PARTIALLY_APPLIED", "OUTCOME_UNKNOWN")
"""What may be told of a command that a person has to look after."""

# -- what is commanded ------------------------------------------------------------------------------------------------

Ids = tuple[str, ...]
Makes = Callable[[Practice, Ids, str | None], Intent]
SINGLES: dict[str, Makes] = {
    "comment": lambda _, ids, text: Update(ids, comment=text),
    "move": lambda at, ids, _: Update(ids, span=at.openings[-1]),
    "another resource": lambda at, ids, _: Update(ids, resource_id=at.resource(1)),
    "everything": lambda at, ids, text: Update(ids, at.openings[-1], at.resource(1), text),
    "one more": lambda at, ids, text: Reschedule(ids, Span(at.openings[0].start, at.openings[1].end), comment=text),
    "cancel": lambda at, ids, text: Cancel(ids, _with_it(at, text)),
}
COUPLES: dict[str, Makes] = {
    "two to another resource": lambda at, ids, text: Update(ids, resource_id=at.resource(1), comment=text),
    "one less": lambda at, ids, text: Reschedule(ids, at.openings[-1], comment=text),
    "cancel both": lambda at, ids, text: Cancel(ids, _with_it(at, text)),
}


def _with_it(at: Practice, text: str | None) -> str | None:
    return None if at.can.cancel_comment == "none" else text


def commands(at: Practice) -> list[str]:
    """Those that the account can carry out."""
    can = at.can
    able = {
        "comment": can.comment,
        "move": moves(can),
        "another resource": reassigns(can),
        "everything": moves(can) and reassigns(can),
        "two to another resource": reassigns(can),
        "one more": can.create and can.free_time != "none",
        "one less": can.cancel and moves(can) and can.free_time != "none",
        "cancel": can.cancel,
        "cancel both": can.cancel,
        "cancel by code": can.cancel_code,
        "confirm": can.confirm != "none",
        "book": can.create,
    }
    return [name for name, can_do in able.items() if can_do]


async def scene(at: Practice, name: str) -> tuple[Intent, tuple[Appointment, ...]]:
    """The command, once what it is about has been booked."""
    text = "told by the matrix" if at.can.comment else None
    if name == "book":
        who, what = at.world.patient_id, at.world.healthcare_service_id
        return Book(at.openings[0], who, at.resource(0), what, text), ()
    if name in ("confirm", "cancel by code"):
        waiting = await at.unconfirmed()
        code = at.codes().right if at.can.confirm == "code" else None
        return Confirm(waiting.id, code) if name == "confirm" else Cancel((waiting.id,)), (waiting,)
    makes = SINGLES.get(name) or COUPLES[name]
    about = [await at.book(n) for n in range(1 + (name in COUPLES))]
    return makes(at, tuple(a.id for a in about), text), tuple(about)


# -- one cell ---------------------------------------------------------------------------------------------------------


class Pace:
    """Time passes when somebody waits; `really`: as much of it as an EMR needs that writes a little later."""

    def __init__(self, really: float) -> None:
        self.seconds, self._really = 0.0, really

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(self._really)

    def monotonic(self) -> float:
        return self.seconds


Seen = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Stand:
    """How things stand: everybody's appointments on the day, and those that the command is about."""

    day: tuple[Seen, ...]
    about: tuple[Seen, ...]


class Trial:
    def __init__(self, at: Practice, faulty: Faulty) -> None:
        self.at, self.faulty = at, faulty
        pace = Pace(0.01 if at.can.settles_within_s else 0.0)
        self.desk = Desk(at.world.open_over(faulty), sleep=pace.sleep, monotonic=pace.monotonic)

    async def run(self, intent: Intent) -> End:
        """To its end, once nothing is broken any more."""
        with without_waiting():
            try:
                run, end = await self.desk.attempt(intent)
            except GatewayError as error:
                return End(State.REFUSED, error)
            self.faulty.mend()
            for _ in range(REPAIRS):
                if end.state is State.REPAIRING:
                    end = await run.resume()
        return end

    async def stand(self, about: Iterable[Appointment]) -> Stand:
        day = [_seen(a) for on in (0, 1) for a in await self.at.standing(on)]
        ids = [await self.desk.current(a.id) for a in about]
        found = await self.at.emr.appointments(ids)
        return Stand(tuple(sorted(day, key=str)), tuple(_seen(found[id]) for id in ids))


def _seen(a: Appointment | None) -> Seen:
    """All of it but its id and version."""
    if a is None:
        return ()
    return (*a.span.key, a.resource_id, a.patient_id, a.status, a.confirmed, (a.comment or "").strip())


def judge(end: End, before: Stand, after: Stand, wanted: Stand) -> None:
    """Does it hold what it says? Raises AssertionError."""
    match end.state:
        case State.DONE:
            assert end.error is None, f"it is done, and says {end.error}"
            assert after == wanted, f"it is done, and there is {after} instead of {wanted}"
        case State.REFUSED | State.UNDONE:
            assert end.error is not None, f"it ended {end.state}, and says nothing"
            assert after == before, f"it ended {end.state} ({end.error}), and there is {after} instead of {before}"
        case State.NEEDS_ATTENTION:
            assert end.error is not None, "it needs attention, and does not say why"
            assert end.error.code in HONEST, f"it needs attention, and says {end.error.code}"
            changed = sum(old != new for old, new in zip(before.about, after.about, strict=True))
            assert len(end.error.problems) >= max(changed, 1), f"of {changed} that changed it names less: {end.error}"
        case _:
            raise AssertionError(f"it ended {end.state}: {end.error}")


# -- all of them ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """A command, broken at the n-th of its requests."""

    name: str
    fault: Fault
    n: int
    wanted: Stand

    def __str__(self) -> str:
        return f"{self.name}, {self.fault.name} at {self.n}"

    async def run(self, opens: Opens, tally: Tally, times: int | None) -> None:
        async with opens() as world:
            tally.about(world)
            at = Practice(world)
            trial = Trial(at, Faulty(world.transport, fault=self.fault, at=self.n, times=times))
            try:
                intent, about = await scene(at, self.name)
                before = await trial.stand(about)
                end = await trial.run(intent)
                judge(end, before, await trial.stand(about), self.wanted)
                await at.agree()
            except Exception as wrong:  # noqa: BLE001  that nothing else comes out is what is tried
                tally.note("breach", f"{self}: {type(wrong).__name__}: {wrong}")
            else:
                tally.note(end.state)


async def cells(opens: Opens, faults: Iterable[Fault] = FAULTS) -> list[Cell]:
    """Every command that the account can carry out × every request that it makes × every fault, well mixed."""
    found, listed = [], list(faults)
    async with opens() as world:
        names = commands(Practice(world))
    for name in names:
        requests, wanted = await _undisturbed(opens, name)
        found += [Cell(name, fault, n, wanted) for n in range(1, requests + 1) for fault in listed]
    return sorted(found, key=lambda cell: crc32(str(cell).encode()))


async def _undisturbed(opens: Opens, name: str) -> tuple[int, Stand]:
    """How many requests it takes, and what it leads to."""
    async with opens() as world:
        at = Practice(world)
        trial = Trial(at, Faulty(world.transport, fault=FAULTS[0], at=NEVER))
        intent, about = await scene(at, name)
        end = await trial.run(intent)
        assert end.state is State.DONE, f"undisturbed, {name} ended {end.state}: {end.error}"
        await at.agree()
        return trial.faulty.requests, await trial.stand(about)


async def of_commands(opens: Opens, tried: Iterable[Cell], *, times: int | None = 1, seconds: float = 1e9) -> Tally:
    """Each broken `times` one after the other, or (`None`) until repair begins; no more begun after so many seconds."""
    tally, deadline = Tally(), clock.monotonic() + seconds
    for cell in tried:
        if clock.monotonic() < deadline:
            await cell.run(opens, tally, times)
        else:
            tally.left += 1
    return tally
