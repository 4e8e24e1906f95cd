"""`python -m gateway credentials`: what is in the store, put there, taken away and sealed anew.

Secrets are asked for at a terminal, or read from standard input: the client's secret is its first line.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx

from gateway import clock
from gateway.accounts import unlocked
from gateway.auth import lets_in
from gateway.clients_file import ClientSettings
from gateway.credentials import CantOpen, sealing
from gateway.credentials.store import Account, Listed, Store
from gateway.credentials.unlocking import Locked, is_chosen
from gateway.keys import Keys
from gateway.registry import Registry
from gateway.settings import Settings


def add_commands(parser: argparse.ArgumentParser, config: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(required=True, dest="act", metavar="ACT")
    acts.add_parser("list", parents=[config], help="name what is stored")
    put = acts.add_parser("put", parents=[config], help="store a credential; reads the client's secret, then it")
    put.add_argument("--anew", action="store_true", help="give up what can't be opened any more")
    erase = acts.add_parser("erase", parents=[config], help="forget a credential, or all of an account's")
    for one in (put, erase):
        one.add_argument("client", help="whose it is")
        one.add_argument("emr", help="the key of the EMR account")
    put.add_argument("name", help="as in store:NAME")
    erase.add_argument("name", nargs="?", help="as in store:NAME; without it, all")
    reseal = acts.add_parser(
        "reseal", parents=[config], help="let a new secret of the client open it; reads one that does, then that"
    )
    reseal.add_argument("client", help="whose secret it is")
    reseal.add_argument("--only", action="store_true", help="and no other secret any more")
    rotate = acts.add_parser("rotate-key", parents=[config], help="put another key in the place of the gateway's")
    rotate.add_argument("--to", help="env:NAME or file:PATH (made where there is none); needed if `key` is set")


class Terminal:
    """What a person asks for, who can read the configuration."""

    def __init__(self, settings: Settings, keys: Keys, store: Store, locked: Sequence[Locked]) -> None:
        self._settings, self._keys, self._store = settings, keys, store
        self._locked = {one.at: one for one in locked}

    def done(self, asked: argparse.Namespace) -> None:
        """What was typed. Raises CantOpen, ConfigError, PluginError."""
        match asked.act:
            case "list":
                self.listed()
            case "put":
                self.put(Account(asked.client, asked.emr), asked.name, anew=asked.anew)
            case "erase":
                self.erase(Account(asked.client, asked.emr), asked.name)
            case _:
                self.reseal(asked.client, only=asked.only)

    def listed(self) -> None:
        for found in self._store.listed():
            _say(_line(found))

    def put(self, at: Account, name: str, *, anew: bool) -> None:
        one = self._one(at, name)
        told, value = _asked(f"Secret of client {at.client}", f"Credential {name}")
        secret = as_sent(told)
        self._prove(self._client(at.client), secret)
        data_key = None if anew else self._data_key(at, secret)
        kept = {} if data_key is None else self._store.credentials(at, data_key)
        self._try(one, {**kept, name: value})
        if data_key is None:
            data_key = sealing.new_data_key()
            self._store.begin(at, data_key, secret, chosen=is_chosen(self._keys, at.client, secret, one.kept))
        self._store.put(at, data_key, name, value)
        missing = sorted({*one.names} - {*kept, name})
        _say(f"Stored. It is used from the client's next call on.{_still(missing)}")

    def erase(self, at: Account, name: str | None) -> None:
        count = self._store.erase(at, name)
        if not count:
            raise CantOpen("There is no such credential.")
        _say(f"{count} erased. What is under way ends with what it has; the EMR itself still takes them.")

    def reseal(self, client_id: str, *, only: bool) -> None:
        """For all of the client's accounts that the first secret opens."""
        client = self._client(client_id)
        old, new = map(as_sent, _asked("A secret that opens them", "The secret that shall open them"))
        self._prove(client, new)
        chosen = is_chosen(self._keys, client_id, new, client.secrets)
        opened = self._opened(client_id, old)
        for at, data_key in opened.items():
            if only:
                self._store.renew(at, data_key, new, chosen=chosen)
            elif self._store.data_key(at, new) is None:
                self._store.open_to(at, data_key, new, chosen=chosen)
        _say(f"{len(opened)} EMR accounts open with it{' alone' if only else ''}.")

    def _opened(self, client_id: str, secret: str) -> dict[Account, bytes]:
        """The data keys of all that the store has of a client."""
        accounts = dict.fromkeys(found.account for found in self._store.listed() if found.account.client == client_id)
        opened = {at: self._store.data_key(at, secret) for at in accounts}
        if closed := ", ".join(at.emr for at, data_key in opened.items() if data_key is None):
            raise CantOpen(f"The first secret does not open the credentials of EMR {closed}.")
        return {at: data_key for at, data_key in opened.items() if data_key is not None}

    def _one(self, at: Account, name: str) -> Locked:
        one = self._locked.get(at)
        if one is None or name not in one.names:
            wanted = ", ".join(one.names) if one is not None else "none"
            raise CantOpen(
                f"The clients file refers to no store:{name} in EMR {at.emr} of client {at.client} "
                f"(it refers to: {wanted})."
            )
        return one

    def _client(self, id: str) -> ClientSettings:
        found = next((client for client in self._settings.clients if client.id == id), None)
        if found is None:
            raise CantOpen("The clients file has no such client.")
        return found

    def _prove(self, client: ClientSettings, secret: str) -> None:
        """What is sealed for something that is no secret of the client's would never be opened."""
        if not lets_in(self._keys, client.id, secret, client.secrets, clock.now()):
            raise CantOpen("This is no secret of that client's.")

    def _data_key(self, at: Account, secret: str) -> bytes | None:
        """`None`: nothing is there."""
        found = self._store.data_key(at, secret)
        if found is None and self._store.has(at):
            raise CantOpen(
                "What is there was sealed for another secret of this client: seal it for this one first "
                "(`credentials reseal`), or give it up (`--anew`)."
            )
        return found

    def _try(self, one: Locked, credentials: dict[str, str]) -> None:
        """Would the plugin take them? Raises ConfigError, PluginError."""
        if {*one.names} <= {*credentials}:
            registry = Registry.load({one.settings.plugin})
            nowhere = lambda _vendor, _settings, _way: httpx.AsyncBaseTransport()  # noqa: E731
            unlocked(one.at.client, one.settings, credentials, b"", registry, nowhere, {})


