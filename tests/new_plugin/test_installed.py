"""A newcomer's whole way: written, built, installed into an environment of its own, tested, typed, served, patched."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from gateway.new_plugin import written
from tests.live.processes import Process, free_port
from tests.new_plugin.installed import KEY, built, install, run

EMR = """\
from fake import FakeNimbusCare
from starlette.responses import Response
from starlette.routing import Route

fake = FakeNimbusCare()
for kind in ("sites", "clinicians", "visit-types", "patients"):
    fake.put(kind, f"Test {kind}")
fake.app.router.routes.append(Route("/up", lambda _: Response()))
app = fake.app
"""
CLIENTS = """\
demo = true

[[clients]]
id = "app"
secret = "plain:app-secret"

[clients.emrs.clinic]
plugin = "nimbus_care"
settings = {{ base_url = "{url}", api_key = "invented-key", zone = "Europe/Stockholm" }}
"""
HEADERS = {"x-leyr-client-id": "app", "x-leyr-client-secret": "app-secret"}
pytestmark = pytest.mark.drill


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """With the package in it, its tests, and an environment into which its wheel is installed beside the gateway."""
    folder = tmp_path_factory.mktemp("newcomer")
    package, venv = written(KEY, folder), folder / "venv"
    run(folder, sys.executable, "-m", "venv", "--without-pip", venv)
    (site,) = (venv / "lib").glob("python*/site-packages")
    seen = sysconfig.get_path("purelib")
    (site / "beside.pth").write_text(f"import site; site.addsitedir({seen!r})\n")
    install(built(package, folder / "dist"), "--prefix", venv)
    (package / "src").rename(folder / "src")  # so that what is tested is what was installed
    return folder


@pytest.fixture
def python(folder) -> Path:
    return folder / "venv" / "bin" / "python"


@pytest.fixture
def package(folder) -> Path:
    return folder / "emr-nimbus-care"


def test_all_of_its_tests_are_green_and_it_conforms(package, python, folder):
    report = folder / "report.md"
    run(package, python, "-m", "pytest", "-q", "-W", "error", f"--conformance={report}")
    (account,) = json.loads(report.with_name("report.md.json").read_text())["accounts"]
    assert (account["conforms"], account["faults"]["breaches"]) == (True, 0)
    assert account["faults"]["cells"] > 400


@pytest.mark.parametrize("key", ["emr", "request", "words", "test", "class", "x9"])
def test_any_word_may_be_its_key(key, tmp_path, python):
    package = written(key, tmp_path)
    run(package, python, "-m", "pytest", "-q", "-W", "error", "-k", "not OverHttp")


def test_its_code_is_typed(folder, python):
    run(folder / "src", sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "-p", f"emr_{KEY}")


def test_the_gateway_finds_it(python, folder):
    assert f"{KEY}" in run(folder, python, "-m", "gateway", "emrs")


@pytest.fixture
def clinic(folder, package, python) -> Iterator[httpx.Client]:
    """The gateway with an account of it, and its EMR, each in a process of its own."""
    emr, port = free_port(), free_port()
    (folder / "emr.py").write_text(EMR)
    (folder / "clients.toml").write_text(CLIENTS.format(url=f"http://127.0.0.1:{emr}"))
    (folder / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n')
    told = {"GATEWAY_CONFIG": str(folder / "gateway.toml"), "PORT": str(port)}
    theirs = [python, "-m", "uvicorn", "emr:app", "--port", str(emr)]
    path = {"PYTHONPATH": str(package / "tests")}
    ready = f"http://127.0.0.1:{port}/readyz"
    with ExitStack() as running:
        there = f"http://127.0.0.1:{emr}/up"
        running.enter_context(Process(theirs, folder, there, folder / "emr.log", **path).running())
        serving = Process([python, "-m", "gateway", "serve"], folder, ready, folder / "gateway.log", **told)
        running.enter_context(serving.running())
        url = f"http://127.0.0.1:{port}/api/emrs/clinic"
        yield running.enter_context(httpx.Client(base_url=url, headers=HEADERS))


def test_an_appointment_is_booked_moved_and_cancelled_over_http(clinic):
    place = {
        f"{name.rstrip('s').replace('-', '_')}_id": clinic.get(f"/{name}").json()[0]["id"]
        for name in ("resources", "healthcare-services", "patients")
    }
    first, *_, last = clinic.get("/timeslots", params={"resource_id": place["resource_id"]}).json()
    times = [{name: slot[name] for name in ("start", "end")} for slot in (first, last)]
    made = clinic.post("/appointments", json={**place, **times[0]})
    assert made.status_code == 201, made.text
    path = f"/appointments/{made.json()['id']}"
    moved = clinic.patch(path, json={**times[1], "comment": "Bring your passport."})
    assert moved.status_code == 200, moved.text
    assert clinic.get(path).json() == moved.json()
    assert (moved.json()["start"], moved.json()["comment"]) == (times[1]["start"], "Bring your passport.")
    assert clinic.patch(path, json={"status": "cancelled"}).json()["status"] == "cancelled"
