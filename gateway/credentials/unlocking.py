"""Accounts whose credentials are in the store: opened when their client calls, since it takes its secret.

From then on they are open, for as long as the process lives. What a restart finds unfinished is opened by what was kept
beside the command.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.api import AccountInfo
from gateway.clients.auth import client_hash
from gateway.clients.kept import taken_apart
from gateway.configuration.accounts import Key, OpenAccount, consent_of, is_locked
from gateway.configuration.clients_file import AccountSettings
from gateway.configuration.references import GRANT, stored_in
from gateway.configuration.settings import Settings
from gateway.configuration.toml_files import ConfigError
from gateway.credentials import CantOpen, Nothing
from gateway.credentials.grants import Refresher
from gateway.credentials.store import Account, Store
from gateway.keys import Keys
from gateway.ledger import CommandRow
from gateway.port import Vendor
from gateway.registry import PluginError, Registry
from gateway.vendor.consent import Consent, Grant

log = logging.getLogger("gateway.credentials")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """An account that takes its client's secret to be opened."""

    at: Account
    settings: AccountSettings
    vendor: Vendor
    kept: tuple[str, ...] = field(repr=False)
    """The client's secrets as they stand in the clients file."""
    consent: Consent | None = field(default=None, repr=False)

    @property
    def key(self) -> Key:
        return self.at.client, self.at.emr

    @property
    def info(self) -> AccountInfo:
        """What can be said of it while it is locked: what its plugin claims."""
        edition = self.vendor.comes_in[0]
        return AccountInfo(
            key=self.at.emr,
            plugin=self.settings.plugin,
            name=self.settings.name or self.vendor.name,
            edition=edition,
            capabilities=edition.capabilities,
            standing="unreachable",
        )

    @property
    def names(self) -> Sequence[str]:
        """The credentials that it needs."""
        granted = () if self.consent is None else (GRANT,)
        return [*dict.fromkeys(map(str, stored_in(self.settings.values))), *granted]


class Open(Protocol):
    """The accounts that are open."""

    def __contains__(self, key: object, /) -> bool: ...

    def unlock(
        self,
        client_id: str,
        account: AccountSettings,
        credentials: Mapping[str, str],
        data_key: bytes,
        grant: Grant | None = None,
    ) -> OpenAccount: ...

    def lock(self, key: Key) -> None: ...


class Ready(Protocol):
    """Makes an opened account ready for use."""

    async def ready(self, account: OpenAccount, before: OpenAccount | None) -> None: ...


def is_chosen(keys: Keys, client_id: str, secret: str, kept: Iterable[str]) -> bool:
    """Is it a secret that a person chose, so that it could be guessed by whoever can try them fast?"""
    digest = client_hash(keys, client_id, secret)
    generated = [one.value for one in map(taken_apart, kept) if one.kind != "argon2"]
    return digest not in generated and secret not in generated


@dataclass(slots=True)
class _Known:
    """What this process knows of an account that was unlocked."""

    data_key: bytes = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)
    account: OpenAccount


