"""`python -m gateway credentials`: what is in the store, put there, taken away and sealed anew.

Secrets are asked for at a terminal, or read from standard input: the client's secret is its first line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import httpx

from gateway import clock
from gateway.clients.auth import lets_in
from gateway.configuration.accounts import consent_of, unlocked
from gateway.configuration.clients_file import ClientSettings
from gateway.configuration.references import GRANT, with_stored
from gateway.configuration.settings import Settings
from gateway.credentials import CantOpen, sealing
from gateway.credentials.grants import Granted, Refresher
from gateway.credentials.store import Account, Listed, Store
from gateway.credentials.unlocking import Locked, is_chosen, put
from gateway.keys import Keys
from gateway.registry import Registry
from gateway.terminal.typed import as_sent, asked_for
from gateway.vendor.consent import Consent


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
        self._settings, self.keys, self._store = settings, keys, store
        self._locked = {one.at: one for one in locked}

    def done(self, asked: argparse.Namespace) -> None:
        """What was typed. Raises CantOpen, ConfigError, PluginError."""
        match asked.act:
            case "put":
                self.put(Account(asked.client, asked.emr), asked.name, anew=asked.anew)
            case "erase":
                self.erase(Account(asked.client, asked.emr), asked.name)
            case _:
                self.reseal(asked.client, only=asked.only)

    def about(self, asked: argparse.Namespace) -> dict[str, str | bool]:
        """What was typed, as far as it names what there is: it could be a secret in the wrong place."""
        at = Account(asked.client, getattr(asked, "emr", None) or "")
        told = {"client": asked.client, "emr": at.emr, "name": getattr(asked, "name", None)}
        known = self._names(at)
        switches = {switch: True for switch in ("anew", "only") if getattr(asked, switch, False)}
        return {**{what: text for what, text in told.items() if text in known[what]}, **switches}

    def _names(self, at: Account) -> dict[str, set[str]]:
        """What there is, in the files or in the store: clients, the client's accounts, the account's credentials."""
        stored = self._store.listed()
        accounts = {*self._locked, *(found.account for found in stored)}
        one = self._locked.get(at)
        return {
            "client": {*(client.id for client in self._settings.clients), *(account.client for account in accounts)},
            "emr": {account.emr for account in accounts if account.client == at.client},
            "name": {*(one.names if one else ()), *(found.name for found in stored if found.account == at)},
        }

    def listed(self) -> None:
        for found in self._store.listed():
            say(_line(found))

    def put(self, at: Account, name: str, *, anew: bool) -> None:
        one = self._one(at, name)
        told, value = asked_for(f"Secret of client {at.client}", f"Credential {name}")
        secret = as_sent(told)
        self._prove(self._client(at.client), secret)
        data_key = None if anew else self._data_key(at, secret)
        kept = {} if data_key is None else self._store.credentials(at, data_key)
        self._try(one, {**kept, name: value})
        self._store.put(at, self._data_key_or_new(one, secret, anew=anew), name, value)
        say("Stored. It is used from the client's next call on.")
        for missing in sorted({*one.names} - {*kept, name}):
            say(f"{missing} is not stored yet; {put(at, missing)}")

    def erase(self, at: Account, name: str | None) -> None:
        count = self._store.erase(at, name)
        if not count:
            raise CantOpen("There is no such credential.")
        say(f"{count} erased. What is under way ends with what it has; the EMR itself still takes them.")

    def reseal(self, client_id: str, *, only: bool) -> None:
        """For all of the client's accounts that the first secret opens."""
        client = self._client(client_id)
        old, new = map(as_sent, asked_for("A secret that opens them", "The secret that shall open them"))
        self._prove(client, new)
        chosen = is_chosen(self.keys, client_id, new, client.secrets)
        opened = self._opened(client_id, old)
        for at, data_key in opened.items():
            if only:
                self._store.renew(at, data_key, new, chosen=chosen)
            elif self._store.data_key(at, new) is None:
                self._store.open_to(at, data_key, new, chosen=chosen)
        say(f"{len(opened)} EMR accounts open with it{' alone' if only else ''}.")

    def _opened(self, client_id: str, secret: str) -> dict[Account, bytes]:
        """The data keys of all that the store has of a client."""
        accounts = dict.fromkeys(found.account for found in self._store.listed() if found.account.client == client_id)
        opened = {at: self._store.data_key(at, secret) for at in accounts}
        if closed := ", ".join(at.emr for at, data_key in opened.items() if data_key is None):
            raise CantOpen(f"The first secret does not open the credentials of EMR {closed}.")
        return {at: data_key for at, data_key in opened.items() if data_key is not None}

    def _one(self, at: Account, name: str) -> Locked:
        one = self._locked.get(at)
        wanted = "" if one is None else ", ".join(wanted for wanted in one.names if wanted != GRANT)
        if one is None or name not in one.names or name == GRANT:
            raise CantOpen(
                f"The clients file refers to no store:{name} in EMR {at.emr} of client {at.client} "
                f"(it refers to: {wanted or 'none'})."
            )
        return one

    def _client(self, id: str) -> ClientSettings:
        found = next((client for client in self._settings.clients if client.id == id), None)
        if found is None:
            raise CantOpen("The clients file has no such client.")
        return found

    def _prove(self, client: ClientSettings, secret: str) -> None:
        """What is sealed for something that is no secret of the client's would never be opened."""
        if not lets_in(self.keys, client.id, secret, client.secrets, clock.now()):
            raise CantOpen("This is no secret of that client's.")

    def _data_key_or_new(self, one: Locked, secret: str, *, anew: bool = False) -> bytes:
        data_key = None if anew else self._data_key(one.at, secret)
        if data_key is None:
            data_key = sealing.new_data_key()
            self._store.begin(one.at, data_key, secret, chosen=is_chosen(self.keys, one.at.client, secret, one.kept))
        return data_key

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
            grant = Refresher(self._store, one.at, b"")
            unlocked(one.at.client, one.settings, credentials, b"", registry, nowhere, {}, grant=grant)

    def connectable(self, emr: str, client_id: str | None) -> Locked:
        """The account that is to be connected."""
        found = [one for one in self._locked.values() if one.at.emr == emr and client_id in (None, one.at.client)]
        found = [one for one in found if one.consent is not None]
        if len(found) != 1:
            several = ", ".join(one.at.client for one in found)
            raise CantOpen(
                f"Several clients have an EMR {emr}: say with --client which of them ({several})."
                if found
                else f"The clients file has no EMR {emr} that is to be connected."
            )
        return found[0]

    def has_stored(self, client_id: str) -> None:
        """Raises CantOpen for a client that has no account whose credentials are in the store."""
        if client_id not in {at.client for at in self._locked}:
            raise CantOpen(f"No EMR account of client {client_id} has its credentials in the store.")

    def secrets_of(self, *client_ids: str) -> dict[str, str]:
        """As these clients send them, asked for in this order. Raises CantOpen for what is none of the client's."""
        told = asked_for(*(f"Secret of client {id}" for id in client_ids))
        secrets = {id: as_sent(one) for id, one in zip(client_ids, told, strict=True)}
        for id, secret in secrets.items():
            self._prove(self._client(id), secret)
        return secrets

    def consent(self, one: Locked, secret: str) -> Consent:
        """As its owner is asked for it, by what is stored already."""
        data_key = self._data_key(one.at, secret)
        kept = {} if data_key is None else self._store.credentials(one.at, data_key)
        if missing := sorted({*one.names} - {*kept, GRANT}):
            raise CantOpen(f"First, {'; '.join(put(one.at, name) for name in missing)}.")
        whole = replace(one.settings, values=with_stored(one.settings.values, kept))
        found = consent_of(whole, one.vendor)
        if found is None:
            raise CantOpen("With what is stored, there is nothing to connect.")
        return found

    def connected(self, one: Locked, secret: str, refresh_token: str) -> None:
        """From now on the account is used by this grant."""
        data_key = self._data_key_or_new(one, secret)
        self._store.put(one.at, data_key, GRANT, Granted(refresh_token).dump())
        say("Connected. It is used from the client's next call on.")


def notes(store: Store, locked: Sequence[Locked]) -> list[str]:
    """What `check` says of the credentials that are referred to; none of it keeps the gateway from serving."""
    listed = {(found.account, found.name): found for found in store.listed()}
    return [_note(one, name, listed.get((one.at, name))) for one in locked for name in one.names]


def _note(one: Locked, name: str, found: Listed | None) -> str:
    place = f"{one.settings.place}: store:{name}"
    if found is None:
        return f"{place} is not stored yet; {put(one.at, name)}"
    if found.lost:
        return f"{place} was sealed with another gateway key than the present one; if that is lost, put it --anew"
    return f"{place} is stored, and opens with the client's secret alone: it was not tried"


def _line(found: Listed) -> str:
    at = datetime.fromtimestamp(found.written_at / 1_000_000, UTC)
    how = "LOST: sealed with another gateway key" if found.lost else f"opened by {found.secrets} secret(s)"
    return f"{found.account.client} {found.account.emr} {found.name}: since {at:%Y-%m-%dT%H:%M:%SZ}, {how}"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # somebody may have to do something before the next line comes
