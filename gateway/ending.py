"""A command that has come to an end, or to a stop on its way: told, and written down, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from gateway import clock
from gateway.answering import Answering, Form
from gateway.domain.errors import GatewayError
from gateway.execute.run import End, Run
from gateway.frames import frames
from gateway.ledger import Answer, Ledger, LedgerDown, Remark, State, StepRow
from gateway.metrics import Metrics

log = logging.getLogger("gateway.commands")

AGAIN_S = 1.0
"""How long after a store was found down it is tried again, in seconds."""


class Ending:
    """Both methods wait for a store that is down, as long as their task lives, and return when it is durable."""

    def __init__(self, ledger: Ledger, answering: Answering, metrics: Metrics) -> None:
        self._ledger, self._answering, self._metrics = ledger, answering, metrics

    async def of_run(
        self, id: str, run: Run, end: End, form: Form, *, before: State = State.RUNNING, remark: Remark | None = None
    ) -> Answer:
        """→ what the client is told of it."""
        answer = await self._told(id, run, end, form)
        await self.write(
            id,
            run.plan.operation,
            end.state,
            answer,
            before=before,
            release_key=end.state is State.REFUSED and not end.sent,
            steps=run.closing() if end.state.settled else (),
            remark=remark,
        )
        return answer

    async def _told(self, id: str, run: Run, end: End, form: Form) -> Answer:
        while True:
            try:
                return await self._answering.answer(run.emr, run, end, form)
            except LedgerDown:
                await asyncio.sleep(AGAIN_S)
            except Exception as error:  # noqa: BLE001  a bug in telling it must not change what was done
                log.error("command %s can't be told: %s at %s", id, type(error).__name__, frames(error))
                return self._answering.error(GatewayError("The gateway can't tell what became of it."), form.standard)

    async def write(
        self,
        id: str,
        operation: str,
        state: State,
        answer: Answer | None,
        *,
        before: State = State.RUNNING,
        release_key: bool = False,
        steps: Sequence[StepRow] = (),
        remark: Remark | None = None,
    ) -> None:
        """`before`: the state that it was in. Raises `NoSuchCommand`."""
        while True:
            try:
                await self._ledger.settle(
                    id, state, answer, clock.now(), release_key=release_key, steps=steps, remark=remark
                )
            except LedgerDown:
                log.warning("command %s: the store is down", id)
                await asyncio.sleep(AGAIN_S)
            else:
                break
        if state is not before:
            self.noted(id, operation, state)

    def noted(self, id: str, operation: str, state: State) -> None:
        """Tell those who watch that it has come to a state."""
        self._metrics.ended(operation, state)
        level = logging.WARNING if state is State.NEEDS_ATTENTION else logging.INFO
        log.log(level, "command %s: %s is %s", id, operation, state)
