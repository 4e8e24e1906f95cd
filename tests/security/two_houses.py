"""Two clients with a clinic each, in which nothing is called as in the other; calls at the second's door are seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

import plugins.sandbox
from plugins.sandbox.emr import build_app, seed
from tests.e2e.conftest import ACCOUNT, CLIENT, Api, at, span, started

MARK = "beta-"
"""With this begins everything that is the second client's."""
KEYS = {"alpha": ("shared", "alpha-only"), "beta": ("shared", "beta-only")}


def configured(folder: Path) -> Path:
    """Both have an account `shared`, and one that the other has no other of that name."""
    clients = ["demo = true\n"]
    for id, keys in KEYS.items():
        clients.append(CLIENT.format(id=id))
        clients += [ACCOUNT.format(key=key, clinic=f"{id}-{key}", personality="in-place") for key in keys]
    (folder / "clients.toml").write_text("".join(clients))
    (folder / "gateway.toml").write_text(f'state_dir = "{folder / "state"}"\nclients = "clients.toml"\n')
    return folder / "gateway.toml"


@dataclass
class Houses:
    http: httpx.AsyncClient
    calls: list[str] = field(default_factory=list)
    """What reached the second client's EMRs."""
    theirs: dict[str, str] = field(default_factory=dict)
    """What is the second one's, by what it is: an id of each kind, an entity tag, a plan."""

    async def uses_a_key(self, key: str) -> None:
        """From now on it is the second client's, and good for what that did with it."""
        body, headers = {"comment": f"{MARK}{key}"}, {"idempotency-key": key}
        done = await self.beta.call("PATCH", f"appointments/{self.theirs['booked appointment']}", body, headers)
        assert done.status_code == 200, done.text
        self.theirs["idempotency key"] = key
        self.calls.clear()

    @property
    def alpha(self) -> Api:
        return Api(self.http, "shared", "alpha")

    @property
    def beta(self) -> Api:
        return Api(self.http, "shared", "beta")


@asynccontextmanager
async def opened(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Houses]:
    calls: list[str] = []
    _marked_seed(patch)
    patch.setattr(plugins.sandbox, "build_app", lambda state_dir: _watched(build_app(state_dir), calls))
    async with started(configured(folder)) as http:
        houses = Houses(http, calls)
        houses.theirs = await _belongings(houses.beta)
        calls.clear()
        yield houses


def _marked_seed(patch: pytest.MonkeyPatch) -> None:
    """The second client's clinics are founded with ids and names of their own."""
    found = seed._founded

    def founded(db: Any, name: str, clinic: str, personality: Any, today: Any) -> Any:
        if not clinic.startswith(MARK):
            return found(db, name, clinic, personality, today)
        with pytest.MonkeyPatch.context() as own:
            for list in ("SITES", "STAFF", "KINDS", "PEOPLE"):
                rows = getattr(seed, list)
                own.setattr(seed, list, tuple((MARK + ref, MARK + title, *more) for ref, title, *more in rows))
            own.setattr(seed, "BOOKINGS", tuple((*(MARK + ref for ref in b[:3]), *b[3:7], MARK) for b in seed.BOOKINGS))
            made = found(db, name, clinic, personality, today)
        db.execute("UPDATE booking SET ref = ? || ref WHERE clinic = ?", (MARK, made.id))
        db.execute("UPDATE clinic SET last_number = 777000 WHERE id = ?", (made.id,))
        return made

    patch.setattr(seed, "_founded", founded)


def _watched(app: Starlette, calls: list[str]) -> Starlette:
    class Seen:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and f"/{MARK}" in scope["path"]:
                calls.append(f"{scope['method']} {scope['path']}")
            await self._inner(scope, receive, send)

    app.add_middleware(Seen)
    return app


async def _belongings(beta: Api) -> dict[str, str]:
    """Each thing that the second client can name, as it exists."""
    slot = {**span(at(10, 9), at(10, 9, 30)), "resource_id": f"{MARK}D1"}
    more = {"patient_id": f"{MARK}P1", "healthcare_service_id": f"{MARK}K1", "comment": MARK}
    key = {"idempotency-key": f"{MARK}key"}
    made = await beta.call("POST", "appointments", {**slot, **more}, key)
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    body = {"comment": f"{MARK}planned"}
    planned = await beta.call("PATCH", f"appointments/{MARK}B1001", body, dry_run="true")
    return {
        "EMR account": f"{MARK}only",
        "care unit": f"{MARK}U1",
        "resource": f"{MARK}D1",
        "healthcare service": f"{MARK}K1",
        "patient": f"{MARK}P1",
        "appointment": f"{MARK}B1001",
        "booked appointment": id,
        "command": made.headers["x-command-id"],
        "idempotency key": f"{MARK}key",
        "entity tag": made.headers["etag"],
        "plan": planned.headers["x-plan"],
    }
