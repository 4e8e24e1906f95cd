"""What the routes ask for, of the rooms that do it: `writing`, `reading`, `repair`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from uuid import uuid4

from prometheus_client import CollectorRegistry

from gateway import __version__, clock
from gateway.answering import Answering
from gateway.api import AccountInfo, Circumstances, Configured, Principal, Reply
from gateway.attention.attending import Attending
from gateway.attention.status import Status, status
from gateway.audit import Event, Fact
from gateway.clients.admission import Admission, Allowance
from gateway.configuration.accounts import OpenAccount
from gateway.configuration.reloading import Reloading, Result
from gateway.domain.commands import Command
from gateway.domain.errors import Busy, EmrUnavailable, NotFound
from gateway.domain.model import Appointment, Entry, Kind, Slot, Span
from gateway.domain.outcome import Outcome
from gateway.ending import Ending
from gateway.identifiers import appointment_id, emr_id
from gateway.keys import Keys
from gateway.ledger import CommandRow, Ledger, LedgerDown
from gateway.locks import CriticalSections
from gateway.metrics import Metrics
from gateway.reading import Reading
from gateway.repair import Repair
from gateway.restoring import Accounts
from gateway.retention import Keeping, Retention
from gateway.writing import Work, Writing, store_down

log = logging.getLogger("gateway.service")

Authenticate = Callable[[str | None, str | None, str], Awaitable[Principal]]
Locked = Callable[[str], Sequence[AccountInfo]]
PURGE_EVERY_S = 600.0


class Service:
    """Implements `gateway.api.Gateway`."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        authenticate: Authenticate,
        keys: Keys,
        ledger: Ledger,
        locks: CriticalSections,
        public_url: str,
        lock_wait_s: float = 10.0,
        retention: Retention = Retention(),  # noqa: B008  it can't be changed
        drain_s: float = 20.0,
        metrics: Metrics | None = None,
        serving: bool = True,
        admission: Admission | None = None,
        locked: Locked = lambda _: (),
    ) -> None:
        """`serving`: commands will be taken; else it is only for a person to see to those there are. `locked`: a
        client's accounts that can't be opened just now."""
        self._locked = locked
        self._accounts, self._authenticate = accounts, authenticate
        self._admission = admission or Admission(Allowance(), {})
        self._ledger, self._drain_s = ledger, drain_s
        self._keeping = Keeping(ledger, retention)
        self._answering = Answering(keys, ledger, public_url)
        self._reading = Reading(ledger)
        self._metrics = metrics or Metrics(CollectorRegistry())
        self._metrics.watch(accounts, self.configuration)
        ending = Ending(ledger, self._answering, self._metrics)
        self._repair = Repair(accounts, ledger, locks, self._answering, ending)
        self._writing = Writing(
            keys,
            ledger,
            locks,
            self._answering,
            self._repair,
            ending,
            lock_wait_s=lock_wait_s,
            key_ttl=retention.commands,
        )
        self.attending = Attending(ledger, self._answering, ending, self._repair, serving=serving)
        self.reloading: Reloading | None = None
        """Reads the configuration again, if anything does."""
        self._own: list[asyncio.Task[None]] = []
        """What it does without being asked."""
        self._closed = False

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what an earlier process left, before the first request."""
        await self._repair.recover()
        await self._note(Event(kind="gateway.started", facts=self._identity()))
        self._own.append(asyncio.create_task(self._purge()))
        if self.reloading is not None:
            self._own.append(asyncio.create_task(self.reloading.watch()))

    async def stop(self) -> None:
        """Let commands finish for a while; what is then still running is taken up by the next start."""
        self.close()
        for task in self._own:
            task.cancel()
        await self._writing.drain(self._drain_s)
        await self.hand_over()

    def close(self) -> None:
        """Take nothing new from now on."""
        self._closed = True

    @property
    def busy(self) -> bool:
        """Commands are running, whether or not anybody waits for them."""
        return self._writing.busy

    async def hand_over(self) -> None:
        """Stop the commands that are running, for the next start to go on with. Who waits is told where to ask."""
        # All before any of them ends: the locks that one gives back, its write still on its way, are for nobody.
        await asyncio.gather(*self._writing.cut_off(), *self._repair.cut_off(), return_exceptions=True)

    def let_in(self, authenticate: Authenticate, usual: Allowance, own: Mapping[str, Allowance]) -> None:
        """From now on: who may ask, and for how much."""
        self._authenticate = authenticate
        self._admission.become(usual, own)

    async def reloaded(self, result: Result, told: Configured) -> None:
        """The configuration was read again."""
        self._metrics.reloaded(result)
        if result != "unchanged":
            changed = told.changed if result == "switched" else {}
            facts = {"running": told.digest, "on_disk": told.on_disk, **changed}
            await self._note(Event(kind=f"configuration.{result}", facts=facts))

    def _identity(self) -> Mapping[str, Fact]:
        told = self.configuration()
        running = {} if told is None else told.changed
        return {"version": __version__, "running": None if told is None else told.digest, **running}

    def status(self, version: str) -> Status:
        """For the gateway's operator: it names clients and accounts."""
        return status(version, self.configuration(), self._accounts)

    def heard(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request was answered."""
        self._metrics.requested(method, route, status, seconds)

    def configuration(self) -> Configured | None:
        return None if self.reloading is None else self.reloading.told

    async def authenticate(self, client_id: str | None, client_secret: str | None, source: str) -> Principal:
        """Also the one door of all that needs credentials: it is shut when the gateway is being stopped."""
        self._refuse_if_closed()
        return await self._authenticate(client_id, client_secret, source)

    def admit(self, principal: Principal) -> AbstractContextManager[None]:
        return self._admission.request(principal.client_id)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Busy("The gateway is being stopped; nothing was written.", retry_after=5)

    async def ready(self) -> bool:
        if self._closed:
            return False
        try:
            await self._ledger.prove()
        except LedgerDown:
            return False
        return True

    async def count(self) -> None:
        try:
            self._metrics.unsettled(await self._ledger.count_unsettled())
        except LedgerDown:
            log.warning("the store is down: what is unsettled can't be counted")

    async def _note(self, event: Event) -> None:
        """For what is done already: a store that is down does not take it back."""
        try:
            await self._ledger.note(event, clock.now())
        except LedgerDown:
            log.warning("the store is down: %s is not recorded", event.kind)

    async def _purge(self) -> None:
        while True:
            try:
                await self._keeping.keep(clock.now())
            except LedgerDown:
                log.warning("the store is down: nothing purged")
            await asyncio.sleep(PURGE_EVERY_S)

    # -- writes -----------------------------------------------------------------------------------------------------

    async def write(self, principal: Principal, emr: str, command: Command, circumstances: Circumstances) -> Reply:
        self._refuse_if_closed()
        work = Work(uuid4().hex, principal, self._account(principal, emr), command, circumstances)
        if circumstances.dry_run:
            return await self._writing.dry_run(work)
        self._admission.command(principal.client_id, self._writing.running(principal.client_id))
        return await self._writing.write(work)

    def _account(self, principal: Principal, emr: str) -> OpenAccount:
        account = self._accounts.get((principal.client_id, emr))
        if account is not None:
            return account
        if any(locked.key == emr for locked in self._locked(principal.client_id)):
            raise EmrUnavailable("The gateway has no credentials for this EMR that it can open.")
        raise NotFound("There is no such EMR account.")

    # -- reads ------------------------------------------------------------------------------------------------------

    def accounts(self, principal: Principal) -> Sequence[AccountInfo]:
        opened = [
            AccountInfo(
                key=a.key,
                plugin=a.plugin,
                name=a.name,
                edition=a.edition,
                capabilities=a.emr.capabilities,
                standing=a.door.manners.standing,
            )
            for (client, _), a in self._accounts.items()
            if client == principal.client_id
        ]
        return [*opened, *self._locked(principal.client_id)]

    async def appointment(self, principal: Principal, emr: str, id: str, care_unit_id: str | None) -> Outcome:
        port = self._account(principal, emr).emr
        return await self._reading.appointment(port, appointment_id(id), care_unit_id)

    async def appointments(
        self,
        principal: Principal,
        emr: str,
        *,
        span: Span,
        patient_id: str | None,
        resource_id: str | None,
        care_unit_id: str | None,
    ) -> Outcome:
        port = self._account(principal, emr).emr
        patient_id = await emr_id(port, Kind.PATIENT, patient_id, "query/patient_id")
        resource_id = await emr_id(port, Kind.RESOURCE, resource_id, "query/resource_id")
        return await self._reading.appointments(port, span, patient_id, resource_id, care_unit_id)

    async def timeslots(
        self,
        principal: Principal,
        emr: str,
        *,
        span: Span,
        resource_id: str | None,
        healthcare_service_id: str | None,
        care_unit_id: str | None,
    ) -> Sequence[Slot]:
        port = self._account(principal, emr).emr
        resource_id = await emr_id(port, Kind.RESOURCE, resource_id, "query/resource_id")
        healthcare_service_id = await emr_id(port, Kind.SERVICE, healthcare_service_id, "query/healthcare_service_id")
        return await self._reading.timeslots(port, span, resource_id, healthcare_service_id, care_unit_id)

    async def directory(self, principal: Principal, emr: str, kind: Kind, care_unit_id: str | None) -> Sequence[Entry]:
        return await self._reading.directory(self._account(principal, emr).emr, kind, care_unit_id)

    async def command(self, principal: Principal, id: str) -> CommandRow:
        try:
            row = await self._ledger.command(id, principal.client_id)
        except LedgerDown:
            raise store_down() from None
        if row is None:
            raise NotFound("There is no such command.")
        return row

    async def commands(
        self, principal: Principal, *, key: str | None, appointment: str | None, unsettled: bool
    ) -> Sequence[CommandRow]:
        hashed = None if key is None else self._writing.key_of(principal, key)
        client = principal.client_id
        try:
            if appointment is not None:
                return await self._concerning(client, appointment)
            return await self._ledger.commands(client, key=hashed, unsettled=unsettled)
        except LedgerDown:
            raise store_down() from None

    async def _concerning(self, client: str, appointment: str) -> Sequence[CommandRow]:
        """The commands that touched the appointment, under whichever of its ids it had then."""
        ids = {appointment}
        for tenant in {a.emr.tenant for (owner, _), a in self._accounts.items() if owner == client}:
            newest = (await self._ledger.successors(tenant, [appointment])).get(appointment, appointment)
            ids |= {newest, *await self._ledger.ancestors(tenant, newest)}
        found = {row.id: row for id in ids for row in await self._ledger.commands(client, appointment=id)}
        return sorted(found.values(), key=lambda row: row.created_at, reverse=True)

    def etag(self, appointment: Appointment) -> str:
        return self._answering.etag(appointment)
