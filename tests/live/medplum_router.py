"""Medplum's own FHIR router on loopback, in memory: no rollback, no If-Match on PATCH, no chains, includes or links."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.processes import Process, free_port


@contextmanager
def running(home: Path, folder: Path) -> Iterator[str]:
    """Start the server, empty; → its base URL."""
    node = shutil.which("node")
    assert node is not None
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    server = Process([node, home / "server.mjs", str(port)], home, f"{base}/metadata", folder / "server.log")
    with server.running():
        yield base
