"""What a command costs in the ledger: group commit beside a commit per call, both WAL with synchronous=FULL.

    python -m bench.ledger [rounds]

A command is five calls (begin, plan, attempting, done, settle). Rounds are interleaved; shown are medians.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.keys import Keys
from gateway.ledger import Answer, CommandRow, State, StepRow, StepState
from gateway.ledger.sqlite import SqliteLedger

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BODY = b'{"id": "a1", "start": "2026-03-02T12:00:00Z"}' * 8
COMMANDS = 320


@dataclass
class Measured:
    wall_us: float
    cpu_us: float
    commits: float


async def command(ledger: SqliteLedger, id: str) -> None:
    row = CommandRow(
        id=id,
        client="demo",
        emr="sandbox",
        tenant="clinic",
        operation="update",
        created_at=NOON,
        updated_at=NOON,
        key=id,
    )
    await ledger.begin(row)
    await ledger.plan(id, BODY, ["change"], ["a1"], NOON)
    await ledger.advance(id, [StepRow(0, StepState.ATTEMPTING, "change", b"", NOON)], NOON)
    await ledger.advance(id, [StepRow(0, StepState.DONE, "change", BODY, NOON)], NOON)
    await ledger.settle(id, State.DONE, Answer(200, BODY), NOON)


async def measure(at_once: int, at_most: int) -> Measured:
    # Not where temporary files go: that may be memory, which syncs for nothing.
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        ledger = SqliteLedger(Path(directory) / "ledger.db", Keys(bytes(32)))
        await ledger.open()
        ledger._writes.at_most = at_most
        try:
            return await timed(ledger, at_once)
        finally:
            await ledger.close()


async def timed(ledger: SqliteLedger, at_once: int) -> Measured:
    async def work(worker: int) -> None:
        for n in range(COMMANDS // at_once):
            await command(ledger, f"{worker}-{n}")

    wall, cpu, commits = time.perf_counter(), time.process_time(), ledger.commits
    await asyncio.gather(*(work(worker) for worker in range(at_once)))
    wall, cpu, commits = time.perf_counter() - wall, time.process_time() - cpu, ledger.commits - commits
    return Measured(wall / COMMANDS * 1e6, cpu / COMMANDS * 1e6, commits / COMMANDS)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    variants = {"group": 500, "per call": 1}
    print(f"{'at once':>8} {'commit':>9} {'wall us':>9} {'cpu us':>8} {'commits':>8}   per command")
    for at_once in (1, 8, 32, 160):
        measured: dict[str, list[Measured]] = {name: [] for name in variants}
        for _ in range(rounds):
            for name, at_most in variants.items():
                measured[name].append(asyncio.run(measure(at_once, at_most)))
        for name, results in measured.items():
            wall, cpu, commits = (
                statistics.median(getattr(m, field) for m in results) for field in ("wall_us", "cpu_us", "commits")
            )
            print(f"{at_once:>8} {name:>9} {wall:>9.0f} {cpu:>8.0f} {commits:>8.2f}")


if __name__ == "__main__":
    main()
