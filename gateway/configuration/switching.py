"""Other clients and accounts in the place of those that run: all of them, or none.

What is new is opened and tried beside what runs. An account that is configured as before goes on as it is, with its
connections, its login, its pace and its circuit. A command that has begun ends on the account that it began with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping
from weakref import WeakValueDictionary

from gateway.configuration import probing
from gateway.configuration.accounts import Heard, Key, OpenAccount, declare, open_accounts, plugins_of, unlocked
from gateway.configuration.clients_file import AccountSettings
from gateway.configuration.settings import Settings
from gateway.configuration.toml_files import ConfigError
from gateway.manners.shared import Manners
from gateway.port import Refused
from gateway.registry import PluginError, Registry
from gateway.vendor.consent import Grant
from gateway.vendor.network import Network


class RunningAccounts(Mapping[Key, OpenAccount]):
    """Every account that is open, by client and key, as they are by now."""

    def __init__(self, network: Network, heard: Heard) -> None:
        """`heard` is told of every call to an EMR that has ended, with its plugin."""
        self._network, self._heard = network, heard
        self._open: Mapping[Key, OpenAccount] = {}
        # As long as anything of an account is at work, what the EMR takes for the same account is called as one.
        self._manners: WeakValueDictionary[Hashable, Manners] = WeakValueDictionary()

    def beside(self, settings: Settings) -> Mapping[Key, OpenAccount]:
        """What these settings ask for; what runs is left as it is. Raises ConfigError."""
        registry = Registry.load(plugins_of(settings))
        return open_accounts(
            settings, registry, self._network.route, running=self._open, known=self._manners, heard=self._heard
        )

    def new(self, candidates: Mapping[Key, OpenAccount]) -> list[OpenAccount]:
        return [account for key, account in candidates.items() if self._open.get(key) is not account]

    def become(self, accounts: Mapping[Key, OpenAccount]) -> None:
        new = self.new(accounts)
        self._open = accounts
        declare(new)

    def unlock(
        self,
        client_id: str,
        account: AccountSettings,
        credentials: Mapping[str, str],
        data_key: bytes,
        grant: Grant | None = None,
    ) -> OpenAccount:
        """Open an account that was locked, and have it from now on. Raises what `unlocked` does."""
        registry = Registry.load({account.plugin})
        route, known = self._network.route, self._manners
        opened = unlocked(client_id, account, credentials, data_key, registry, route, known, self._heard, grant)
        self._open = {**self._open, (client_id, account.key): opened}
        declare([opened])
        return opened

    def lock(self, key: Key) -> None:
        """What was begun on it ends on it."""
        self._open = {known: account for known, account in self._open.items() if known != key}

    def __getitem__(self, key: Key) -> OpenAccount:
        return self._open[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._open)

    def __len__(self) -> int:
        return len(self._open)


class Readiness:
    """What an account needs that is opened while others run."""

    def __init__(self, network: Network, probes: probing.Probing) -> None:
        self._network, self._probes = network, probes

    async def ready(self, account: OpenAccount, before: OpenAccount | None) -> None:
        """Asks its EMR once, and goes on in the background where that was no use. `before`: in whose place it is."""
        await self._network.begin()
        if before is not None:
            self._probes.end(before)
        try:
            answered = await probing.answers(account)
        except Exception:  # noqa: BLE001  the next try tells it
            answered = False
        if not answered:
            self._probes.keep_on(account)


class Switch:
    """`let_in`: whom the settings let in, from then on."""

    def __init__(
        self,
        accounts: RunningAccounts,
        network: Network,
        probes: probing.Probing,
        let_in: Callable[[Settings], None],
    ) -> None:
        self._accounts, self._network, self._probes, self._let_in = accounts, network, probes, let_in

    async def to(self, settings: Settings) -> None:
        """Raises ConfigError, and then everything is as it was."""
        candidates = self._accounts.beside(settings)
        await self._network.begin()
        answered = await self._tried(self._accounts.new(candidates))
        # From here on nothing waits, so that nobody meets half of it.
        still = [account for account in self._accounts.values() if self._probes.has_answered(account)]
        self._accounts.become(candidates)
        self._probes.go_on(candidates.values(), [*still, *answered])
        self._let_in(settings)

    async def _tried(self, accounts: list[OpenAccount]) -> list[OpenAccount]:
        """Those that answer. One that is down is no reason to refuse it: so it would be taken at a start, too."""
        results = await asyncio.gather(*map(probing.answers, accounts), return_exceptions=True)
        found: list[str] = []
        for account, result in zip(accounts, results, strict=True):
            if isinstance(result, BaseException):
                found.extend(_mistakes(account, result))
        if found:
            raise ConfigError(*found)
        return [account for account, answers in zip(accounts, results, strict=True) if answers]


def _mistakes(account: OpenAccount, error: BaseException) -> Iterator[str]:
    place = account.made_of.place if account.made_of is not None else account.key
    match error:
        case Refused():
            yield f"{place}: {probing.reason(error)}"
        case PluginError():
            yield from (f"{place}: {sentence}" for sentence in error.args)
        case _:  # a plugin's bug; what it says may be a patient's
            yield f"{place}: plugin {account.plugin} raises {type(error).__name__}"
