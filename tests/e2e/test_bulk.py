"""PATCH many without times: a resource and/or a comment for each of the appointments (contract §5.2)."""

from __future__ import annotations

import pytest

from tests.e2e.clinic import (
    agrees,
    as_told,
    book,
    cancel,
    changes,
    code,
    failing,
    ids,
    many,
    on_each,
    places,
    staff_of,
    video,
)
from tests.e2e.conftest import at, span


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    return config


async def test_all_move_to_the_other_resource_at_their_own_times(each):
    own = await each.booked(3)
    answer = await each.many(ids(own), resource_id="D2", comment="other room")
    assert changes(answer) == ["moved"] * 3
    assert places(answer) == ["D2 09:00-09:30", "D2 09:30-10:00", "D2 10:00-10:30"]
    assert {a["comment"] for a in answer} == {"other room"}
    assert {a["status"] for a in answer} == {"booked"}
    await as_told(each, answer)
    for before, after in zip(own, answer, strict=True):
        assert (await each.read(before["id"]))["id"] == after["id"]
        assert before["id"] == after["id"] or after["previous_ids"] == [before["id"]]
    await agrees(each)


async def test_a_comment_goes_to_each_whatever_the_slots_are(http):
    async def scenario(api):
        own = await api.booked(2)
        noted = await api.many(ids(own), comment="bring papers")
        assert changes(noted) == ["updated"] * 2
        assert [(a["id"], a["comment"]) for a in noted] == [(a["id"], "bring papers") for a in own]
        cleared = await api.many(ids(own), comment="")
        assert changes(cleared) == ["updated"] * 2
        assert not any(a["comment"] for a in cleared)
        await as_told(api, cleared)

    await on_each(http, scenario)


async def test_what_is_as_asked_for_is_kept_and_nothing_is_written(api, staff):
    own = await api.booked(2)
    await api.many(ids(own), comment="as it is")
    before = len(staff.writes(api))
    for body in ({"comment": "as it is"}, {"resource_id": "D1"}, {"resource_id": "emr_id:D1", "comment": "as it is"}):
        answer = await api.many(ids(own), **body)
        assert changes(answer) == ["kept"] * 2
        assert ids(answer) == ids(own)
    assert len(staff.writes(api)) == before


async def test_the_answer_is_in_order_of_start_and_says_what_became_of_each(api, staff):
    first, second = await api.booked(2)
    elsewhere = await api.book(span(at(10, 11), at(10, 12), "D2"))
    last = await api.book(span(at(10, 14), at(10, 14, 30), "D2"), comment="old")
    written = len(staff.writes(api))
    answer = await api.many(ids([last, second, elsewhere, first]), resource_id="D2")
    assert ids(answer) == ids([first, second, elsewhere, last])
    assert changes(answer) == ["moved", "moved", "kept", "kept"]
    assert len(staff.writes(api)) == written + 2
    answer = await api.many(ids([last, elsewhere, first]), resource_id="D1", comment="old")
    assert changes(answer) == ["moved"] * 3
    answer = await api.many(ids([last, elsewhere]), resource_id="D1", comment="old")
    assert changes(answer) == ["kept", "kept"]
    await agrees(api)


async def test_one_that_does_not_fit_stops_all_and_is_named(http):
    async def scenario(api):
        own = await api.booked(3)
        await api.book(span(at(10, 9, 30), at(10, 10), "D2"), patient_id="P5")
        before = await book(api)
        answer = await api.many(ids(own), 400, resource_id="D2", comment="never")
        assert code(answer) == ("BAD_REQUEST", [("NO_TIMESLOTS_AVAILABLE", "ids/1")])
        assert await book(api) == before
        await agrees(api)

    await on_each(http, scenario)


async def test_two_of_the_ids_at_overlapping_times_are_both_named(api):
    (one,) = await api.booked(1)
    long = await api.book(span(at(10, 8, 30), at(10, 10), "D3"))
    fine = await api.book(span(at(10, 14), at(10, 14, 30), "D3"))
    before = await book(api)
    answer = await api.many(ids([fine, one, long]), 400, resource_id="D2")
    assert code(answer) == (
        "BAD_REQUEST",
        [("NO_TIMESLOTS_AVAILABLE", "ids/1"), ("NO_TIMESLOTS_AVAILABLE", "ids/2")],
    )
    answer = await api.many(ids([one, fine, long]), 400, resource_id="D3")
    assert code(answer) == (
        "BAD_REQUEST",
        [("NO_TIMESLOTS_AVAILABLE", "ids/0"), ("NO_TIMESLOTS_AVAILABLE", "ids/2")],
    )
    assert await book(api) == before


async def test_a_comment_is_no_matter_of_slots_even_where_two_of_the_ids_overlap(api):
    (one,) = await api.booked(1)
    other = await api.book(span(at(10, 9), at(10, 9, 30), "D3"))
    answer = await api.many(ids([one, other]), comment="at the same time")
    assert changes(answer) == ["updated"] * 2


