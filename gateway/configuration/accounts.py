"""Accounts: what a clients file names, held against its plugins and opened. Nothing is sent to an EMR here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import partial

import httpx
from pydantic import BaseModel

from gateway import tracing
from gateway.configuration.clients_file import AccountSettings
from gateway.configuration.references import stored_in, with_stored
from gateway.configuration.settings import Settings
from gateway.configuration.toml_files import ConfigError
from gateway.configuration.validating import (
    REFUSED,
    mistakes_without_stored,
    provisional,
    quotes,
    secrets_in,
    validated,
)
from gateway.domain.capabilities import Capabilities
from gateway.domain.editions import Edition
from gateway.manners.shared import Manners
from gateway.port import Account, BadAccount, Emr, Vendor
from gateway.registry import PluginError, Registry
from gateway.vendor.consent import Consent, Grant
from gateway.vendor.flight import Flight
from gateway.vendor.http import Door
from gateway.vendor.network import lives_here
from gateway.vendor.way import DIRECT, Way

Key = tuple[str, str]
"""The client's id and the account's key."""
Heard = Callable[[str, Flight], None]
Route = Callable[[Vendor, BaseModel, Way], httpx.AsyncBaseTransport]
"""Which transport leads to an account of a vendor, given the account's settings and its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    """One EMR account of one client, ready for use."""

    client_id: str
    key: str
    """The `{emr}` of the routes."""
    plugin: str
    name: str
    """For people to read."""
    edition: Edition
    emr: Emr
    """The port; its capabilities bear the account's own `slot_check` and `notify`."""
    door: Door
    """Leads to the EMR; its manners are shared by accounts that are one for the EMR."""
    made_of: AccountSettings | None = field(default=None, repr=False)
    """As it is configured."""
    data_key: bytes = field(default=b"", repr=False)
    """What opens its credentials in the gateway's own store; nothing where it has none there."""


def plugins_of(settings: Settings) -> frozenset[str]:
    """The plugins that the configuration names."""
    return frozenset(account.plugin for client in settings.clients for account in client.emrs)


def open_accounts(
    settings: Settings,
    registry: Registry,
    route: Route,
    *,
    running: Mapping[Key, OpenAccount] | None = None,
    known: MutableMapping[Hashable, Manners] | None = None,
    heard: Heard = lambda _plugin, _flight: None,
) -> Mapping[Key, OpenAccount]:
    """Every account by client and key, but those that are locked. Raises ConfigError with all mistakes of all accounts.

    Of those that are `running`, the ones that are configured as before are taken over as they are. `known`: the manners
    of what runs; what is new is added. Those that were known are left as they are: `declare` tells them of the new.
    `heard` is told of every call to an EMR that has ended, with its plugin.
    """
    opened: dict[Key, OpenAccount] = {}
    running = {} if running is None else running
    known = {} if known is None else known
    found: dict[str, None] = {}
    told: set[str] = set()
    for client in settings.clients:
        for account in client.emrs:
            before = running.get((client.id, account.key))
            if before is not None and before.made_of == account:
                opened[client.id, account.key] = before
                continue
            try:
                if is_locked(account, registry.vendor(account.plugin)):
                    _looked_at(account, registry)
                else:
                    opened[client.id, account.key] = _opened(client.id, account, registry, route, known, heard)
            except ConfigError as error:
                found |= dict.fromkeys(error.args)
            except PluginError as error:
                # A broken plugin is the same news at every account that names it.
                if account.plugin not in told:
                    found |= dict.fromkeys(f"{account.place}: {sentence}" for sentence in error.args)
                told.add(account.plugin)
    if found:
        raise ConfigError(*found)
    return opened


def is_locked(account: AccountSettings, vendor: Vendor) -> bool:
    """Is something that it takes to open it in the gateway's own store, where only its client can unlock it?"""
    return any(stored_in(account.values)) or consent_of(account, vendor) is not None


def consent_of(account: AccountSettings, vendor: Vendor) -> Consent | None:
    """How its owner is asked to let the gateway in, if that is how one gets into it. Raises PluginError."""
    settings = None if vendor.consent is None else provisional(account, vendor.settings)
    if vendor.consent is None or settings is None:
        return None
    try:
        return vendor.consent(settings)
    # It is the plugin's own code, and may raise anything.
    except Exception as error:  # noqa: BLE001
        raise PluginError(f"plugin {account.plugin}: its consent raises {type(error).__name__}") from None