class Unlocking:
    """`ready` is awaited whenever an account was opened."""

    def __init__(self, store: Store, keys: Keys, accounts: Open, ready: Ready) -> None:
        self._store, self._keys, self._accounts, self._ready = store, keys, accounts, ready
        self._locked: Mapping[Key, Locked] = {}
        self._clients: Mapping[str, Sequence[Locked]] = {}
        self._known: dict[Key, _Known] = {}
        self._why: dict[Key, str] = {}
        self._seen: dict[tuple[str, str], object] = {}
        """By client and secret (its hash): the version of the store in which all that it opens was opened."""
        self._refreshers: dict[Key, Refresher] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def become(self, locked: Sequence[Locked]) -> None:
        """From now on these are all there are."""
        self._locked = {one.key: one for one in locked}
        self._clients = {client: [one for one in locked if one.at.client == client] for client, _ in self._locked}
        unchanged = (key for key, one in self._locked.items() if self._is_of(key, one.settings))
        self._known = {key: self._known[key] for key in unchanged}
        self._seen.clear()

    def _is_of(self, key: Key, settings: AccountSettings) -> bool:
        return key in self._known and self._known[key].account.made_of == settings and key in self._accounts

    def closed(self, client_id: str) -> Sequence[AccountInfo]:
        """Those of the client's that can't be opened."""
        return [one.info for one in self._clients.get(client_id, ()) if one.key not in self._accounts]

    async def called(self, client_id: str, secret: str) -> None:
        """A client has proved itself by this secret: open what it opens. Raises nothing."""
        mine = self._clients.get(client_id)
        if mine is None:
            return
        who = client_id, client_hash(self._keys, client_id, secret)
        if self._seen.get(who) == self._version():
            return
        # Others may wait for it, too, and what is half open would stay so.
        task = asyncio.create_task(self._open_all(mine, who, secret))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        await asyncio.shield(task)

    async def _open_all(self, mine: Sequence[Locked], who: tuple[str, str], secret: str) -> None:
        async with self._locks[who[0]]:
            version = self._version()
            if self._seen.get(who) != version:
                await asyncio.gather(*(self._open(one, secret) for one in mine))
                self._seen[who] = version

    async def take_up(self, rows: Iterable[CommandRow]) -> None:
        """Open the accounts of unfinished commands by what was kept beside them. Raises nothing."""
        data_keys = {(row.client, row.emr): row.credential for row in rows if row.credential}
        wanted = [(self._locked[key], data_key) for key, data_key in data_keys.items() if key in self._locked]
        await asyncio.gather(*(self._open_by(one, data_key) for one, data_key in wanted))

    def _version(self) -> object:
        try:
            return self._store.version()
        except CantOpen as error:
            return str(error)

    async def _open(self, one: Locked, secret: str) -> None:
        try:
            data_key = await asyncio.to_thread(self._data_key, one, secret)
        except Nothing as error:
            self._lock(one, error.args)
        except CantOpen as error:
            self._say(one, error.args)
        else:
            await self._open_by(one, data_key)

    async def _open_by(self, one: Locked, data_key: bytes) -> None:
        known = self._known.get(one.key)
        try:
            credentials = await asyncio.to_thread(self._store.credentials, one.at, data_key)
            grant = self._granted(one, data_key, credentials)
            if known is not None and (known.data_key, known.credentials) == (data_key, credentials):
                return
            opened = self._accounts.unlock(one.at.client, one.settings, credentials, data_key, grant)
        except KeyError as error:
            self._lock(one, (f"Its credential {error.args[0]} is not in the store; {put(one.at, error.args[0])}.",))
        except (ConfigError, PluginError) as error:
            self._lock(one, error.args)
        except CantOpen as error:
            self._say(one, error.args)
        else:
            self._known[one.key] = _Known(data_key, credentials, opened)
            self._why.pop(one.key, None)
            await self._ready.ready(opened, known.account if known is not None else None)

    def _granted(self, one: Locked, data_key: bytes, credentials: dict[str, str]) -> Grant | None:
        """What is granted changes with each refresh, and is left out of what makes the account another one."""
        if one.consent is None:
            return None
        del credentials[GRANT]
        refresher = self._refreshers.get(one.key)
        if refresher is None:
            refresher = self._refreshers[one.key] = Refresher(self._store, one.at, data_key)
        refresher.data_key = data_key
        return refresher

    async def drain(self, seconds: float) -> None:
        """Let refreshes that are under way end: what they are answered is good for once."""
        await asyncio.gather(*(refresher.drain(seconds) for refresher in self._refreshers.values()))

    def _data_key(self, one: Locked, secret: str) -> bytes:
        known = self._known.get(one.key)
        found = self._store.data_key(one.at, secret)
        if found is not None:
            return found
        if not self._store.has(one.at):
            raise Nothing(f"The store has nothing for it; {put(one.at, *one.names[:1])}.")
        if known is None or not self._is_present(one.at, known.data_key):
            raise CantOpen(
                "It was sealed for another secret of this client. Call once with that one, or seal it for this one: "
                f"python -m gateway credentials reseal {one.at.client}."
            )
        chosen = is_chosen(self._keys, one.at.client, secret, one.kept)
        self._store.open_to(one.at, known.data_key, secret, chosen=chosen)
        log.info("EMR %s of client %s: its credentials open with the new secret, too", one.at.emr, one.at.client)
        return known.data_key

    def _is_present(self, at: Account, data_key: bytes) -> bool:
        """Does it still open what is there?"""
        try:
            return bool(self._store.credentials(at, data_key))
        except CantOpen:
            return False

    def _lock(self, one: Locked, why: Sequence[str]) -> None:
        self._known.pop(one.key, None)
        self._refreshers.pop(one.key, None)
        self._accounts.lock(one.key)
        self._say(one, why)

    def _say(self, one: Locked, why: Sequence[str]) -> None:
        """Once. Whoever has it open goes on with it."""
        told = " ".join(why)
        if self._why.get(one.key) != told:
            self._why[one.key] = told
            log.warning("EMR %s of client %s can't be opened: %s", one.at.emr, one.at.client, told)


def locked_of(settings: Settings, registry: Registry) -> list[Locked]:
    """The accounts that these settings lock, as far as their plugins can be used."""
    return [
        Locked(
            at=Account(client.id, account.key),
            settings=account,
            vendor=registry.vendors[account.plugin],
            kept=client.secrets,
            consent=consent_of(account, registry.vendors[account.plugin]),
        )
        for client in settings.clients
        for account in client.emrs
        if account.plugin in registry.vendors and is_locked(account, registry.vendors[account.plugin])
    ]


def put(at: Account, name: str) -> str:
    """What there is to be done, in words."""
    if name == GRANT:
        return f"let its owner grant it: python -m gateway connect {at.emr} --client {at.client}"
    return f"put it there: python -m gateway credentials put {at.client} {at.emr} {name}"
