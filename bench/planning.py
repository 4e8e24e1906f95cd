"""How long a continuous reschedule takes to plan, questions and answers included: `python -m bench.planning [rounds]`.

10,000 offered slots and 100 appointments; medians, since machines are shared and noisy.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.domain.capabilities import Capabilities
from gateway.domain.commands import Command, Reschedule
from gateway.domain.model import Appointment, FreeTime, Kind, Slot, Span, Status
from gateway.domain.plan import plan
from gateway.domain.questions import FindFreeTime, ReadAppointments
from gateway.domain.steps import Plan

ZONE = ZoneInfo("Europe/Stockholm")
START = datetime(2030, 3, 4, 0, 0, tzinfo=UTC).astimezone(ZONE)
CAN = Capabilities(
    directories=frozenset[Kind](),
    free_time="slots",
    own_time_shown=True,
    move="in_place",
    reassign="in_place",
    create=True,
    cancel=True,
    comment=True,
)


def at(minutes: float) -> datetime:
    return (START.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(ZONE)


def slots(pieces: list[tuple[float, float]]) -> tuple[Slot, ...]:
    return tuple(Slot(at(a), at(b), "r") for a, b in pieces)


def appointments(count: int, minutes: list[int]) -> list[Appointment]:
    """Standing far from where they go, one after the other."""
    made, begins = [], 60_000
    for n in range(count):
        ends = begins + minutes[n % len(minutes)]
        made.append(Appointment(f"a{n}", at(begins), at(ends), Status.BOOKED, "p", "r", "s", "u"))
        begins = ends
    return made


def planned(free: tuple[Slot, ...], own: list[Appointment], span: Span) -> Plan:
    by_id = {a.id: a for a in own}

    def answer(question: Any) -> Any:
        match question:
            case ReadAppointments():
                return by_id
            case FindFreeTime():
                return FreeTime("slots", free)
            case _:
                return None

    command = Command(Reschedule(tuple(by_id), span), single=False)
    planning = plan(command, CAN, lambda a: a.id)
    batch = next(planning)
    while True:
        try:
            batch = planning.send(tuple(answer(q) for q in batch))
        except StopIteration as done:
            made: Plan = done.value
            return made


def cases() -> dict[str, Callable[[], Plan]]:
    grid = slots([(4 * n, 4 * n + 4) for n in range(10_000)])
    half_hours = slots([(30 * n, 30 * n + 30) for n in range(1_480)])
    dense = slots([(5 * n, 5 * n + length) for n in range(2_500) for length in (15, 30, 45, 60)])
    return {
        "slot grid of 4 min, 100 of 400 min": lambda: planned(grid, appointments(100, [400]), Span(at(0), at(40_000))),
        "slot grid of 30 min, 100 of 30 min": lambda: planned(
            half_hours, appointments(100, [30]), Span(at(0), at(3_000))
        ),
        "dense overlap, 100 of 60 min": lambda: planned(dense, appointments(100, [60]), Span(at(0), at(6_000))),
        "dense overlap, 100 of 30 and 60 min": lambda: planned(
            dense, appointments(100, [30, 60]), Span(at(0), at(4_500))
        ),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    for name, run in cases().items():
        run()
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            made = run()
            times.append((time.perf_counter() - started) * 1000)
        print(f"{statistics.median(times):8.1f} ms  (min {min(times):.1f})  {len(made.lines):4d} lines  {name}")


if __name__ == "__main__":
    main()
