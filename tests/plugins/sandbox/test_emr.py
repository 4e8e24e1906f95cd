"""The sandbox EMR by itself: what a clinic has, what can be booked, and what is refused."""

from __future__ import annotations

import ast
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

import plugins.sandbox.emr
from plugins.sandbox.emr import build_app
from plugins.sandbox.emr.personality import PERSONALITIES
from tests.plugins.sandbox.clinics import Desk, desk, running, sandbox


def test_the_emr_knows_nothing_of_the_gateway():
    room = Path(plugins.sandbox.emr.__file__).parent
    for file in room.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "gateway" for name in named), file


# -- what there is --------------------------------------------------------------------------------------------------


async def test_a_clinic_has_two_sites_three_staff_two_kinds_and_a_register_of_people(tmp_path):
    async with desk(tmp_path) as at:
        assert len((await at.get("/register/sites"))["sites"]) == 2
        staff = (await at.get("/register/staff"))["staff"]
        assert [one["site"] for one in staff] == ["U1", "U1", "U1"]
        kinds = (await at.get("/register/kinds"))["kinds"]
        assert [kind["title"] for kind in kinds if kind["asks_code"]] == ["Video visit"]
        assert len((await at.get("/register/people"))["people"]) >= 4


async def test_a_register_tells_of_the_references_that_are_asked_for(tmp_path):
    async with desk(tmp_path) as at:
        assert [p["ref"] for p in (await at.get("/register/people", ref="P2"))["people"]] == ["P2"]
        assert (await at.get("/register/people", ref="p2"))["people"] == []


async def test_the_seed_offers_something_to_try_everything_with(tmp_path):
    async with desk(tmp_path) as at:
        all_ = await at.bookings()
        upcoming = [b for b in all_ if b["begins"] > "2026-11-24" and b["stage"] == "PLANNED"]
        assert len(all_) >= 8
        assert {"DONE", "ABSENT", "ANNULLED", "UNCONFIRMED", "ARRIVED"} <= {b["stage"] for b in all_}
        runs = Counter((b["who"], b["with"], b["kind"], b["begins"][:10]) for b in upcoming)
        assert len({who for (who, *_), count in runs.items() if count >= 3}) >= 2
        assert any(b["kind"] == "K2" for b in upcoming)
        assert sum(b["kind"] == "K1" for b in upcoming) > len(upcoming) / 2


@pytest.mark.parametrize("today", [datetime(2026, 11, 20 + n, 1) for n in range(7)])
async def test_seeded_bookings_lie_on_weekdays_apart_from_each_other_and_from_free_time(tmp_path, today):
    app = build_app(tmp_path, now=lambda: today)
    async with running(app), Desk(app).client as client:
        bookings = (await client.get("/bookings")).json()["bookings"]
        free = (await client.get("/free?from=2026-11-01T00:00&until=2026-12-31T00:00")).json()["slots"]
    standing = sorted((b["with"], b["begins"], b["ends"]) for b in bookings if b["stage"] != "ANNULLED")
    assert all(datetime.fromisoformat(begins).weekday() < 5 for _, begins, _ in standing)
    for one, next_ in pairwise(standing):
        assert one[0] != next_[0] or one[2] <= next_[1]
    for held in standing:
        assert not any(s["with"] == held[0] and s["begins"] < held[2] and held[1] < s["ends"] for s in free)


async def test_free_half_hours_are_offered_on_weekdays_for_sixty_days(tmp_path):
    async with desk(tmp_path) as at:
        slots = (await at.get("/free", **{"from": "2026-01-01T00:00", "until": "2027-12-31T00:00"}))["slots"]
        days = sorted({s["begins"][:10] for s in slots})
        assert (days[0], days[-1]) == ("2026-11-23", "2027-01-21")
        assert {datetime.fromisoformat(day).weekday() for day in days} == {0, 1, 2, 3, 4}
        plain = [s for s in slots if s["with"] == "D1" and s["begins"].startswith("2026-12-01")]
        assert [plain[0]["begins"][11:], plain[-1]["ends"][11:], len(plain)] == ["08:00", "16:00", 16]


async def test_free_time_can_be_asked_for_by_staff_site_and_kind(tmp_path):
    async with desk(tmp_path) as at:
        assert {s["with"] for s in (await at.free(**{"with": "D2"}))["slots"]} == {"D2"}
        assert (await at.free(site="U2"))["slots"] == []
        assert (await at.free(kind="K9"))["slots"] == []
        assert (await at.free(**{"with": "nobody"}))["slots"] == []
        assert len((await at.free(kind="K2"))["slots"]) == 3 * 16


