"""API4:2023 Unrestricted Resource Consumption: each request has its measure, as connections and clients have theirs."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import at

pytestmark = pytest.mark.security


async def refused(api, body, status=400):
    began = time.monotonic()
    answer = await api.http.patch("/api/emrs/in-place/appointments", content=body, headers=api.headers)
    assert answer.status_code == status
    assert time.monotonic() - began < 5
    return answer


async def test_bodies_are_bounded_and_so_is_what_is_in_them(api):
    await refused(api, b" " * 1_048_577, 413)
    await refused(api, b'{"ids": [' + b'"a",' * 200_000 + b'"a"]}')
    await refused(api, b'{"ids": ["a"], "comment": "' + b"a" * 1_000_000 + b'"}')
    await refused(api, b"[" * 1_000_000)
    await refused(api, b"{" + b",".join(b'"f%d":1' % n for n in range(60_000)) + b"}")
    answer = await refused(api, b"{" + b",".join(b'"f%d":1' % n for n in range(60_000)) + b"}")
    assert len(answer.content) < 100_000


async def test_a_hundred_at_most(api):
    answer = await api.call("PATCH", "appointments", {"ids": [f"B{n}" for n in range(101)], "comment": "x"})
    assert [e["error_code"] for e in answer.json()["errors"]] == ["MAX_ITEMS_EXCEEDED"]


@pytest.mark.parametrize("path", ["appointments", "timeslots"])
async def test_ranges_are_bounded(api, path):
    query = {"start": at(1, 0).isoformat(), "end": at(100, 0).isoformat()}
    assert (await api.call("GET", path, **query)).status_code == 400


async def test_queries_are_bounded(api):
    assert (await api.http.get("/api/emrs?" + "a=b&" * 10_000, headers=api.headers)).status_code == 400
