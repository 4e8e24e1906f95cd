"""Two callers at one appointment, and two clients whose accounts are one and the same EMR."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.conftest import PERSONALITIES, Api, at, span, started
from tests.e2e.told import instant, on_every, together

CLIENT = """
[[clients]]
id = "{id}"
secret = "plain:{id}-secret"
"""
ACCOUNT = """
[clients.emrs.{key}]
plugin = "sandbox"
name = "The same clinic for both"
settings = {{ clinic = "shared", api_key = "shared-key", personality = "{key}" }}
"""


@pytest.fixture
def shared(tmp_path):
    """Both clients work at the same clinics."""
    clients = "".join(
        CLIENT.format(id=id) + "".join(ACCOUNT.format(key=p) for p in PERSONALITIES) for id in ("one", "two")
    )
    (tmp_path / "clients.toml").write_text(f"demo = true\n{clients}")
    (tmp_path / "gateway.toml").write_text(f'state_dir = "{tmp_path / "state"}"\nclients = "clients.toml"\n')
    return started(tmp_path / "gateway.toml")


async def move(api: Api, id: str, start, **other):
    return await api.call("PATCH", f"appointments/{id}", {**span(start, start.replace(minute=30)), **other})


def clean(answer) -> None:
    """A refusal, or a request to come again: never a failure."""
    assert answer.status_code in (400, 409, 503), answer.text
    codes = {e["error_code"] for e in answer.json()["errors"]}
    assert answer.json()["code"] == "BUSY" or codes <= {
        "NO_TIMESLOTS_AVAILABLE",
        "CHANGED_MEANWHILE",
        "INVALID_APPOINTMENT_STATUS",
    }


async def standing(api: Api, day: int):
    found = await api.get("appointments", start=at(day, 0).isoformat(), end=at(day + 1, 0).isoformat())
    return [a for a in found if a["status"] != "cancelled"]


async def test_two_clients_race_for_the_slots_of_one_clinic(shared):
    async def race(one: Api, two: Api) -> None:
        own = [await one.book(span(at(10, 8 + n), at(10, 8 + n, 30), "D1")) for n in range(4)]
        calls = [move((one, two)[n % 2], a["id"], at(11, 9)) for n, a in enumerate(own)]
        body = {**span(at(11, 9), at(11, 9, 30), "D1"), "patient_id": "P5", "healthcare_service_id": "K1"}
        calls += [api.call("POST", "appointments", body) for api in (one, two)]
        answers = await asyncio.gather(*calls)
        won = [a for a in answers if a.status_code in (200, 201)]
        assert len(won) == 1
        for other in answers:
            if other is not won[0]:
                clean(other)
        assert [a["id"] for a in await standing(two, 11)] == [won[0].json()["id"]]
        assert len(await standing(two, 10)) == (3 if won[0].status_code == 200 else 4)

    async with shared as http:
        await together({p: race(Api(http, p, "one"), Api(http, p, "two")) for p in PERSONALITIES})


async def test_two_clients_change_one_appointment(shared):
    async def race(one: Api, two: Api) -> None:
        (own,) = await one.booked(1)
        told = await asyncio.gather(move(one, own["id"], at(11, 9)), move(two, own["id"], at(11, 13)))
        for answer in told:
            if answer.status_code != 200:
                clean(answer)
        assert 200 in {a.status_code for a in told}
        for api in (one, two):
            now = await api.read(own["id"])
            assert instant(now["start"]) in (at(11, 9), at(11, 13))
            assert await standing(api, 10) == []
            assert [a["id"] for a in await standing(api, 11)] == [now["id"]]

    async with shared as http:
        await together({p: race(Api(http, p, "one"), Api(http, p, "two")) for p in PERSONALITIES})


@on_every
async def test_moving_and_cancelling_at_once_ends_in_one_of_both_orders(each):
    for day in (10, 12, 14):
        (own,) = await each.booked(1, day=day)
        cancel = each.call("PATCH", f"appointments/{own['id']}", {"status": "cancelled"})
        moved, gone = await asyncio.gather(move(each, own["id"], at(day + 1, 9)), cancel)
        assert (gone.status_code, gone.json()["status"]) == (200, "cancelled")
        assert (await each.read(own["id"]))["status"] == "cancelled"
        if moved.status_code != 200:
            clean(moved)
        assert await standing(each, day) == []
        assert await standing(each, day + 1) == []


@on_every
async def test_two_appointments_change_places_only_in_turn(each):
    """Each wants what the other one has: neither is free, and neither is lost."""
    first, second = await each.booked(2)
    answers = await asyncio.gather(swap(each, first, second), swap(each, second, first))
    for answer in answers:
        clean(answer)
    assert {a["id"] for a in await standing(each, 10)} == {first["id"], second["id"]}


async def swap(api: Api, own, other):
    return await api.call("PATCH", f"appointments/{own['id']}", {"start": other["start"], "end": other["end"]})


@on_every
async def test_the_same_conditional_write_from_two_callers_is_done_once(each):
    (own,) = await each.booked(1)
    etag = (await each.call("GET", f"appointments/{own['id']}")).headers["etag"]
    answers = await asyncio.gather(
        *(
            each.call("PATCH", f"appointments/{own['id']}", {"comment": f"Number {n}"}, {"if-match": etag})
            for n in range(4)
        )
    )
    won = [a.json()["comment"] for a in answers if a.status_code == 200]
    assert len(won) == 1
    assert {a.json()["code"] for a in answers if a.status_code != 200} == {"PRECONDITION_FAILED"}
    assert (await each.read(own["id"]))["comment"] == won[0]
