"""What may have happened, written down before it happens: keys, intents, outcomes, lineage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from gateway.audit import Mark, Recorder, Touched


class State(StrEnum):
    """What became of a command (contract §7)."""

    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
    REPAIRING = "repairing"
    NEEDS_ATTENTION = "needs_attention"

    @property
    def settled(self) -> bool:
        return self in (State.DONE, State.REFUSED, State.UNDONE)


class StepState(StrEnum):
    """Where a step stands. `attempting` is written before the call: after a crash it means "maybe"."""

    PLANNED = "planned"
    ATTEMPTING = "attempting"
    DONE = "done"
    FAILED = "failed"
    """Certainly not executed (any more)."""
    UNDOING = "undoing"
    UNDONE = "undone"
    LEFT = "left"
    """Somebody else changed it since: theirs stands."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client was (or will be) told: final once the command is settled."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    codes: tuple[str, ...] = ()
    """What went wrong in the contract's words, the error's own first: for the record of who did what."""


@dataclass(frozen=True, slots=True)
class StepRow:
    index: int
    state: StepState
    action: str
    payload: bytes
    """The receipt as JSON once done, `b""` before. The step itself stands in the command's plan."""
    attempted_at: datetime | None = None

    @property
    def noted(self) -> Mapping[str, Any]:
        """What the payload says beside the receipt; nothing where it makes no sense."""
        try:
            noted = json.loads(self.payload) if self.payload else {}
        except ValueError:
            return {}
        return noted if isinstance(noted, dict) else {}


@dataclass(frozen=True, slots=True)
class Remark:
    """What was said of a command beside its answer: why a person is needed, or how a person has settled it."""

    at: datetime
    by: str
    """`gateway`, or the operating system's name for the person."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """A command as it is stored. `payload` (the command and its plan, JSON), answers and remarks are sealed at rest."""

    id: str
    client: str
    emr: str
    tenant: str
    operation: str
    state: State = State.RUNNING
    created_at: datetime
    updated_at: datetime
    key: str | None = None
    """The idempotency key's keyed hash; `None` where none was given or where it was released."""
    fingerprint: str | None = None
    payload: bytes = b""
    answer: Answer | None = None
    steps: tuple[StepRow, ...] = field(default=())
    appointments: tuple[str, ...] = ()
    """Ids it touches; stored as keyed hashes, so only ever written and searched, never read back."""
    request_id: str = ""
    """The request that it came with; only ever written, for the audit."""
    touched: tuple[Touched, ...] = ()
    """What the client has named; only ever written, for the audit, as keyed hashes."""
    repairing_since: datetime | None = None
    """When its repair began; `None` while it is not repaired."""
    remarks: tuple[Remark, ...] = ()
    """Oldest first."""
    credential: bytes = field(default=b"", repr=False)
    """What opens its account's credentials without the client; sealed at rest, and erased when it is settled."""
    unreadable: bool = False
    """Something that was sealed in it can't be opened with the present key, and stands here as if it were empty."""

    @property
    def since(self) -> datetime:
        """When it came to its state."""
        if self.state is State.RUNNING:
            return self.created_at
        return self.repairing_since or self.updated_at

    @property
    def open_steps(self) -> tuple[StepRow, ...]:
        """The steps that can still end this way or that: while it goes forward, those that are not done or of which the
        EMR stored something else; while it goes back, also those that still stand."""
        if self.state.settled:
            return ()
        backwards = self.state is not State.RUNNING and any(
            step.state in (StepState.UNDOING, StepState.UNDONE, StepState.LEFT) for step in self.steps
        )
        ended = (StepState.UNDONE,) if backwards else (StepState.DONE, StepState.UNDONE)
        return tuple(step for step in self.steps if step.state not in ended or step.noted.get("deviates"))


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose traces are to be erased. Ids are the EMR's; those of clients, the gateway's."""

    kind: Literal["appointment", "patient", "client"]
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    commands: int = 0
    """How many of them were emptied: state, key and times are left."""
    renamed: int = 0
    """How many former ids of appointments were forgotten."""
    unsettled: tuple[str, ...] = ()
    """Commands that are not at an end; where there are any, nothing was erased."""


class LedgerDown(Exception):
    """The store does not answer or can't write (disk full, read-only): nothing may be sent to an EMR."""


