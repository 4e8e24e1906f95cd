"""One dead EMR costs the others nothing: not a place, not a connection, not a moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.configuration import probing
from gateway.vendor.http import Door
from gateway.vendor.transport import AiohttpTransport
from tests.e2e.conftest import CLIENT, Api, started
from tests.loopback import Peer, loopback

CLINICS = 40
"""Of one dead EMR: eight calls of each are more than the connections that may be open to one place."""


@asynccontextmanager
async def never_answering() -> AsyncIterator[str]:
    async def never(peer: Peer, head: bytes) -> None:
        await asyncio.Event().wait()

    async with loopback(never) as server:
        yield server.url


@asynccontextmanager
async def never_accepting() -> AsyncIterator[str]:
    with full_queue() as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def full_queue() -> Iterator[int]:
    """A port to which nobody gets a connection any more, and nobody is refused one."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port, waiting = listening.getsockname()[1], []
        for _ in range(3):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(("127.0.0.1", port))
        yield port
        for one in waiting:
            one.close()


def status(response: httpx.Response) -> int:
    return response.status_code


@asynccontextmanager
async def hanging(*calls: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        for _ in range(30):
            await asyncio.sleep(0.001)
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("hole", [never_answering, never_accepting])
async def test_calls_to_a_healthy_emr_wait_for_none_of_a_dead_one(hole: Any):
    async with hole() as dead, loopback() as healthy, AiohttpTransport() as transport:
        doors = [Door(transport).http(base_url=dead, connect_timeout_s=20.0) for _ in range(CLINICS)]
        lost = [door.read("a", status) for door in doors for _ in range(12)]
        async with hanging(*lost) as pending:
            http = Door(transport).http(base_url=healthy.url)
            for _ in range(20):
                assert await asyncio.gather(*(http.read("a", status) for _ in range(8))) == [200] * 8
            # None of theirs has ended: so none of ours has waited for one.
            assert not any(task.done() for task in pending)


async def test_requests_to_a_healthy_emr_wait_for_none_of_a_dead_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probing, "PATIENCE_S", 0.01)
    async with never_answering() as dead, started(_two_accounts(tmp_path, dead)) as http:
        api, lost = Api(http, "healthy"), Api(http, "dead")
        reads = [lost.call("GET", "appointments") for _ in range(50)]
        writes = [lost.call("PATCH", f"appointments/{n}", {"comment": "x"}) for n in range(50)]
        async with hanging(*reads, *writes) as pending:
            (own,) = await api.booked(1)
            assert (await api.patch(own["id"], comment="all is well"))["comment"] == "all is well"
            assert (await api.call("GET", "/readyz")).status_code == 200
            assert not any(task.done() for task in pending)


def _two_accounts(folder: Path, dead: str) -> Path:
    account = '[clients.emrs.{key}]\nplugin = "sandbox"\nsettings = {{ clinic = "c", api_key = "c-key"{more} }}\n'
    clients = [CLIENT.format(id="one"), account.format(key="healthy", more="")]
    clients.append(account.format(key="dead", more=f', base_url = "{dead}"'))
    (folder / "clients.toml").write_text("demo = true\n" + "".join(clients))
    (folder / "gateway.toml").write_text(
        f'state_dir = "{folder / "state"}"\nclients = "clients.toml"\nlimits.drain_s = 0\n'
    )
    return folder / "gateway.toml"
