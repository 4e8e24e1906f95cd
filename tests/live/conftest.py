"""Real servers for the live tests, with gateways in front of them. `make live` prepares what they need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live import medplum_router, sekmet, sites
from tests.live import shown as telling
from tests.live.clinics import Clinic, doubled
from tests.live.gateway import Client, serving
from tests.live.shown import Shown
from tests.live.sites import Site
from tests.live.witness import Witness

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
RACERS = 8

# -- what is installed -------------------------------------------------------------------------------------------------


def installed(variable: str, default: str, needed: str) -> Path:
    home = Path(os.environ.get(variable, ROOT / default))
    if not (home / needed).exists():
        pytest.fail(f"there is no {needed} to test against: `make live` installs it")
    return home.absolute()


@pytest.fixture(scope="session")
def sekmet_venv() -> Path:
    return installed("SEKMET_VENV", ".venv-sekmet", "bin/sekmet")


@pytest.fixture(scope="session")
def medplum_home() -> Path:
    if shutil.which("node") is None:
        pytest.fail("Node.js is needed to run Medplum's router: install Node.js 20 with npm")
    return installed("MEDPLUM_HOME", ".cache/medplum", "node_modules/@medplum/fhir-router")


@pytest.fixture(scope="session")
def gnuhealth_venv() -> Path:
    return installed("GNUHEALTH_VENV", ".venv-gnuhealth", "bin/trytond")


# -- servers -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def open_sekmet(sekmet_venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running FHIR server that lets everybody in."""
    with sekmet.running(sekmet_venv, tmp_path_factory.mktemp("sekmet")) as server:
        yield server.base


@pytest.fixture(scope="session")
def medplum(medplum_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running router."""
    with medplum_router.running(medplum_home, tmp_path_factory.mktemp("medplum")) as base:
        yield base


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Each server in turn that a module names, empty at first."""
    with sites.opened(request.param, request.getfixturevalue, tmp_path_factory.mktemp(request.param)) as site:
        yield site


# -- a scenario: a clinic app, the gateway, and a day at a server ------------------------------------------------------


@pytest.fixture(scope="module")
def accounts(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Of two gateways, neither of which knows of the other's locks; of one where the server can't tell two apart."""
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    with ExitStack() as stack:
        one, other = (stack.enter_context(serving(f, site.plugin, clinic=site.account())) for f in folders)
        yield one.account(), (other if site.refuses_races else one).account()


@pytest.fixture
def clinic(site: Site) -> Clinic:
    return site.clinic()


@pytest.fixture
def witness(site: Site) -> Witness:
    return Witness(site.world)


@pytest.fixture
def app(accounts: tuple[str, str], witness: Witness) -> Iterator[Client]:
    client = Client(accounts[0], witness)
    yield client
    client.close()


@pytest.fixture
def apps(accounts: tuple[str, str], witness: Witness) -> Iterator[list[Client]]:
    """Half of them by another gateway, so that only the server stands between."""
    clients = [Client(accounts[n % 2], witness) for n in range(RACERS)]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture
def shown(request: pytest.FixtureRequest, site: Site) -> Shown:
    return Shown(request.node, site.name)


@pytest.fixture
def agreeing(clinic: Clinic, witness: Witness, shown: Shown) -> Iterator[None]:
    """After a scenario slots and appointments agree, and nothing has changed but what it was about."""
    yield
    shown.add("scenarios")
    clinic.seen = witness.ends()
    touched = witness.unasked(clinic.seen, clinic.theirs)
    found = {"half": clinic.disagreements(), "doubled": doubled(clinic), "touched": touched}
    for what, these in found.items():
        shown.add(what, len(these))
    assert not any(found.values()), found


# -- of several processes, each has the tests of some servers ----------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            spec = getattr(item, "callspec", None)
            server = spec.params.get("site", "") if spec is not None else ""
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {server}"))


# -- what was shown ----------------------------------------------------------------------------------------------------


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    telling.heard(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = telling.lines()
    if told:
        terminalreporter.section("shown on real servers")
        for line in told:
            terminalreporter.write_line(line)
