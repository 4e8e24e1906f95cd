"""The sandbox EMR asks the patient for a code: on booking a video visit, and on annulling it."""

from __future__ import annotations

import pytest

from tests.plugins.sandbox.clinics import Desk, desk


async def video(at: Desk, **more: object) -> dict:
    return await at.made("09:00", "09:30", kind="K2", **more)


async def agreed(at: Desk, **more: object) -> dict:
    made = await video(at, **more)
    return (await at.send("POST", f"/bookings/{made['ref']}/code", code="123456")).json()


async def test_a_video_visit_is_unconfirmed_until_the_code_comes_and_holds_its_time(tmp_path):
    async with desk(tmp_path) as at:
        made = await video(at)
        assert (made["stage"], made["agreed"], made["annul_asks_code"]) == ("UNCONFIRMED", False, True)
        assert (await at.book("09:00", "09:30")).json() == {"fault": "TIME_TAKEN"}
        path = f"/bookings/{made['ref']}/code"
        assert await at.fault("POST", path, code="000000") == (422, "WRONG_CODE")
        assert await at.fault("POST", path, code="999999") == (410, "EXPIRED_CODE")
        assert await at.booking(made["ref"]) == made
        agreed = (await at.send("POST", path, code="123456")).json()
        assert (agreed["ref"], agreed["stage"], agreed["agreed"]) == (made["ref"], "PLANNED", True)
        assert await at.fault("POST", path, code="000000") == (409, "ALREADY")


async def test_another_visit_has_nothing_to_confirm(tmp_path):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "09:30")
        assert await at.fault("POST", f"/bookings/{made['ref']}/code", code="123456") == (409, "WRONG_STAGE")
        assert await at.fault("POST", "/bookings/B1/code", code="123456") == (404, "UNKNOWN_REF")


@pytest.mark.parametrize("before", [video, agreed])
async def test_annulling_a_video_visit_makes_a_request_that_waits_for_a_code(tmp_path, before):
    async with desk(tmp_path) as at:
        made = await before(at, memo="old")
        answer = await at.send("POST", f"/bookings/{made['ref']}/annul", memo="new")
        request = answer.json()
        assert answer.status_code == 202
        assert request["ref"] != made["ref"]
        own = {"ref": request["ref"], "about": made["ref"], "stage": "AWAITING_CODE", "annul_asks_code": False}
        assert request == made | own
        assert await at.booking(request["ref"]) == request
        assert await at.booking(made["ref"]) == made
        assert request["ref"] not in {b["ref"] for b in await at.bookings()}

        path = f"/bookings/{request['ref']}/code"
        assert await at.fault("POST", path, code="000000") == (422, "WRONG_CODE")
        assert await at.fault("POST", path, code="999999") == (410, "EXPIRED_CODE")
        assert (await at.booking(made["ref"])) == made
        done = (await at.send("POST", path, code="123456")).json()
        assert done == await at.booking(request["ref"])
        assert (done["ref"], done["about"], done["stage"]) == (request["ref"], made["ref"], "ANNULLED")
        annulled = await at.booking(made["ref"])
        assert (annulled["stage"], annulled["memo"]) == ("ANNULLED", "new")
        assert await at.fault("POST", path, code="123456") == (409, "ALREADY")


async def test_asked_twice_the_request_is_the_same_one(tmp_path):
    async with desk(tmp_path) as at:
        made = await agreed(at, memo="old")
        path = f"/bookings/{made['ref']}/annul"
        first = (await at.send("POST", path, memo="first")).json()
        assert (await at.send("POST", path)).json() == first
        await at.send("POST", f"/bookings/{first['ref']}/code", code="123456")
        assert (await at.booking(made["ref"]))["memo"] == "first"


async def test_a_request_without_a_memo_keeps_the_bookings(tmp_path):
    async with desk(tmp_path) as at:
        made = await agreed(at, memo="old")
        request = (await at.send("POST", f"/bookings/{made['ref']}/annul")).json()
        await at.send("POST", f"/bookings/{request['ref']}/code", code="123456")
        assert (await at.booking(made["ref"]))["memo"] == "old"


async def test_a_request_can_only_be_agreed_to(tmp_path):
    async with desk(tmp_path) as at:
        made = await agreed(at)
        request = (await at.send("POST", f"/bookings/{made['ref']}/annul")).json()
        path = f"/bookings/{request['ref']}"
        assert await at.fault("PATCH", path, memo="x") == (409, "WRONG_STAGE")
        assert await at.fault("POST", f"{path}/annul") == (409, "WRONG_STAGE")
        await at.send("POST", "/_control", stages={made["ref"]: "DONE"})
        assert await at.fault("POST", f"{path}/code", code="123456") == (409, "WRONG_STAGE")


async def test_a_request_follows_its_booking_to_a_new_reference_and_goes_with_it(tmp_path):
    async with desk(tmp_path, "new-id") as at:
        made = await agreed(at)
        request = (await at.send("POST", f"/bookings/{made['ref']}/annul")).json()
        move = {"begins": "2026-11-30T11:00", "ends": "2026-11-30T11:30"}
        moved = (await at.send("PATCH", f"/bookings/{made['ref']}", **move)).json()
        assert (await at.booking(request["ref"]))["about"] == moved["ref"]
        await at.send("POST", f"/bookings/{request['ref']}/code", code="123456")
        assert (await at.booking(moved["ref"]))["stage"] == "ANNULLED"
    async with desk(tmp_path) as at:
        made = await video(at, mark="m-1")
        request = (await at.send("POST", f"/bookings/{made['ref']}/annul")).json()
        await at.client.delete(f"/bookings/{made['ref']}", params={"mark": "m-1"})
        assert await at.bookings(ref=[made["ref"], request["ref"]]) == []
