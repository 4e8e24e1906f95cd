"""The composition root: the only place that knows everyone."""

from __future__ import annotations

import platform
import zoneinfo
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

import httpx
from prometheus_client import CollectorRegistry, GCCollector, Info, ProcessCollector, disable_created_metrics
from starlette.applications import Starlette

from gateway import __version__, routes, tracing
from gateway.answering import Answering
from gateway.api import Principal
from gateway.attention.attending import Attending
from gateway.clients.admission import Admission
from gateway.clients.auth import Clients
from gateway.clients.refusals import Refusals
from gateway.configuration.accounts import Route, open_accounts, plugins_of
from gateway.configuration.probing import Probing
from gateway.configuration.reloading import Read, Reloading
from gateway.configuration.settings import Settings
from gateway.configuration.switching import Readiness, RunningAccounts, Switch
from gateway.configuration.toml_files import ConfigError
from gateway.credentials.unlocking import Unlocking
from gateway.domain.errors import RateLimited, Unauthorized
from gateway.ending import Ending
from gateway.held import keys_of, ledger_path, store_of
from gateway.keys import BadKey, Keys
from gateway.ledger.sqlite import SqliteLedger
from gateway.locks import Locks
from gateway.metrics import Metrics
from gateway.registry import Registry
from gateway.restoring import Accounts
from gateway.retention import Retention
from gateway.service import Authenticate, Service
from gateway.state_dir import claim
from gateway.terminal.operating import all_locked
from gateway.vendor.consent import TIMEOUT_S
from gateway.vendor.network import Network


def pin_time_zones() -> None:
    """Zones come from the pinned tzdata package alone: the system's may be older, or none."""
    zoneinfo.reset_tzpath(())


def accounts_of(settings: Settings, route: Route) -> Accounts:
    """Every account of every client, by the plugins that they name. Raises ConfigError."""
    return open_accounts(settings, Registry.load(plugins_of(settings)), route)


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
        store = store_of(settings, keys)
        stack.callback(store.close)
        unlocking = Unlocking(store, keys, accounts, Readiness(network, probing))
        stack.push_async_callback(unlocking.drain, TIMEOUT_S)
        unlocking.become(all_locked(settings))
        await unlocking.take_up(await ledger.unsettled())
        clients = [Clients(_secrets_of(settings), keys)]
        refusals = Refusals(ledger)
        await stack.enter_async_context(refusals.telling())

        def none_gets_in() -> None:
            clients[-1].close()

        stack.callback(none_gets_in)
        service = Service(
            accounts=accounts,
            authenticate=_entering(clients[-1], unlocking, refusals),
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
                unlocking.become(all_locked(changed))
                service.let_in(_entering(clients[-1], unlocking, refusals), changed.allowance, changed.allowances)

            switch = Switch(accounts, network, probing, let_in)
            service.reloading = Reloading(settings, keys, read, switch, service.reloaded)
        yield service


def _entering(clients: Clients, unlocking: Unlocking, refusals: Refusals) -> Authenticate:
    """Who proves itself by its secret opens with it what only that opens; who does not is counted for the audit."""

    async def authenticate(client_id: str | None, client_secret: str | None, source: str) -> Principal:
        try:
            principal = await clients.authenticate(client_id, client_secret, source)
        except (Unauthorized, RateLimited) as refused:
            known = client_id if client_id in clients else None
            refusals.noted(known, source, throttled=isinstance(refused, RateLimited))
            raise
        await unlocking.called(principal.client_id, client_secret or "")
        return principal

    return authenticate


def _secrets_of(settings: Settings) -> Mapping[str, Sequence[str]]:
    return {client.id: client.secrets for client in settings.clients}
