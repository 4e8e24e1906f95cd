"""Real servers for the live tests. `make live` prepares what they need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.sekmet import Clinic, running

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sekmet_venv() -> Path:
    """Where the FHIR server is installed."""
    venv = Path(os.environ.get("SEKMET_VENV", ROOT / ".venv-sekmet"))
    if not (venv / "bin" / "sekmet").exists():
        pytest.fail("there is no FHIR server to test against: `make live` installs it")
    return venv.absolute()


@pytest.fixture(scope="session")
def sekmet(sekmet_venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running FHIR server."""
    with running(sekmet_venv, tmp_path_factory.mktemp("sekmet")) as base:
        yield base


@pytest.fixture
def clinic(sekmet: str) -> Iterator[Clinic]:
    clinic = Clinic(sekmet)
    yield clinic
    clinic.close()
