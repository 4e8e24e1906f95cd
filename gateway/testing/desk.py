"""Commands on one account as a gateway carries them out: locked, planned and run, with a ledger in memory."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from gateway import clock
from gateway.domain.commands import Command, Intent, Update
from gateway.domain.errors import GatewayError
from gateway.domain.model import Appointment
from gateway.domain.plan import plan
from gateway.execute.consult import Consultation
from gateway.execute.run import Run
from gateway.ledger import State
from gateway.locks import Locks
from gateway.port import Emr
from gateway.testing.fake import MemoryLedger

LOCK_WAIT_S = 30.0


class Desk:
    def __init__(self, emr: Emr) -> None:
        self._emr, self.ledger, self._locks = emr, MemoryLedger(), Locks()

    async def do(self, intent: Intent) -> Run:
        """The run that carried it out. Raises what its client would be told: nothing of it stands then."""
        command = Command(intent, single=not isinstance(intent, Update) or len(intent.ids) == 1)
        with self._locks.session(LOCK_WAIT_S) as held:
            planning = plan(command, self._emr.capabilities, _no_etag)
            run = Run(
                await Consultation(self._emr, self.ledger, held).plan(planning),
                command_id=uuid4().hex,
                emr=self._emr,
                ledger=self.ledger,
                sleep=asyncio.sleep,
                monotonic=clock.monotonic,
            )
            end = await run.carry_out()
        assert end.state in (State.DONE, State.REFUSED, State.UNDONE), f"a command ended {end.state}: {end.error}"
        if end.state is State.DONE:
            return run
        raise end.error or GatewayError()

    async def current(self, id: str) -> str:
        """What an id is called now."""
        return (await self.ledger.successors(self._emr.tenant, [id])).get(id, id)


def _no_etag(_: Appointment) -> str:
    return ""
