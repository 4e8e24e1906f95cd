"""The staff changes something while a command is at work: theirs stands, and what is said of it is true."""

from __future__ import annotations

import pytest

from tests.e2e.clinic import agrees, book, clinic_of, ids, many, on_each, staff_of, told
from tests.e2e.conftest import at, span
from tests.e2e.ends import Trial

CANCEL = {"status": "cancelled"}
MOVERS = ("in-place", "new-id", "windows", "starts", "slot-records", "no-content", "no-refusal")


@pytest.fixture
def staff(monkeypatch):
    staff = staff_of(monkeypatch)
    yield staff
    assert staff.mishaps == []


@pytest.fixture
def config(config, staff):
    return config


async def refuse(staff, api):
    staff.refuses(api)


async def begun(api, count=3, day=10):
    return Trial(api, day, await api.booked(count, day=day))


# -- before our write -----------------------------------------------------------------------------------------------


async def test_a_note_of_theirs_survives_our_move(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 1, lambda: staff.note(api, trial.ids[1], "theirs"))
        await trial.run({"resource_id": "D2"})
        assert await trial.holds() == "done"
        now = await trial.now()
        assert [a["resource_id"] for a in now] == ["D2"] * 3
        assert [a["comment"] or "" for a in now] == ["", "theirs", ""]

    await on_each(http, scenario, *MOVERS)


async def test_what_they_change_again_and_again_is_theirs(http, staff):
    async def scenario(api):
        trial = await begun(api)

        async def note(write):
            if trial.ids[1] in write:
                await staff.note(api, trial.ids[1], f"theirs, number {len(staff.writes(api))}")

        staff.watch[clinic_of(api)] = note
        await trial.run({"resource_id": "D2", "comment": "ours"})
        staff.watch.clear()
        assert (trial.status, trial.answer["errors"][0]["error_code"]) == (409, "CHANGED_MEANWHILE")
        assert trial.named() == ["ids/1"]
        assert (await trial.settled())["state"] in ("undone", "refused")
        assert await trial.changed() == ["ids/1"]
        assert (await trial.now())[1]["comment"].startswith("theirs")
        await agrees(api)

    for emr in MOVERS:
        await on_each(http, scenario, emr)


async def test_one_that_they_cancel_stays_cancelled(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 1, lambda: staff.does(api, "POST", f"/bookings/{trial.ids[1]}/annul", memo="theirs"))
        await trial.run({"comment": "ours"})
        assert (trial.status, trial.answer["code"]) == (409, "CONFLICT")
        assert [(e["error_code"], e["path"]) for e in trial.answer["errors"]] == [
            ("INVALID_APPOINTMENT_STATUS", "ids/1")
        ]
        assert await trial.changed() == ["ids/1"]
        now = (await trial.now())[1]
        assert (now["status"], now["comment"]) == ("cancelled", "theirs")

    await on_each(http, scenario, "in-place", "new-id", "windows", "no-content")


async def test_a_slot_that_they_take_is_theirs(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 1, lambda: staff.books(api, "D2", at(10, 9, 30)))
        await trial.run({"resource_id": "D2", "comment": "ours"})
        if api.emr != "async":  # which says nothing, and so nobody knows why
            assert trial.status in (400, 409)
            assert [e["error_code"] for e in trial.answer["errors"]] == ["NO_TIMESLOTS_AVAILABLE"]
        assert trial.named() == ["ids/1"]
        await trial.holds(strangers=1)
        assert [a["patient_id"] for a in await trial.extra()] == ["P5"]

    await on_each(http, scenario, *MOVERS, "windows-new-id", "no-move", "async")


async def test_a_slot_that_they_take_is_not_filled_by_a_reschedule(http, staff):
    async def scenario(api):
        trial = await begun(api, 2)
        staff.before(api, 1, lambda: staff.books(api, "D1", at(10, 14)))
        await trial.run({**span(at(10, 13), at(10, 14, 30)), "comment": "ours"})
        assert trial.status in (400, 409)
        assert [e["error_code"] for e in trial.answer["errors"]] == ["NO_TIMESLOTS_AVAILABLE"]
        await trial.holds(strangers=1)

    await on_each(http, scenario, *MOVERS, "windows-new-id", "no-move")


# -- after our write, before its undo -------------------------------------------------------------------------------


async def test_what_they_have_changed_since_is_not_undone_but_reported(http, staff):
    async def scenario(api):
        trial = await begun(api)
        third = 6 if api.emr == "slot-records" else 3
        staff.before(api, third, lambda: staff.note(api, trial.ids[0], "theirs"))
        await trial.run({"resource_id": "D2", "comment": "ours !refuse@3"})
        assert (trial.status, trial.code) == (502, "PARTIALLY_APPLIED")
        assert trial.named() == ["ids/0"]
        assert await trial.holds() == "PARTIALLY_APPLIED"
        now = (await trial.now())[0]
        assert (now["resource_id"], now["comment"]) == ("D2", "theirs")

    await on_each(http, scenario, "in-place", "windows", "no-refusal", "slot-records")


async def test_a_new_one_that_they_have_changed_since_is_not_withdrawn_but_reported(http, staff):
    async def scenario(api):
        trial = await begun(api, 2)
        theirs = []

        async def note():
            theirs.extend(ids(await trial.extra()))
            await staff.note(api, theirs[0], "theirs")

        staff.before(api, 8 if api.emr == "slot-records" else 4, note)
        await trial.run({**span(at(10, 13), at(10, 15)), "comment": "ours !refuse@4"})
        assert trial.code == "PARTIALLY_APPLIED"
        assert trial.named() == [None]
        assert theirs[0] in trial.answer["errors"][0]["details"]
        assert await trial.holds() == "PARTIALLY_APPLIED"
        assert (await api.read(theirs[0]))["comment"] == "theirs"

    await on_each(http, scenario, "in-place", "windows", "slot-records")


