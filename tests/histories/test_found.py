"""What the histories have found, each by itself: it happens once more, and ends well."""

from __future__ import annotations

import asyncio

import pytest

from tests.histories.checker import breaches
from tests.histories.clinic import wall
from tests.histories.history import directed


def deaths(first, last, step=2):
    """At which boundaries the gateway dies, from its start through all that a few requests do; a few of them in the
    suite that everybody runs."""
    rare = pytest.mark.faults
    return [pytest.param(n, marks=rare if n % (6 * step) else ()) for n in range(first, last, step)]


def at(day, half_hour, more=1):
    return {"start": f"{wall(day, half_hour)}:00+01:00", "end": f"{wall(day, half_hour + more)}:00+01:00"}


def meddling(world, *acts):
    """The staff does these, in turn, just before or after the gateway's writes; `None`: it lets one pass."""
    left = iter(acts)

    async def meddles(dice, written):
        act = next(left, None)
        if act is not None:
            await act()

    world.clinic.meddles = meddles


@pytest.mark.parametrize("personality", ["in-place", "slot-records"])
@pytest.mark.parametrize("died", deaths(22, 60))
def test_commands_of_one_day_that_are_interrupted_together_do_not_keep_the_gateway_from_starting(personality, died):
    """A cancellation never held the day that its appointment was on, and a restart must not want it for it."""

    async def play(world, refs):
        move = world.asks(10, "one", "PATCH", f"appointments/{refs[0]}", {**at(1, 1), "resource_id": "D2"})
        cancel = world.asks(20, "one", "PATCH", f"appointments/{refs[1]}", {"status": "cancelled"})
        await asyncio.gather(move, cancel)

    history = directed(play, personality, deaths=[died])
    assert breaches(history) == []


@pytest.mark.parametrize("died", deaths(40, 120, 4))
def test_a_command_that_is_interrupted_between_two_plans_claims_nothing(died):
    """What it wanted may be held by another one that was interrupted, too."""

    async def play(world, refs):
        async def note():
            await world.clinic._does("PATCH", f"/bookings/{refs[1]}", memo="theirs")

        meddling(world, note)
        body = {"ids": refs[:2], "resource_id": "D2", "comment": "first"}
        first = asyncio.create_task(world.asks(10, "one", "PATCH", "appointments", body))
        await asyncio.sleep(0.1)
        await world.asks(20, "one", "PATCH", f"appointments/{refs[0]}", {"comment": "second"})
        await first

    assert breaches(directed(play, "in-place", deaths=[died])) == []


@pytest.mark.parametrize("personality", ["in-place", "no-content", "slot-records"])
@pytest.mark.parametrize("died", deaths(22, 60))
def test_the_undo_of_a_deviation_goes_on_after_a_crash(personality, died):
    """What the EMR had made of the write was forgotten, and the command stayed at it for ever."""

    async def play(world, refs):
        await world.asks(10, "one", "PATCH", f"appointments/{refs[0]}", {**at(1, 1), "comment": "ours !other@1"})

    history = directed(play, personality, deaths=[died])
    assert breaches(history) == []
    assert {command["state"] for command in history.commands.values()} <= {"undone", "refused", "needs_attention"}


def test_what_the_staff_has_noted_on_a_new_one_is_not_withdrawn_with_it():
    """The answer to the booking was lost; what is found then is not as it was asked for."""

    async def play(world, refs):
        async def note():
            await world.clinic._does("PATCH", f"/bookings/{(await made(world))}", memo="theirs")

        meddling(world, None, note)
        body = {**at(1, 1), "resource_id": "D1", "patient_id": "P4", "healthcare_service_id": "K1"}
        await world.asks(10, "one", "POST", "appointments", {**body, "comment": "ours !lost"})

    history = directed(play, "in-place")
    assert breaches(history) == []
    assert reported(history) == [f"B{1022}"]


def test_a_new_one_that_the_staff_has_moved_is_not_called_undone():
    """Under its first id it is over, since the EMR gave it another one; it stands all the same."""

    async def play(world, refs):
        async def move():
            there = {"begins": wall(0, 0), "ends": wall(0, 1), "with": "D2"}
            await world.clinic._does("PATCH", f"/bookings/{(await made(world))}", **there)

        meddling(world, None, None, None, None, None, move)
        body = {"ids": refs[:1], **at(1, 1, 3), "comment": "ours !refuse@3"}
        await world.asks(10, "one", "PATCH", "appointments", body)

    history = directed(play, "new-id")
    assert breaches(history) == []


def test_a_cancellation_is_not_confirmed_while_another_command_is_at_its_appointment():
    """Its request has an id of its own, and only that was held."""

    async def play(world, refs):
        asked = await world.asks(10, "one", "PATCH", f"appointments/{refs[5]}", {"status": "cancelled"})
        request = asked.json()["id"]
        note = world.asks(20, "one", "PATCH", f"appointments/{refs[5]}", {"comment": "ours !drop"})
        noting = asyncio.create_task(note)
        await asyncio.sleep(2.0)
        await world.asks(30, "two", "PATCH", f"appointments/{request}", {"confirmation": {"code": "123456"}})
        await noting

    history = directed(play, "in-place")
    assert breaches(history) == []
    assert {tag: command["state"] for tag, command in history.commands.items()} == {
        10: "done",
        20: "refused",
        30: "done",
    }


@pytest.mark.parametrize(("personality", "books"), [("no-content", False), ("no-content", True), ("async", False)])
def test_what_the_staff_writes_before_we_look_stands_where_no_answer_tells(personality, books):
    """It was taken for the EMR's own doing, and written over."""

    async def play(world, refs):
        async def note():
            await world.clinic._does("PATCH", f"/bookings/{await made(world) if books else refs[0]}", memo="theirs")

        meddling(world, None, note)
        who = {"resource_id": "D1", "patient_id": "P4", "healthcare_service_id": "K1"}
        body = {**at(1, 1), "comment": "ours", **(who if books else {})}
        if books:
            await world.asks(10, "one", "POST", "appointments", body)
        else:
            await world.asks(10, "one", "PATCH", f"appointments/{refs[0]}", body)

    history = directed(play, personality)
    assert breaches(history) == []
    assert "theirs" in {row["memo"] for row in history.bookings}
    assert len(reported(history)) == 1


def test_the_old_slot_of_what_the_staff_has_cancelled_meanwhile_is_given_back():
    """Of two that are to move the second can't; the first one is not there any more to be moved back."""

    async def play(world, refs):
        seen = []

        async def meddles(dice, written):
            seen.append(written)
            if written.startswith("/bookings") and seen.count(written) == 2 and "done" not in seen:
                seen.append("done")
                await world.clinic.annuls((await world.clinic.bookings(written.split("/")[2]))[0])

        world.clinic.meddles = meddles
        body = {"ids": refs[:2], **at(1, 1, 2), "resource_id": "D2", "comment": "ours !refuse@2"}
        await world.asks(10, "one", "PATCH", "appointments", body)

    history = directed(play, "slot-records")
    assert breaches(history) == []
    assert len(reported(history)) == 1


async def made(world):
    """What the gateway has booked last."""
    return next(r["ref"] for r in reversed(await world.clinic.journal()) if r["was"] is None and r["hand"] == "10")


def reported(history):
    answer = history.commands[10]["answer"]["body"]
    assert (history.commands[10]["state"], answer["code"]) == ("needs_attention", "PARTIALLY_APPLIED")
    return [error["details"].removesuffix(".").rpartition(" ")[2] for error in answer["errors"]]
