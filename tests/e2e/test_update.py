"""An update under load: what clients see of it, with and without a supervisor that holds the socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.serving import inherited
from tests.e2e.processes import CLIENTS, ROOT, sandbox
from tests.live.processes import free_port, stop, wait_until_ready

HEADERS = {"x-leyr-client-id": "one", "x-leyr-client-secret": "one-secret", "connection": "close"}
CLIENTS_AT_ONCE = 4


def started(folder: Path, port: int, held: socket.socket | None) -> subprocess.Popen[bytes]:
    """As systemd starts it for a socket unit, if there is a socket that is held."""
    told = {"GATEWAY_CONFIG": str(folder / "gateway.toml"), "PORT": str(port), "PATH": os.environ["PATH"]}
    with (folder / "gateway.log").open("ab") as log:
        out = {"cwd": ROOT, "stdout": log, "stderr": log, "start_new_session": True}
        if held is None:
            return subprocess.Popen([sys.executable, "-m", "gateway", "serve"], env=told, **out)
        script = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "{sys.executable}" -m gateway serve 3<&{held.fileno()}'
        return subprocess.Popen(["bash", "-c", script], env=told, pass_fds=(held.fileno(),), **out)


class Watched:
    """Clients that go on asking; each opens a connection for each request, as a proxy without luck would."""

    def __init__(self, url: str) -> None:
        self.url, self.seen, self.longest_s = url, Counter(), 0.0
        self.missing: list[float] = []

    async def ask(self, until: asyncio.Event) -> None:
        async with aiohttp.ClientSession(headers=HEADERS) as http:
            while not until.is_set():
                began = time.monotonic()
                try:
                    async with http.get(f"{self.url}/api/emrs/emr/appointments") as answer:
                        self.seen[answer.status] += 1
                        self.longest_s = max(self.longest_s, time.monotonic() - began)
                except aiohttp.ClientError as error:
                    self.seen[type(error).__name__] += 1
                    self.missing.append(time.monotonic())
                await asyncio.sleep(0.005)


async def updated(folder: Path, port: int, held: socket.socket | None) -> Watched:
    watched, over = Watched(f"http://127.0.0.1:{port}"), asyncio.Event()
    old = started(folder, port, held)
    try:
        await asyncio.to_thread(wait_until_ready, f"{watched.url}/readyz", old)
        asking = [asyncio.create_task(watched.ask(over)) for _ in range(CLIENTS_AT_ONCE)]
        await asyncio.sleep(0.5)
        old.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(old.wait, 30) == 0
    finally:
        stop(old)
    new = started(folder, port, held)
    try:
        await asyncio.to_thread(wait_until_ready, f"{watched.url}/readyz", new)
        await asyncio.sleep(0.3)
        over.set()
        await asyncio.gather(*asking)
    finally:
        stop(new)
    return watched


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    with sandbox(tmp_path) as emr:
        (tmp_path / "clients.toml").write_text(CLIENTS.format(base=emr, personality="in-place", clinic="update"))
        (tmp_path / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n')
        yield tmp_path


@contextmanager
def held() -> Iterator[socket.socket]:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        found.listen(128)
        yield found


@pytest.mark.drill
def test_while_a_supervisor_holds_the_socket_nobody_is_refused(folder):
    with held() as found:
        watched = asyncio.run(updated(folder, found.getsockname()[1], found))
    sys.stdout.write(f"\nheld socket: {dict(watched.seen)}; the longest wait was {watched.longest_s:.1f} s\n")
    assert watched.seen.keys() == {200}
    assert watched.longest_s < 30


@pytest.mark.drill
def test_who_was_let_in_before_is_served(folder):
    """It has said nothing yet when the gateway is told to stop."""
    with held() as found:
        address = found.getsockname()
        old = started(folder, address[1], found)
        try:
            wait_until_ready(f"http://127.0.0.1:{address[1]}/readyz", old)
            with closing(socket.create_connection(address, timeout=10)) as early:
                time.sleep(0.2)
                old.send_signal(signal.SIGTERM)
                time.sleep(0.1)
                told = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
                early.sendall(f"GET /api/emrs/emr/appointments HTTP/1.1\r\nhost: x\r\n{told}\r\n".encode())
                assert early.recv(12) == b"HTTP/1.1 200"
            assert old.wait(30) == 0
        finally:
            stop(old)


@pytest.mark.drill
def test_without_one_connections_are_refused_until_the_next_start(folder):
    watched = asyncio.run(updated(folder, free_port(), None))
    gap = watched.missing[-1] - watched.missing[0]
    sys.stdout.write(f"\nno held socket: {dict(watched.seen)}; nobody was there for {gap:.1f} s\n")
    assert watched.seen.keys() <= {200, 503, "ClientConnectorError", "ServerDisconnectedError", "ClientOSError"}


# -- the socket that is passed on --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("LISTEN_PID=$$ LISTEN_FDS=2", "LISTEN_FDS should be 1"),
        ("LISTEN_PID=$$ LISTEN_FDS=1", "should listen on a TCP port"),
    ],
)
def test_what_is_no_listening_socket_is_refused(tmp_path, told, said):
    other, ours = socket.socketpair()
    with closing(other), closing(ours):
        code = "from gateway import serving; import os; print(serving.inherited(os.environ))"
        done = subprocess.run(
            ["bash", "-c", f"{told} exec '{sys.executable}' -c '{code}' 3<&{ours.fileno()}"],
            pass_fds=(ours.fileno(),), cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert said in done.stderr


def test_a_socket_of_another_process_is_none_of_ours():
    assert inherited({}) is None
    assert inherited({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None
