"""PATCH many with `status: cancelled` (contract §5.1, and §4 for each of them)."""

from __future__ import annotations

import pytest

from tests.e2e.clinic import agrees, as_told, book, cancel, changes, code, ids, many, on_each, staff_of, told, video
from tests.e2e.conftest import at, span

CANCEL = {"status": "cancelled"}


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    return config


async def test_all_are_cancelled_and_their_time_is_free(each):
    own = await each.booked(3)
    answer = await cancel(each, *ids(own), comment="clinic closed")
    assert changes(answer) == ["cancelled"] * 3
    assert ids(answer) == ids(own)
    assert {(a["status"], a["comment"]) for a in answer} == {("cancelled", "clinic closed")}
    await as_told(each, answer)
    await agrees(each)
    again = await each.booked(3)
    assert not set(ids(again)) & set(ids(own))


async def test_without_a_comment_the_old_one_stays(http):
    async def scenario(api):
        own = [await api.book(span(at(10, 9), at(10, 9, 30), "D1"), comment="old"), *(await api.booked(1, day=11))]
        answer = await cancel(api, *ids(own))
        assert changes(answer) == ["cancelled"] * 2
        assert [a["comment"] or "" for a in answer] == ["old", ""]
        await agrees(api, 10, 11)
        again = await cancel(api, *ids(own))
        assert changes(again) == ["kept"] * 2
        assert [told(a) for a in again] == [told(a) for a in answer]

    await on_each(http, scenario)


async def test_what_is_cancelled_already_is_kept_and_not_written(api, staff):
    own = await api.booked(3)
    await cancel(api, own[1]["id"], comment="first")
    written = len(staff.writes(api))
    answer = await cancel(api, *ids(own), comment="second")
    assert changes(answer).count("kept") == 1
    by_id = {a["id"]: a for a in answer}
    assert [by_id[a["id"]]["change"] for a in own] == ["cancelled", "kept", "cancelled"]
    assert [by_id[a["id"]]["comment"] for a in own] == ["second", "first", "second"]
    assert {a["status"] for a in answer} == {"cancelled"}
    assert len(staff.writes(api)) == written + 2
    answer = await cancel(api, *ids(own), comment="third")
    assert changes(answer) == ["kept"] * 3
    assert len(staff.writes(api)) == written + 2


async def test_ones_that_are_over_can_not_be_cancelled(http, staff):
    async def scenario(api):
        own = await api.booked(2)
        over = [a for a in await api.everything() if a["status"] in ("completed", "no_show")]
        assert len(over) == 2
        before, written = await book(api), len(staff.writes(api))
        answer = await many(api, [own[0]["id"], over[0]["id"], own[1]["id"], over[1]["id"]], CANCEL, 409)
        assert code(answer) == (
            "CONFLICT",
            [("INVALID_APPOINTMENT_STATUS", "ids/1"), ("INVALID_APPOINTMENT_STATUS", "ids/3")],
        )
        answer = await many(api, ["nobody", over[0]["id"], own[0]["id"]], CANCEL, 400)
        assert code(answer) == (
            "BAD_REQUEST",
            [("INVALID_APPOINTMENT_ID", "ids/0"), ("INVALID_APPOINTMENT_STATUS", "ids/1")],
        )
        answer = await many(api, [over[1]["id"], "nobody"], CANCEL, 409)
        assert code(answer) == (
            "CONFLICT",
            [("INVALID_APPOINTMENT_STATUS", "ids/0"), ("INVALID_APPOINTMENT_ID", "ids/1")],
        )
        assert await book(api) == before
        assert len(staff.writes(api)) == written

    await on_each(http, scenario, "in-place", "no-move", "slot-records")


