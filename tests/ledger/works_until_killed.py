"""Works on a ledger for ever and says, one line each, what was acknowledged. Started, and killed, by a test."""

import asyncio
import sys
from pathlib import Path

from gateway.keys import Keys
from gateway.ledger import Answer, State, StepRow, StepState
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.conftest import NOON, command


def acknowledged(*what):
    sys.stdout.write(" ".join(what) + "\n")
    sys.stdout.flush()


async def work(ledger, worker):
    for n in range(10**9):
        id = f"w{worker}-{n}"
        await ledger.begin(command(id, key=f"key-{id}", payload=b"intent"))
        acknowledged("begun", id)
        await ledger.plan(id, b"plan", ["change"], [f"old-{id}"], NOON)
        acknowledged("planned", id)
        await ledger.advance(id, [StepRow(0, StepState.ATTEMPTING, "change", b"", NOON)], NOON)
        acknowledged("attempting", id)
        done = StepRow(0, StepState.DONE, "change", b"receipt", NOON)
        await ledger.advance(id, [done], NOON, [("clinic", f"old-{id}", f"new-{id}")])
        acknowledged("advanced", id)
        await ledger.settle(id, State.DONE, Answer(200, id.encode()), NOON)
        acknowledged("settled", id)


async def main():
    ledger = SqliteLedger(Path(sys.argv[1]), Keys(bytes(range(32))))
    await ledger.open()
    await asyncio.gather(*(work(ledger, worker) for worker in range(6)))


if __name__ == "__main__":
    asyncio.run(main())
