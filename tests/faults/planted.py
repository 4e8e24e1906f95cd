"""Bugs for the gateway to die with: each would be a promise broken, and the harness has to notice it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx

from gateway.execute.run import End, Run
from gateway.ledger import CommandRow, StepState
from gateway.ledger.sqlite import SqliteLedger
from gateway.vendor import answer


def intent_after_the_call() -> None:
    """That a write is under way is not written down; only what became of it is."""
    advance = SqliteLedger.advance

    async def late(self: SqliteLedger, id: str, steps: Any, *rest: Any, **more: Any) -> None:
        known = [row for row in steps if row.state not in (StepState.ATTEMPTING, StepState.UNDOING)]
        if known:
            await advance(self, id, known, *rest, **more)

    setattr(SqliteLedger, "advance", late)  # noqa: B010  by name, here and below: it is another's


def blind_recovery() -> None:
    """What may have been carried out is sent again, without a look."""

    async def resume(self: Run) -> End:
        for at in self.progress:
            if at.state is StepState.ATTEMPTING:
                at.state = StepState.PLANNED
        return await self.carry_out()

    setattr(Run, "resume", resume)  # noqa: B010


def key_after_the_work() -> None:
    """An idempotency key is remembered once all is done, instead of before."""
    begin, settle, keys = SqliteLedger.begin, SqliteLedger.settle, dict[str, str | None]()

    async def keyless(self: SqliteLedger, row: CommandRow) -> CommandRow | None:
        held = [] if row.key is None else await self.commands(row.client, key=row.key)
        keys[row.id] = row.key
        return held[0] if held else await begin(self, replace(row, key=None))

    async def keyed(self: SqliteLedger, id: str, *rest: Any, **more: Any) -> None:
        await settle(self, id, *rest, **more)
        key = None if more.get("release_key") else keys.get(id)
        await self._writes.run(lambda db: db.execute("UPDATE commands SET key = ? WHERE id = ?", (key, id)).rowcount)

    setattr(SqliteLedger, "begin", keyless)  # noqa: B010
    setattr(SqliteLedger, "settle", keyed)  # noqa: B010


def lost_is_not_sent() -> None:
    """A connection that is lost under a write is taken for one that was never made."""
    setattr(answer, "NOT_SENT", (*answer.NOT_SENT, httpx.ReadError))  # noqa: B010


PLANTED: Mapping[str, Callable[[], None]] = {
    "intent after the call": intent_after_the_call,
    "blind recovery": blind_recovery,
    "key after the work": key_after_the_work,
    "lost is not sent": lost_is_not_sent,
}
