"""The gateway as its users run it, in front of a GNU Health server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.live.gateway import COMMAND, ROOT
from tests.live.gnuhealth import settings
from tests.live.gnuhealth_server import Server
from tests.live.processes import free_port, stop, wait_until_ready

CLIENTS = """\
demo = true

[[clients]]
id = "live"
secret = "plain:live-secret"

[clients.emrs.clinic]
plugin = "gnuhealth"
settings = {{ {settings} }}
"""


@contextmanager
def serving(server: Server, folder: Path, **more: Any) -> Iterator[str]:
    """A gateway of its own; → the address of its account's routes."""
    port = free_port()
    # A JSON value of these kinds is a TOML value, too.
    told = ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings(server, **more).items())
    (folder / "clients.toml").write_text(CLIENTS.format(settings=told))
    config = folder / "gateway.toml"
    config.write_text(f'state_dir = "state"\nclients = "clients.toml"\n\n[server]\nport = {port}\n')
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment["GATEWAY_CONFIG"] = str(config)
    with (folder / "gateway.log").open("wb") as log:
        gateway = subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/readyz", gateway)
            yield f"http://127.0.0.1:{port}/api/emrs/clinic"
        finally:
            stop(gateway)
