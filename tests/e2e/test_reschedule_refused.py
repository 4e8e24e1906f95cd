"""PATCH many with times that must be refused, or that ask the patient for a code first (contract §5.3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.e2e.clinic import (
    agrees,
    book,
    cancel,
    changes,
    code,
    failing,
    ids,
    many,
    on_each,
    places,
    rescheduled,
    staff_of,
    told,
    video,
)
from tests.e2e.conftest import at, span, working_day


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    return config


async def test_a_range_that_slots_do_not_tile_is_refused(http, staff):
    async def scenario(api):
        own = await api.booked(2)
        await api.book(span(at(10, 13, 30), at(10, 14), "D1"), patient_id="P5")
        before, written = await book(api), len(staff.writes(api))
        saturday = working_day(10)
        while saturday.weekday() != 5:
            saturday += timedelta(days=1)
        refused = [
            (at(10, 13), at(10, 14, 30)),  # somebody else is there
            (at(10, 7, 30), at(10, 8, 30)),  # closed
            (at(10, 15), at(10, 17)),
            (saturday.replace(hour=9), saturday.replace(hour=10)),
            (at(10, 8), at(11, 16)),  # no night is open
            (at(10, 12), at(10, 12, 20)),
            (at(10, 11, 45), at(10, 12, 30)),
        ]
        for start, end in refused:
            answer = await many(api, ids(own), span(start, end), 400)
            assert code(answer)[0] == "BAD_REQUEST"
            assert [e for e, _ in failing(answer)] == ["NO_TIMESLOTS_AVAILABLE"]
        answer = await many(api, ids(own), span(at(10, 13), at(10, 14), "D9"), 400)
        assert [e for e, _ in failing(answer)] == ["INVALID_RESOURCE_ID"]
        assert await book(api) == before
        assert len(staff.writes(api)) == written

    await on_each(http, scenario)


async def test_open_windows_are_tiled_at_any_minute(http):
    async def scenario(api):
        own = await api.booked(2)
        answer = await rescheduled(api, own, at(10, 12, 10), at(10, 13, 40))
        assert changes(answer) == ["moved", "moved", "created"]
        assert places(answer) == ["D1 12:10-12:40", "D1 12:40-13:10", "D1 13:10-13:40"]
        await agrees(api)

    await on_each(http, scenario, "windows", "windows-new-id")


async def test_open_windows_and_different_lengths_that_fill_nothing_are_ambiguous(http, staff):
    async def scenario(api):
        long = await api.book(span(at(10, 9), at(10, 10), "D1"))
        short = await api.book(span(at(10, 10), at(10, 10, 30), "D1"))
        before, written = await book(api), len(staff.writes(api))
        for end in (at(10, 13, 45), at(10, 13, 20)):
            answer = await many(api, ids([long, short]), span(at(10, 13), end), 400)
            assert [e for e, _ in failing(answer)] == ["AMBIGUOUS_TIMESLOTS"]
        answer = await many(api, ids([long]), span(at(10, 13), at(10, 13, 30)), 400)
        assert [e for e, _ in failing(answer)] == ["NO_TIMESLOTS_AVAILABLE"]
        assert await book(api) == before
        assert len(staff.writes(api)) == written
        answer = await rescheduled(api, [long, short], at(10, 13), at(10, 14, 30))
        assert changes(answer) == ["moved", "moved"]
        assert places(answer) == ["D1 13:00-14:00", "D1 14:00-14:30"]
        await agrees(api)

    await on_each(http, scenario, "windows", "windows-new-id")


async def test_mixed_appointments_are_refused_with_the_field_that_differs(api, staff):
    (one,) = await api.booked(1)
    others = {
        "patient_id": await api.book(span(at(10, 9, 30), at(10, 10), "D1"), patient_id="P5"),
        "resource_id": await api.book(span(at(10, 9, 30), at(10, 10), "D2")),
        "healthcare_service_id": (await video(api, 1, day=11))[0],
    }
    before, written = await book(api), len(staff.writes(api))
    for name, other in others.items():
        answer = await many(api, ids([one, other]), span(at(12, 9), at(12, 10)), 400)
        assert code(answer) == ("BAD_REQUEST", [("MIXED_APPOINTMENTS", "ids/1")])
        assert name in answer["errors"][0]["details"]
    everyone = [one, *others.values()]
    answer = await many(api, ids(everyone), span(at(12, 9), at(12, 10)), 400)
    assert [e for e, _ in failing(answer)] == ["MIXED_APPOINTMENTS"] * 3
    assert [p for _, p in failing(answer)] == ["ids/1", "ids/2", "ids/3"]
    assert await book(api) == before
    assert len(staff.writes(api)) == written


async def test_only_booked_ones_can_be_rescheduled(api, staff):
    own = await api.booked(3)
    await cancel(api, own[1]["id"])
    await staff.stage(api, own[2]["id"], "DONE")
    before, written = await book(api), len(staff.writes(api))
    answer = await many(api, ids(own), span(at(12, 9), at(12, 10)), 409)
    assert code(answer) == (
        "CONFLICT",
        [("INVALID_APPOINTMENT_STATUS", "ids/1"), ("INVALID_APPOINTMENT_STATUS", "ids/2")],
    )
    answer = await many(api, ["nobody", own[1]["id"]], span(at(12, 9), at(12, 10)), 400)
    assert code(answer) == (
        "BAD_REQUEST",
        [("INVALID_APPOINTMENT_ID", "ids/0"), ("INVALID_APPOINTMENT_STATUS", "ids/1")],
    )
    assert await book(api) == before
    assert len(staff.writes(api)) == written


async def test_ranges_of_at_most_31_days(api):
    own = await api.booked(1)
    answer = await many(api, ids(own), span(at(10, 0), at(10, 0) + timedelta(days=31)), 400)
    assert [e for e, _ in failing(answer)] == ["NO_TIMESLOTS_AVAILABLE"]
    for longer in (timedelta(days=31, hours=2), timedelta(days=60)):
        answer = await many(api, ids(own), span(at(10, 0), at(10, 0) + longer), 400)
        assert [e for e, _ in failing(answer)] == ["BAD_INPUT"]


async def test_not_more_than_a_hundred_may_result(http, staff):
    async def scenario(api):
        tiny = await api.book(span(at(10, 8), at(10, 8, 4), "D2"))
        written = len(staff.writes(api))
        answer = await many(api, [tiny["id"]], span(at(11, 8), at(11, 16)), 400)
        assert [e for e, _ in failing(answer)] == ["MAX_ITEMS_EXCEEDED"]
        assert len(staff.writes(api)) == written
        answer = await rescheduled(api, [tiny], at(11, 8), at(11, 14, 40))
        assert changes(answer) == ["moved"] + ["created"] * 99
        await agrees(api, 10, 11)

    await on_each(http, scenario, "windows")


# -- what asks the patient for a code -------------------------------------------------------------------------------


async def test_a_surplus_that_asks_for_a_code_stands_until_the_code_comes(http):
    async def scenario(api):
        own = await video(api, 3)
        answer = await many(api, ids(own), span(at(10, 9), at(10, 10)))
        assert changes(answer) == ["kept"] * 3
        assert [a["status"] for a in answer] == ["booked", "booked", "awaiting_confirmation"]
        assert ids(answer)[:2] == ids(own)[:2]
        request = answer[2]["id"]
        assert request != own[2]["id"]
        assert told(await api.read(own[2]["id"])) == told(own[2])
        assert (await api.read(request))["status"] == "awaiting_confirmation"
        assert request not in ids(await api.everything())
        await agrees(api)
        await api.patch(request, 400, confirmation={"code": "000000"})
        await api.patch(request, confirmation={"code": "123456"})
        assert (await api.read(own[2]["id"]))["status"] == "cancelled"
        assert (await api.read(request))["status"] == "cancelled"
        await agrees(api)

    await on_each(http, scenario)


async def test_a_surplus_whose_request_is_lost_leaves_all_where_they_were(http):
    async def scenario(api):
        own = await video(api, 2)
        # The move bears the comment first, and the request after it.
        body = {**span(at(10, 13), at(10, 13, 30)), "comment": "!lost@2"}
        answer = await many(api, ids(own), body, 502)
        assert (answer["code"], failing(answer)) == ("PARTIALLY_APPLIED", [("OUTCOME_UNKNOWN", "ids/1")])
        assert [told(await api.read(a["id"])) for a in own] == [told(a) for a in own]
        await agrees(api)

    await on_each(http, scenario, "in-place", "new-id", "slot-records")


async def test_nobody_is_put_onto_the_time_of_a_surplus_that_waits(http):
    async def scenario(api):
        """Where the first fits could only be had over its time, the fit without it is taken, or there is none."""
        own = await video(api, 2)
        answer = await many(api, ids(own), span(at(10, 9, 15), at(10, 9, 45)), 400)
        assert [e for e, _ in failing(answer)] == ["NO_TIMESLOTS_AVAILABLE"]
        assert [told(await api.read(a["id"])) for a in own] == [told(a) for a in own]
        foreseen = await many(api, ids(own), span(at(10, 14), at(10, 14, 30)), dry_run="true")
        answer = await many(api, ids(own), span(at(10, 14), at(10, 14, 30)))
        # What waits for its code stands, and so it is in its place among those.
        assert [(a["change"], a["status"]) for a in answer] == [
            ("kept", "awaiting_confirmation"),
            ("moved", "booked"),
        ]
        assert [(a["change"], *told(a)) for a in foreseen] == [(a["change"], *told(a)) for a in answer]
        await agrees(api)

    await on_each(http, scenario, "windows", "windows-new-id")


async def test_new_video_visits_wait_for_their_code(http):
    async def scenario(api):
        own = await video(api, 1)
        answer = await many(api, ids(own), span(at(10, 9), at(10, 10)))
        assert changes(answer) == ["kept", "created"]
        assert [a["status"] for a in answer] == ["booked", "awaiting_confirmation"]
        await agrees(api)
        confirmed = await api.patch(answer[1]["id"], confirmation={"code": "123456"})
        assert (confirmed["status"], confirmed["confirmed"]) == ("booked", True)
        await agrees(api)

    await on_each(http, scenario)
