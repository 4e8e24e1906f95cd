"""The gateway as its users run it, a process of its own; and a clinic app that speaks its contract."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.live.clinics import HALF_HOUR
from tests.live.processes import Process, free_port
from tests.live.witness import Asked, Witness

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "gateway", "serve"]
HEADERS = {"x-leyr-client-id": "live", "x-leyr-client-secret": "live-secret"}
CLIENT = """\
demo = true

[[clients]]
id = "live"
secret = "plain:live-secret"
"""
ACCOUNT = """
[clients.emrs.{key}]
plugin = "{plugin}"
settings = {{ {settings} }}
"""
ENDED = ("done", "refused", "undone", "needs_attention")
LONGEST_S = 120
REPAIRED_S = 20

Settings = Mapping[str, Any]


class Gateway(Process):
    """One process with a state directory that outlives it, and an account for each key."""

    def __init__(self, folder: Path, plugin: str, accounts: Mapping[str, Settings]) -> None:
        port, config = free_port(), folder / "gateway.toml"
        (folder / "clients.toml").write_text(CLIENT + "".join(_account(plugin, *one) for one in accounts.items()))
        config.write_text(f'state_dir = "state"\nclients = "clients.toml"\n\n[server]\nport = {port}\n')
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(COMMAND, ROOT, f"{self.url}/readyz", folder / "gateway.log", GATEWAY_CONFIG=str(config))

    def account(self, key: str = "clinic") -> str:
        """The address of an account's routes."""
        return f"{self.url}/api/emrs/{key}"


def _account(plugin: str, key: str, settings: Settings) -> str:
    # A JSON value of these kinds is a TOML value, too.
    told = ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    return ACCOUNT.format(key=key, plugin=plugin, settings=told)


@contextmanager
def serving(folder: Path, plugin: str, **accounts: Settings) -> Iterator[Gateway]:
    gateway = Gateway(folder, plugin, accounts)
    with gateway.running():
        yield gateway


class Client:
    """A clinic app, with a witness of what it asks for and is told."""

    def __init__(self, account: str, witness: Witness) -> None:
        self._account, self.witness = account, witness
        self._asked = dict[str | None, Asked]()
        self._http = httpx.Client(headers=HEADERS, timeout=LONGEST_S, verify=False)

    def close(self) -> None:
        self._http.close()

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        asked = self.witness.hears(method, path, body)
        if asked is not None:
            self._asked[more.get("headers", {}).get("Idempotency-Key")] = asked
        answer = self._http.request(method, self._account + path, json=body, **more)
        if asked is not None:
            asked.answer(answer.json())
        return answer

    def change(self, id: str, body: Any = None, **fields: Any) -> httpx.Response:
        return self.send("PATCH", f"/appointments/{id}", body or fields)

    def change_many(self, ids: list[str], **body: Any) -> httpx.Response:
        return self.send("PATCH", "/appointments", {"ids": ids, **body})

    def get(self, path: str, **params: str) -> Any:
        answer = self.send("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def commands(self, **which: str) -> list[dict[str, Any]]:
        url = httpx.URL(self._account).copy_with(path="/api/commands", params=which)
        found: list[dict[str, Any]] = self._http.get(url).raise_for_status().json()
        return found

    def settled(self, key: str) -> dict[str, Any] | None:
        """The command under an idempotency key once it is at its end, or as it is after a while; `None`: there is none,
        and nothing was written."""
        deadline = time.monotonic() + REPAIRED_S
        while found := self.commands(idempotency_key=key):
            if found[0]["state"] in ENDED or time.monotonic() > deadline:
                self._asked[key].answer((found[0]["answer"] or {}).get("body"))
                return found[0]
            time.sleep(0.2)
        return None


def errors(answer: httpx.Response) -> list[str]:
    """The error codes of a refusal."""
    return [problem["error_code"] for problem in answer.json()["errors"]]


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def span(start: datetime, end: datetime | None = None) -> dict[str, str]:
    """A half hour, or until `end`."""
    return {"start": start.isoformat(), "end": (end or start + HALF_HOUR).isoformat()}


def lengths(answer: list[dict[str, str]]) -> list[tuple[str, str]]:
    """(change, local start) of each appointment of an answer."""
    return [(one["change"], one["start"][11:16]) for one in answer]
