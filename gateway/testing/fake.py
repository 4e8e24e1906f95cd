"""A vendor without the vendor: an ASGI app behind an account's door; and a ledger without a disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.audit import Event, Mark, Touched
from gateway.audit.chain import NOTHING
from gateway.ledger import Answer, CommandRow, Erased, Remark, State, StepRow, StepState, Subject
from gateway.vendor.http import Door
from gateway.vendor.in_process import InProcessTransport


def door(app: Any, *, concurrency: int = 8) -> Door:
    """A door to an ASGI app that plays the vendor, as if it were behind a network. Its lifespan is the caller's."""
    return Door(InProcessTransport(app), concurrency=concurrency)


@dataclass(slots=True)
class _Kept:
    """A command, with what its row doesn't tell of it."""

    row: CommandRow
    appointments: tuple[str, ...]


class MemoryLedger:
    """`gateway.ledger.Ledger` as long as the object lives: for tests."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._next: dict[tuple[str, str], str] = {}
        self.events: list[Event] = []
        """What was to be recorded beside the commands."""

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    # -- writes ----------------------------------------------------------------------------------------------------

    async def begin(self, row: CommandRow) -> CommandRow | None:
        for kept in self._kept.values():
            if row.key is not None and (kept.row.client, kept.row.key) == (row.client, row.key):
                return kept.row
        self._kept[row.id] = _Kept(replace(row, appointments=()), row.appointments)
        return None

    async def plan(
        self,
        id: str,
        payload: bytes,
        actions: Sequence[str],
        appointments: Sequence[str],
        now: datetime,
        *,
        touched: Sequence[Touched] = (),  # noqa: ARG002  it keeps no record
        credential: bytes = b"",
    ) -> None:
        kept = self._kept[id]
        steps = tuple(StepRow(n, StepState.PLANNED, action, b"") for n, action in enumerate(actions))
        kept.row = replace(kept.row, payload=payload, steps=steps, updated_at=now, credential=credential)
        kept.appointments = tuple(dict.fromkeys((*kept.appointments, *appointments)))

    async def advance(
        self,
        id: str,
        steps: Sequence[StepRow],
        now: datetime,
        lineage: Sequence[tuple[str, str, str]] = (),
        appointments: Sequence[str] = (),
    ) -> None:
        """A run without a command (a test's) has its lineage kept and nothing else."""
        kept = self._kept.get(id)
        if kept is not None:
            rows = {row.index: row for row in (*kept.row.steps, *steps)}
            kept.row = replace(kept.row, steps=tuple(rows[n] for n in sorted(rows)), updated_at=now)
            kept.appointments = tuple(dict.fromkeys((*kept.appointments, *appointments)))
        self._record(lineage)

    async def settle(
        self,
        id: str,
        state: State,
        answer: Answer | None,
        now: datetime,
        *,
        release_key: bool = False,
        lineage: Sequence[tuple[str, str, str]] = (),
        steps: Sequence[StepRow] = (),
        remark: Remark | None = None,
    ) -> None:
        await self.advance(id, steps, now, lineage)
        kept = self._kept[id]
        since = (kept.row.repairing_since or now) if state is State.REPAIRING else None
        kept.row = replace(kept.row, state=state, answer=answer, updated_at=now, repairing_since=since)
        if remark is not None:
            kept.row = replace(kept.row, remarks=(*kept.row.remarks, remark))
        if state.settled:
            kept.row = replace(
                kept.row, payload=b"", credential=b"", steps=tuple(replace(s, payload=b"") for s in kept.row.steps)
            )
        if release_key:
            kept.row = replace(kept.row, key=None)

    async def prove(self) -> None:
        pass

    async def note(self, event: Event, now: datetime) -> None:  # noqa: ARG002
        self.events.append(event)

    async def head(self) -> Mark:
        return NOTHING

    async def forget_audit(self, before: datetime, now: datetime) -> int:  # noqa: ARG002
        return 0

    async def forget_renamed(self, before: datetime) -> int:  # noqa: ARG002
        return 0

    async def erase(self, subject: Subject, told: Answer, who: str, now: datetime) -> Erased:
        """By client or by an appointment's present id: it knows no patients."""
        kept = [
            k
            for k in self._kept.values()
            if subject.id in ((k.row.client,) if subject.kind == "client" else k.appointments)
        ]
        if unsettled := tuple(k.row.id for k in kept if not k.row.state.settled):
            return Erased(unsettled=unsettled)
        for one in kept:
            one.row, one.appointments = replace(one.row, answer=told, steps=(), remarks=()), ()
        await self.note(Event(kind="erased", by=who, facts={"what": subject.kind}), now)
        return Erased(commands=len(kept))

    async def scrub(self) -> None:
        pass

    async def purge(self, settled_before: datetime) -> int:
        old = [id for id, k in self._kept.items() if k.row.state.settled and k.row.updated_at < settled_before]
        for id in old:
            del self._kept[id]
        return len(old)

    def _record(self, lineage: Sequence[tuple[str, str, str]]) -> None:
        for tenant, old, new in lineage:
            # An id that comes back is the newest again: what it became is forgotten.
            self._next.pop((tenant, new), None)
            if old != new:
                self._next[(tenant, old)] = new

    # -- reads -----------------------------------------------------------------------------------------------------

    async def command(self, id: str, client: str | None) -> CommandRow | None:
        kept = self._kept.get(id)
        return kept.row if kept is not None and client in (None, kept.row.client) else None

    async def commands(
        self,
        client: str | None,
        *,
        emr: str | None = None,
        key: str | None = None,
        appointment: str | None = None,
        unsettled: bool = False,
        limit: int = 100,
    ) -> Sequence[CommandRow]:
        found = [
            k.row
            for k in reversed(self._kept.values())
            if client in (None, k.row.client)
            and emr in (None, k.row.emr)
            and key in (None, k.row.key)
            and (appointment is None or appointment in k.appointments)
            and not (unsettled and k.row.state.settled)
        ]
        return sorted(found, key=lambda row: row.created_at, reverse=True)[:limit]

    async def unsettled(self) -> Sequence[CommandRow]:
        found = [k.row for k in self._kept.values() if not k.row.state.settled]
        return sorted(found, key=lambda row: row.created_at)

    async def count_unsettled(self) -> Mapping[State, int]:
        counted = Counter(k.row.state for k in self._kept.values())
        return {state: counted[state] for state in State if not state.settled}

    async def successors(self, tenant: str, ids: Sequence[str]) -> dict[str, str]:
        return {id: newest for id in ids if (newest := self._newest(tenant, id)) != id}

    def _newest(self, tenant: str, id: str) -> str:
        while (tenant, id) in self._next:
            id = self._next[(tenant, id)]
        return id

    async def ancestors(self, tenant: str, id: str) -> tuple[str, ...]:
        found: list[str] = []
        while (older := self._before(tenant, id)) is not None:
            found.append(id := older)
        return tuple(reversed(found))

    def _before(self, tenant: str, id: str) -> str | None:
        return next((old for (at, old), new in self._next.items() if (at, new) == (tenant, id)), None)