def unlocked(
    client_id: str,
    account: AccountSettings,
    credentials: Mapping[str, str],
    data_key: bytes,
    registry: Registry,
    route: Route,
    known: MutableMapping[Hashable, Manners],
    heard: Heard = lambda _plugin, _flight: None,
    grant: Grant | None = None,
) -> OpenAccount:
    """An account that was locked. Raises KeyError for a credential that it needs, ConfigError, PluginError."""
    whole = replace(account, values=with_stored(account.values, credentials))
    return replace(_opened(client_id, whole, registry, route, known, heard, grant), made_of=account, data_key=data_key)


def _looked_at(account: AccountSettings, registry: Registry) -> None:
    """Raises ConfigError for what is wrong with it while it is locked."""
    vendor = registry.vendor(account.plugin)
    if found := mistakes_without_stored(account, vendor.settings):
        raise ConfigError(*found)
    _none_of(_unknown_reason(account, vendor.capabilities), account)


def _opened(
    client_id: str,
    account: AccountSettings,
    registry: Registry,
    route: Route,
    known: MutableMapping[Hashable, Manners],
    heard: Heard,
    grant: Grant | None = None,
) -> OpenAccount:
    vendor = registry.vendor(account.plugin)
    settings = validated(account, vendor.settings)
    if account.way != DIRECT and lives_here(vendor, settings):
        raise ConfigError(f"{account.place}: its EMR lives in the gateway itself; leave out tls and proxy")
    name = f"EMR {account.key} of client {client_id}"
    way = tracing.around(route(vendor, settings, account.way), account.plugin, passed_on=account.traceparent)
    door = Door(way, name=name, heard=partial(heard, account.plugin))
    told = Account(account.key, settings, door, account.notify, account.cancel_reason, grant)
    emr = _emr(account, vendor, registry, told)
    slot_check = account.slot_check or emr.capabilities.slot_check
    emr.capabilities = replace(emr.capabilities, slot_check=slot_check, notify=account.notify)
    own = door.manners
    own.pace.declare(emr.capabilities)
    door.manners = known.setdefault(_one_for_its_emr(account.plugin, emr, settings), own)
    edition = vendor.edition(emr.edition)
    assert edition is not None
    return OpenAccount(
        client_id=client_id,
        key=account.key,
        plugin=account.plugin,
        name=account.name or vendor.name,
        edition=edition,
        emr=emr,
        door=door,
        made_of=account,
    )


def declare(accounts: Iterable[OpenAccount]) -> None:
    """Tell the manners that accounts share what each of them knows of its limits."""
    for account in accounts:
        account.door.manners.pace.declare(account.emr.capabilities)


def _emr(account: AccountSettings, vendor: Vendor, registry: Registry, told: Account) -> Emr:
    # Before it is opened, so that a plugin meets no code that it does not know.
    _none_of(_unknown_reason(account, vendor.capabilities), account)
    try:
        emr = registry.open(told, account.plugin)
    except BadAccount as error:
        said = REFUSED if quotes(str(error), account) else str(error)
        raise ConfigError(f"{account.place}: {said}") from None
    _none_of(_unfit(account, emr), account)
    return emr


def _none_of(sentences: Iterable[str], account: AccountSettings) -> None:
    if found := tuple(sentences):
        raise ConfigError(*(f"{account.place}.{sentence}" for sentence in found))


def _unfit(account: AccountSettings, emr: Emr) -> Iterator[str]:
    """What the account is told to do and its plugin can't."""
    plugin, can = account.plugin, emr.capabilities
    if account.slot_check == "after_write" and not (can.lists or type(emr).conflicts is not Emr.conflicts):
        yield f"slot_check: plugin {plugin} can't be asked for conflicts; use another one"
    if account.notify is False and can.notifies == "emr":
        yield f"notify: plugin {plugin} can't keep its EMR from messaging patients; leave it out"
    if account.notify is True and can.notifies == "never":
        yield f"notify: the EMR of plugin {plugin} never messages patients; leave it out"
    yield from _unknown_reason(account, can)


def _unknown_reason(account: AccountSettings, can: Capabilities) -> Iterator[str]:
    if account.cancel_reason is None or can.cancel_reasons == "any":
        return
    if can.cancel_reasons == "none":
        yield f"cancel_reason: plugin {account.plugin} can't give a cancellation a code; leave it out"
    elif account.cancel_reason not in can.cancel_reasons:
        yield f"cancel_reason should be {' or '.join(sorted(can.cancel_reasons))} with plugin {account.plugin}"


def _one_for_its_emr(plugin: str, emr: Emr, settings: BaseModel) -> Hashable:
    """What an EMR can tell its callers apart by: quotas are counted, and circuits opened, by where and as whom."""
    return plugin, emr.tenant, frozenset(secrets_in(settings))
