"""Cancelling and confirming one appointment, with and without a code that the patient is asked for."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import at, span
from tests.e2e.told import (
    cancelled,
    confirmed,
    on_every,
    patched,
    refused,
    seen,
    spent,
    standing,
    with_status,
)

VIDEO = {"healthcare_service_id": "K2"}


async def video_visit(api, day=12, hour=9, **other):
    """A booked one: its booking was confirmed."""
    made = await api.book(span(at(day, hour), at(day, hour, 30), "D1"), **VIDEO, **other)
    return await confirmed(api, made["id"], "123456")


async def listed_ids(api):
    return {a["id"] for a in await api.everything()}


# -- cancel without a code --------------------------------------------------------------------------------------------


@on_every
async def test_a_cancelled_appointment_gives_its_time_back_and_keeps_its_comment(each):
    one = await each.book(span(at(10, 9), at(10, 9, 30), "D1"), comment="Brings a friend")
    told = await cancelled(each, one["id"])
    assert told == {**one, "status": "cancelled"}
    assert await each.read(one["id"]) == told
    again = await each.book(span(at(10, 9), at(10, 9, 30), "D1"), patient_id="P5")
    assert again["id"] != one["id"]


@on_every
async def test_the_comment_of_a_cancellation_becomes_the_appointments(each):
    one = await each.book(span(at(10, 9), at(10, 9, 30), "D1"), comment="Old")
    told = await cancelled(each, one["id"], comment="Is abroad")
    assert (told["status"], told["comment"]) == ("cancelled", "Is abroad")
    assert (await each.read(one["id"]))["comment"] == "Is abroad"


@on_every
async def test_cancelling_again_writes_nothing(each):
    (one,) = await each.booked(1)
    told = await cancelled(each, one["id"], comment="First")
    etag = (await each.call("GET", f"appointments/{one['id']}")).headers["etag"]
    assert await cancelled(each, one["id"]) == told
    assert await cancelled(each, one["id"], comment="Second") == told
    assert (await each.call("GET", f"appointments/{one['id']}")).headers["etag"] == etag


async def test_cancelling_again_costs_no_write(api, monkeypatch):
    found = await with_status(api, "cancelled")
    with spent(monkeypatch) as meters:
        await cancelled(api, found["id"], comment="Again")
    assert [m.writes for m in meters] == [0]


@on_every
async def test_what_took_place_or_was_missed_cannot_be_cancelled(each):
    for status in ("completed", "no_show"):
        found = await with_status(each, status)
        told = await cancelled(each, found["id"], 409, comment="Too late")
        refused(told, "CONFLICT", "INVALID_APPOINTMENT_STATUS")
        assert await each.read(found["id"]) == found


@on_every
async def test_an_empty_comment_clears_it_on_cancelling(each):
    one = await each.book(span(at(10, 9), at(10, 9, 30), "D1"), comment="Old")
    told = await cancelled(each, one["id"], comment="")
    assert told["status"] == "cancelled"
    assert not told["comment"]


# -- confirm a booking ------------------------------------------------------------------------------------------------


@on_every
async def test_a_booking_waits_for_the_right_code(each):
    made = await each.book(span(at(12, 9), at(12, 9, 30), "D1"), **VIDEO)
    assert (made["status"], made["confirmed"]) == ("awaiting_confirmation", False)
    assert await each.read(made["id"]) == made
    for wrong in ("000000", "1", "1234567", "letters"):
        refused(await confirmed(each, made["id"], wrong, 400), "BAD_REQUEST", "INVALID_CONFIRMATION_CODE")
    refused(await confirmed(each, made["id"], "999999", 409), "CONFLICT", "CONFIRMATION_EXPIRED")
    assert await each.read(made["id"]) == made
    told = await confirmed(each, made["id"], "123456")
    assert told == {**made, "status": "booked", "confirmed": True}
    assert await each.read(made["id"]) == told


@on_every
async def test_confirming_again_is_fine_with_any_code(each):
    made = await video_visit(each)
    for code in ("123456", "000000", "999999"):
        assert await confirmed(each, made["id"], code) == made


@on_every
async def test_there_is_nothing_to_confirm_where_nobody_was_asked(each):
    (plain,) = await each.booked(1)
    others = [await with_status(each, status) for status in ("completed", "no_show", "cancelled")]
    for one in (plain, *others):
        for code in ("123456", "000000"):
            told = await confirmed(each, one["id"], code, 409)
            refused(told, "CONFLICT", "INVALID_APPOINTMENT_STATUS")
        assert await each.read(one["id"]) == one


async def test_a_code_is_needed_where_the_emr_asks_for_one(api):
    made = await api.book(span(at(12, 9), at(12, 9, 30), "D1"), **VIDEO)
    for body in ({"confirmation": {}}, {"confirmation": {"code": None}}, {"confirmation": {"code": ""}}):
        assert (await patched(api, made["id"], body, 400))["code"] == "BAD_REQUEST"
    assert await api.read(made["id"]) == made


# -- cancel with a code -----------------------------------------------------------------------------------------------


@on_every
async def test_a_cancellation_waits_for_its_code_under_an_id_of_its_own(each):
    made = await video_visit(each, comment="Old")
    before = await listed_ids(each)
    asked = await cancelled(each, made["id"], comment="Is abroad")
    assert asked["status"] == "awaiting_confirmation"
    assert asked["id"] != made["id"]
    assert [asked[n] for n in ("start", "end", "patient_id", "resource_id")] == [
        made[n] for n in ("start", "end", "patient_id", "resource_id")
    ]
    # Until the code comes: the appointment as it was, and the request apart from it.
    assert await each.read(made["id"]) == made
    assert (await each.read(asked["id"]))["status"] == "awaiting_confirmation"
    assert await listed_ids(each) == before
    assert not [s for s in await each.free(day=12) if s["start"] == made["start"]]

    refused(await confirmed(each, asked["id"], "000000", 400), "BAD_REQUEST", "INVALID_CONFIRMATION_CODE")
    refused(await confirmed(each, asked["id"], "999999", 409), "CONFLICT", "CONFIRMATION_EXPIRED")
    assert await each.read(made["id"]) == made

    done = await confirmed(each, asked["id"], "123456")
    assert (done["status"], done["comment"]) == ("cancelled", "Is abroad")
    for id in (made["id"], asked["id"]):
        shown = await each.read(id)
        assert (shown["status"], shown["comment"]) == ("cancelled", "Is abroad")
    assert asked["id"] not in await listed_ids(each)
    again = await each.book(span(at(12, 9), at(12, 9, 30), "D1"), patient_id="P5")
    assert again["status"] == "booked"


@on_every
async def test_what_is_cancelled_stays_so_whoever_confirms_or_cancels_again(each):
    made = await video_visit(each)
    asked = await cancelled(each, made["id"])
    done = await confirmed(each, asked["id"], "123456")
    for code in ("123456", "000000", "999999"):
        assert await confirmed(each, asked["id"], code) == done
    for id in (made["id"], asked["id"]):
        assert (await cancelled(each, id))["status"] == "cancelled"
        assert (await each.read(id))["status"] == "cancelled"


@on_every
async def test_without_a_comment_the_old_one_stays_when_the_code_comes(each):
    made = await video_visit(each, comment="Old")
    asked = await cancelled(each, made["id"])
    assert (await confirmed(each, asked["id"], "123456"))["comment"] == "Old"
    assert (await each.read(made["id"]))["comment"] == "Old"


@on_every
async def test_asking_again_before_the_code_comes_is_no_second_request(each):
    made = await video_visit(each)
    asked = await cancelled(each, made["id"])
    again = await cancelled(each, made["id"])
    assert (again["id"], again["status"]) == (asked["id"], "awaiting_confirmation")
    assert await each.read(made["id"]) == made
    await confirmed(each, again["id"], "123456")
    assert (await each.read(made["id"]))["status"] == "cancelled"


@on_every
async def test_the_booking_itself_stays_confirmed_while_its_cancellation_waits(each):
    made = await video_visit(each)
    await cancelled(each, made["id"])
    assert await confirmed(each, made["id"], "000000") == made
    assert await each.read(made["id"]) == made


@on_every
async def test_a_request_can_not_be_moved_or_noted_on_as_if_it_were_an_appointment(each):
    made = await video_visit(each)
    asked = await cancelled(each, made["id"])
    before = await standing(each)
    told = await each.patch(asked["id"], 409, **span(at(12, 13), at(12, 13, 30)))
    refused(told, "CONFLICT", "INVALID_APPOINTMENT_STATUS")
    assert await standing(each) == before


@on_every
async def test_an_unconfirmed_booking_can_be_cancelled_too(each):
    made = await each.book(span(at(12, 9), at(12, 9, 30), "D1"), **VIDEO)
    asked = await cancelled(each, made["id"])
    assert asked["status"] == "awaiting_confirmation"
    assert seen(await each.read(made["id"])) == seen(made)
    assert (await confirmed(each, asked["id"], "123456"))["status"] == "cancelled"
    assert (await each.read(made["id"]))["status"] == "cancelled"


@pytest.mark.parametrize("emr", ["in-place", "new-id", "windows-new-id"])
async def test_a_visit_that_was_moved_meanwhile_is_the_one_that_is_cancelled(api, emr):
    api.emr = emr
    made = await video_visit(api)
    asked = await cancelled(api, made["id"])
    moved = await api.patch(made["id"], **span(at(12, 13), at(12, 13, 30)))
    assert (moved["status"], moved["start"]) == ("booked", at(12, 13).isoformat())
    await confirmed(api, asked["id"], "123456")
    for id in (made["id"], moved["id"], asked["id"]):
        assert (await api.read(id))["status"] == "cancelled"


async def test_a_visit_whose_cancellation_asks_for_a_code_is_not_moved_by_halves(api):
    """Where an EMR moves nothing, a move is a booking and a cancellation; both would wait for the patient."""
    api.emr = "no-move"
    made = await video_visit(api)
    before = await standing(api)
    answer = await api.call("PATCH", f"appointments/{made['id']}", span(at(12, 13), at(12, 13, 30)))
    assert 400 <= answer.status_code < 500
    assert await api.read(made["id"]) == made
    assert await standing(api) == before


async def test_a_command_that_waits_for_a_code_is_done(api):
    made = await video_visit(api)
    asked = await api.call("PATCH", f"appointments/{made['id']}", {"status": "cancelled"})
    command = await api.get(f"/api/commands/{asked.headers['x-command-id']}")
    assert (command["state"], command["answer"]["body"]["id"]) == ("done", asked.json()["id"])
