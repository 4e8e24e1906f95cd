"""Which accounts share what leads to their EMRs."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel

from gateway.domain.capabilities import Capabilities
from gateway.port import Emr, Vendor
from gateway.vendor import network
from gateway.vendor.network import Network
from gateway.vendor.way import DIRECT, Proxy, Tls, Way
from tests.tls import ANOTHER, AUTHORITY, server_context, tls_server


class Settings(BaseModel):
    base_url: str = "http://inside.invalid"


def vendor(**more) -> Vendor:
    return Vendor(key="acme", name="Acme", settings=Settings, emr=Emr, capabilities=Capabilities(), **more)


OUTSIDE = Settings(base_url="https://emr.example")


def way(ca: str = AUTHORITY.pem, proxy: str | None = None) -> Way:
    """As it is read from a file: a new object each time."""
    return Way(tls=Tls(ca=ca), proxy=None if proxy is None else Proxy.parse(proxy))


async def test_accounts_of_one_way_share_a_transport_and_others_do_not(tmp_path: Path, monkeypatch):
    made = []
    honest = network.AiohttpTransport
    monkeypatch.setattr(network, "AiohttpTransport", lambda **how: made.append(how) or honest(**how))
    ways = Network(tmp_path)
    different = [
        DIRECT,
        way(),
        way(ANOTHER.pem),
        way(proxy="http://user:word@proxy:3128"),
        way(proxy="http://user:other@proxy:3128"),
        Way(proxy=Proxy.parse("http://proxy:3128")),
    ]
    for _ in range(3):
        found = [ways.route(vendor(), OUTSIDE, one) for one in different]
        assert len(set(map(id, found))) == len(different)
        assert ways.route(vendor(), OUTSIDE, way()) is found[1]
    assert len(made) == len(different)
    # The system's certificates are loaded once for all.
    assert [how["ssl_context"] is None for how in made] == [True, False, False, False, False, True]


async def test_what_was_opened_is_closed(tmp_path: Path):
    async with tls_server(server_context(tmp_path)) as emr:
        ways = Network(tmp_path)
        trusting, direct = (ways.route(vendor(), OUTSIDE, one) for one in (way(), DIRECT))
        async with ways.open():
            answer = await trusting.handle_async_request(httpx.Request("GET", emr.url))
            await answer.aread()
            await answer.aclose()
            with pytest.raises(httpx.ConnectError):
                await direct.handle_async_request(httpx.Request("GET", emr.url))
        for closed in (trusting, direct):
            with pytest.raises(httpx.ConnectError, match="closed"):
                await closed.handle_async_request(httpx.Request("GET", emr.url))


def test_an_embedded_emr_is_reached_within_unless_an_address_is_named(tmp_path: Path):
    ways, embedded = Network(tmp_path), vendor(embedded=lambda _: None)
    inside = ways.route(embedded, Settings(), DIRECT)
    assert ways.route(embedded, Settings(), DIRECT) is inside
    outside = ways.route(embedded, OUTSIDE, DIRECT)
    assert outside is not inside
    assert ways.route(vendor(), Settings(), DIRECT) is outside
