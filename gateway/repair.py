"""What is neither all nor nothing yet: brought to one of them in the background, and taken up again after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from gateway import clock
from gateway.answering import Answering, Form
from gateway.audit import GATEWAY
from gateway.domain.errors import Busy, OutcomeUnknown
from gateway.ending import Ending
from gateway.execute import codec
from gateway.execute.run import Run
from gateway.frames import frames
from gateway.ledger import CommandRow, Ledger, Remark, State
from gateway.locks import AlreadyHeld, CriticalSections, Session
from gateway.mending import PATIENCE_S, Broken, Mending
from gateway.restoring import Accounts, BeyondRepair, restored

log = logging.getLogger("gateway.repair")

_START_WAITS_S = 2.0
"""How long a start waits for what it has to write down; a store that is full does not keep it from serving reads."""


class Repair:
    def __init__(
        self,
        accounts: Accounts,
        ledger: Ledger,
        locks: CriticalSections,
        answering: Answering,
        ending: Ending,
    ) -> None:
        self._accounts, self._ledger, self._locks = accounts, ledger, locks
        self._answering, self._ending = answering, ending
        self._mending: dict[str, Mending] = {}
        self._writes: set[asyncio.Task[None]] = set()

    async def recover(self) -> None:
        """Take up every command that an earlier process left running, each with its locks, before any request."""
        for row in await self._ledger.unsettled():
            if row.state is State.NEEDS_ATTENTION:
                continue
            if not row.steps:
                self._write(self.never_began(row))
                continue
            try:
                self.take_up(row)
            except BeyondRepair as why:
                self._write(self._needs_a_person(row, str(why)))
        if self._writes:
            await asyncio.wait(self._writes, timeout=_START_WAITS_S)

    async def never_began(self, row: CommandRow) -> None:
        """Nothing was sent to the EMR: its key is free for another try."""
        error = Busy("The gateway was stopped before anything was written.", retry_after=1)
        answer = self._answering.error(error, codec.standard_of(row.payload))
        await self._ending.write(row.id, row.operation, State.REFUSED, answer, release_key=True)

    async def _needs_a_person(self, row: CommandRow, why: str) -> None:
        """What the client was told stays; if that is nothing, it is told that nobody knows."""
        unknown = OutcomeUnknown("The gateway can't go on with it; a person has to see what stands in the EMR.")
        answer = row.answer or self._answering.error(unknown, codec.standard_of(row.payload))
        remark = Remark(clock.now(), GATEWAY, why)
        await self._ending.write(row.id, row.operation, State.NEEDS_ATTENTION, answer, before=row.state, remark=remark)

    def take_up(self, row: CommandRow) -> Mending:
        """Go on with a stored command, unless that is being done. Raises BeyondRepair."""
        if row.id in self._mending:
            return self._mending[row.id]
        found = restored(row, self._accounts, self._ledger)
        # Between two plans a command holds nothing: what it wanted may be held by another that was interrupted, too.
        keys = found.keys if any(at.may_stand for at in found.run.progress) else ()
        spent_s = (clock.now() - row.repairing_since).total_seconds() if row.repairing_since else 0.0
        return self._begin(
            Broken(
                id=row.id,
                run=found.run,
                form=found.form,
                held=self._held(keys),
                keys=keys,
                state=row.state,
                answer=row.answer,
                left_s=PATIENCE_S - max(0.0, spent_s),
            )
        )

    def take_over(self, id: str, run: Run, form: Form, held: Session, state: State = State.REPAIRING) -> None:
        """Go on with a command that has come to a stop, and with its locks. `state`: as it is stored."""
        self._begin(Broken(id=id, run=run, form=form, held=held, state=state))

    def at(self, id: str) -> Mending | None:
        """The repair of this command, if there is one."""
        return self._mending.get(id)

    def cut_off(self) -> Sequence[asyncio.Task[Any]]:
        """What is being repaired stands in the ledger and is taken up at the next start. → what ends by this."""
        tasks = [*self._writes, *(mending.task for mending in self._mending.values())]
        for task in tasks:
            task.cancel()
        return tasks

    def _begin(self, broken: Broken) -> Mending:
        mending = self._mending[broken.id] = Mending(broken, self._ending)
        mending.task.add_done_callback(lambda _: self._mending.pop(broken.id))
        return mending

    def _held(self, keys: tuple[str, ...]) -> Session:
        try:
            return self._locks.take_now(keys)
        except AlreadyHeld:
            return self._locks.session(0)  # it asks for them again in each round

    def _write(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._writes.add(task)
        task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a command could not be written down: %s at %s", type(error).__name__, frames(error))
