"""The composition root: the only place that knows everyone."""

from __future__ import annotations

import asyncio
import os
import platform
import zoneinfo
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry, GCCollector, Info, ProcessCollector, disable_created_metrics
from starlette.applications import Starlette

from gateway import __version__, routes, tracing
from gateway.answering import Answering
from gateway.api import Principal
from gateway.attention.attending import Attending
from gateway.clients.admission import Admission
from gateway.clients.auth import Clients
from gateway.configuration.accounts import OpenAccount, Route, open_accounts, plugins_of
from gateway.configuration.probing import Probing, probe, reason
from gateway.configuration.reloading import Read, Reloading
from gateway.configuration.settings import Settings
from gateway.configuration.switching import Readiness, RunningAccounts, Switch
from gateway.configuration.toml_files import ConfigError
from gateway.configuration.validating import provisional
from gateway.credentials.store import Store
from gateway.credentials.terminal import Terminal, notes, say
from gateway.credentials.unlocking import Locked, Unlocking, locked_of
from gateway.ending import Ending
from gateway.key_ring import complete, key_at, succeed
from gateway.keys import BadKey, Keys, sync_directory
from gateway.ledger.sqlite import SqliteLedger
from gateway.locks import Locks
from gateway.metrics import Metrics
from gateway.port import EmrError
from gateway.registry import Registry
from gateway.restoring import Accounts
from gateway.retention import Retention
from gateway.service import Authenticate, Service
from gateway.serving import bound
from gateway.state_dir import claim
from gateway.terminal.connecting import Connecting
from gateway.vendor.consent import TIMEOUT_S
from gateway.vendor.network import Network


def pin_time_zones() -> None:
    """Zones come from the pinned tzdata package alone: the system's may be older, or none."""
    zoneinfo.reset_tzpath(())


def accounts_of(settings: Settings, route: Route) -> Accounts:
    """Every account of every client, by the plugins that they name. Raises ConfigError."""
    return open_accounts(settings, Registry.load(plugins_of(settings)), route)


def keys_of(settings: Settings, *, create: bool = True) -> Keys:
    """The master key; without one of one's own, the state directory's, made there where there is none (`create`).

    Raises BadKey.
    """
    keys = Keys.load(settings.key) if settings.key else Keys.from_file(settings.state_dir / "gateway.key", create)
    return complete(keys, settings.state_dir)


def mistakes_in(settings: Settings) -> list[str]:
    """What only the plugins and the key can say about the settings; nothing is sent or written."""
    found: list[str] = []
    if settings.tracing.endpoint and not tracing.is_installed():
        found.append(
            "tracing.endpoint wants packages that are not installed: see requirements-otel.lock, or leave it out"
        )
    try:
        if settings.key:
            Keys.load(settings.key)
    except BadKey as error:
        found.append(str(error))
    try:
        accounts_of(settings, lambda _vendor, _settings, _way: httpx.AsyncBaseTransport())
    except ConfigError as error:
        found.extend(error.args)
    return found


async def unreachable(settings: Settings) -> list[str]:
    """One read from every account: a sentence for each that does not answer."""
    network = Network(settings.state_dir)
    accounts = accounts_of(settings, network.route)
    async with network.open():
        answers = await asyncio.gather(*map(_failure, accounts.values()))
    return [answer for answer in answers if answer is not None]


async def _failure(account: OpenAccount) -> str | None:
    try:
        await probe(account)
    except EmrError as error:
        return f"client {account.client_id}: emrs.{account.key} does not answer: {reason(error)}"
    return None


def metrics_registry() -> CollectorRegistry:
    """What `/metrics` shows of this process; nothing in it says anything of a patient or a client."""
    # One more series beside each, which nobody reads.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    about = Info("gateway", "Which gateway this is.", registry=registry)
    about.info({"version": __version__, "tzdata": version("tzdata"), "python": platform.python_version()})
    return registry


