"""What patients hear from the EMR of what was written: as the account says, and never of what was taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.clinic import Staff, cancel, staff_of
from tests.e2e.conftest import Api, at, span, started

ACCOUNT = """
[clients.emrs.{key}]
plugin = "sandbox"
settings = {{ clinic = "{key}", api_key = "{key}-key", personality = "{personality}" }}
{notify}
"""
ACCOUNTS = {
    "told": ("in-place", "notify = true"),
    "quiet": ("in-place", "notify = false"),
    "unsaid": ("in-place", ""),
    "rebooked": ("no-move", "notify = true"),
}
OTHER_RESOURCE = {"resource_id": "D2"}


class Practice(Api):
    """A client's view of an account, and the staff's of its messages."""

    staff: Staff

    async def heard(self) -> list[tuple[str, str]]:
        assert self.staff.app is not None
        personality, _ = ACCOUNTS[self.emr]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.staff.app), base_url="http://emr.test") as http:
            headers = {"x-clinic-key": f"{self.emr}-key", "x-staff": "yes"}
            answer = await http.get(f"/{personality}/{self.emr}/messages", headers=headers)
        return [(one["says"], one["about"]) for one in answer.json()["messages"]]

    async def hears(self, *told: tuple[str, str], before: int) -> None:
        assert (await self.heard())[before:] == list(told)


@pytest.fixture
async def http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    Practice.staff = staff_of(monkeypatch)
    told = ['demo = true\n[[clients]]\nid = "one"\nsecret = "plain:one-secret"\n']
    told += [ACCOUNT.format(key=key, personality=kind, notify=line) for key, (kind, line) in ACCOUNTS.items()]
    (tmp_path / "clients.toml").write_text("".join(told))
    (tmp_path / "gateway.toml").write_text(f'state_dir = "{tmp_path / "state"}"\n')
    async with started(tmp_path / "gateway.toml") as client:
        yield client


@pytest.fixture
def told(http: httpx.AsyncClient) -> Practice:
    return Practice(http, "told")


@pytest.mark.parametrize("emr", ["told", "unsaid", "quiet"])
async def test_an_account_says_whether_patients_hear_of_what_is_written(http: httpx.AsyncClient, emr: str):
    api = Practice(http, emr)
    made = await api.book(span(at(10, 9), at(10, 9, 30), "D1"))
    await api.patch(made["id"], **span(at(10, 10), at(10, 10, 30)))
    await cancel(api, made["id"])
    said = [("BOOKED", made["id"]), ("MOVED", made["id"]), ("ANNULLED", made["id"])]
    assert await api.heard() == ([] if emr == "quiet" else said)


async def test_a_confirmation_is_heard_of(told: Practice):
    made = await told.book(span(at(10, 9), at(10, 9, 30), "D1"), healthcare_service_id="K2")
    await told.patch(made["id"], confirmation={"code": "123456"})
    assert await told.heard() == [("BOOKED", made["id"])]


async def test_cancellations_are_heard_of_each_for_itself(told: Practice):
    ids = [a["id"] for a in await told.booked(3)]
    await cancel(told, *ids)
    await told.hears(*(("ANNULLED", id) for id in ids), before=3)


async def undone(api: Practice, ids: list[str], comment: str, **wish: Any) -> None:
    before, heard = [await api.read(id) for id in ids], len(await api.heard())
    await api.many(ids, status=409, **wish, comment=comment)
    assert [await api.read(id) for id in ids] == before
    await api.hears(before=heard)


async def test_nobody_hears_of_what_was_taken_back(told: Practice):
    ids = [a["id"] for a in await told.booked(3)]
    await undone(told, ids, "!refuse@2", **OTHER_RESOURCE)
    await undone(told, ids, "And again !refuse@2", **span(at(10, 9, 30), at(10, 11, 30)))


async def test_several_that_might_have_been_taken_back_are_written_quietly(told: Practice):
    """The app that asked for it knows what became of each; what the EMR had told, nobody could call back."""
    ids = [a["id"] for a in await told.booked(2)]
    before = len(await told.heard())
    await told.many(ids, **OTHER_RESOURCE)
    await told.many(ids, **span(at(10, 12), at(10, 13, 30)))
    await told.hears(before=before)


async def test_nobody_is_told_of_a_cancellation_that_is_a_move(http: httpx.AsyncClient):
    api = Practice(http, "rebooked")
    made = await api.book(span(at(10, 9), at(10, 9, 30), "D1"))
    before = len(await api.heard())
    moved = await api.patch(made["id"], **span(at(10, 10), at(10, 10, 30)))
    assert moved["id"] != made["id"]
    await api.hears(before=before)


async def test_where_the_emr_stores_something_else_the_undo_says_nothing_more(told: Practice):
    made = await told.book(span(at(10, 9), at(10, 9, 30), "D1"))
    await told.patch(made["id"], status=502, comment="!other", **span(at(10, 10), at(10, 10, 30)))
    assert await told.read(made["id"]) == made
    assert await told.heard() == [("BOOKED", made["id"]), ("MOVED", made["id"])]


async def test_a_client_can_see_what_patients_will_hear(told: Practice):
    facts = {one["key"]: one["capabilities"]["facts"] for one in await told.get("/api/emrs")}
    assert {key: (one["notifies"], one["notify"]) for key, one in facts.items()} == {
        "told": ("switch", True),
        "quiet": ("switch", False),
        "unsaid": ("switch", None),
        "rebooked": ("switch", True),
    }
