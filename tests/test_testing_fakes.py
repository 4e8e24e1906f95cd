"""Broken transports, doors onto fakes, and the ledger in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.ledger import Answer, CommandRow, State, StepRow, StepState
from gateway.plugin import Door, EmrError
from gateway.testing import FAULTS, Faulty, MemoryLedger, door, without_waiting
from gateway.testing.faults import SECRET


def vendor(seen: list[str]) -> Starlette:
    async def answer(request: Request) -> PlainTextResponse:
        seen.append(request.url.path)
        return PlainTextResponse("fine")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


async def test_a_fault_begins_at_its_request_and_ends_after_its_times():
    seen: list[str] = []
    fault = next(f for f in FAULTS if f.name == "429")
    faulty = Faulty(httpx.ASGITransport(vendor(seen)), fault=fault, at=2, times=2)
    async with httpx.AsyncClient(transport=faulty, base_url="http://vendor.test") as http:
        told = [(await http.get(f"/{n}")).status_code for n in range(5)]
    assert told == [200, 429, 429, 200, 200]
    assert seen == ["/0", "/3", "/4"]
    assert (faulty.requests, faulty.broken) == (5, 2)


BARE = ("103 and no more", "200 with {}", "200 with nothing", "204", "200 cut short", "200 in Latin-1")


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
async def test_a_fault_reaches_the_vendor_or_does_not(fault):
    seen: list[str] = []
    faulty = Faulty(httpx.ASGITransport(vendor(seen)), fault=fault)
    async with httpx.AsyncClient(transport=faulty, base_url="http://vendor.test") as http:
        try:
            answer = await http.get("/")
            bare = fault.name in BARE or fault.bent
            assert bare or SECRET in answer.text
        except httpx.TransportError:
            pass
    assert seen == ["/"] * fault.reaches


async def test_a_door_opens_onto_an_app_and_does_not_wait_where_told_so(monkeypatch):
    seen: list[str] = []
    http = door(vendor(seen)).http(base_url="http://vendor.test")
    assert await http.read("/x", lambda answer: answer.text) == "fine"
    slept = []
    monkeypatch.setattr("gateway.vendor.http._sleep", slept.append)
    with without_waiting():
        broken = Faulty(httpx.ASGITransport(vendor(seen)), fault=FAULTS[0])
        with pytest.raises(EmrError):
            await Door(broken).http(base_url="http://vendor.test").read("/x", lambda answer: answer.text)
    assert broken.broken == 3
    assert not slept


NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def row(id: str, **more: object) -> CommandRow:
    told = {"client": "c", "emr": "e", "tenant": "t", "operation": "update", "created_at": NOON, "updated_at": NOON}
    return CommandRow(id=id, **{**told, **more})


async def test_the_ledger_in_memory_keeps_keys_plans_and_ends():
    ledger, later = MemoryLedger(), NOON + timedelta(hours=1)
    assert await ledger.begin(row("1", key="k")) is None
    assert (await ledger.begin(row("2", key="k"))).id == "1"
    assert await ledger.begin(row("3", key="k", client="d")) is None
    await ledger.plan("1", b"plan", ["change", "cancel"], ["a"], NOON)
    await ledger.advance("1", [StepRow(0, StepState.DONE, "change", b"receipt")], NOON, (), ["b"])
    (open_,) = [r for r in await ledger.unsettled() if r.id == "1"]
    assert [s.state for s in open_.steps] == [StepState.DONE, StepState.PLANNED]
    for id in ("a", "b"):
        assert [r.id for r in await ledger.commands("c", appointment=id, unsettled=True)] == ["1"]
    await ledger.settle("1", State.DONE, Answer(200, b"{}"), later, release_key=True)
    ended = await ledger.command("1", "c")
    assert (ended.state, ended.key, ended.payload, {s.payload for s in ended.steps}) == (State.DONE, None, b"", {b""})
    assert await ledger.command("1", "d") is None
    assert not await ledger.commands("c", unsettled=True)
    assert await ledger.purge(later) == 0
    assert await ledger.purge(later + timedelta(seconds=1)) == 1
    assert await ledger.command("1", "c") is None


async def test_the_ledger_in_memory_follows_ids():
    ledger = MemoryLedger()
    await ledger.advance("x", [], NOON, [("t", "a", "b"), ("t", "b", "c"), ("u", "a", "z")])
    assert await ledger.successors("t", ["a", "b", "c", "d"]) == {"a": "c", "b": "c"}
    assert await ledger.ancestors("t", "c") == ("a", "b")
    await ledger.advance("x", [], NOON, [("t", "c", "b")])
    assert await ledger.successors("t", ["a", "b", "c"]) == {"a": "b", "c": "b"}
    assert await ledger.successors("u", ["a"]) == {"a": "z"}
