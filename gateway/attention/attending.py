"""What a person may do about commands that are not at an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal, Protocol

from gateway import clock
from gateway.answering import Answering
from gateway.attention.by_hand import ByHand, closing
from gateway.attention.view import Listed, Shown, listed, shown
from gateway.audit import Event
from gateway.domain.errors import GatewayError
from gateway.ending import Ending
from gateway.ledger import CommandRow, Erased, Ledger, Remark, State, Subject
from gateway.mending import Mending
from gateway.repair import Repair
from gateway.restoring import BeyondRepair
from gateway.wire import LEYR

log = logging.getLogger("gateway.commands")

By = Literal["done", "undone"]

MOST_LISTED = 500
ERASED = "What this command was answered has been erased."
_TURN_S = 60.0
"""How long a person waits for a write of the same command that is under way, in seconds."""


class CantBe(Exception):
    """What a person asked for can't be done. The text says why."""


class Acts(Protocol):
    """All raise `CantBe`, and `LedgerDown` while the store is down."""

    async def listed(self, *, settled: bool, client: str | None, emr: str | None) -> Sequence[Listed]:
        """Newest first; with `settled`, also those that are at an end."""
        ...

    async def shown(self, id: str, who: str) -> Shown:
        """It shows of patients what the command has of them: that somebody looked is recorded."""
        ...

    async def retry(self, id: str, wait_s: float, who: str) -> Listed:
        """Try its repair again now, with new patience if it had ended. → how it stands after that, or after `wait_s`.

        Where no gateway runs, it is tried to the end.
        """
        ...

    async def settle(self, id: str, by_hand: By, note: str, who: str) -> Listed:
        """A person has brought it to an end in the EMR, where nothing is read or written for this."""
        ...

    async def erase(self, subject: Subject, who: str) -> Erased:
        """Erase what the ledger still holds of somebody; the EMR is not asked for anything."""
        ...


class Attending:
    """`Acts` on a ledger. `repair`: where there is none, nothing can be retried, and nobody else is at work."""

    def __init__(
        self, ledger: Ledger, answering: Answering, ending: Ending, repair: Repair | None, *, serving: bool
    ) -> None:
        self._ledger, self._ending, self._repair, self._serving = ledger, ending, repair, serving
        self._answering, self._by_hand = answering, ByHand(answering, ledger)

    async def listed(self, *, settled: bool, client: str | None, emr: str | None) -> Sequence[Listed]:
        rows = await self._ledger.commands(client, emr=emr, unsettled=not settled, limit=MOST_LISTED)
        return [listed(row) for row in rows]

    async def shown(self, id: str, who: str) -> Shown:
        row = await self._row(id)
        await self._record("command.show", who, row)
        return shown(row)

    async def retry(self, id: str, wait_s: float, who: str) -> Listed:
        row = await self._row(id)
        await self._record("command.retry", who, row)
        if row.state.settled:
            raise CantBe(f"It is {row.state} already.")
        if not row.steps and not self._serving and self._repair is not None:
            await self._repair.never_began(row)
            return listed(await self._row(id))
        mending = self._taken_up(row)
        if self._serving:
            await mending.hurry(wait_s)
        else:
            await asyncio.wait({mending.task})  # when this process ends, nobody goes on
        return listed(await self._row(id))

    def _taken_up(self, row: CommandRow) -> Mending:
        assert self._repair is not None
        found = self._repair.at(row.id)
        if found is None and row.state is State.RUNNING and self._serving:
            raise CantBe("It is running. What it can't bring to an end is repaired by itself.")
        try:
            return found or self._repair.take_up(row)
        except BeyondRepair as why:
            raise CantBe(f"It can't be repaired. {why}") from None

    async def settle(self, id: str, by_hand: By, note: str, who: str) -> Listed:
        async with self._turn(id) as mending:
            row = await self._row(id)
            if row.state not in (State.REPAIRING, State.NEEDS_ATTENTION):
                what = "running: retry it, or start the gateway, first" if row.state is State.RUNNING else row.state
                raise CantBe(f"It is {what}; only what is repaired or needs attention can be settled.")
            answer = await self._by_hand.done(row) if by_hand == "done" else self._by_hand.undone(row)
            now, state = clock.now(), State(by_hand)
            remark = Remark(now, who, note)
            await self._ledger.settle(id, state, answer, now, steps=closing(row), remark=remark)
            if mending is not None:
                mending.end()
        self._ending.noted(id, row.operation, state)
        log.info("command %s: settled by hand, by %s", id, who)
        return listed(await self._row(id))

    async def erase(self, subject: Subject, who: str) -> Erased:
        told = self._answering.error(GatewayError(ERASED), LEYR)
        erased = await self._ledger.erase(subject, told, who, clock.now())
        if erased.unsettled:
            facts = {"what": subject.kind, "unsettled": erased.unsettled}
            await self._ledger.note(Event(kind="erase.refused", by=who, facts=facts), clock.now())
            ids = ", ".join(erased.unsettled)
            raise CantBe(f"Nothing was erased: of these commands the end is not known yet, settle them first: {ids}")
        log.info("erased by %s: %s commands, %s former ids", who, erased.commands, erased.renamed)
        return erased

    @asynccontextmanager
    async def _turn(self, id: str) -> AsyncIterator[Mending | None]:
        """Nobody else writes for this command meanwhile."""
        mending = self._repair.at(id) if self._repair is not None else None
        if mending is None:
            yield None
            return
        try:
            async with asyncio.timeout(_TURN_S):
                await mending.turn.acquire()
        except TimeoutError:
            raise CantBe("The gateway is in the middle of a write of it. Try again in a minute.") from None
        try:
            yield mending
        finally:
            mending.turn.release()

    async def _record(self, kind: str, who: str, row: CommandRow) -> None:
        """How a command ends is recorded of itself; this is who has looked at it, or wanted it to go on."""
        facts = {"command": row.id, "client": row.client, "emr": row.emr, "stands": row.state.value}
        await self._ledger.note(Event(kind=kind, by=who, facts=facts), clock.now())

    async def _row(self, id: str) -> CommandRow:
        row = await self._ledger.command(id, None)
        if row is None:
            raise CantBe("There is no such command.")
        return row
