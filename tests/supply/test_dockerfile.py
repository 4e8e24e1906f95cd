"""The Dockerfile: what it may not do, and, with `make drill`, that what it builds starts and serves.

No container engine is needed: its steps are carried out in a directory that stands for the file system of the image.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from supply.locks import read as locked
from tests.live.processes import free_port, stop, wait_until_ready
from tests.supply.dockerfile import ROOT, exec_form, read

PLACES = ("/build", "/venv", "/wheels", "/state", "/app")
"""What the steps speak of as absolute paths, and what stands for them below the directory."""


def ignored() -> list[str]:
    return [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]


def test_nothing_is_installed_but_what_a_lock_names_by_its_hash():
    installs = [run for stage in read() for run in stage.all("RUN") for run in run.split("&&") if "pip install" in run]
    assert len(installs) >= 3
    for run in installs:
        assert "--require-hashes -r" in run or "--no-deps --no-index /wheels/" in run, run
    wheels = [run for stage in read() for run in stage.all("RUN") for run in run.split("&&") if "pip wheel" in run]
    assert all("--no-deps" in run and "--no-build-isolation" in run for run in wheels)


def test_what_runs_is_another_stage_than_what_builds_and_belongs_to_nobody_of_importance():
    build, run = read()
    assert run.base == build.base
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", run.base), "a version, never `latest`"
    (user,) = run.all("USER")
    assert user == "gateway"
    assert "--uid 10001" in " ".join(run.all("RUN"))
    assert not any("pip" in step for step in run.all("RUN"))
    assert run.all("COPY")[0] == "--from=build /venv /venv"
    assert run.steps.index(("USER", user)) > run.steps.index(("RUN", run.all("RUN")[-1]))


def test_a_signal_reaches_the_gateway_itself():
    run = read()[-1]
    assert exec_form(run.all("CMD")[0])[:3] == ["python", "-m", "gateway"]
    assert "SIGTERM" not in run.all("STOPSIGNAL"), "it is so by itself"


def test_everything_that_is_copied_is_there_and_nothing_of_ones_own_is():
    kept = {line[1:] for line in ignored() if line.startswith("!")}
    for stage in read():
        for copy in stage.all("COPY"):
            if copy.startswith("--from"):
                continue
            for source in copy.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source in kept, f".dockerignore keeps {source} away"
    assert ignored()[0] == "*"
    assert "config/clients.toml" in ignored()


def carried_out(root: Path, instruction: str, rest: str) -> None:
    """One step of the first stage, below `root`."""
    workdir = root / "build"
    if instruction == "COPY":
        *sources, target = rest.split()
        for source in sources:
            there = workdir / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, there)
    elif instruction == "RUN":
        command = re.sub(rf"(?<![\w.])({'|'.join(PLACES)})(?=[/\s]|$)", lambda m: f"{root}{m[1]}", rest)
        path = f"{root}/python/bin:{os.environ['PATH']}"
        told = dict(argument.split("=", 1) for argument in read()[0].all("ARG"))
        subprocess.run(command, shell=True, cwd=workdir, env={**os.environ, **told, "PATH": path}, check=True)


@pytest.mark.drill
def test_what_its_steps_build_serves_passes_its_own_health_check_and_stops(tmp_path):
    build, run = read()
    (tmp_path / "build").mkdir()
    # The base image's own Python, into which the build's tools are installed.
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "python"], check=True)
    for instruction, rest in build.steps:
        carried_out(tmp_path, instruction, rest)
    listed = subprocess.run(
        [tmp_path / "venv/bin/pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    installed = {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines()}
    assert installed - {"pip", "setuptools"} <= {one.name for one in locked(ROOT / "requirements.lock")} | {
        "emr-gateway"
    }

    shutil.copytree(ROOT / "config", tmp_path / "app/config", ignore=shutil.ignore_patterns("clients.toml"))
    (tmp_path / "state").mkdir(mode=0o700)
    port = free_port()
    told = {
        **run.environment,
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "STATE_DIR": f"{tmp_path}/state",
        "GATEWAY_DEMO": "1",
    }
    told["PATH"] = f"{tmp_path}/venv/bin:/usr/bin:/bin"
    command, check = exec_form(run.all("CMD")[0]), run.all("HEALTHCHECK")[0].partition("CMD ")[2]
    python = shutil.which("python", path=told["PATH"])
    with (tmp_path / "log").open("wb") as log:
        there = {"cwd": tmp_path / "app", "env": told, "executable": python}
        served = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **there)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/readyz", served)
            subprocess.run(exec_form(check), **there, check=True)
            moved(f"http://127.0.0.1:{port}")
            served.send_signal(signal.SIGTERM)
            assert served.wait(30) == 0
        finally:
            stop(served)
    after = subprocess.run(exec_form(check), **there, check=False, capture_output=True)
    assert after.returncode, "nobody is there any more"


def moved(url: str) -> None:
    headers = {"x-leyr-client-id": "demo", "x-leyr-client-secret": "demo-secret"}
    with httpx.Client(base_url=f"{url}/api/emrs/sandbox", headers=headers) as http:
        one = next(a for a in http.get("/appointments").json() if a["status"] == "booked")
        slot = http.get("/timeslots", params={"resource_id": "D1"}).json()[-1]
        body = {name: slot[name] for name in ("start", "end", "resource_id")}
        answer = http.patch(f"/appointments/{one['id']}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["start"] == slot["start"]
