"""The gateway as its users run it: a process of its own, with a clients file for one EMR."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.live.processes import free_port, stop, wait_until_ready

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "gateway", "serve"]
CLIENT = {"x-leyr-client-id": "live", "x-leyr-client-secret": "live-secret"}
CLIENTS = """\
demo = true

[[clients]]
id = "live"
secret = "plain:live-secret"

[clients.emrs.clinic]
plugin = "fhir"
settings = {{ base_url = "{base}", zone = "Europe/Stockholm", page_size = 7 }}
"""


@contextmanager
def serving(base: str, folder: Path) -> Iterator[str]:
    """A gateway in front of the FHIR server at `base`; → the address of its account's routes."""
    port = free_port()
    (folder / "clients.toml").write_text(CLIENTS.format(base=base))
    config = folder / "gateway.toml"
    config.write_text(f'state_dir = "state"\nclients = "clients.toml"\n\n[server]\nport = {port}\n')
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment["GATEWAY_CONFIG"] = str(config)
    with (folder / "gateway.log").open("wb") as log:
        server = subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/readyz", server)
            yield f"http://127.0.0.1:{port}/api/emrs/clinic"
        finally:
            stop(server)


class Client:
    """A clinic app that speaks the wire contract."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._http = httpx.Client(headers=CLIENT, timeout=60)

    def close(self) -> None:
        self._http.close()

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self._http.request(method, self._account + path, json=body, **more)

    def change(self, id: str, **body: Any) -> httpx.Response:
        return self.send("PATCH", f"/appointments/{id}", body)

    def change_many(self, ids: list[str], **body: Any) -> httpx.Response:
        return self.send("PATCH", "/appointments", {"ids": ids, **body})

    def get(self, path: str, **params: str) -> Any:
        answer = self.send("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


def errors(answer: httpx.Response) -> list[str]:
    """The error codes of a refusal."""
    return [problem["error_code"] for problem in answer.json()["errors"]]