class NoSuchCommand(LookupError):
    """The ledger does not know the command, or it is settled and can't be taken up again."""


class Ledger(Recorder, Protocol):
    """Every method returns only when what it says is durable. All raise `LedgerDown` when the store is down.

    Each time a command comes to another state, an entry of the audit is written in the same transaction. Where several
    processes share a store, the row of the audit's head is what they take turns by (`SELECT … FOR UPDATE`).
    """

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def begin(self, row: CommandRow) -> CommandRow | None:
        """Insert the command with its key. → `None` when it is new, else the row that holds the same client's key."""
        ...

    async def plan(
        self,
        id: str,
        payload: bytes,
        actions: Sequence[str],
        appointments: Sequence[str],
        now: datetime,
        *,
        touched: Sequence[Touched] = (),
        credential: bytes = b"",
    ) -> None:
        """Store the plan and its steps, all `planned`. Replaces an earlier plan of which nothing stands.

        `credential` is what opens its account's credentials, for repair. `touched` is for the audit, and replaces what
        was named before there was a plan.
        """
        ...

    async def advance(
        self,
        id: str,
        steps: Sequence[StepRow],
        now: datetime,
        lineage: Sequence[tuple[str, str, str]] = (),
        appointments: Sequence[str] = (),
    ) -> None:
        """Write step states (and receipts) in one commit; with `(tenant, old id, new id)` where an id changed, and with
        the ids that only the steps' receipts tell, by which the command is found from then on."""
        ...

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
        """Write how it stands. With a settled `state`, payload, receipts and credential are erased: only the answer is
        kept, and `steps`, without what they hold of the appointments but their ids. `remark` is added to those there
        are."""
        ...

    async def prove(self) -> None:
        """Write something that says nothing: returns only when the store takes writes."""
        ...

    async def command(self, id: str, client: str | None) -> CommandRow | None:
        """`client`: whose it has to be; `None`: anybody's."""
        ...

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
        """The client's commands (`None`: everybody's), newest first."""
        ...

    async def unsettled(self) -> Sequence[CommandRow]:
        """Of all clients, oldest first, with payloads: what recovery has to finish or undo."""
        ...

    async def count_unsettled(self) -> Mapping[State, int]:
        """How many commands of all clients are in each of the states that are no end."""
        ...

    async def successors(self, tenant: str, ids: Sequence[str]) -> dict[str, str]:
        """The current id for each of `ids` that has a successor."""
        ...

    async def ancestors(self, tenant: str, id: str) -> tuple[str, ...]:
        """The earlier ids of `id`, oldest first."""
        ...

    async def head(self) -> Mark:
        """The newest entry of the audit, to be kept elsewhere."""
        ...

    async def forget_audit(self, before: datetime, now: datetime) -> int:
        """Forget the oldest entries of the audit, as far as they are older than that. → how many.

        What is forgotten is an entry itself. Raises `gateway.audit.chain.Broken` where the record was altered.
        """
        ...

    async def purge(self, settled_before: datetime) -> int:
        """Forget settled commands older than that. → how many."""
        ...

    async def forget_renamed(self, before: datetime) -> int:
        """Forget the former ids of appointments that got no new one since then. → how many."""
        ...

    async def erase(self, subject: Subject, told: Answer, who: str, now: datetime) -> Erased:
        """Erase what is held of somebody in settled commands and former ids, and record that; `told` is what their
        commands answer from then on. Their keys, and the audit's keyed hashes, stay."""
        ...

    async def scrub(self) -> None:
        """What was erased, purged or forgotten is gone from the disk, too."""
        ...
