"""Commands on one account as a gateway carries them out: locked, planned and run, with a ledger in memory."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from gateway import clock
from gateway.domain.commands import Cancel, Command, Intent, Reschedule, Update
from gateway.domain.errors import GatewayError
from gateway.domain.model import Appointment
from gateway.domain.plan import plan
from gateway.execute.attempt import Monotonic, Sleep
from gateway.execute.consult import Consultation
from gateway.execute.run import End, Run
from gateway.ledger import State
from gateway.locks import Locks
from gateway.port import Emr
from gateway.testing.fake import MemoryLedger

LOCK_WAIT_S = 30.0


class Desk:
    def __init__(self, emr: Emr, *, sleep: Sleep = asyncio.sleep, monotonic: Monotonic = clock.monotonic) -> None:
        self._emr, self._sleep, self._monotonic = emr, sleep, monotonic
        self.ledger, self._locks = MemoryLedger(), Locks()

    async def do(self, intent: Intent) -> Run:
        """The run that carried it out. Raises what its client would be told: nothing of it stands then."""
        run, end = await self.attempt(intent)
        assert end.state in (State.DONE, State.REFUSED, State.UNDONE), f"a command ended {end.state}: {end.error}"
        if end.state is State.DONE:
            return run
        raise end.error or GatewayError()

    async def attempt(self, intent: Intent) -> tuple[Run, End]:
        """The run, and where it has come to. Raises GatewayError for what is refused before it begins."""
        command = Command(intent, single=_is_single(intent))
        with self._locks.session(LOCK_WAIT_S) as held:
            planning = plan(command, self._emr.capabilities, _no_etag)
            made = await Consultation(self._emr, self.ledger, held).plan(planning)
            run = Run(
                made,
                command_id=uuid4().hex,
                emr=self._emr,
                ledger=self.ledger,
                sleep=self._sleep,
                monotonic=self._monotonic,
                paths={line.chain: line.path for line in made.lines if line.path is not None},
            )
            return run, await run.carry_out()

    async def current(self, id: str) -> str:
        """What an id is called now."""
        return (await self.ledger.successors(self._emr.tenant, [id])).get(id, id)


def _is_single(intent: Intent) -> bool:
    """As a client would say it: an id in the path, or ids in the body."""
    if isinstance(intent, Update | Cancel):
        return len(intent.ids) == 1
    return not isinstance(intent, Reschedule)


def _no_etag(_: Appointment) -> str:
    return ""