async def test_ignored_bookings_leave_their_time_unless_somebody_elses_is_there(tmp_path):
    async with desk(tmp_path, "no-refusal") as at:
        first = await at.made("09:00", "10:00")
        second = await at.made("09:30", "10:00", who="P3")
        assert await _begins(at) == ["08:00", "08:30", "10:00", "10:30"]
        assert await _begins(at, first["ref"]) == ["08:00", "08:30", "09:00", "10:00"]
        assert await _begins(at, first["ref"], second["ref"]) == ["08:00", "08:30", "09:00", "09:30"]


async def test_clinics_and_personalities_know_nothing_of_each_other(tmp_path):
    async with running(sandbox(tmp_path)) as app:
        north, south, other = Desk(app), Desk(app, clinic="south"), Desk(app, "windows")
        await north.made("09:00", "09:30")
        for at in (south, other):
            assert len(await at.bookings()) == len(await north.bookings()) - 1


async def test_what_was_committed_survives_a_restart_and_is_not_seeded_again(tmp_path):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "09:30", memo="still here")
        before = await at.bookings()
    async with desk(tmp_path) as at:
        assert await at.bookings() == before
        assert (await at.booking(made["ref"]))["memo"] == "still here"
        assert (await at.made("10:00", "10:30"))["ref"] not in {b["ref"] for b in before}


@pytest.mark.parametrize("headers", [{}, {"x-clinic-key": "south-key"}, {"x-clinic-key": ""}])
async def test_only_the_clinics_own_key_opens_it(tmp_path, headers):
    async with running(sandbox(tmp_path)) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.invalid/in-place/north") as client:
            answer = await client.get("/bookings", headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"fault": "BAD_KEY"})


async def test_a_clinic_of_no_known_personality_is_not_there(tmp_path):
    async with desk(tmp_path, "moody") as at:
        assert (await at.client.get("/bookings")).json() == {"fault": "NO_SUCH_CLINIC"}


# -- booking --------------------------------------------------------------------------------------------------------


async def test_a_booking_holds_its_time(tmp_path):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "10:00", memo="hello", mark="m-1")
        assert (made["stage"], made["agreed"], made["rev"], made["place"]) == ("PLANNED", None, "1", "U1")
        assert await at.bookings(mark="m-1") == [made]
        assert await at.fault("POST", "/bookings", **_asked("09:30", "10:00")) == (409, "TIME_TAKEN")
        assert "09:00" not in {s["begins"][11:] for s in (await at.free(**{"with": "D1"}))["slots"]}


async def test_a_patient_may_have_two_bookings_at_one_time(tmp_path):
    async with desk(tmp_path) as at:
        await at.made("09:00", "09:30")
        assert (await at.book("09:00", "09:30", **{"with": "D2"})).status_code == 201


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("2026-11-30T09:10", "2026-11-30T09:40"),
        ("2026-11-30T09:00", "2026-11-30T09:45"),
        ("2026-11-30T07:30", "2026-11-30T08:00"),
        ("2026-11-30T15:30", "2026-11-30T16:30"),
        ("2026-11-28T09:00", "2026-11-28T09:30"),
        ("2026-11-20T09:00", "2026-11-20T09:30"),
        ("2027-01-22T09:00", "2027-01-22T09:30"),
        ("2026-11-26T15:30", "2026-11-30T08:30"),
    ],
)
async def test_only_whole_half_hours_on_open_days_can_be_booked(tmp_path, begins, ends):
    async with desk(tmp_path) as at:
        assert await at.fault("POST", "/bookings", **_asked(begins, ends)) == (409, "NOT_OFFERED")


@pytest.mark.parametrize(
    "wrong",
    [
        {"who": "P99"},
        {"with": "D99"},
        {"kind": "K99"},
        {"begins": "2026-11-30T09:00Z"},
        {"begins": "2026-11-30"},
        {"begins": "soon"},
        {"begins": "2026-11-30T10:00"},
        {"memo": "x" * 1001},
        {"memo": 7},
        {"colour": "blue"},
    ],
)
async def test_a_senseless_value_is_refused(tmp_path, wrong):
    async with desk(tmp_path) as at:
        asked = _asked("2026-11-30T09:00", "2026-11-30T10:00") | wrong
        assert await at.fault("POST", "/bookings", **asked) == (422, "BAD_VALUE")


async def test_a_body_that_is_no_json_is_refused(tmp_path):
    async with desk(tmp_path) as at:
        answer = await at.client.post("/bookings", content=b"{")
        assert (answer.status_code, answer.json()) == (422, {"fault": "BAD_VALUE"})
        answer = await at.client.patch("/bookings/B1001", content=b'{"memo": "\\ud800"}')
        assert (answer.status_code, answer.json()) == (422, {"fault": "BAD_VALUE"})


# -- changing -------------------------------------------------------------------------------------------------------


