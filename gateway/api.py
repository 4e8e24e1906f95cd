"""What the routes ask of the gateway: one Protocol, which the service implements, and its words."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.domain.capabilities import Capabilities
from gateway.domain.commands import Command
from gateway.domain.editions import Edition
from gateway.domain.model import Appointment, Entry, Kind, Slot, Span
from gateway.domain.outcome import Outcome
from gateway.ledger import CommandRow
from gateway.manners.shared import Standing

DEFAULT_WAIT_S = 50.0
"""How long a client waits for a write to settle, at most, before it is answered 202; in seconds."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The client that was authenticated."""

    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountInfo:
    """One EMR account of a client: what `GET /api/emrs` shows."""

    key: str
    plugin: str
    name: str
    edition: Edition
    capabilities: Capabilities
    """What is left of the edition's for this very account."""
    standing: Standing = "reachable"
    """Whether its EMR is called just now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """Which configuration runs, and whether there is another one on the disk."""

    digest: str
    """A keyed hash of all files that it was read from, secrets that they refer to included."""
    since: datetime
    on_disk: str
    """The digest of what lies there."""
    refused: tuple[str, ...] = ()
    """Why that does not run, a sentence each."""
    changed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What it has changed when it began to run, by name; for the audit."""

    @property
    def differs(self) -> bool:
        return self.on_disk != self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How a write was asked for, apart from what it wants."""

    request_id: str
    standard: str = "leyr"
    idempotency_key: str | None = None
    """As the client sent it; `None` on dry runs, which ignore it."""
    fingerprint: str = ""
    """Canonical text of method, EMR key, path, standard and parsed body: equal for equal requests.
    It may hold patient data, so it is to be hashed with a key before it is kept."""
    dry_run: bool = False
    expected_plan: str | None = None
    """The `x-plan` that a real run has to be; `None` on dry runs."""
    wait_s: float = DEFAULT_WAIT_S
    """How long the client waits for the write to settle, in seconds. 0: not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A finished answer: the routes send it as it is and add nothing but the request's id."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Gateway(Protocol):
    """What the routes need. Every method raises `GatewayError`s; NotFound for an unknown `emr`, too.

    Ids are as the client meant them, byte for byte: `emr_id:X` is `X` already, ids of the other types still
    bear their type (`gateway.wire.typed_id` takes them apart).
    """

    def authenticate(self, client_id: str | None, client_secret: str | None, source: str) -> Awaitable[Principal]:
        """`source`: the address that the request comes from. Raises Unauthorized, the same and as slowly whatever was
        wrong; RateLimited where too much that is wrong comes from there."""
        ...

    def admit(self, principal: Principal) -> AbstractContextManager[None]:
        """For as long as one of the client's requests is under way. Raises RateLimited."""
        ...

    def accounts(self, principal: Principal) -> Sequence[AccountInfo]: ...

    async def write(self, principal: Principal, emr: str, command: Command, circumstances: Circumstances) -> Reply:
        """Carry out a command, or say where it stands when the client's wait is over.

        `command.if_match` holds entity tags as they were sent, quotes and all; `("*",)` matches any
        appointment, a weak tag (`W/"…"`) none.
        """
        ...

    async def appointment(self, principal: Principal, emr: str, id: str, care_unit_id: str | None) -> Outcome: ...

    async def appointments(
        self,
        principal: Principal,
        emr: str,
        *,
        span: Span,
        patient_id: str | None,
        resource_id: str | None,
        care_unit_id: str | None,
    ) -> Outcome: ...

    async def timeslots(
        self,
        principal: Principal,
        emr: str,
        *,
        span: Span,
        resource_id: str | None,
        healthcare_service_id: str | None,
        care_unit_id: str | None,
    ) -> Sequence[Slot]: ...

    async def directory(
        self, principal: Principal, emr: str, kind: Kind, care_unit_id: str | None
    ) -> Sequence[Entry]: ...

    async def command(self, principal: Principal, id: str) -> CommandRow:
        """Raises NotFound for another client's command, too."""
        ...

    async def commands(
        self, principal: Principal, *, key: str | None, appointment: str | None, unsettled: bool
    ) -> Sequence[CommandRow]:
        """Newest first. At most one filter is given."""
        ...

    def etag(self, appointment: Appointment) -> str:
        """A strong entity tag, with its quotes."""
        ...

    def heard(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request was answered. `route`: the template of its path; `None`: there is no such path."""
        ...

    async def count(self) -> None:
        """Bring what the metrics tell of the store up to date. Where it can't be read, they stay as they were."""
        ...

    def configuration(self) -> Configured | None:
        """Which configuration runs; `None` where it is not read again."""
        ...

    async def ready(self) -> bool:
        """Can commands be taken? `False` while the store is down."""
        ...