async def test_unknown_ids_are_all_named(api):
    (one,) = await api.booked(1)
    before = await book(api)
    answer = await api.many(["nobody", one["id"], "B0"], 400, comment="x")
    assert code(answer) == ("BAD_REQUEST", [("INVALID_APPOINTMENT_ID", "ids/0"), ("INVALID_APPOINTMENT_ID", "ids/2")])
    assert "nobody" not in str(answer)
    assert await book(api) == before


async def test_every_failing_id_is_named_and_the_first_one_gives_the_status(api, staff):
    one, cancelled, other = await api.booked(3)
    await cancel(api, cancelled["id"])
    written = len(staff.writes(api))
    answer = await api.many([one["id"], cancelled["id"], "nobody"], 409, comment="x")
    assert code(answer) == ("CONFLICT", [("INVALID_APPOINTMENT_STATUS", "ids/1"), ("INVALID_APPOINTMENT_ID", "ids/2")])
    answer = await api.many(["nobody", cancelled["id"], one["id"]], 400, comment="x")
    assert code(answer) == (
        "BAD_REQUEST",
        [("INVALID_APPOINTMENT_ID", "ids/0"), ("INVALID_APPOINTMENT_STATUS", "ids/1")],
    )
    await api.book(span(at(10, 10), at(10, 10, 30), "D2"))
    written += 1
    answer = await api.many([cancelled["id"], one["id"], other["id"], "nobody"], 409, resource_id="D2")
    assert code(answer) == (
        "CONFLICT",
        [
            ("INVALID_APPOINTMENT_STATUS", "ids/0"),
            ("NO_TIMESLOTS_AVAILABLE", "ids/2"),
            ("INVALID_APPOINTMENT_ID", "ids/3"),
        ],
    )
    assert len(staff.writes(api)) == written


async def test_no_id_may_stand_twice_under_whatever_name(api, staff):
    one, two = await api.booked(2)
    written = len(staff.writes(api))
    for twice in ([one["id"], two["id"], one["id"]], [one["id"], two["id"], f"emr_id:{one['id']}"]):
        for body in ({"comment": "x"}, {"status": "cancelled"}, span(at(10, 13), at(10, 14))):
            assert code(await many(api, twice, body, 400)) == ("BAD_REQUEST", [("BAD_INPUT", "ids/2")])
    assert len(staff.writes(api)) == written


async def test_an_old_id_and_its_successor_are_one_appointment(http, staff):
    async def scenario(api):
        one, two = await api.booked(2)
        moved = await api.patch(one["id"], **span(at(10, 14), at(10, 14, 30)))
        assert moved["id"] != one["id"]
        written = len(staff.writes(api))
        answer = await api.many([moved["id"], two["id"], one["id"]], 400, comment="x")
        assert code(answer) == ("BAD_REQUEST", [("BAD_INPUT", "ids/2")])
        assert len(staff.writes(api)) == written
        answer = await api.many(ids([two, one]), comment="by its old name")
        assert ids(answer) == [two["id"], moved["id"]]
        assert answer[1]["previous_ids"] == [one["id"]]

    await on_each(http, scenario, "new-id", "no-move", "windows-new-id")


async def test_only_what_is_booked_can_be_moved_but_what_is_over_can_be_commented(api, staff):
    (one,) = await api.booked(1)
    over = [a for a in await api.everything() if a["status"] in ("completed", "no_show", "other")]
    assert {a["status"] for a in over} == {"completed", "no_show", "other"}
    written = len(staff.writes(api))
    answer = await api.many([one["id"], *ids(over)], 409, resource_id="D1")
    moving = [n for n, a in enumerate([one, *over]) if a["resource_id"] != "D1"]
    assert code(answer) == ("CONFLICT", [("INVALID_APPOINTMENT_STATUS", f"ids/{n}") for n in moving])
    assert len(staff.writes(api)) == written
    answer = await api.many([one["id"], *ids(over)], comment="seen")
    assert changes(answer) == ["updated"] * 4
    assert sorted(a["status"] for a in answer) == ["booked", "completed", "no_show", "other"]


async def test_one_that_waits_for_its_code_can_be_commented_and_not_moved(api):
    waiting = next(a for a in await api.everything() if a["status"] == "awaiting_confirmation")
    answer = await api.many([waiting["id"]], comment="we wait")
    assert [(a["change"], a["status"]) for a in answer] == [("updated", "awaiting_confirmation")]
    answer = await api.many([waiting["id"]], 409, resource_id="D2")
    assert code(answer) == ("CONFLICT", [("INVALID_APPOINTMENT_STATUS", "ids/0")])


