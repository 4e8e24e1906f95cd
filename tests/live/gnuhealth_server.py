"""A real GNU Health server on loopback, on SQLite or on PostgreSQL. Every one begins as a copy of a database that was
initialised once and is kept beside what is installed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.live.gnuhealth_postgres import create_database, postgresql
from tests.live.gnuhealth_rpc import PASSWORD, Rpc, prepare
from tests.live.processes import free_port, stop, wait_until_ready

HERE = Path(__file__).parent
INGREDIENTS = ("gnuhealth.lock", "gnuhealth_postgres.py", "gnuhealth_rpc.py", "gnuhealth_server.py")
"""What the initialised databases are made from."""
DATABASES = ("sqlite", "postgresql")
PASSLIB = "[passlib]\nschemes = pbkdf2_sha512\npbkdf2_sha512__default_rounds = 1\n"
"""Nobody's password is behind these hashes, so that a login may be quick."""


class Server:
    """GNU Health as a process, on a database that outlives it."""

    def __init__(self, venv: Path, folder: Path, uri: str) -> None:
        self.database, address = uri.partition(":")[0], f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        self._programs, self._folder, self._config = venv / "bin", folder, folder / "trytond.conf"
        passlib = folder / "passlib.ini"
        passlib.write_text(PASSLIB)
        parts = {"database": f"uri = {uri}\npath = {folder}", "web": f"listen = {address}"}
        parts |= {"password": f"passlib = {passlib}"}
        self._config.write_text("".join(f"[{name}]\n{told}\n" for name, told in parts.items()))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"{self.url}/health/"

    def initialise(self) -> None:
        """Make the tables, with the calendar's. The database exists and is empty."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        command = [self._programs / "trytond-admin", "-c", self._config, "-d", "health", "-u", "health_calendar"]
        command += ["--activate-dependencies", "--email", "admin@example.org", "--language", "en"]
        environment = {**_environment(), "TRYTONPASSFILE": str(password)}
        with (self._folder / "admin.log").open("wb") as log:
            subprocess.run(command, env=environment, stdout=log, stderr=log, check=True, timeout=300)

    def start(self) -> None:
        command = [self._programs / "trytond", "-c", self._config, "-d", "health"]
        with (self._folder / "trytond.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=_environment(), stdout=log, stderr=log, start_new_session=True
            )
        wait_until_ready(self.url, self._process, status=405)  # it takes no GET, and says so

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=15)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            stop(self._process)


@contextmanager
def running(venv: Path, database: str) -> Iterator[Server]:
    """A server with a fresh EMR: an institution, a specialty, a user of the front desk, and nobody else."""
    with _folder() as folder, _copied(venv, folder, database) as uri:
        server = Server(venv, folder, uri)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _copied(venv: Path, folder: Path, database: str) -> Iterator[str]:
    origin = _kept(venv) / database
    if database == "sqlite":
        shutil.copytree(origin, folder, dirs_exist_ok=True)
        yield "sqlite://"
    else:
        with postgresql(venv, folder, origin) as uri:
            yield uri


# -- once -------------------------------------------------------------------------------------------------------------


def _kept(venv: Path) -> Path:
    """Where the initialised databases are, made where they are not yet: that takes about a minute."""
    made_from = b"".join((HERE / name).read_bytes() for name in INGREDIENTS)
    kept = venv / f"initialised-{hashlib.sha256(made_from).hexdigest()[:12]}"
    with (venv / "initialising.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests may run in several processes
        if not kept.exists():
            _initialise_all(venv, kept)
    return kept


def _initialise_all(venv: Path, kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=venv) as name, ThreadPoolExecutor() as pool:
        whole = Path(name) / "whole"
        whole.mkdir()
        for one in [pool.submit(_initialised, venv, whole / database, database) for database in DATABASES]:
            one.result()
        whole.rename(kept)


def _initialised(venv: Path, target: Path, database: str) -> None:
    with _folder() as folder:
        if database == "sqlite":
            (folder / "health.sqlite").touch()
            _initialise(venv, folder, "sqlite://")
            target.mkdir()
            shutil.copy(folder / "health.sqlite", target)
        else:
            with postgresql(venv, folder, None) as uri:
                create_database(venv, uri, "health")
                _initialise(venv, folder, uri)
            shutil.copytree(folder / "cluster", target)


def _initialise(venv: Path, folder: Path, uri: str) -> None:
    server = Server(venv, folder, uri)
    server.initialise()
    server.start()
    try:
        prepare(Rpc(server.base, "admin"))
    finally:
        server.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    """Short-lived, and open to whoever PostgreSQL is run as."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