async def test_a_booking_moves_in_place_and_its_revision_grows(tmp_path):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "09:30", memo="as it was")
        path = f"/bookings/{made['ref']}"
        moved = (await at.send("PATCH", path, begins="2026-11-30T09:00", ends="2026-11-30T10:00")).json()
        assert (moved["ref"], moved["ends"], moved["rev"], moved["memo"]) == (
            made["ref"],
            "2026-11-30T10:00",
            "2",
            "as it was",
        )
        elsewhere = (await at.send("PATCH", path, **{"with": "D2", "memo": "x" * 1000, "if_rev": "2"})).json()
        assert (elsewhere["with"], elsewhere["begins"], len(elsewhere["memo"])) == ("D2", "2026-11-30T09:00", 1000)
        assert await at.fault("PATCH", path, memo="late", if_rev="2") == (412, "STALE")
        assert (await at.booking(made["ref"])) == elsewhere


async def test_a_move_onto_taken_time_is_refused_and_changes_nothing(tmp_path):
    async with desk(tmp_path) as at:
        first, second = await at.made("09:00", "09:30"), await at.made("09:30", "10:00")
        taken = {"begins": "2026-11-30T09:30", "ends": "2026-11-30T10:30", "memo": "no"}
        assert await at.fault("PATCH", f"/bookings/{first['ref']}", **taken) == (409, "TIME_TAKEN")
        assert await at.bookings(ref=[first["ref"], second["ref"]]) == [first, second]


@pytest.mark.parametrize("stage", ["DONE", "ABSENT", "ANNULLED", "UNCONFIRMED", "ARRIVED"])
async def test_only_a_planned_booking_moves(tmp_path, stage):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "09:30")
        await at.send("POST", "/_control", stages={made["ref"]: stage})
        move = {"begins": "2026-11-30T11:00", "ends": "2026-11-30T11:30"}
        assert await at.fault("PATCH", f"/bookings/{made['ref']}", **move) == (409, "WRONG_STAGE")
        memo = await at.send("PATCH", f"/bookings/{made['ref']}", memo="noted")
        assert memo.status_code == (409 if stage == "ANNULLED" else 200)


async def test_an_annulled_booking_leaves_its_time_and_stays_listed(tmp_path):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "09:30", memo="old")
        path = f"/bookings/{made['ref']}/annul"
        annulled = (await at.send("POST", path, if_rev="1")).json()
        assert (annulled["stage"], annulled["memo"]) == ("ANNULLED", "old")
        assert await at.fault("POST", path) == (409, "ALREADY")
        assert made["ref"] in {b["ref"] for b in await at.bookings()}
        assert (await at.book("09:00", "09:30")).status_code == 201


async def test_what_is_over_cannot_be_annulled(tmp_path):
    async with desk(tmp_path) as at:
        (done,) = [b for b in await at.bookings() if b["stage"] == "DONE"]
        assert await at.fault("POST", f"/bookings/{done['ref']}/annul") == (409, "WRONG_STAGE")


async def test_a_booking_can_be_withdrawn_without_trace_by_its_maker_only(tmp_path):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "09:30", mark="m-1")
        path = f"/bookings/{made['ref']}"
        assert (await at.client.delete(path, params={"mark": "m-2"})).json() == {"fault": "RULE_NOT_YOURS"}
        assert (await at.client.delete(path)).json() == {"fault": "RULE_NOT_YOURS"}
        assert (await at.client.delete(path, params={"mark": "m-1", "if_rev": "9"})).json() == {"fault": "STALE"}
        assert (await at.client.delete(path, params={"mark": "m-1", "if_rev": "1"})).status_code == 204
        assert await at.bookings(ref=made["ref"]) == []
        assert (await at.client.delete(path, params={"mark": "m-1"})).json() == {"fault": "UNKNOWN_REF"}


async def test_lists_show_what_overlaps_of_whom_and_where(tmp_path):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "10:00")
        at_nine = {"from": "2026-11-30T09:59", "until": "2026-11-30T10:00"}
        assert await at.bookings(**at_nine, who="P4", **{"with": "D1"}, site="U1") == [made]
        for other in (
            {"who": "P1"},
            {"with": "D2"},
            {"site": "U2"},
            {"from": "2026-11-30T10:00", "until": "2026-11-30T11:00"},
        ):
            assert made not in await at.bookings(**(at_nine | other))


@pytest.mark.parametrize("personality", PERSONALITIES)
async def test_every_personality_has_its_clinic(tmp_path, personality):
    async with desk(tmp_path, personality) as at:
        assert len(await at.bookings()) >= 8
        (offered,) = (await at.free()).values()
        assert offered


async def _begins(at: Desk, *ignoring: str) -> list[str]:
    """The first four half hours that are offered."""
    slots = (await at.free(ignoring=ignoring, **{"with": "D1"}))["slots"]
    return [slot["begins"][11:] for slot in slots][:4]


def _asked(begins: str, ends: str) -> dict[str, str]:
    day = "" if "-" in begins else "2026-11-30T"
    return {"who": "P4", "with": "D1", "kind": "K1", "begins": day + begins, "ends": day + ends}
