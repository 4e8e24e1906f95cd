"""What is counted: commands by their end, and the calls that they cost; nobody's name or id."""

from __future__ import annotations

import httpx
from prometheus_client import CollectorRegistry

from gateway.app import running
from gateway.settings import load
from tests.e2e.conftest import Api


async def test_commands_and_calls_are_counted_without_naming_anybody(config):
    registry = CollectorRegistry()
    async with (
        running(load({}, config=config), registry) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway.test") as http,
    ):
        api = Api(http)
        (made,) = await api.booked(1)
        await api.patch(made["id"], 409, comment="!refuse")
        told = (await http.get("/metrics")).text
    assert 'gateway_commands_total{operation="book",state="done"} 1.0' in told
    assert 'gateway_commands_total{operation="update",state="refused"} 1.0' in told
    assert 'gateway_emr_calls_total{kind="write"} 2.0' in told
    assert made["id"] not in told
    assert made["patient_id"] not in told
