"""What an operator does with credentials, keys and secrets: none of it without an entry in the audit."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from secrets import token_urlsafe

from argon2 import PasswordHasher

from gateway.audit import Fact
from gateway.audit.acting import acting, who
from gateway.clients.auth import client_hash
from gateway.configuration.accounts import plugins_of
from gateway.configuration.settings import Settings, present_secrets
from gateway.configuration.validating import provisional
from gateway.credentials.terminal import Terminal, notes, say
from gateway.credentials.unlocking import Locked, locked_of
from gateway.held import keys_of, record_of, store_of
from gateway.key_ring import key_at, succeed
from gateway.keys import BadKey, Keys, sync_directory
from gateway.registry import Registry
from gateway.serving import bound
from gateway.state_dir import claim
from gateway.terminal.connecting import Connecting
from gateway.terminal.secret_line import secret_line
from gateway.terminal.typed import chosen
from gateway.vendor.network import Network


def recorded(settings: Settings, keys: Keys, kind: str, facts: Mapping[str, Fact]) -> AbstractContextManager[None]:
    """Around what whoever runs this does. Raises LedgerDown, NewerSchema, WrongKey, and then it is not done."""
    return acting(record_of(settings, keys), kind, who(), facts)


def ready_keys(settings: Settings) -> Keys:
    """The master key, which may have yet to be made, and its directory. Raises BadKey."""
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return keys_of(settings)


def all_locked(settings: Settings) -> list[Locked]:
    return locked_of(settings, Registry.load(plugins_of(settings)))


@contextmanager
def desk_of(settings: Settings) -> Iterator[Terminal]:
    """The store of credentials, for a person. Raises BadKey."""
    keys = ready_keys(settings)
    with closing(store_of(settings, keys)) as store:
        yield Terminal(settings, keys, store, all_locked(settings))


def credentials(settings: Settings, asked: argparse.Namespace) -> None:
    """What was typed after `credentials`. Raises CantOpen, ConfigError, PluginError, BadKey."""
    with desk_of(settings) as desk:
        if asked.act == "list":
            desk.listed()
            return
        with recorded(settings, desk.keys, f"credentials.{asked.act}", desk.about(asked)):
            desk.done(asked)


async def connect(settings: Settings, emr: str, client_id: str | None, port: int) -> None:
    """Have the owner of an EMR account let the gateway in. Raises CantOpen, BadKey, PortTaken."""
    with desk_of(settings) as desk, closing(bound("127.0.0.1", port)) as listening:
        one = desk.connectable(emr, client_id)
        facts = {"client": one.at.client, "emr": one.at.emr}
        with recorded(settings, desk.keys, "credentials.connect", facts):
            (secret,) = desk.secrets_of(one.at.client).values()
            consent, network = desk.consent(one, secret), Network(settings.state_dir)
            told = provisional(one.settings, one.vendor.settings)
            assert told is not None  # else it would be no account that is to be connected
            transport = network.route(one.vendor, told, one.settings.way)
            async with network.open():
                connecting = Connecting(consent, transport.handle_async_request, say)
                desk.connected(one, secret, await connecting.refresh_token(listening))


def notes_on(settings: Settings) -> list[str]:
    """What there is to be said of stored credentials. Raises CantOpen."""
    locked = all_locked(settings)
    if not locked:
        return []
    try:
        keys = keys_of(settings, create=False)
    except BadKey:
        keys = Keys(os.urandom(32))  # there is none yet, or it is lost: no credential opens
    with closing(store_of(settings, keys)) as store:
        return notes(store, locked)


def rotate_key(settings: Settings, to: str | None) -> int:
    """Put the key that `to` refers to, or a new one in the state directory, in the place of the present one. → how many
    credentials were sealed anew.

    Raises BadKey, CantOpen, StateDirBusy, StateDirUnusable.
    """
    with claim(settings.state_dir):
        present = keys_of(settings, create=False)
        with recorded(settings, present, "key.rotate", {"from": present.id}):
            return _rotated(settings, present, to)


def _rotated(settings: Settings, present: Keys, to: str | None) -> int:
    own = settings.state_dir / "gateway.key"
    if to is None and settings.key:
        raise BadKey("The configuration refers to its key: say with --to where the new one is, or is to be made.")
    ready = succeed(present, key_at(to, own.with_name("gateway.key.new")), settings.state_dir)
    if to is None:
        own.with_name("gateway.key.new").replace(own)
        sync_directory(settings.state_dir)
    with closing(store_of(settings, ready)) as store:
        return store.seal_anew()


def secret(settings: Settings, asked: argparse.Namespace) -> None:
    """Print a client's new secret, as it is kept. Raises BadKey, ConfigError."""
    keys = ready_keys(settings)
    present = present_secrets(os.environ, asked.client_id, config=asked.config)
    how = "chosen" if asked.argon2 else "generated"
    facts = {"client": asked.client_id, "how": how, "beside": len(present), "overlap_days": str(asked.overlap_days)}
    with recorded(settings, keys, "secret.make", facts):
        if asked.argon2:
            kept = f"argon2:{PasswordHasher().hash(chosen())}"
        else:
            new = token_urlsafe(32)
            say(f"# for the client, and shown only now: {new}")
            kept = f"hmac:{client_hash(keys, asked.client_id, new)}"
        say(secret_line(kept, present, asked.overlap_days))