async def test_video_visits_stand_until_the_patient_has_sent_the_code(http):
    async def scenario(api):
        own = [*(await video(api, 2)), await api.book(span(at(10, 14), at(10, 14, 30), "D1"))]
        answer = await cancel(api, *ids(own), comment="by code")
        assert [(a["change"], a["status"]) for a in answer] == [
            ("kept", "awaiting_confirmation"),
            ("kept", "awaiting_confirmation"),
            ("cancelled", "cancelled"),
        ]
        requests = ids(answer)[:2]
        assert not set(requests) & set(ids(own))
        assert [told(await api.read(a["id"])) for a in own[:2]] == [told(a) for a in own[:2]]
        assert not set(requests) & set(ids(await api.everything()))
        for request in requests:
            assert (await api.read(request))["status"] == "awaiting_confirmation"
        await agrees(api)

        assert code(await api.patch(requests[0], 400, confirmation={"code": "654321"})) == (
            "BAD_REQUEST",
            [("INVALID_CONFIRMATION_CODE", "body/confirmation/code")],
        )
        answer = await api.patch(requests[0], 409, confirmation={"code": "999999"})
        assert (answer["code"], answer["errors"][0]["error_code"]) == ("CONFLICT", "CONFIRMATION_EXPIRED")
        assert told(await api.read(own[0]["id"])) == told(own[0])

        again = await cancel(api, *ids(own))
        assert [a["status"] for a in again] == ["awaiting_confirmation", "awaiting_confirmation", "cancelled"]
        assert changes(again) == ["kept"] * 3
        for row in again[:2]:
            confirmed = await api.patch(row["id"], confirmation={"code": "123456"})
            assert confirmed["status"] == "cancelled"
        for id in [*requests, *ids(own)]:
            read = await api.read(id)
            assert (read["status"], read["comment"]) == ("cancelled", "by code")
        await agrees(api)
        assert changes(await cancel(api, *ids(own))) == ["kept"] * 3
        await api.patch(again[0]["id"], confirmation={"code": "111111"})  # What is confirmed is confirmed.

    await on_each(http, scenario)


async def test_a_request_is_no_appointment_that_could_be_cancelled_or_changed(api, staff):
    (own,) = await video(api, 1)
    (request,) = await cancel(api, own["id"])
    written = len(staff.writes(api))
    for body in (CANCEL, {"comment": "x"}, {"resource_id": "D2"}, span(at(10, 10), at(10, 10, 30))):
        answer = await many(api, [request["id"]], body, 409)
        assert code(answer) == ("CONFLICT", [("INVALID_APPOINTMENT_STATUS", "ids/0")])
    assert len(staff.writes(api)) == written


async def test_one_that_was_never_confirmed_can_be_cancelled(http):
    async def scenario(api):
        waiting = await api.book(span(at(10, 9), at(10, 9, 30), "D1"), healthcare_service_id="K2")
        (answer,) = await cancel(api, waiting["id"])
        assert (answer["change"], answer["status"]) == ("kept", "awaiting_confirmation")
        await api.patch(answer["id"], confirmation={"code": "123456"})
        assert (await api.read(waiting["id"]))["status"] == "cancelled"
        await agrees(api)

    await on_each(http, scenario, "in-place", "new-id", "slot-records", "async")


async def test_a_cancellation_that_never_arrived_waits_for_no_code(http):
    """That an appointment waits for its own code is no sign that its cancellation does."""

    async def scenario(api):
        waiting = await api.book(span(at(10, 9), at(10, 9, 30), "D1"), healthcare_service_id="K2")
        before = await book(api)
        answer = await many(api, [waiting["id"]], {**CANCEL, "comment": "!drop"}, 502)
        assert (answer["code"], [e["path"] for e in answer["errors"]]) == ("OUTCOME_UNKNOWN", ["ids/0"])
        assert await book(api) == before

    await on_each(http, scenario, "in-place", "new-id", "no-content", "slot-records")


async def test_a_request_of_which_nobody_knows_stops_what_can_be_stopped_and_can_be_made_again(http):
    async def scenario(api):
        own = [*(await video(api, 1)), await api.book(span(at(10, 14), at(10, 14, 30), "D1"))]
        before = await book(api)
        answer = await many(api, ids(own), {**CANCEL, "comment": "!lost@1"}, 502)
        assert code(answer) == ("PARTIALLY_APPLIED", [("OUTCOME_UNKNOWN", "ids/0")])
        assert await book(api) == before
        command = await api.get(f"/api/commands/{api.seen[-1].headers['x-command-id']}")
        assert command["state"] == "needs_attention"
        assert own[0]["id"] in [s["appointment_id"] for s in command["unsettled"]]
        again = await cancel(api, *ids(own))
        assert [a["status"] for a in again] == ["awaiting_confirmation", "cancelled"]
        await api.patch(again[0]["id"], confirmation={"code": "123456"})
        await agrees(api)

    await on_each(http, scenario, "in-place", "slot-records", "async")