@asynccontextmanager
async def running(settings: Settings, metrics: CollectorRegistry | None = None) -> AsyncIterator[Starlette]:
    """The whole gateway, for as long as the block runs: what was left undone is taken up, what runs is drained.

    `metrics` is what its `/metrics` shows; without one it has none. Raises what `opened` does.
    """
    async with opened(settings, metrics) as service:
        await service.start()
        yield application(service, settings, metrics)


def application(service: Service, settings: Settings, metrics: CollectorRegistry | None) -> Starlette:
    """What clients call. `metrics` is what its `/metrics` shows; without one it has none."""
    return routes.build(
        service,
        public_url=settings.public_url,
        registry=metrics,
        max_items=settings.limits.max_items,
    )


@asynccontextmanager
async def attending(settings: Settings) -> AsyncIterator[Attending]:
    """The ledger of a gateway that does not run, for a person to see to its commands; no EMR can be asked.

    Raises BadKey, StateDirBusy, StateDirUnusable, and what the ledger raises when it can't be opened.
    """
    async with AsyncExitStack() as stack:
        keys, ledger = await _ledger_of(settings, stack, new=False)
        answering = Answering(keys, ledger, settings.public_url)
        ending = Ending(ledger, answering, Metrics(CollectorRegistry()))
        yield Attending(ledger, answering, ending, None, serving=False)


async def _ledger_of(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    new: bool,
    heard: Callable[[float, bool], None] = lambda _seconds, _kept: None,
) -> tuple[Keys, SqliteLedger]:
    """`new`: it may be the first time, for which there is no key yet. `heard` is told of every write."""
    stack.enter_context(claim(settings.state_dir))
    keys = keys_of(settings, create=new)
    ledger = SqliteLedger(ledger_path(settings), keys, heard=heard)
    await ledger.open()
    stack.push_async_callback(ledger.close)
    return keys, ledger


@asynccontextmanager
async def opened(
    settings: Settings,
    metrics: CollectorRegistry | None = None,
    *,
    serving: bool = True,
    read: Read | None = None,
) -> AsyncIterator[Service]:
    """All that the gateway is made of, before it has begun. `serving`: it will take commands. `read`: reads the
    configuration again; without it, what it begins with is all that it ever has.

    Raises ConfigError, BadKey, StateDirBusy, StateDirUnusable, and what the ledger raises when it can't be opened.
    """
    pin_time_zones()
    async with AsyncExitStack() as stack:
        watched = Metrics(metrics or CollectorRegistry())
        keys, ledger = await _ledger_of(settings, stack, new=serving, heard=watched.stored)
        network = Network(settings.state_dir)
        accounts = RunningAccounts(network, watched.called)
        accounts.become(accounts.beside(settings))
        await stack.enter_async_context(network.open())
        probing = await stack.enter_async_context(Probing())
        await probing.begin(accounts.values())
        store = _store_of(settings, keys)
        stack.callback(store.close)
        unlocking = Unlocking(store, keys, accounts, Readiness(network, probing))
        stack.push_async_callback(unlocking.drain, TIMEOUT_S)
        unlocking.become(_locked_of(settings))
        await unlocking.take_up(await ledger.unsettled())
        clients = [Clients(_secrets_of(settings), keys)]

        def none_gets_in() -> None:
            clients[-1].close()

        stack.callback(none_gets_in)
        service = Service(
            accounts=accounts,
            authenticate=_entering(clients[-1], unlocking),
            keys=keys,
            ledger=ledger,
            locks=Locks(watched.waited),
            public_url=settings.public_url,
            lock_wait_s=settings.limits.lock_wait_s,
            retention=Retention(
                commands=timedelta(hours=settings.limits.key_ttl_h),
                audit=timedelta(days=settings.limits.audit_days),
                renamed=timedelta(days=settings.limits.renamed_days),
            ),
            drain_s=settings.limits.drain_s,
            metrics=watched,
            serving=serving,
            admission=Admission(settings.allowance, settings.allowances),
            locked=unlocking.closed,
        )
        stack.push_async_callback(service.stop)
        if read is not None:

            def let_in(changed: Settings) -> None:
                # Those before end by themselves, when the last secret that they are asked about is checked.
                clients[:] = [clients[-1].followed_by(_secrets_of(changed))]
                unlocking.become(_locked_of(changed))
                service.let_in(_entering(clients[-1], unlocking), changed.allowance, changed.allowances)

            switch = Switch(accounts, network, probing, let_in)
            service.reloading = Reloading(settings, keys, read, switch, service.reloaded)
        yield service


