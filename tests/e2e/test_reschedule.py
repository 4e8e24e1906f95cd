"""PATCH many with times: a range of slots is filled with the appointments (contract §5.3)."""

from __future__ import annotations

import pytest

from tests.e2e.clinic import (
    agrees,
    came_from,
    changes,
    many,
    on_each,
    places,
    rescheduled,
    staff_of,
)
from tests.e2e.conftest import PERSONALITIES, at, span

PROMPT = tuple(emr for emr in PERSONALITIES if emr != "async")
"""EMRs that have done a write when they answer it: the others take their time in these tests."""


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    return config


# -- keep, move, create, cancel -------------------------------------------------------------------------------------


async def test_as_many_slots_as_appointments_all_move(each):
    own = await each.booked(3)
    answer = await rescheduled(each, own, at(11, 13), at(11, 14, 30), comment="afternoon")
    assert changes(answer) == ["moved"] * 3
    assert places(answer) == ["D1 13:00-13:30", "D1 13:30-14:00", "D1 14:00-14:30"]
    assert came_from(answer, own) == [0, 1, 2]
    assert {a["comment"] for a in answer} == {"afternoon"}
    await agrees(each, 10, 11)


async def test_their_own_time_is_free_for_them(http):
    async def scenario(api):
        own = await api.booked(3)
        answer = await rescheduled(api, own, at(10, 9, 30), at(10, 11))
        assert changes(answer) == ["kept", "kept", "moved"]
        assert came_from(answer, own) == [1, 2, 0]
        assert places(answer)[2] == "D1 10:30-11:00"
        await agrees(api)

    await on_each(http, scenario)


async def test_more_slots_than_appointments_make_new_ones(http):
    async def scenario(api):
        own = await api.booked(2)
        answer = await rescheduled(api, own, at(10, 9), at(10, 11), comment="long visit")
        assert changes(answer) == ["updated", "updated", "created", "created"]
        assert came_from(answer, own) == [0, 1, None, None]
        assert {(a["status"], a["comment"], a["resource_id"]) for a in answer} == {("booked", "long visit", "D1")}
        await agrees(api)

    await on_each(http, scenario)


async def test_fewer_slots_than_appointments_cancel_the_surplus_from_the_latest(http):
    async def scenario(api):
        own = await api.booked(4)
        answer = await rescheduled(api, own, at(10, 9), at(10, 10))
        assert changes(answer) == ["kept", "kept", "cancelled", "cancelled"]
        assert came_from(answer, own) == [0, 1, 2, 3]
        assert [a["status"] for a in answer] == ["booked", "booked", "cancelled", "cancelled"]
        await agrees(api)

    await on_each(http, scenario)


async def test_all_of_it_at_once(http):
    async def scenario(api):
        own = await api.booked(3)
        own.append(await api.book(span(at(11, 9), at(11, 9, 30), "D1"), comment="the last"))
        answer = await rescheduled(api, own, at(10, 10), at(10, 11), comment="all at once")
        assert changes(answer) == ["updated", "moved", "cancelled", "cancelled"]
        assert came_from(answer, own) == [2, 0, 1, 3]
        assert {a["comment"] for a in answer} == {"all at once"}
        assert places(answer) == ["D1 10:00-10:30", "D1 10:30-11:00", "D1 09:30-10:00", "D1 09:00-09:30"]
        await agrees(api, 10, 11)

    await on_each(http, scenario, *PROMPT)


async def test_without_a_comment_each_keeps_its_own(http):
    async def scenario(api):
        own = await api.booked(1)
        own.append(await api.book(span(at(10, 9, 30), at(10, 10), "D1"), comment="mine"))
        answer = await rescheduled(api, own, at(10, 9, 30), at(10, 10, 30))
        assert changes(answer) == ["kept", "moved"]
        assert [a["comment"] or "" for a in answer] == ["mine", ""]
        answer = await rescheduled(api, own, at(10, 14), at(10, 14, 30))
        assert changes(answer) == ["moved", "cancelled"]
        assert sorted(a["comment"] or "" for a in answer) == ["", "mine"]
        await agrees(api)

    await on_each(http, scenario, *PROMPT)


async def test_another_resource_s_slots_are_taken_where_one_is_given(http):
    async def scenario(api):
        own = await api.booked(3)
        answer = await rescheduled(api, own, at(10, 9), at(10, 10), "D3")
        assert changes(answer) == ["moved", "moved", "cancelled"]
        assert places(answer) == ["D3 09:00-09:30", "D3 09:30-10:00", "D1 10:00-10:30"]
        await agrees(api)

    await on_each(http, scenario)


async def test_what_stands_as_asked_for_is_kept_without_a_write(api, staff):
    own = await api.booked(3)
    written = len(staff.writes(api))
    assert changes(await rescheduled(api, own, at(10, 9), at(10, 10, 30))) == ["kept"] * 3
    assert changes(await rescheduled(api, own, at(10, 9), at(10, 10, 30), "D1", comment="")) == ["kept"] * 3
    assert len(staff.writes(api)) == written
    answer = await rescheduled(api, own, at(10, 9), at(10, 10, 30), comment="only this")
    assert changes(answer) == ["updated"] * 3
    assert len(staff.writes(api)) == written + 3


