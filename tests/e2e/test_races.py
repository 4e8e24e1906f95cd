"""Eight clients race for one slot: exactly one has it in the end, and nobody else was told so."""

from __future__ import annotations

import asyncio

from tests.e2e.conftest import at, span


async def answers(calls):
    return await asyncio.gather(*calls)


async def test_eight_bookings_of_one_slot_have_one_winner(each):
    body = {**span(at(12, 9), at(12, 9, 30), "D2"), "healthcare_service_id": "K1"}
    told = await answers(each.call("POST", "appointments", {**body, "patient_id": f"P{n % 5 + 1}"}) for n in range(8))
    won = [a for a in told if a.status_code == 201]
    assert len(won) == 1
    assert {(a.status_code, a.json()["errors"][0]["error_code"]) for a in told if a not in won} <= {
        (400, "NO_TIMESLOTS_AVAILABLE"),
        (409, "NO_TIMESLOTS_AVAILABLE"),
    }
    there = [a for a in await each.everything() if a["start"].startswith(at(12, 9).isoformat()[:16])]
    assert [a["id"] for a in there if a["status"] == "booked"] == [won[0].json()["id"]]


async def test_eight_moves_onto_one_slot_have_one_winner_and_the_others_stay(each):
    own = await each.booked(8)
    before = {a["id"]: a["start"] for a in own}
    told = await answers(
        each.call("PATCH", f"appointments/{a['id']}", span(at(12, 9), at(12, 9, 30), "D3")) for a in own
    )
    won = [a for a in told if a.status_code == 200]
    assert len(won) == 1
    standing = [a for a in await each.everything() if a["patient_id"] == "P4" and a["status"] == "booked"]
    moved = [a for a in standing if a["resource_id"] == "D3" and a["start"] == at(12, 9).isoformat()]
    assert [a["id"] for a in moved] == [won[0].json()["id"]]
    stayed = [a for a in standing if a["id"] in before]
    assert len([a for a in stayed if a["start"] == before[a["id"]]]) >= 7


async def test_racing_changes_of_one_appointment_are_all_carried_out_one_after_the_other(each):
    (own,) = await each.booked(1)
    told = await answers(each.call("PATCH", f"appointments/{own['id']}", {"comment": f"number {n}"}) for n in range(6))
    assert [a.status_code for a in told] == [200] * 6
    assert (await each.read(own["id"]))["comment"] in {f"number {n}" for n in range(6)}
