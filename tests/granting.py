"""What `python -m gateway connect` leaves behind, without somebody who lets the gateway in."""

from __future__ import annotations

import secrets
from pathlib import Path

from gateway.configuration.references import GRANT
from gateway.credentials.grants import Granted
from gateway.credentials.store import Account, Store
from gateway.keys import Keys


def grant(state: Path, at: Account, secret: str, refresh_token: str) -> None:
    """`secret`: the client's, which opens it."""
    state.mkdir(exist_ok=True)
    store, data_key = _store(state), secrets.token_bytes(32)
    store.begin(at, data_key, secret, chosen=False)
    store.put(at, data_key, GRANT, Granted(refresh_token).dump())
    store.close()


def granted(state: Path, at: Account, secret: str) -> Granted:
    store = _store(state)
    data_key = store.data_key(at, secret)
    assert data_key is not None
    found = Granted.load(store.credentials(at, data_key)[GRANT])
    store.close()
    return found


def _store(state: Path) -> Store:
    return Store(state / "credentials.sqlite", Keys.from_file(state / "gateway.key"))
