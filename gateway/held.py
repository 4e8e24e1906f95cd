"""What the state directory holds, by the settings that name it: the key, the ledger, the store of credentials."""

from __future__ import annotations

from pathlib import Path

from gateway.configuration.settings import Settings
from gateway.credentials.store import Store
from gateway.key_ring import complete
from gateway.keys import Keys
from gateway.ledger.beside import Beside


def keys_of(settings: Settings, *, create: bool = True) -> Keys:
    """The master key; without one of one's own, the state directory's, made there where there is none (`create`).

    Raises BadKey.
    """
    keys = Keys.load(settings.key) if settings.key else Keys.from_file(settings.state_dir / "gateway.key", create)
    return complete(keys, settings.state_dir)


def ledger_path(settings: Settings) -> Path:
    return settings.state_dir / "ledger.sqlite"


def store_of(settings: Settings, keys: Keys) -> Store:
    return Store(settings.state_dir / "credentials.sqlite", keys)


def record_of(settings: Settings, keys: Keys) -> Beside:
    """The audit, for what is done at a terminal."""
    return Beside(ledger_path(settings), keys)
