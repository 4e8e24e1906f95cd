"""One clinic, and the gateway before it: started, killed in the middle, and started again on the same ledger."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from gateway import routes
from gateway.app import accounts_of, keys_of
from gateway.clients.auth import Clients
from gateway.configuration.settings import Settings, load
from gateway.ledger.sqlite import SqliteLedger
from gateway.locks import Locks
from gateway.retention import Retention
from gateway.service import Service
from gateway.vendor.in_process import InProcessTransport
from tests.histories.clinic import CLINIC, Clinic
from tests.histories.virtual import LIFE, TAG, Life, command_id, seconds
from tests.histories.wire import Log, Weather, Wire

CLIENTS = ("one", "two")
ACCOUNT = """
[[clients]]
id = "{id}"
secret = "plain:{id}-secret"

[clients.emrs.emr]
plugin = "sandbox"
settings = {{ clinic = "{clinic}", api_key = "{clinic}-key", personality = "{personality}" }}
"""


@cache
def settings_for(personality: str) -> Settings:
    """Two clients, whose accounts are one and the same EMR."""
    with TemporaryDirectory() as name:
        accounts = (ACCOUNT.format(id=id, clinic=CLINIC, personality=personality) for id in CLIENTS)
        (Path(name) / "clients.toml").write_text("demo = true\n" + "".join(accounts))
        (Path(name) / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n')
        return load({}, config=Path(name) / "gateway.toml")


@dataclass
class Told:
    """What a client asked, and what it was told; no answer where it hung up or the gateway died."""

    tag: int
    client: str
    method: str
    path: str
    body: Any
    headers: dict[str, str]
    sent: float
    answered: float | None = None
    status: int | None = None
    content: bytes = b""
    got: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str] | None:
        key = self.headers.get("idempotency-key")
        return None if key is None or self.dry else (self.client, key)

    @property
    def dry(self) -> bool:
        return "dry_run=true" in self.path

    @property
    def replayed(self) -> bool:
        return self.got.get("idempotent-replayed") == "true"

    def json(self) -> Any:
        return json.loads(self.content)


class World:
    def __init__(
        self, folder: Path, seed: int, personality: str, *, weather: Weather, mischief: float, deaths: list[int]
    ) -> None:
        self.seed, self.weather, self._deaths = seed, weather, deaths
        self.deaths = 0
        self._settings = replace(settings_for(personality), state_dir=folder)
        self.clinic = Clinic(folder, personality, mischief)
        self._emr = InProcessTransport(self.clinic.app)
        self.ledger = folder / "ledger.sqlite"
        self.log = Log()
        self.told: list[Told] = []
        self._up = asyncio.Event()
        self.life = Life()

    # -- lives ------------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """One process after the other, for ever: each begins when the one before has died."""
        while True:
            self.life = Life(self._deaths.pop(0) if self._deaths else None)
            LIFE.set(self.life)
            starting = asyncio.create_task(self._start())
            died = asyncio.create_task(self.life.died.wait())
            await asyncio.wait({starting, died}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self._up.set()
            await died
            self.deaths += 1
            self._up.clear()
            await asyncio.sleep(0.5)

    async def _start(self) -> None:
        keys = keys_of(self._settings)
        ledger = SqliteLedger(self.ledger, keys)
        await ledger.open()
        wire = Wire(
            self._emr,
            seed=self.seed,
            weather=lambda: self.weather,
            life=self.life,
            log=self.log,
            ledger=self.ledger,
            staff=lambda dice, written: self.clinic.meddles(dice, written),
        )
        accounts = accounts_of(self._settings, lambda *_: wire)
        self.service = Service(
            accounts=accounts,
            authenticate=Clients({client.id: client.secrets for client in self._settings.clients}, keys).authenticate,
            keys=keys,
            ledger=ledger,
            locks=Locks(),
            public_url="http://gateway.test",
            retention=Retention(commands=timedelta(hours=self._settings.limits.key_ttl_h)),
        )
        await self.service.start()
        transport = httpx.ASGITransport(routes.build(self.service, public_url="http://gateway.test"))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://gateway.test")

    # -- clients ----------------------------------------------------------------------------------------------------

    async def asks(
        self,
        tag: int,
        client: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        patience: float | None = None,
        **headers: str,
    ) -> Told:
        """A request, and its answer, if the client waits for it (`patience`, in seconds) and the gateway lives."""
        await self._up.wait()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        told = Told(tag, client, method, path, body, named, seconds())
        self.told.append(told)
        TAG.set(tag)
        url = path if path.startswith("/") else f"/api/emrs/emr/{path}"
        known = {"x-leyr-client-id": client, "x-leyr-client-secret": f"{client}-secret"}
        asking = asyncio.create_task(self._http.request(method, url, json=body, headers={**known, **named}))
        died = asyncio.create_task(self.life.died.wait())
        await asyncio.wait({asking, died}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            answer = asking.result()
            told.answered, told.status, told.content = seconds(), answer.status_code, answer.content
            told.got = dict(answer.headers)
        elif not died.done():
            asking.cancel()
        died.cancel()
        return told

    # -- the end ----------------------------------------------------------------------------------------------------

    def _select(self, query: str) -> list[tuple[Any, ...]]:
        db = sqlite3.connect(self.ledger)
        try:
            return db.execute(query).fetchall()
        finally:
            db.close()

    def lives_on(self) -> None:
        """It does not die any more."""
        self._deaths.clear()
        self.life.dies_at = None

    async def settled(self, patience: float = 3600.0) -> bool:
        """Has every command come to its end?"""
        deadline = seconds() + patience
        while seconds() < deadline:
            await self._up.wait()
            if not self._select("SELECT 1 FROM commands WHERE state IN ('running', 'repairing')"):
                return True
            await asyncio.sleep(5.0)
        return False

    def remembered(self) -> set[int]:
        """The requests whose commands are kept under an idempotency key."""
        return {int(id, 16) for (id,) in self._select("SELECT id FROM commands WHERE key IS NOT NULL")}

    async def commands(self) -> dict[int, dict[str, Any]]:
        """Every command that the ledger knows, as its client is told of it, by the request that began it."""
        found = {}
        for n, (id, client) in enumerate(self._select("SELECT id, client FROM commands ORDER BY number")):
            answer = await self.asks(10**9 + n, client, "GET", f"/api/commands/{id}")
            self.told.remove(answer)
            found[int(id, 16)] = answer.json()
            assert command_id(int(id, 16)) == id
        return found
