"""What makes each of the sandbox EMR's personalities another EMR than the others."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.plugins.sandbox.clinics import Desk, desk

MOVE = {"begins": "2026-11-30T11:00", "ends": "2026-11-30T12:00"}


@pytest.mark.parametrize("personality", ["new-id", "windows-new-id"])
async def test_every_move_gives_a_new_reference_and_leaves_a_link(tmp_path, personality):
    async with desk(tmp_path, personality) as at:
        made = await at.made("09:00", "10:00", memo="kept", mark="m-1")
        moved = (await at.send("PATCH", f"/bookings/{made['ref']}", **MOVE, if_rev="1")).json()
        assert moved["ref"] != made["ref"]
        assert (moved["who"], moved["kind"], moved["memo"], moved["stage"]) == ("P4", "K1", "kept", "PLANNED")
        old = await at.booking(made["ref"])
        assert (old["stage"], old["moved_to"], old["begins"]) == ("MOVED", moved["ref"], made["begins"])
        assert [b["ref"] for b in await at.bookings(who="P4", **{"from": "2026-11-30T00:00"})] == [moved["ref"]]
        assert await at.fault("PATCH", f"/bookings/{made['ref']}", memo="x") == (409, "WRONG_STAGE")
        assert await at.fault("POST", f"/bookings/{made['ref']}/annul") == (409, "WRONG_STAGE")
        assert (await at.book("09:00", "10:00")).status_code == 201


async def test_a_memo_alone_gives_no_new_reference(tmp_path):
    async with desk(tmp_path, "new-id") as at:
        made = await at.made("09:00", "10:00")
        assert (await at.send("PATCH", f"/bookings/{made['ref']}", memo="new")).json()["ref"] == made["ref"]


async def test_an_emr_that_cannot_move_still_takes_a_memo(tmp_path):
    async with desk(tmp_path, "no-move") as at:
        made = await at.made("09:00", "10:00")
        path = f"/bookings/{made['ref']}"
        assert await at.fault("PATCH", path, **MOVE) == (405, "NOT_POSSIBLE")
        assert await at.fault("PATCH", path, **{"with": "D2"}) == (405, "NOT_POSSIBLE")
        assert (await at.send("PATCH", path, memo="new")).json()["memo"] == "new"


@pytest.mark.parametrize("personality", ["windows", "windows-new-id"])
async def test_open_windows_can_be_booked_at_any_time_within(tmp_path, personality):
    async with desk(tmp_path, personality) as at:
        await at.made("09:10", "09:50:30")
        await at.made("09:50:30", "10:00", **{"with": "D1"})
        assert (await at.book("09:55", "10:05")).json() == {"fault": "TIME_TAKEN"}
        assert (await at.book("15:55", "16:00:01")).json() == {"fault": "NOT_OFFERED"}
        windows = (await at.free(**{"with": "D1"}))["windows"]
        assert [(w["begins"][11:], w["ends"][11:]) for w in windows] == [("08:00", "09:10"), ("10:00", "16:00")]
        clipped = await at.get("/free", **{"from": "2026-11-30T09:00", "until": "2026-11-30T10:30", "with": "D1"})
        assert [(w["begins"][11:], w["ends"][11:]) for w in clipped["windows"]] == [
            ("09:00", "09:10"),
            ("10:00", "10:30"),
        ]


async def test_starts_say_nothing_of_their_end(tmp_path):
    async with desk(tmp_path, "starts") as at:
        await at.made("08:30", "09:30")
        starts = (await at.free(**{"with": "D1"}))["starts"]
        assert starts[0] == {"begins": "2026-11-30T08:00", "with": "D1", "place": "U1"}
        assert starts[1]["begins"] == "2026-11-30T09:30"
        assert {kind["minutes"] for kind in (await at.get("/register/kinds"))["kinds"]} == {30}


# -- slots that are records -----------------------------------------------------------------------------------------


async def test_slot_records_are_marked_by_whoever_books_over_their_revision(tmp_path):
    async with desk(tmp_path, "slot-records") as at:
        one = (await at.free(**{"with": "D1"}))["slots"][0]
        assert (one["state"], one["rev"]) == ("free", "1")
        path = f"/slots/{one['ref']}"
        busy = (await at.send("PATCH", path, state="busy", if_rev="1")).json()
        assert busy == one | {"state": "busy", "rev": "2"} == await at.get(path)
        assert await at.fault("PATCH", path, state="busy", if_rev="1") == (412, "STALE")
        assert one["ref"] not in {s["ref"] for s in (await at.free())["slots"]}
        assert await at.fault("PATCH", "/slots/D9-x", state="busy") == (404, "UNKNOWN_REF")
        assert await at.fault("PATCH", path, state="mine") == (422, "BAD_VALUE")


async def test_a_booking_names_its_slot_records_and_never_marks_them(tmp_path):
    async with desk(tmp_path, "slot-records") as at:
        first, second, *_ = (await at.free(**{"with": "D1"}))["slots"]
        refs = [first["ref"], second["ref"]]
        made = await at.made(first["begins"], second["ends"], slots=refs)
        assert made["slots"] == refs
        assert {s["state"] for s in [await at.get(f"/slots/{ref}") for ref in refs]} == {"free"}
        assert (await at.book(first["begins"], second["ends"], slots=refs, who="P3")).status_code == 201


@pytest.mark.parametrize(
    "refs", [None, [], ["D1-2026-11-30T08:00"], ["D2-2026-11-30T08:00", "D2-2026-11-30T08:30"], ["?"]]
)
async def test_the_slot_records_of_a_booking_must_be_its_time(tmp_path, refs):
    async with desk(tmp_path, "slot-records") as at:
        named = {} if refs is None else {"slots": refs}
        assert (await at.book("08:00", "09:00", **named)).json() == {"fault": "BAD_VALUE"}


async def test_seeded_bookings_hold_their_slot_records(tmp_path):
    async with desk(tmp_path, "slot-records") as at:
        (hour,) = [b for b in await at.bookings() if b["who"] == "P3" and b["kind"] == "K1"]
        assert len(hour["slots"]) == 2
        assert {(await at.get(f"/slots/{ref}"))["state"] for ref in hour["slots"]} == {"busy"}
        day = {"from": hour["begins"], "until": hour["ends"], "with": "D1"}
        assert (await at.get("/free", **day))["slots"] == []
        own = await at.get("/free", **day, ignoring=hour["ref"])
        assert [s["ref"] for s in own["slots"]] == hour["slots"]
        other = await at.made(hour["begins"], hour["begins"][:-4] + "9:00", slots=hour["slots"][:1], **{"with": "D1"})
        assert [s["ref"] for s in (await at.get("/free", **day, ignoring=hour["ref"]))["slots"]] == hour["slots"][1:]
        both = await at.get("/free", **day, ignoring=[hour["ref"], other["ref"]])
        assert [s["ref"] for s in both["slots"]] == hour["slots"]


async def test_slot_records_are_laid_out_further_as_days_go_by(tmp_path):
    from datetime import timedelta

    from plugins.sandbox.emr import build_app
    from tests.plugins.sandbox.clinics import TODAY, running

    async def last_day(now) -> str:
        async with running(build_app(tmp_path, now=lambda: now)) as app:
            free = await Desk(app, "slot-records").get(
                "/free", **{"from": "2026-11-01T00:00", "until": "2028-01-01T00:00"}
            )
            assert len({s["ref"] for s in free["slots"]}) == len(free["slots"])
            return free["slots"][-1]["begins"][:10]

    assert await last_day(TODAY) == "2027-01-21"
    assert await last_day(TODAY + timedelta(days=7)) == "2027-01-28"
    assert await last_day(TODAY + timedelta(days=200)) == "2027-08-09"


# -- how a write is answered ----------------------------------------------------------------------------------------


async def test_writes_are_answered_with_nothing(tmp_path):
    async with desk(tmp_path, "no-content") as at:
        answer = await at.book("09:00", "09:30", mark="m-1")
        assert (answer.status_code, answer.content) == (204, b"")
        (made,) = await at.bookings(mark="m-1")
        path = f"/bookings/{made['ref']}"
        for method, at_path, body in (("PATCH", path, MOVE), ("POST", f"{path}/annul", {})):
            answer = await at.send(method, at_path, **body)
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await at.booking(made["ref"]))["stage"] == "ANNULLED"


@pytest.mark.parametrize("personality", ["no-content", "async"])
async def test_a_request_for_a_code_is_always_answered_with_itself(tmp_path, personality):
    async with desk(tmp_path, personality) as at:
        (visit,) = [b for b in await at.bookings() if b["stage"] == "UNCONFIRMED"]
        answer = await at.send("POST", f"/bookings/{visit['ref']}/annul")
        assert (answer.status_code, answer.json()["about"]) == (202, visit["ref"])
        path = f"/bookings/{answer.json()['ref']}/code"
        assert await at.fault("POST", path, code="1") == (422, "WRONG_CODE")
        assert (await at.send("POST", path, code="123456")).status_code in (200, 204)
        assert (await at.booking(visit["ref"]))["stage"] == "ANNULLED"


async def test_what_is_accepted_now_is_written_a_little_later(tmp_path):
    async with desk(tmp_path, "async", settle_s=0.1) as at:
        answer = await at.book("09:00", "09:30", mark="m-1")
        assert (answer.status_code, set(answer.json())) == (202, {"ticket"})
        assert await at.bookings(mark="m-1") == []
        await _until(at, "m-1")


async def test_what_can_be_refused_at_once_is(tmp_path):
    async with desk(tmp_path, "async") as at:
        assert (await at.book("09:10", "09:30")).json() == {"fault": "NOT_OFFERED"}
        assert await at.fault("PATCH", "/bookings/B1", memo="x") == (404, "UNKNOWN_REF")
        assert await at.fault("PATCH", "/bookings/B1001", memo="x", if_rev="9") == (412, "STALE")


async def test_two_that_were_accepted_for_one_time_become_one_without_a_word(tmp_path):
    async with desk(tmp_path, "async", settle_s=0.1) as at:
        for mark in ("m-1", "m-2"):
            assert (await at.book("09:00", "09:30", mark=mark)).status_code == 202
    async with desk(tmp_path, "async") as at:
        assert len(await at.bookings(mark="m-1")) == 1
        assert await at.bookings(mark="m-2") == []


async def test_an_emr_that_never_refuses_an_overlap(tmp_path):
    async with desk(tmp_path, "no-refusal") as at:
        await at.made("09:00", "10:00")
        await at.made("09:30", "10:00")
        assert (await at.book("09:40", "10:00")).json() == {"fault": "NOT_OFFERED"}


async def _until(at: Desk, mark: str) -> None:
    deadline = time.monotonic() + 10
    while not await at.bookings(mark=mark):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