# -- beyond the way back --------------------------------------------------------------------------------------------


async def test_one_that_took_place_meanwhile_is_not_cancelled_but_reported(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 2, lambda: staff.stage(api, trial.ids[1], "DONE"))
        await trial.run({**CANCEL, "comment": "ours"})
        assert (trial.status, trial.code) == (502, "PARTIALLY_APPLIED")
        assert trial.named() == ["ids/0", "ids/1", "ids/2"]
        assert [a["status"] for a in await trial.now()] == ["cancelled", "completed", "cancelled"]

    await on_each(http, scenario, "in-place", "new-id", "no-content")


async def test_one_that_they_have_noted_on_meanwhile_is_theirs_to_decide(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 2, lambda: staff.note(api, trial.ids[1], "theirs"))
        await trial.run({**CANCEL, "comment": "ours"})
        assert (trial.status, trial.code) == (502, "PARTIALLY_APPLIED")
        assert trial.named() == ["ids/0", "ids/1", "ids/2"]
        now = await trial.now()
        assert [(a["status"], a["comment"]) for a in now] == [
            ("cancelled", "ours"),
            ("booked", "theirs"),
            ("cancelled", "ours"),
        ]

    await on_each(http, scenario, "in-place", "new-id", "no-content")


async def test_one_that_they_have_cancelled_themselves_is_cancelled(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 2, lambda: staff.does(api, "POST", f"/bookings/{trial.ids[1]}/annul"))
        await trial.run(CANCEL)
        assert [a["status"] for a in await trial.now()] == ["cancelled"] * 3
        assert await trial.holds() == "done"

    await on_each(http, scenario, "in-place", "new-id", "no-content", "async")


# -- repair ---------------------------------------------------------------------------------------------------------


async def repaired(trial, state):
    """The command has stopped half-way, and says so."""
    assert (trial.status, trial.code) == (502, "PARTIALLY_APPLIED")
    command = await trial.told()
    assert command["state"] == "repairing"
    assert command["unsettled"]
    listed = await trial.api.get("/api/commands", state="unsettled")
    assert [c["id"] for c in listed if c["emr"] == trial.api.emr] == [trial.command]
    assert sorted(p for p in trial.named() if p) == await trial.changed() == state
    assert trial.named().count(None) == len(await trial.extra())


async def test_an_undo_that_fails_is_finished_in_the_background(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 3, lambda: refuse(staff, api))
        await trial.run({"resource_id": "D2", "comment": "ours"}, **{"idempotency-key": f"undo-{api.emr}"})
        await repaired(trial, ["ids/0", "ids/1"])
        staff.refuses(api, False)
        assert await trial.holds() == "EMR_REFUSED"
        assert (await trial.told())["unsettled"] == []
        again = await many(
            api,
            trial.ids,
            {"resource_id": "D2", "comment": "ours"},
            409,
            headers={"idempotency-key": f"undo-{api.emr}"},
        )
        assert again == trial.answer
        assert api.seen[-1].headers["idempotent-replayed"] == "true"

    await on_each(http, scenario, "in-place", "new-id", "no-content")


async def test_what_they_change_while_it_is_repaired_is_theirs(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 3, lambda: refuse(staff, api))
        await trial.run({"resource_id": "D2", "comment": "ours"})
        await repaired(trial, ["ids/0", "ids/1"])
        now = (await trial.now())[1]
        await staff.note(api, now["id"], "theirs")
        staff.refuses(api, False)
        assert await trial.holds() == "PARTIALLY_APPLIED"
        assert trial.named() == ["ids/1"]
        now = (await trial.now())[1]
        assert (now["resource_id"], now["comment"]) == ("D2", "theirs")

    await on_each(http, scenario, "in-place", "no-content", "windows")


async def test_cancellations_that_fail_are_finished_in_the_background(http, staff):
    async def scenario(api):
        trial = await begun(api)
        staff.before(api, 2, lambda: refuse(staff, api))
        await trial.run({**CANCEL, "comment": "ours"})
        await repaired(trial, ["ids/0"])
        staff.refuses(api, False)
        assert await trial.holds() == "done"
        assert {(a["status"], a["comment"]) for a in await trial.now()} == {("cancelled", "ours")}
        assert [a["change"] for a in trial.answer] == ["cancelled"] * 3

    await on_each(http, scenario, "in-place", "new-id", "slot-records", "no-content")


async def test_a_surplus_that_can_not_be_cancelled_is_finished_in_the_background(http, staff):
    async def scenario(api):
        trial = await begun(api, 4)
        staff.before(api, 6 if api.emr == "slot-records" else 4, lambda: refuse(staff, api))
        await trial.run(span(at(10, 13), at(10, 14)))
        await repaired(trial, ["ids/0", "ids/1", "ids/2"])
        staff.refuses(api, False)
        assert await trial.holds() == "done"
        assert [a["change"] for a in trial.answer] == ["moved", "moved", "cancelled", "cancelled"]

    await on_each(http, scenario, "in-place", "new-id", "slot-records", "no-content")


async def test_another_command_waits_for_the_repair_or_is_told_that_it_is_busy(api, staff):
    trial = await begun(api, 2)
    staff.before(api, 2, lambda: refuse(staff, api))
    await trial.run({"resource_id": "D2", "comment": "ours"})
    await repaired(trial, ["ids/0"])
    before = await book(api)
    assert told((await trial.now())[0]) in before
    staff.refuses(api, False)
    answer = await many(api, trial.ids, {"comment": "afterwards"})
    assert {a["comment"] for a in answer} == {"afterwards"}
    assert {a["resource_id"] for a in answer} == {"D1"}
