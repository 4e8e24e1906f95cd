"""The lives of one gateway: processes on one state directory, each begun when the one before it is dead."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.credentials.store import Account
from tests.faults.book import Desk
from tests.faults.dying import Life
from tests.faults.processes import Gateway
from tests.granting import grant, granted

ACCOUNT, SECRET = Account("one", "emr"), "one-secret"
CLIENT = {"x-leyr-client-id": "one", "x-leyr-client-secret": SECRET}
CLIENTS = """\
demo = true

[[clients]]
id = "one"
secret = "plain:one-secret"

[clients.emrs.emr]
plugin = "{plugin}"
settings = {{ {settings} }}
"""


def write_config(folder: Path, plugin: str, settings: Mapping[str, Any]) -> Path:
    folder.mkdir()
    # A JSON value of these kinds is a TOML value, too.
    told = ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    (folder / "clients.toml").write_text(CLIENTS.format(plugin=plugin, settings=told))
    config = folder / "gateway.toml"
    config.write_text('state_dir = "state"\nclients = "clients.toml"\n')
    return config


class Consent:
    """Somebody who lets the gateway in: at first, and whenever it has died while it changed one token for another."""

    def __init__(self, state: Path, desk: Desk) -> None:
        self._state, self._desk, self.given = state, desk, 0

    async def give(self) -> None:
        if self.given and granted(self._state, ACCOUNT, SECRET).state == "good":
            return
        token = await self._desk.let_in()
        if token is not None:
            grant(self._state, ACCOUNT, SECRET, token)
            self.given += 1


class Lives:
    """`deaths`: the boundary at which each of them ends; after these comes one that is not cut short."""

    def __init__(self, life: Life, deaths: Sequence[int], consent: Consent) -> None:
        self._life, self._deaths, self._consent = life, list(deaths), consent
        self._lives: list[Gateway] = []
        self._doomed = False
        self.url = ""
        self.died_at: list[str] = []

    async def next(self) -> None:
        """Another one, and one more where it dies before it listens."""
        port = None
        while port is None:
            if self._lives:
                self.died_at += await self._lives[-1].buried()
            until = self._deaths.pop(0) if self._deaths else None
            self._doomed = until is not None
            again = len(self._lives) > 0
            await self._consent.give()
            self._lives.append(Gateway(replace(self._life, until=until, from_the_start=again)))
            port = await self._lives[-1].port()
        self.url = f"http://127.0.0.1:{port}"

    async def spare(self) -> None:
        """Nobody dies any more: for questions, which cross boundaries as well, and others in every run."""
        if self._doomed:
            await self._lives[-1].kill()
            await self.next()

    async def end(self) -> None:
        for life in self._lives:
            await life.kill()

    def boundaries(self) -> int:
        """How many the present one has come to."""
        return len(self._lives[-1].boundaries_now())
