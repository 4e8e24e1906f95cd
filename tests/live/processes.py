"""Servers as processes: started on a free port of loopback, waited for, killed, started again, and always stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx


class Process:
    """A server whose data outlive it. `ready` is a URL that answers 200 once it is there."""

    def __init__(self, command: Sequence[str | Path], cwd: Path, ready: str, log: Path, **environment: str) -> None:
        self._command, self._cwd, self._ready, self._log = command, cwd, ready, log
        told = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self._environment = {**told, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._cwd, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_until_ready(self._ready, self._process)

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=15)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            stop(self._process)

    @contextmanager
    def running(self) -> Iterator[None]:
        try:
            self.start()
            yield
        finally:
            self.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, server: subprocess.Popen[bytes], status: int = 200) -> None:
    """Until `url` answers `status`. Raises RuntimeError where the process ends, or after a minute."""
    deadline = time.monotonic() + 60
    with httpx.Client(timeout=5, verify=False) as http:
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise RuntimeError(f"the server ended with {server.returncode}")
            try:
                if http.get(url).status_code == status:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise RuntimeError("the server was not ready within a minute")


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ask the process and its children to end, then make them."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, how)
        except ProcessLookupError:
            return
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue
        return
