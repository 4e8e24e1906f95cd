"""How often a user waits for the EMR: rounds, not calls. Requests that are under way together are one round."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest

import plugins.sandbox
from gateway import writing
from gateway.vendor import http as vendor_http
from gateway.vendor.http import Meter
from tests.e2e.conftest import PERSONALITIES, Api, at, span, started

PROVING_NOTHING = ("no-content", "async")


@pytest.fixture
def meters(monkeypatch: pytest.MonkeyPatch) -> list[Meter]:
    """What each write spent."""
    seen: list[Meter] = []

    @contextmanager
    def recording() -> Iterator[Meter]:
        with vendor_http.meter() as spent:
            seen.append(spent)
            yield spent

    monkeypatch.setattr(writing, "meter", recording)
    return seen


@pytest.fixture(params=PERSONALITIES)
async def slow(config, meters, request, monkeypatch) -> AsyncIterator[Api]:
    """An EMR that takes its time for every call, so that calls under way together can be told from those in turn."""
    apps = []
    build = plugins.sandbox.build_app
    monkeypatch.setattr(plugins.sandbox, "build_app", lambda folder: apps.append(build(folder)) or apps[0])
    async with started(config) as http:
        key = {"x-clinic-key": "clinic-one-key"}
        emr = httpx.AsyncClient(transport=httpx.ASGITransport(app=apps[0]), base_url="http://emr.test", headers=key)
        api = Api(http, request.param)
        own = await api.booked(6)
        await emr.post(f"/{api.emr}/clinic-one/_control", json={"latency_ms": 40})
        meters.clear()
        yield Api(http, request.param, seen=[httpx.Response(200, json=own)])


def ids(api: Api) -> list[str]:
    return [a["id"] for a in api.seen[0].json()]


async def test_a_move_is_read_check_write(slow, meters):
    await slow.patch(ids(slow)[0], **span(at(11, 9), at(11, 9, 30)))
    extra = {"no-move": 1, "slot-records": 2, "no-refusal": 1, "no-content": 1, "async": None}.get(slow.emr, 0)
    if extra is None:  # It is asked until the write shows.
        assert meters[0].rounds >= 4
    else:
        assert meters[0].rounds == 3 + extra


async def test_a_comment_is_read_and_write_and_so_is_a_cancellation(slow, meters):
    await slow.patch(ids(slow)[0], comment="as said")
    if slow.emr != "slot-records":  # Where slots are records, they are read before they are given back.
        told = await slow.call("PATCH", f"appointments/{ids(slow)[0]}", {"status": "cancelled"})
        assert told.json()["status"] == "cancelled"
    for spent in meters:
        if slow.emr == "async":
            assert spent.rounds >= 3
        else:
            assert spent.rounds == 2 + (slow.emr in PROVING_NOTHING)


async def test_a_bulk_takes_the_rounds_of_one(slow, meters):
    await slow.many(ids(slow), comment="to all")
    await slow.many(ids(slow), resource_id="D2")
    if slow.emr in ("no-move", "slot-records", "no-refusal", "async"):
        return  # Rebooking, slots and conflicts have rounds of their own; that they are few is shown above.
    more = slow.emr in PROVING_NOTHING  # Some are read back while others are still written.
    assert 2 <= meters[0].rounds <= 2 + more
    assert 3 <= meters[1].rounds <= 3 + more
    assert [spent.writes for spent in meters] == [6, 6]
