"""A gateway whose client has its EMR's credential in the gateway's own store."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.clients.auth import client_hash
from gateway.keys import Keys

OLD, NEW = "the-first-secret-of-the-app", "the-second-secret-of-the-app"
API_KEY = "clinic-one-key"
ACCOUNT = """
[clients.emrs.north]
plugin = "sandbox"
settings = { clinic = "clinic-one", api_key = "store:key" }
"""
OTHER = """
[clients.emrs.south]
plugin = "sandbox"
settings = { clinic = "clinic-two", api_key = "env:SOUTH_KEY" }
"""


class Desk:
    """Where the gateway is configured, and its credentials are put."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.state, self.config = folder, folder / "state", folder / "gateway.toml"
        self._monkeypatch = monkeypatch
        self.state.mkdir()
        self.keys = Keys.from_file(self.state / "gateway.key")

    def hashed(self, secret: str) -> str:
        return f"hmac:{client_hash(self.keys, 'app', secret)}"

    def configure(self, *secrets: str, accounts: str = ACCOUNT, gateway: str = "") -> None:
        """`secrets`: as they stand in the file."""
        listed = ", ".join(f'"{secret}"' for secret in secrets)
        (self.folder / "clients.toml").write_text(f'[[clients]]\nid = "app"\nsecret = [{listed}]\n{accounts}')
        self.config.write_text(f'state_dir = "state"\n{gateway}')

    def __call__(self, *arguments: str, told: str = "", status: int = 0) -> None:
        """`python -m gateway credentials`; `told`: what is typed."""
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(told))
        assert main(["credentials", *arguments, "--config", str(self.config)]) == status

    def put(self, secret: str = OLD, value: str = API_KEY, name: str = "key", *more: str, status: int = 0) -> None:
        self("put", "app", "north", name, *more, told=f"{secret}\n{value}\n", status=status)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("HOST", "PORT", "STATE_DIR", "GATEWAY_CONFIG", "GATEWAY_DEMO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOUTH_KEY", "clinic-two-key")
    desk = Desk(tmp_path, monkeypatch)
    desk.configure(desk.hashed(OLD))
    return desk


Say = Callable[..., None]
