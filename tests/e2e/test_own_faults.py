"""The gateway itself fails in the middle of a command: what was written is never forgotten, nor written twice."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from gateway import mending
from gateway.answering import Answering
from gateway.ledger import LedgerDown
from gateway.ledger.sqlite import SqliteLedger
from plugins.sandbox import SandboxEmr
from tests.e2e.clinic import book, many, staff_of
from tests.e2e.conftest import Api, at, span

KEY = {"idempotency-key": "only-once"}


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff, monkeypatch):
    monkeypatch.setattr(mending, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("gateway.ending.AGAIN_S", 0.02)
    return config


def failing(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: Exception) -> list[int]:
    """That method fails as often as the number says that is in the list."""
    left, works = [0], getattr(owner, name)

    async def fails(*args: Any, **more: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise error
        return await works(*args, **more)

    monkeypatch.setattr(owner, name, fails)
    return left


async def settled(api: Api, id: str, *states: str) -> Any:
    for _ in range(300):
        command = await api.get(f"/api/commands/{id}")
        if command["state"] in (states or ("done", "undone", "refused", "needs_attention")):
            return command
        await asyncio.sleep(0.02)
    raise AssertionError(f"it is {command['state']}")


async def patched(api: Api, id: str, **body: Any) -> Any:
    return await api.call("PATCH", f"appointments/{id}", body, KEY)


async def test_a_store_that_fails_when_the_answer_is_made_is_waited_for(http, staff, monkeypatch):
    api = Api(http, "new-id")
    (own,) = await api.booked(1)
    down = failing(monkeypatch, SqliteLedger, "ancestors", LedgerDown("gone"))
    staff.before(api, 1, lambda: asyncio.sleep(down.__setitem__(0, 3) or 0))
    told = await patched(api, own["id"], **span(at(11, 9), at(11, 9, 30)))
    assert (told.status_code, down) == (200, [0])
    assert told.json()["previous_ids"] == [own["id"]]
    again = await patched(api, own["id"], **span(at(11, 9), at(11, 9, 30)))
    assert (again.content, again.headers["idempotent-replayed"]) == (told.content, "true")


async def test_an_answer_that_can_not_be_made_changes_nothing_of_what_was_done(api, staff, monkeypatch):
    (own,) = await api.booked(1)
    written = len(staff.writes(api))
    failing(monkeypatch, Answering, "answer", ZeroDivisionError("Test Testsson"))[0] = 1
    told = await patched(api, own["id"], comment="written")
    assert (told.status_code, told.json()["code"]) == (500, "UNKNOWN_ERROR")
    assert "Testsson" not in told.text
    command = await settled(api, told.headers["x-command-id"])
    assert (command["state"], command["answer"]["status"]) == ("done", 500)
    again = await patched(api, own["id"], comment="written")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (500, "true")
    assert len(staff.writes(api)) == written + 1
    assert (await api.read(own["id"]))["comment"] == "written"


async def broken_in_the_middle(
    api: Api, staff: Any, monkeypatch: pytest.MonkeyPatch, ids: list[str]
) -> tuple[Any, list[int]]:
    """A write's answer is lost, and the plugin has a bug just where it is looked up."""
    bug = failing(monkeypatch, SandboxEmr, "appointments", KeyError("Test Testsson"))
    staff.before(api, 1, lambda: asyncio.sleep(bug.__setitem__(0, 10**9) or 0))
    told = await api.call("PATCH", "appointments", {"ids": ids, "comment": "!lost@1"}, KEY)
    return told, bug


