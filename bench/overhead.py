"""What the ledger and the locks cost a command: a bulk update of 20 against an EMR that takes 50 ms a call.

    python -m bench.overhead [rounds]

Beside the gateway as it is, one whose ledger keeps nothing on a disk and whose locks let everybody pass. Rounds are
interleaved, since machines are shared and noisy; shown are medians, and the ratio that is to stay below 1.15.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import httpx

from gateway.api import Circumstances, Principal
from gateway.configuration.accounts import OpenAccount
from gateway.domain.capabilities import Capabilities
from gateway.domain.commands import Command, Update
from gateway.domain.editions import Edition
from gateway.domain.model import Appointment, FreeTime, Slot, Status
from gateway.domain.questions import FindFreeTime
from gateway.domain.steps import Change, Receipt
from gateway.keys import Keys
from gateway.ledger import Ledger
from gateway.ledger.sqlite import SqliteLedger
from gateway.locks import CriticalSections, Locks
from gateway.port import Emr
from gateway.service import Service
from gateway.testing.fake import MemoryLedger
from gateway.vendor.http import Door

CALL_S = 0.05
MANY = 20
NOON = datetime(2030, 3, 4, 12, tzinfo=UTC)
CAN = Capabilities(free_time="slots", own_time_shown=True, move="in_place", reassign="in_place", comment=True)


class SlowEmr(Emr):
    """Keeps its appointments in memory and takes its time."""

    def __init__(self) -> None:
        super().__init__(CAN, "slow")
        starts = [NOON + timedelta(minutes=30 * n) for n in range(MANY)]
        self.book = {
            f"a{n}": Appointment(f"a{n}", at, at + timedelta(minutes=30), Status.BOOKED, "p", "r0", "s", "u")
            for n, at in enumerate(starts)
        }

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, Appointment | None]:
        await asyncio.sleep(CALL_S)
        return {id: self.book.get(id) for id in ids}

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        await asyncio.sleep(CALL_S)
        return FreeTime("slots", tuple(Slot(a.start, a.end, wanted.resource_id) for a in self.book.values()))

    async def change(self, step: Change) -> Receipt:
        await asyncio.sleep(CALL_S)
        now = replace(self.book[step.before.id], resource_id=step.resource_id)
        self.book[step.before.id] = now
        return Receipt(appointment=now)


class NoLocks:
    """Everybody passes at once."""

    def session(self, wait_s: float) -> NoLocks:
        return self

    def take_now(self, keys: Iterable[str], wait_s: float = 0.0) -> NoLocks:
        return self

    async def take(self, *keys: str) -> None:
        pass

    def release(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


async def nobody(_id: str | None, _secret: str | None) -> Principal:
    return Principal("bench")


def gateway(ledger: Ledger, locks: CriticalSections) -> Service:
    edition = Edition(title="Slow EMR", capabilities=CAN)
    account = OpenAccount(
        client_id="bench",
        key="slow",
        plugin="slow",
        name="Slow",
        edition=edition,
        emr=SlowEmr(),
        door=Door(httpx.AsyncBaseTransport()),
    )
    return Service(
        accounts={("bench", "slow"): account},
        authenticate=nobody,
        keys=Keys(bytes(32)),
        ledger=ledger,
        locks=locks,
        public_url="http://bench",
    )


async def timed(service: Service, round: int) -> float:
    """Seconds for moving all twenty to another resource."""
    intent = Update(tuple(f"a{n}" for n in range(MANY)), resource_id=f"r{round + 1}")
    circumstances = Circumstances(request_id="r", idempotency_key=f"key-{round}", fingerprint=str(round))
    began = time.perf_counter()
    reply = await service.write(Principal("bench"), "slow", Command(intent, single=False), circumstances)
    took = time.perf_counter() - began
    assert reply.status == 200, reply.body
    return took


async def measured(rounds: int) -> dict[str, list[float]]:
    # Not where temporary files go: that may be memory, which syncs for nothing.
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        ledger = SqliteLedger(Path(directory) / "ledger.db", Keys(bytes(32)))
        await ledger.open()
        variants = {"as it is": gateway(ledger, Locks()), "with neither": gateway(MemoryLedger(), NoLocks())}
        took: dict[str, list[float]] = {name: [] for name in variants}
        for round in range(rounds + 1):
            for name, service in variants.items():
                seconds = await timed(service, round)
                if round:  # the first one only warms up
                    took[name].append(seconds)
        await ledger.close()
        return took


def main() -> None:
    took = asyncio.run(measured(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
    medians = {name: statistics.median(seconds) for name, seconds in took.items()}
    for name, seconds in medians.items():
        print(f"{name:>14} {seconds * 1e3:>8.1f} ms for a bulk of {MANY}")
    print(f"{'ratio':>14} {medians['as it is'] / medians['with neither']:>8.3f}")


if __name__ == "__main__":
    main()
