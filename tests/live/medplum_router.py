"""Medplum's own FHIR router on loopback, in memory: no rollback, no If-Match on PATCH, no chains, includes or links."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.processes import free_port, stop, wait_until_ready

ROOT = Path(__file__).parents[2]


@contextmanager
def running(home: Path, folder: Path) -> Iterator[str]:
    """Start the server, empty; → its base URL."""
    node = shutil.which("node")
    assert node is not None
    port = free_port()
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    with (folder / "server.log").open("wb") as log:
        command = [node, str(home / "server.mjs"), str(port)]
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/fhir/metadata", server)
            yield f"http://127.0.0.1:{port}/fhir"
        finally:
            stop(server)


@pytest.fixture(scope="session")
def medplum_home() -> Path:
    """Where the router is installed."""
    if shutil.which("node") is None:
        pytest.fail("Node.js is needed to run Medplum's router: install Node.js 20 with npm")
    home = Path(os.environ.get("MEDPLUM_HOME", ROOT / ".cache" / "medplum"))
    if not (home / "node_modules" / "@medplum" / "fhir-router").exists():
        pytest.fail("there is no Medplum router to test against: `make live` installs it")
    return home.absolute()


@pytest.fixture(scope="session")
def medplum(medplum_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running router."""
    with running(medplum_home, tmp_path_factory.mktemp("medplum")) as base:
        yield base
