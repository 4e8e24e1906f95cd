"""`check --connect`: one read from every EMR account; of those in the store, where their client's secret is given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from gateway.configuration.accounts import OpenAccount, Route, open_accounts, plugins_of, unlocked
from gateway.configuration.probing import probe, reason
from gateway.configuration.references import GRANT
from gateway.configuration.settings import Settings
from gateway.configuration.toml_files import ConfigError
from gateway.credentials import CantOpen
from gateway.credentials.grants import Refresher
from gateway.credentials.store import Store
from gateway.credentials.unlocking import Locked, put
from gateway.held import keys_of, store_of
from gateway.port import EmrError
from gateway.registry import PluginError, Registry
from gateway.state_dir import StateDirBusy, claim
from gateway.terminal.operating import all_locked, desk_of, recorded
from gateway.vendor.consent import TIMEOUT_S
from gateway.vendor.network import Network


@dataclass
class Checked:
    """A sentence for each account that does not answer, and for each that was not tried."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.untried:
            return "Every EMR account answers."
        return f"EMR accounts that answer: {self.answered}; not tried: {len(self.untried)}."


def checked(settings: Settings, clients: Sequence[str]) -> Checked:
    """`clients`: whose secrets are asked for, to open what only they open. Raises CantOpen for a wrong one, BadKey."""
    if not clients:
        return asyncio.run(_checked(settings, {}))
    with desk_of(settings) as desk, ExitStack() as entries:
        for client in clients:
            desk.has_stored(client)
            entries.enter_context(recorded(settings, desk.keys, "credentials.try", {"client": client}))
        return asyncio.run(_checked(settings, desk.secrets_of(*clients)))


async def _checked(settings: Settings, secrets: Mapping[str, str]) -> Checked:
    network, result = Network(settings.state_dir), Checked()
    accounts = [*open_accounts(settings, Registry.load(plugins_of(settings)), network.route).values()]
    with ExitStack() as held:
        opening = _Opening(settings, network.route, held)
        for one in all_locked(settings):
            if one.at.client not in secrets:
                result.untried.append(_closed(one))
                continue
            try:
                accounts.append(opening.opened(one, secrets[one.at.client]))
            except _NotNow as error:
                result.untried.append(str(error))
            except (CantOpen, ConfigError, PluginError) as error:
                result.failed.extend(f"{_name(one)}: {sentence}" for sentence in error.args)
        async with network.open():
            failed = [found for found in await asyncio.gather(*map(_failure, accounts)) if found is not None]
            await asyncio.gather(*(refresher.drain(TIMEOUT_S) for refresher in opening.refreshers))
    result.failed.extend(failed)
    result.answered = len(accounts) - len(failed)
    return result


class _NotNow(Exception):
    """It can't be tried while a gateway works."""


class _Opening:
    """Opens accounts from the store; `held`: until when the state directory is kept from others, where it must be."""

    def __init__(self, settings: Settings, route: Route, held: ExitStack) -> None:
        self._settings, self._route, self._held = settings, route, held
        self._registry = Registry.load(plugins_of(settings))
        self._claimed = False
        self.refreshers: list[Refresher] = []

    def opened(self, one: Locked, secret: str) -> OpenAccount:
        """Raises _NotNow, CantOpen, ConfigError, PluginError."""
        store = self._held.enter_context(closing(store_of(self._settings, keys_of(self._settings, create=False))))
        data_key, credentials = _unsealed(store, one, secret)
        refresher = None
        if one.consent is not None:
            self._alone(one)
            del credentials[GRANT]
            refresher = Refresher(store, one.at, data_key)
            self.refreshers.append(refresher)
        return unlocked(
            one.at.client, one.settings, credentials, data_key, self._registry, self._route, {}, grant=refresher
        )

    def _alone(self, one: Locked) -> None:
        """Two who refresh would spend each other's tokens."""
        if self._claimed:
            return
        try:
            self._held.enter_context(claim(self._settings.state_dir))
        except StateDirBusy:
            raise _NotNow(
                f"{_name(one)} was not tried: the gateway that runs renews its login, and nobody else may; "
                "`python -m gateway status` says how it stands."
            ) from None
        self._claimed = True


def _unsealed(store: Store, one: Locked, secret: str) -> tuple[bytes, dict[str, str]]:
    data_key = store.data_key(one.at, secret)
    if data_key is None and store.has(one.at):
        reseal = f"python -m gateway credentials reseal {one.at.client}"
        raise CantOpen(f"it opens with another secret of the client's; seal it for this one: {reseal}")
    credentials = {} if data_key is None else store.credentials(one.at, data_key)
    if missing := [name for name in one.names if name not in credentials]:
        raise CantOpen(f"store:{missing[0]} is not stored yet; {put(one.at, missing[0])}")
    assert data_key is not None  # it needs at least one credential, or it would not be locked
    return data_key, credentials


def _closed(one: Locked) -> str:
    return (
        f"{_name(one)} was not tried: its credentials are in the gateway's store, and open with its client's secret "
        f"alone; `check --connect --client {one.at.client}` asks for that."
    )


def _name(one: Locked) -> str:
    return f"client {one.at.client}: emrs.{one.at.emr}"


async def _failure(account: OpenAccount) -> str | None:
    try:
        await probe(account)
    except EmrError as error:
        return f"client {account.client_id}: emrs.{account.key} does not answer: {reason(error)}"
    return None