async def test_once_another_is_cancelled_a_lost_request_is_made_again(http):
    async def scenario(api):
        own = [await api.book(span(at(10, 8), at(10, 8, 30), "D1")), *(await video(api, 1))]
        answer = await cancel(api, *ids(own), comment="!lost@2")
        assert [(a["change"], a["status"]) for a in answer] == [
            ("kept", "awaiting_confirmation"),
            ("cancelled", "cancelled"),
        ]
        await api.patch(answer[0]["id"], confirmation={"code": "123456"})
        assert [(await api.read(a["id"]))["status"] for a in own] == ["cancelled"] * 2
        await agrees(api)

    await on_each(http, scenario, "in-place", "slot-records", "async")


async def test_the_first_to_be_refused_leaves_all_as_they_were(http, staff):
    """No cancellation can be undone, so that the first goes alone: the EMR's own rule for it stops them all."""

    async def scenario(api):
        own = await api.booked(3)
        before = await book(api)
        answer = await many(api, ids(own), {**CANCEL, "comment": "too late !refuse"}, 409)
        assert (answer["code"], answer["errors"][0]["error_code"]) == ("EMR_REFUSED", "EMR_REFUSED")
        assert answer["errors"][0]["emr_error"] == "RULE_REFUSED"
        assert len(answer["errors"]) == 1
        assert await book(api) == before
        await agrees(api)

    await on_each(http, scenario, "in-place", "new-id", "slot-records", "no-content", "async")


async def test_old_ids_are_as_good_as_new_ones(http):
    async def scenario(api):
        own = await api.booked(2)
        moved = await many(api, ids(own), span(at(11, 9), at(11, 10)))
        answer = await cancel(api, own[0]["id"], moved[1]["id"])
        assert changes(answer) == ["cancelled"] * 2
        assert ids(answer) == ids(moved)
        assert [a["previous_ids"] for a in answer] == [[own[0]["id"]], [own[1]["id"]]]
        assert (await api.read(own[1]["id"]))["status"] == "cancelled"
        await agrees(api, 10, 11)

    await on_each(http, scenario, "new-id", "no-move", "windows-new-id")


async def test_nothing_else_may_stand_beside_the_status(api, staff):
    own = await api.booked(2)
    written = len(staff.writes(api))
    for other in (
        {"resource_id": "D2"},
        span(at(10, 10), at(10, 11)),
        {"start": at(10, 10).isoformat()},
        {"confirmation": {"code": "123456"}},
    ):
        answer = await many(api, ids(own), {**CANCEL, **other}, 400)
        assert code(answer)[0] == "BAD_REQUEST"
        assert {e for e, _ in code(answer)[1]} == {"BAD_INPUT"}
    for status in ("booked", "Cancelled", "completed", "", 7, ["cancelled"]):
        answer = await many(api, ids(own), {"status": status}, 400)
        assert code(answer) == ("BAD_REQUEST", [("BAD_INPUT", "body/status")])
    assert len(staff.writes(api)) == written


async def test_a_dry_run_foresees_the_cancellations(http, staff):
    async def scenario(api):
        own = [*(await api.booked(1)), *(await video(api, 1, resource="D2"))]
        before, written = await book(api), len(staff.writes(api))
        foreseen = await many(api, ids(own), {**CANCEL, "comment": "x"}, dry_run="true")
        plan = api.seen[-1].headers["x-plan"]
        assert (await book(api), len(staff.writes(api))) == (before, written)
        answer = await many(api, ids(own), {**CANCEL, "comment": "x"}, headers={"x-plan": plan})
        assert [(a["change"], *told(a)) for a in foreseen] == [(a["change"], *told(a)) for a in answer]
        # The id under which the code is taken is not there yet.
        assert ids(foreseen) == [None, own[0]["id"]]

    await on_each(http, scenario)