def notes(store: Store, locked: Sequence[Locked]) -> list[str]:
    """What `check` says of the credentials that are referred to; none of it keeps the gateway from serving."""
    listed = {(found.account, found.name): found for found in store.listed()}
    return [_note(one, name, listed.get((one.at, name))) for one in locked for name in one.names]


def _note(one: Locked, name: str, found: Listed | None) -> str:
    place = f"{one.settings.place}: store:{name}"
    if found is None:
        return f"{place} is not stored yet; python -m gateway credentials put {one.at.client} {one.at.emr} {name}"
    if found.lost:
        return f"{place} was sealed with another gateway key than the present one; if that is lost, put it --anew"
    return f"{place} is stored, and opens with the client's secret alone: it was not tried"


def _line(found: Listed) -> str:
    at = datetime.fromtimestamp(found.written_at / 1_000_000, UTC)
    how = "LOST: sealed with another gateway key" if found.lost else f"opened by {found.secrets} secret(s)"
    return f"{found.account.client} {found.account.emr} {found.name}: since {at:%Y-%m-%dT%H:%M:%SZ}, {how}"


def _still(missing: Sequence[str]) -> str:
    return f" The account still needs: {', '.join(missing)}." if missing else ""


def _asked(first: str, second: str) -> tuple[str, str]:
    if sys.stdin.isatty():
        told = getpass.getpass(f"{first}: "), getpass.getpass(f"{second}: ")
    else:
        head, _, rest = sys.stdin.read().partition("\n")
        told = head.rstrip("\r"), rest.rstrip("\r\n")
    if not all(told):
        raise CantOpen("Two secrets are wanted: the first in a line of its own, and then the second.")
    return told


def as_sent(secret: str) -> str:
    """A client's secret as it reaches the gateway in a header: its bytes, read as Latin-1."""
    return secret.encode().decode("latin-1")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
