"""Two clients at one gateway: neither sees, touches or delays anything of the other's (contract §1, §2, §7)."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.clinic import agrees, book, cancel, changes, ids, many, staff_of
from tests.e2e.conftest import ACCOUNT, CLIENT, Api, at, span


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    """A third client has one account only, at the first one's clinic."""
    clients = config.parent / "clients.toml"
    account = ACCOUNT.format(key="shared", clinic="clinic-one", personality="new-id")
    clients.write_text(clients.read_text() + CLIENT.format(id="three") + account)
    return config


@pytest.fixture
def two(http):
    return Api(http, id="two")


def of(api, emr):
    return Api(api.http, emr, api.id)


async def test_each_sees_its_own_accounts_only(http, api):
    assert [e["key"] for e in await api.get("/api/emrs")] == [
        e["key"] for e in await Api(http, id="two").get("/api/emrs")
    ]
    three = Api(http, "shared", "three")
    assert [e["key"] for e in await three.get("/api/emrs")] == ["shared"]
    for emr in ("in-place", "new-id", "nowhere"):
        for method, path, body in [
            ("GET", "appointments", None),
            ("GET", "timeslots", None),
            ("GET", "patients", None),
            ("PATCH", "appointments/B1001", {"comment": "x"}),
            ("PATCH", "appointments", {"ids": ["B1001"], "comment": "x"}),
        ]:
            answer = await of(three, emr).call(method, path, body)
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert (await api.call("GET", "/api/emrs/shared/appointments")).status_code == 404


async def test_the_same_ids_in_two_clinics_are_different_appointments(api, two):
    for emr in ("in-place", "new-id", "no-move"):
        mine, theirs = of(api, emr), of(two, emr)
        before = await book(theirs)
        own, other = await mine.everything(), await theirs.everything()
        assert ids(own) == ids(other)
        movable = [a["id"] for a in own if a["patient_id"] == "P1" and a["healthcare_service_id"] == "K1"]
        movable = [a for a in movable if (await mine.read(a))["status"] == "booked"]
        moved = await many(mine, movable, {**span(at(12, 9), at(12, 10)), "comment": "mine"})
        assert changes(moved) == ["moved", "moved", "cancelled"]
        assert await book(theirs) == before
        for id in movable:
            read = await theirs.read(id)
            assert (read["id"], read["previous_ids"], read["status"]) == (id, [], "booked")
        answer = await many(theirs, movable, {"comment": "theirs"})
        assert ids(answer) == movable
        assert {(await mine.read(id))["comment"] for id in movable} == {"mine"}
        await agrees(mine, 12)
        await agrees(theirs, 12)


async def test_what_only_one_clinic_has_is_not_found_in_the_other(api, two):
    (own,) = await api.booked(1)
    before = await book(api)
    for method, path, body, status in [
        ("GET", f"appointments/{own['id']}", None, 404),
        ("PATCH", f"appointments/{own['id']}", {"comment": "x"}, 404),
        ("PATCH", f"appointments/{own['id']}", {"status": "cancelled"}, 404),
        ("PATCH", "appointments", {"ids": [own["id"]], "comment": "x"}, 400),
        ("PATCH", "appointments", {"ids": [own["id"]], "status": "cancelled"}, 400),
        ("PATCH", "appointments", {"ids": [own["id"]], **span(at(12, 9), at(12, 10))}, 400),
    ]:
        answer = await two.call(method, path, body)
        assert answer.status_code == status
        assert [e["error_code"] for e in answer.json()["errors"]] == ["INVALID_APPOINTMENT_ID"]
    assert await book(api) == before


async def test_commands_are_seen_by_the_client_that_made_them(http, two):
    one, three = Api(http, "new-id"), Api(http, "shared", "three")
    own = await one.booked(2)
    key = {"idempotency-key": "mine"}
    await many(one, ids(own), {"comment": "x"}, headers=key)
    command = one.seen[-1].headers["x-command-id"]
    assert (await one.get(f"/api/commands/{command}"))["state"] == "done"
    assert [c["id"] for c in await one.get("/api/commands", idempotency_key="mine")] == [command]
    assert command in [c["id"] for c in await one.get("/api/commands", appointment_id=own[0]["id"])]
    for other in (two, three):
        answer = await other.call("GET", f"/api/commands/{command}")
        unknown = await other.call("GET", f"/api/commands/{'0' * 32}")
        assert answer.status_code == unknown.status_code == 404
        assert {**answer.json(), "instance": ""} == {**unknown.json(), "instance": ""}
        assert await other.get("/api/commands", idempotency_key="mine") == []
        assert await other.get("/api/commands", appointment_id=own[0]["id"]) == []
        assert await other.get("/api/commands") == []


