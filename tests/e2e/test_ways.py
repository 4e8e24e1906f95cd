"""An EMR behind a hospital's own certificates and its proxy: reached, or known to be out of reach."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import httpx
import pytest

from gateway.app import running
from gateway.configuration import probing
from gateway.configuration.settings import load
from gateway.serving import Server, bound
from plugins.sandbox.emr import build_app
from tests.e2e.conftest import Api
from tests.loopback import Loopback
from tests.proxy import PASSWORD, Passing, running_proxy, through
from tests.tls import AUTHORITY, GATEWAY, SERVER, STRANGER

ACCOUNT = """
[[clients]]
id = "one"
secret = "plain:one-secret"

[clients.emrs.north]
plugin = "sandbox"
settings = {{ base_url = "{url}", clinic = "north", api_key = "env:API_KEY" }}
proxy = "env:PROXY"
tls = {{ ca = "file:ca.pem", certificate = "file:{own}.pem", private_key = "file:{own}.key" }}
"""


@asynccontextmanager
async def hospital(folder: Path) -> AsyncIterator[str]:
    """A sandbox EMR by itself, which lets in only those whom its authority vouches for."""
    (folder / "ca.pem").write_text(AUTHORITY.pem)
    for one in (SERVER, GATEWAY, STRANGER):
        (folder / f"{one.name}.pem").write_text(one.pem)
        (folder / f"{one.name}.key").write_text(one.key_pem())
    server = Server(build_app(folder / "emr"), drain_s=1, lifespan=True)
    server.config.ssl_certfile, server.config.ssl_keyfile = folder / "emr.pem", folder / "emr.key"
    server.config.ssl_ca_certs, server.config.ssl_cert_reqs = str(folder / "ca.pem"), ssl.CERT_REQUIRED
    (folder / "emr").mkdir()
    with closing(bound("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def gateway_before(folder: Path, own: str = "gateway") -> AsyncIterator[tuple[Api, Loopback, Passing]]:
    async with AsyncExitStack() as opened:
        url = await opened.enter_async_context(hospital(folder))
        proxy, passing = await opened.enter_async_context(running_proxy())
        (folder / "clients.toml").write_text("demo = true\n" + ACCOUNT.format(url=url, own=own))
        (folder / "gateway.toml").write_text(f'state_dir = "{folder / "state"}"\n')
        host = proxy.url.removeprefix("http://")
        environ = {"PROXY": f"http://gateway:{PASSWORD.replace('/', '%2F').replace(' ', '%20')}@{host}"}
        settings = load(environ | {"API_KEY": "north-key"}, config=folder / "gateway.toml")
        assert settings.clients[0].emrs[0].way.proxy == through(proxy)
        app = await opened.enter_async_context(running(settings))
        transport = httpx.ASGITransport(app)
        http = await opened.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://gateway.test"))
        yield Api(http, "north"), proxy, passing


async def test_an_appointment_is_written_through_proxy_and_mutual_tls(tmp_path: Path):
    async with gateway_before(tmp_path) as (api, proxy, passing):
        made = await api.book((await api.free())[0])
        moved = await api.patch(made["id"], comment="Through the tunnel.")
        assert moved["comment"] == "Through the tunnel."
        assert {line.split(" ")[0] for line in passing.asked} == {"CONNECT"}
        assert all(b"Through" not in head for head in proxy.heads)


@pytest.mark.parametrize("status", [407, 502])
async def test_while_the_proxy_refuses_nothing_is_written_and_afterwards_all_is(tmp_path: Path, status: int):
    async with gateway_before(tmp_path) as (api, _, passing):
        made = await api.book((await api.free())[0])
        passing.refusing = status
        passing.drop()
        told = await api.patch(made["id"], status=503, comment="not now")
        assert told["code"] == "EMR_UNAVAILABLE"
        assert PASSWORD not in str(told)
        passing.refusing = None
        assert await api.read(made["id"]) == made
        assert (await api.patch(made["id"], comment="now"))["comment"] == "now"


async def test_an_emr_that_refuses_the_certificate_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probing, "PATIENCE_S", 0.1)
    async with gateway_before(tmp_path, own="stranger") as (api, _, _passing):
        answer = await api.call("GET", "resources")
        assert answer.status_code in (502, 503)
        answer = await api.call("PATCH", "appointments/B1", {"comment": "x"})
        assert answer.status_code in (502, 503)
        command = await api.get(f"/api/commands/{answer.headers['x-command-id']}")
        assert (command["state"], command["steps"]) == ("refused", [])