async def test_an_unknown_resource_is_refused_before_slots_are_asked_for(api, staff):
    own = await api.booked(2)
    before = await book(api)
    answer = await api.many(ids(own), 400, resource_id="D9", comment="x")
    assert code(answer)[0] == "BAD_REQUEST"
    assert [e for e, _ in failing(answer)] == ["INVALID_RESOURCE_ID"]
    answer = await api.many(ids(own), 400, resource_id="hsa_id:D1")
    assert [e for e, _ in failing(answer)] in (["NOT_SUPPORTED"], ["INVALID_RESOURCE_ID"])
    assert await book(api) == before


async def test_a_hundred_ids_are_taken_and_not_one_more(api):
    answer = await api.many([f"nobody-{n}" for n in range(100)], 400, comment="x")
    assert failing(answer) == [("INVALID_APPOINTMENT_ID", f"ids/{n}") for n in range(100)]
    answer = await api.many([f"nobody-{n}" for n in range(101)], 400, comment="x")
    assert [e for e, _ in failing(answer)] == ["MAX_ITEMS_EXCEEDED"]


async def test_a_hundred_are_written_at_once(api):
    own = [
        await api.book(span(at(day, 8 + n // 2, 30 * (n % 2)), at(day, 8 + (n + 1) // 2, 30 * ((n + 1) % 2)), "D3"))
        for day in (12, 13, 14, 15, 16, 17, 18)
        for n in range(15)
    ][:100]
    answer = await api.many(ids(own), resource_id="D2", comment="a hundred")
    assert changes(answer) == ["moved"] * 100
    assert ids(answer) == ids(own)
    await agrees(api, 12, 18)


async def test_in_another_care_unit_there_is_no_such_appointment(api, staff):
    own = await api.booked(2)
    written = len(staff.writes(api))
    for body in ({"comment": "x"}, {"status": "cancelled"}, span(at(10, 13), at(10, 14))):
        answer = await api.call("PATCH", "care-units/U2/appointments", {"ids": ids(own), **body})
        assert (answer.status_code, failing(answer.json())) == (
            400,
            [("INVALID_APPOINTMENT_ID", "ids/0"), ("INVALID_APPOINTMENT_ID", "ids/1")],
        )
        answer = await api.call("PATCH", "care-units/U9/appointments", {"ids": ids(own), **body})
        assert (answer.status_code, code(answer.json())) == (
            404,
            ("NOT_FOUND", [("INVALID_CARE_UNIT_ID", "care_unit_id")]),
        )
    assert len(staff.writes(api)) == written
    answer = await api.call("PATCH", "care-units/U1/appointments", {"ids": ids(own), "resource_id": "D2"})
    assert changes(answer.json()) == ["moved", "moved"]


async def test_a_dry_run_answers_the_same_and_writes_nothing(http, staff):
    async def scenario(api):
        own = await api.booked(2)
        before, written = await book(api), len(staff.writes(api))
        body = {"resource_id": "D3", "comment": "what if"}
        foreseen = await api.many(ids(own), params={"dry_run": "true"}, **body)
        plan = api.seen[-1].headers["x-plan"]
        assert api.seen[-1].headers["x-dry-run"] == "true"
        assert await book(api) == before
        assert len(staff.writes(api)) == written
        real = await api.many(ids(own), headers={"x-plan": plan}, **body)
        same = ("start", "end", "resource_id", "comment", "status", "change", "patient_id", "care_unit_id")
        assert [[a[n] for n in same] for a in foreseen] == [[a[n] for n in same] for a in real]
        answer = await api.many(ids(own), 412, headers={"x-plan": plan}, **{**body, "comment": "again"})
        assert answer["code"] == "PLAN_CHANGED"

    await on_each(http, scenario)


async def test_a_longer_one_needs_all_of_its_slots(http):
    async def scenario(api):
        long = await api.book(span(at(10, 9), at(10, 10, 30), "D1"))
        (short,) = await api.booked(1, day=11)
        await api.book(span(at(10, 10), at(10, 10, 30), "D2"))
        answer = await api.many(ids([short, long]), 400, resource_id="D2")
        assert code(answer) == ("BAD_REQUEST", [("NO_TIMESLOTS_AVAILABLE", "ids/1")])
        answer = await api.many(ids([short, long]), resource_id="D3")
        assert places(answer) == ["D3 09:00-10:30", "D3 09:00-09:30"]
        await agrees(api, 10, 11)

    await on_each(http, scenario)


async def test_video_visits_move_too_where_the_emr_can_move_at_all(http):
    async def scenario(api):
        answer = await api.many(ids(await video(api, 2)), resource_id="D2")
        assert changes(answer) == ["moved", "moved"]
        assert {a["status"] for a in answer} == {"booked"}
        assert {a["confirmed"] for a in answer} == {True}
        await agrees(api)

    await on_each(http, scenario, "in-place", "new-id", "slot-records", "no-content")