async def test_an_unsettled_command_is_nobody_else_s(http, two, staff):
    one = Api(http)
    own = await one.booked(2)

    async def refuse():
        staff.refuses(one)

    staff.before(one, 2, refuse)
    await one.many(ids(own), 502, resource_id="D2", comment="x")
    assert len(await one.get("/api/commands", state="unsettled")) == 1
    assert await two.get("/api/commands", state="unsettled") == []
    staff.refuses(one, False)
    for _ in range(100):
        if not await one.get("/api/commands", state="unsettled"):
            break
        await asyncio.sleep(0.1)
    assert [a["resource_id"] for a in [await one.read(id) for id in ids(own)]] == ["D1", "D1"]


async def test_a_key_is_each_client_s_own(http, api, two):
    mine, theirs = (await api.booked(2)), (await two.booked(2))
    assert ids(mine) == ids(theirs)
    key = {"idempotency-key": "the very same"}
    body = {"comment": "to all of them"}
    first = await many(api, ids(mine), body, headers=key)
    second = await many(two, ids(theirs), body, headers=key)
    assert "idempotent-replayed" not in two.seen[-1].headers
    assert changes(first) == changes(second) == ["updated", "updated"]
    assert two.seen[-1].headers["x-command-id"] != api.seen[-1].headers["x-command-id"]
    await many(two, ids(theirs), {"comment": "another request"}, 422, headers=key)
    again = await many(api, ids(mine), body, headers=key)
    assert api.seen[-1].headers["idempotent-replayed"] == "true"
    assert again == first
    three = Api(http, "shared", "three")
    own = await three.booked(1)
    await many(three, ids(own), {"comment": "a third one"}, headers=key)


async def test_one_client_s_key_is_good_for_one_of_its_accounts(api):
    key = {"idempotency-key": "one of them"}
    own = await api.booked(1)
    await many(api, ids(own), {"comment": "here"}, headers=key)
    other = of(api, "windows")
    assert ids(await other.booked(1)) == ids(own)
    answer = await many(other, ids(own), {"comment": "here"}, 422, headers=key)
    assert answer["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_two_clients_at_one_clinic_share_its_appointments_and_their_old_ids(http, two):
    one, three = Api(http, "new-id"), Api(http, "shared", "three")
    own = await one.booked(2)
    moved = await many(one, ids(own), span(at(12, 9), at(12, 10)))
    assert [(await three.read(id))["id"] for id in ids(own)] == ids(moved)
    again = await many(three, ids(own), span(at(12, 13), at(12, 14)))
    assert changes(again) == ["moved", "moved"]
    assert [(await one.read(id))["id"] for id in ids(own)] == ids(again)
    assert changes(await cancel(one, *ids(moved))) == ["cancelled", "cancelled"]
    assert {(await three.read(id))["status"] for id in ids(own)} == {"cancelled"}
    await agrees(one, 10, 12)


async def test_a_client_does_not_wait_for_another_one_s_clinic(http, two, staff):
    one = Api(http)
    mine, theirs = await one.booked(2), await two.booked(2)
    assert ids(mine) == ids(theirs)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait():
        reached.set()
        await go_on.wait()

    staff.before(one, 1, wait)
    slow = asyncio.create_task(many(one, ids(mine), {"resource_id": "D2"}))
    await asyncio.wait_for(reached.wait(), 10)
    answer = await asyncio.wait_for(many(two, ids(theirs), {"resource_id": "D2"}), 10)
    assert changes(answer) == ["moved", "moved"]
    assert [(await one.read(id))["resource_id"] for id in ids(mine)] == ["D1", "D1"]
    go_on.set()
    assert changes(await slow) == ["moved", "moved"]