async def test_a_bug_after_a_write_is_seen_through_by_repair(api, staff, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    own = await api.booked(2)
    ids = [a["id"] for a in own]
    told, bug = await broken_in_the_middle(api, staff, monkeypatch, ids)
    assert (told.status_code, told.json()["code"]) == (502, "PARTIALLY_APPLIED")
    command = told.headers["x-command-id"]
    assert (await settled(api, command, "repairing"))["answer"]["status"] == 502
    replayed = await api.call("PATCH", "appointments", {"ids": ids, "comment": "!lost@1"}, KEY)
    assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (502, "true")
    bug[0] = 0
    ended = await settled(api, command)
    now = [(await api.read(id))["comment"] for id in ids]
    assert (ended["state"], now) in [("done", ["!lost@1"] * 2), ("undone", [own[0]["comment"], own[1]["comment"]])]
    assert "Testsson" not in caplog.text
    await api.patch(ids[0], comment="free again")


async def test_while_repair_is_at_work_nobody_else_is(http, staff, monkeypatch):
    api = Api(http)
    (own,) = await api.booked(1)
    told, bug = await broken_in_the_middle(api, staff, monkeypatch, [own["id"]])
    assert told.json()["code"] == "OUTCOME_UNKNOWN"
    other = asyncio.create_task(api.call("PATCH", f"appointments/{own['id']}", {"comment": "other"}))
    await asyncio.sleep(0.1)
    assert not other.done()
    bug[0] = 0
    assert (await other).status_code == 200
    assert (await api.read(own["id"]))["comment"] == "other"
    assert (await settled(api, told.headers["x-command-id"]))["state"] == "done"


async def test_an_end_that_can_not_be_written_down_for_a_bug_is_written_by_repair(api, staff, monkeypatch):
    (own,) = await api.booked(1)
    written = len(staff.writes(api))
    failing(monkeypatch, SqliteLedger, "settle", ZeroDivisionError("Test Testsson"))[0] = 3
    told = await patched(api, own["id"], comment="written")
    assert told.status_code == 500
    command = await settled(api, told.headers["x-command-id"])
    assert (command["state"], command["answer"]["status"]) == ("done", 200)
    assert command["answer"]["body"]["comment"] == "written"
    again = await patched(api, own["id"], comment="written")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert len(staff.writes(api)) == written + 1


async def test_a_bug_before_any_write_refuses_and_frees_the_key(api, staff, monkeypatch):
    (own,) = await api.booked(1)
    before, written = await book(api), len(staff.writes(api))
    bug = failing(monkeypatch, SandboxEmr, "appointments", ZeroDivisionError("Test Testsson"))
    bug[0] = 1
    told = await patched(api, own["id"], comment="written")
    assert (told.status_code, len(staff.writes(api))) == (500, written)
    assert await book(api) == before
    assert (await patched(api, own["id"], comment="written")).status_code == 200


async def test_who_does_not_wait_is_told_where_to_ask_though_the_store_can_not_be_read(api, monkeypatch):
    (own,) = await api.booked(1)
    failing(monkeypatch, SqliteLedger, "command", LedgerDown("gone"))[0] = 1
    told = await api.call("PATCH", f"appointments/{own['id']}", {"comment": "later"}, {"prefer": "respond-async"})
    assert (told.status_code, told.json()["state"]) == (202, "running")
    assert (await settled(api, told.json()["id"]))["state"] == "done"


async def test_the_unsettled_are_counted_as_they_are(http, staff, monkeypatch):
    api = Api(http)
    own = await api.booked(2)

    async def counted() -> dict[str, float]:
        lines = (await http.get("/metrics")).text.splitlines()
        found = [line.split() for line in lines if line.startswith("gateway_commands_unsettled{")]
        return {name.partition('"')[2].partition('"')[0]: float(value) for name, value in found}

    assert await counted() == {"running": 0, "repairing": 0, "needs_attention": 0}
    _, bug = await broken_in_the_middle(api, staff, monkeypatch, [a["id"] for a in own])
    assert await counted() == {"running": 0, "repairing": 1, "needs_attention": 0}
    bug[0] = 0
    await settled(api, (await api.get("/api/commands"))[0]["id"])
    assert await counted() == {"running": 0, "repairing": 0, "needs_attention": 0}
    await many(api, [a["id"] for a in own], {"comment": "free again"})
