"""One command that was stopped in the middle, over the model EMR, and all that its repair needs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from gateway import clock
from gateway.answering import Answering
from gateway.attention.attending import Attending
from gateway.configuration.accounts import OpenAccount
from gateway.ending import Ending
from gateway.execute import codec
from gateway.keys import Keys
from gateway.ledger import Answer, CommandRow, LedgerDown, State, StepRow, StepState
from gateway.locks import Locks
from gateway.metrics import Metrics
from gateway.repair import Repair
from gateway.testing import MemoryLedger
from gateway.vendor.http import Door
from tests.test_run import INTENTS, LATE, seen, world

QUICK = replace(LATE, late_write_s=0.0)
KEYS = Keys(bytes(32))
LOCK = "appointment\0model\0a"
TOLD = Answer(502, b'{"told": "before"}')


class FailingLedger(MemoryLedger):
    """`down`: how many of the next writes find the store down; `bugs`: how many ends run into a bug of ours."""

    down = bugs = 0

    async def advance(self, id, steps, now, lineage=(), appointments=()):
        self._fail()
        await super().advance(id, steps, now, lineage, appointments)

    async def settle(self, id, state, answer, now, **more):
        if self.bugs:
            self.bugs -= 1
            raise ZeroDivisionError
        self._fail()
        await super().settle(id, state, answer, now, **more)

    def _fail(self):
        if self.down:
            self.down -= 1
            raise LedgerDown


@dataclass
class House:
    """What a repair needs, over the model EMR, in which one command was stopped in the middle."""

    intent: str = "bulk"
    ledger: FailingLedger = field(default_factory=FailingLedger)
    locks: Locks = field(default_factory=Locks)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    serving: bool = True

    def __post_init__(self) -> None:
        self.model, self.emr, self.run, _ = world(QUICK, INTENTS[self.intent])
        self.before = seen(self.model)
        told = {"client_id": "demo", "key": "clinic", "plugin": "model", "name": "Model", "edition": None}
        account = OpenAccount(**told, emr=self.emr, door=Door(httpx.AsyncBaseTransport()))
        self.accounts = {("demo", "clinic"): account}
        self.restart()

    def restart(self) -> None:
        answering = Answering(KEYS, self.ledger, "http://gateway.test")
        ending = Ending(self.ledger, answering, Metrics(self.registry))
        self.repair = Repair(self.accounts, self.ledger, self.locks, answering, ending)
        self.attending = Attending(self.ledger, answering, ending, self.repair, serving=self.serving)

    async def stored(self, id: str = "c1", *, planned: bool = True, **more: Any) -> None:
        """A command that was killed after its first write had been sent, before it was known how that ended."""
        now = clock.now()
        told = {"client": "demo", "emr": "clinic", "tenant": "model", "operation": self.run.plan.operation}
        row = CommandRow(id=id, created_at=now, updated_at=now, **told)
        await self.ledger.begin(replace(row, payload=codec.dump_standard("leyr")))
        if planned:
            claims = ("a", "b", "c")
            payload = codec.dump(self.run.plan, standard="leyr", single=False, created=False, claims=claims)
            actions = [step.kind for _, step in self.run.plan.steps()]
            await self.ledger.plan(id, payload, actions, claims, now)
            await self.ledger.advance(id, [StepRow(0, StepState.ATTEMPTING, actions[0], b"", now)], now)
        self.change(id, **more)

    def change(self, id: str, **fields: Any) -> None:
        kept = self.ledger._kept[id]
        kept.row = replace(kept.row, **fields)

    async def row(self, id: str = "c1") -> CommandRow:
        row = await self.ledger.command(id, None)
        assert row is not None
        return row

    async def ended(self, id: str = "c1") -> State:
        """The state in which its repair ended, with its locks given back."""
        found = self.repair.at(id)
        if found is not None:
            await asyncio.wait({found.task}, timeout=10)
            await asyncio.sleep(0)
        assert self.repair.at(id) is None
        assert len(self.locks) == 0
        return (await self.row(id)).state