async def test_one_can_be_rescheduled_alone_and_twice(http):
    async def scenario(api):
        own = await api.booked(1)
        first = await rescheduled(api, own, at(10, 14), at(10, 14, 30))
        assert changes(first) == ["moved"]
        again = await rescheduled(api, own, at(10, 9), at(10, 10))
        assert changes(again) == ["moved", "created"]
        assert came_from(again, own) == [0, None]
        back = await rescheduled(api, again, at(10, 9), at(10, 9, 30))
        assert changes(back) == ["kept", "cancelled"]
        await agrees(api)

    await on_each(http, scenario, *PROMPT)


async def test_an_old_id_is_shown_as_every_id_it_ever_had(http):
    async def scenario(api):
        (own,) = await api.booked(1)
        names = [own["id"]]
        for hour in (10, 11, 12):
            (now,) = await many(api, [own["id"]], span(at(10, hour), at(10, hour, 30)))
            assert now["previous_ids"] == names
            names.append(now["id"])
        assert len(set(names)) == 4

    await on_each(http, scenario, "new-id", "no-move", "windows-new-id")


# -- the order of the costs -----------------------------------------------------------------------------------------


async def test_nobody_is_moved_who_can_stay(http):
    """Around a stranger's half hour nothing can be kept but the own ones that tile with the rest."""

    async def scenario(api):
        own = await api.booked(2)
        own.append(await api.book(span(at(10, 11), at(10, 11, 30), "D1")))
        answer = await rescheduled(api, own, at(10, 9), at(10, 11))
        # Four half hours: two stay, the third moves in, one is new. Never: all three packed, or one cancelled.
        assert changes(answer) == ["kept", "kept", "moved", "created"]
        assert came_from(answer, own) == [0, 1, 2, None]
        await agrees(api)

    await on_each(http, scenario, *PROMPT)


async def test_cancelling_nobody_comes_before_creating_nobody_and_moving_nobody(http):
    """60 and 30 minutes into an hour: two half hours, so that both stand, although the long one could have stayed."""

    async def scenario(api):
        long = await api.book(span(at(10, 9), at(10, 10), "D1"))
        short = await api.book(span(at(10, 10), at(10, 10, 30), "D1"))
        answer = await rescheduled(api, [long, short], at(10, 9), at(10, 10))
        assert changes(answer) == ["moved", "moved"]
        assert sorted(places(answer)) == ["D1 09:00-09:30", "D1 09:30-10:00"]
        await agrees(api)

    await on_each(http, scenario, *SLOTTED)


SLOTTED = ("in-place", "new-id", "no-move", "starts", "slot-records", "no-content", "no-refusal")


async def test_a_run_as_long_as_one_of_them_is_one_appointment(http):
    async def scenario(api):
        long = await api.book(span(at(10, 9), at(10, 10), "D1"))
        answer = await rescheduled(api, [long], at(11, 13), at(11, 14))
        assert (changes(answer), places(answer)) == (["moved"], ["D1 13:00-14:00"])
        answer = await rescheduled(api, [long], at(11, 13), at(11, 15))
        assert changes(answer) == ["kept", "created"]
        assert places(answer) == ["D1 13:00-14:00", "D1 14:00-15:00"]
        await agrees(api, 10, 11)

    await on_each(http, scenario, *PROMPT)


async def test_each_goes_to_a_tile_of_its_own_length(http):
    async def scenario(api):
        long = await api.book(span(at(10, 9), at(10, 10), "D1"))
        short = await api.book(span(at(10, 10), at(10, 10, 30), "D1"))
        answer = await rescheduled(api, [short, long], at(11, 13), at(11, 14, 30))
        assert changes(answer) == ["moved", "moved"]
        assert places(answer) == ["D1 13:00-14:00", "D1 14:00-14:30"]
        assert came_from(answer, [long, short]) == [0, 1]
        await agrees(api, 10, 11)

    await on_each(http, scenario, *PROMPT)


async def test_the_order_of_the_day_stays(http):
    async def scenario(api):
        own = await api.booked(4)
        shuffled = [own[n] for n in (2, 0, 3, 1)]
        answer = await rescheduled(api, shuffled, at(12, 8), at(12, 10), "D2")
        assert came_from(answer, own) == [0, 1, 2, 3]
        answer = await rescheduled(api, shuffled, at(12, 12), at(12, 12, 30), "D2")
        assert changes(answer) == ["moved", "cancelled", "cancelled", "cancelled"]
        assert came_from(answer, own) == [0, 1, 2, 3]
        await agrees(api, 10, 12)

    await on_each(http, scenario, *PROMPT)


async def test_a_cancellation_comes_first_only_where_its_time_is_in_the_way(http, staff):
    async def scenario(api):
        own = await api.booked(3)
        done = len(staff.writes(api))
        await rescheduled(api, own, at(10, 14), at(10, 15))
        assert staff.writes(api)[done:][-1].endswith("/annul")
        assert [w.endswith("/annul") for w in staff.writes(api)[done:]].count(True) == 1
        one = await api.book(span(at(11, 9), at(11, 9, 30), "D1"))
        two = await api.book(span(at(11, 9, 30), at(11, 10), "D1"))
        done = len(staff.writes(api))
        answer = await rescheduled(api, [one, two], at(11, 9, 15), at(11, 9, 45))
        assert changes(answer) == ["moved", "cancelled"]
        assert came_from(answer, [one, two]) == [0, 1]
        assert staff.writes(api)[done:][0].endswith("/annul")
        await agrees(api, 10, 11)

    await on_each(http, scenario, "windows", "windows-new-id")