def _entering(clients: Clients, unlocking: Unlocking) -> Authenticate:
    """Who proves itself by its secret opens with it what only that opens."""

    async def authenticate(client_id: str | None, client_secret: str | None, source: str) -> Principal:
        principal = await clients.authenticate(client_id, client_secret, source)
        await unlocking.called(principal.client_id, client_secret or "")
        return principal

    return authenticate


def _locked_of(settings: Settings) -> list[Locked]:
    return locked_of(settings, Registry.load(plugins_of(settings)))


@contextmanager
def credentials_of(settings: Settings) -> Iterator[Terminal]:
    """The store of credentials, for a person. Raises BadKey."""
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = keys_of(settings)
    with closing(_store_of(settings, keys)) as store:
        yield Terminal(settings, keys, store, _locked_of(settings))


async def connect(settings: Settings, emr: str, client_id: str | None, port: int) -> None:
    """Have the owner of an EMR account let the gateway in. Raises CantOpen, BadKey, PortTaken."""
    with credentials_of(settings) as terminal, closing(bound("127.0.0.1", port)) as listening:
        one, secret = terminal.connectable(emr, client_id)
        consent, network = terminal.consent(one, secret), Network(settings.state_dir)
        told = provisional(one.settings, one.vendor.settings)
        assert told is not None  # else it would be no account that is to be connected
        transport = network.route(one.vendor, told, one.settings.way)
        async with network.open():
            connecting = Connecting(consent, transport.handle_async_request, say)
            terminal.connected(one, secret, await connecting.refresh_token(listening))


def notes_on(settings: Settings) -> list[str]:
    """What there is to be said of stored credentials. Raises CantOpen."""
    locked = _locked_of(settings)
    if not locked:
        return []
    try:
        keys = keys_of(settings, create=False)
    except BadKey:
        keys = Keys(os.urandom(32))  # there is none yet, or it is lost: no credential opens
    with closing(_store_of(settings, keys)) as store:
        return notes(store, locked)


def rotate_key(settings: Settings, to: str | None) -> int:
    """Put the key that `to` refers to, or a new one in the state directory, in the place of the present one. → how many
    credentials were sealed anew.

    Raises BadKey, CantOpen, StateDirBusy, StateDirUnusable.
    """
    with claim(settings.state_dir):
        present, own = keys_of(settings, create=False), settings.state_dir / "gateway.key"
        if to is None and settings.key:
            raise BadKey("The configuration refers to its key: say with --to where the new one is, or is to be made.")
        ready = succeed(present, key_at(to, own.with_name("gateway.key.new")), settings.state_dir)
        if to is None:
            own.with_name("gateway.key.new").replace(own)
            sync_directory(settings.state_dir)
        with closing(_store_of(settings, ready)) as store:
            return store.seal_anew()


def _store_of(settings: Settings, keys: Keys) -> Store:
    return Store(settings.state_dir / "credentials.sqlite", keys)


def _secrets_of(settings: Settings) -> Mapping[str, Sequence[str]]:
    return {client.id: client.secrets for client in settings.clients}


def ledger_path(settings: Settings) -> Path:
    return settings.state_dir / "ledger.sqlite"
