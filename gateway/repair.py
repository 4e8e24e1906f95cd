"""What is neither all nor nothing yet: brought to one of them in the background, and taken up again after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from gateway import clock
from gateway.accounts import OpenAccount
from gateway.answering import Answering, Form
from gateway.domain.errors import Busy
from gateway.execute import codec
from gateway.execute.consult import appointment_key, day_key
from gateway.execute.run import End, Run
from gateway.ledger import CommandRow, Ledger, LedgerDown, State
from gateway.locks import CriticalSections, Session
from gateway.metrics import Metrics

log = logging.getLogger("gateway.repair")

PATIENCE_S = 15 * 60.0
"""How long a command is repaired before a person has to decide."""
LONGEST_PAUSE_S = 60.0


class Repair:
    def __init__(
        self,
        accounts: Mapping[tuple[str, str], OpenAccount],
        ledger: Ledger,
        locks: CriticalSections,
        answering: Answering,
        metrics: Metrics,
    ) -> None:
        self._accounts, self._ledger, self._locks, self._answering = accounts, ledger, locks, answering
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    async def recover(self) -> None:
        """Take up every command that an earlier process left running, each with its locks, before any request."""
        for row in await self._ledger.unsettled():
            if row.state is State.NEEDS_ATTENTION:
                continue
            if not row.steps:
                await self._never_began(row)
                continue
            account = self._accounts.get((row.client, row.emr))
            if account is None:
                log.error("command %s: its EMR account is not configured any more", row.id)
                await self._ledger.settle(row.id, State.NEEDS_ATTENTION, row.answer, clock.now())
                continue
            self._take_up(row, account)

    async def _never_began(self, row: CommandRow) -> None:
        """Nothing was sent to the EMR: its key is free for another try."""
        error = Busy("The gateway was stopped before anything was written.", retry_after=1)
        answer = self._answering.error(error, codec.standard_of(row.payload))
        await self._ledger.settle(row.id, State.REFUSED, answer, clock.now(), release_key=True)

    def _take_up(self, row: CommandRow, account: OpenAccount) -> None:
        stored = codec.load(row.payload)
        emr = account.emr
        keys = [appointment_key(emr.tenant, id) for id in stored.claims]
        keys += [day_key(emr.tenant, *pair) for pair in stored.resource_days]
        run = Run(
            stored.plan(),
            command_id=row.id,
            emr=emr,
            ledger=self._ledger,
            sleep=asyncio.sleep,
            monotonic=clock.monotonic,
            paths={line.chain: line.path for line in stored.lines if line.path is not None},
        )
        run.restore(row.steps)
        held = self._locks.take_now(keys)
        form = Form(standard=stored.standard, emr=row.emr, single=stored.single, created=stored.created)
        self.take_over(row.id, run, form, held)

    def take_over(self, id: str, run: Run, form: Form, held: Session) -> None:
        """Go on until it is settled or patience ends; the locks are released then."""
        task = asyncio.create_task(self._until_settled(id, run, form, held))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """What is being repaired stands in the ledger and is taken up at the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _until_settled(self, id: str, run: Run, form: Form, held: Session) -> None:
        deadline, pause = clock.monotonic() + PATIENCE_S, 1.0
        with held:
            while True:
                end = await run.resume()
                if end.state is State.REPAIRING and clock.monotonic() > deadline:
                    end = End(State.NEEDS_ATTENTION, end.error)
                await self._settle(id, run, end, form)
                if end.state is not State.REPAIRING:
                    log.info("command %s: repaired, %s", id, end.state)
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _settle(self, id: str, run: Run, end: End, form: Form) -> None:
        while True:
            try:
                answer = await self._answering.answer(run.emr, run, end, form)
                steps = run.closing() if end.state.settled else ()
                await self._ledger.settle(id, end.state, answer, clock.now(), steps=steps)
            except LedgerDown:
                await asyncio.sleep(1.0)
            else:
                if end.state is not State.REPAIRING:
                    self._metrics.ended(run.plan.operation, end.state)
                return
