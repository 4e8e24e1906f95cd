"""What one client asks for too much of is refused with a time to come back; the other one notices nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.clinic import staff_of
from tests.e2e.conftest import Api


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    clients = config.parent / "clients.toml"
    limits = 'secret = "plain:one-secret"\nlimits = { rate = 0.1, burst = 4, concurrency = 2 }'
    clients.write_text(clients.read_text().replace('secret = "plain:one-secret"', limits))
    return config


def limited(answer) -> int:
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    return int(answer.headers["retry-after"])


async def test_too_many_requests(http, api):
    for _ in range(4):
        await api.get("/api/emrs")
    wait = limited(await api.call("GET", "appointments/B1001"))
    assert 1 <= wait <= 10
    limited(await api.call("PATCH", "appointments/B1001", {"comment": "x"}))
    two = Api(http, id="two")
    for _ in range(10):
        await two.get("/api/emrs")
    wrong = {"x-leyr-client-secret": "wrong"}
    assert (await api.call("GET", "/api/emrs", headers=wrong)).status_code == 401
    assert (await http.get("/healthz")).status_code == 200


async def test_too_many_commands_that_nobody_waits_for(api, staff):
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_):
        reached.set()
        await go_on.wait()

    staff.watch["in-place/clinic-one"] = wait
    later = {"prefer": "respond-async"}
    for id in ("B1001", "B1004"):
        answer = await api.call("PATCH", f"appointments/{id}", {"comment": "x"}, later)
        assert answer.status_code == 202
    await reached.wait()
    limited(await api.call("PATCH", "appointments/B1005", {"comment": "x"}, later))
    go_on.set()
    assert staff.writes(api)[0].startswith("PATCH")
