"""The sandbox EMR's journal: what was carried out, by whose hand, as it was and as it became; and nothing else."""

from __future__ import annotations

import asyncio

from tests.plugins.sandbox.clinics import TODAY, Desk, desk


async def written(at: Desk) -> list[tuple[str, str, str | None, str | None]]:
    """By whom, of what, and its stage (or a slot record's state) before and after."""
    rows = (await at.get("/journal"))["journal"]
    return [(row["hand"], row["ref"], _stage(row["was"]), _stage(row["now"])) for row in rows]


def _stage(view):
    return None if view is None else view.get("stage") or view["state"]


async def test_nothing_has_been_written_at_a_clinic_that_was_only_read(tmp_path):
    async with desk(tmp_path) as at:
        await at.bookings()
        assert await written(at) == []


async def test_every_write_is_told_in_order_with_what_was_before_and_after(tmp_path):
    async with desk(tmp_path) as at:
        at.client.headers["x-hand"] = "somebody"
        ref = (await at.made("09:00", "09:30", mark="m-1"))["ref"]
        noted = (await at.send("PATCH", f"/bookings/{ref}", memo="for the staff")).json()
        await at.send("DELETE", f"/bookings/{ref}?mark=m-1")
        assert await written(at) == [
            ("somebody", ref, None, "PLANNED"),
            ("somebody", ref, "PLANNED", "PLANNED"),
            ("somebody", ref, "PLANNED", None),
        ]
        rows = (await at.get("/journal"))["journal"]
        assert (rows[1]["was"]["memo"], rows[1]["now"]) == ("", noted)
        assert [row["at"] for row in rows] == [TODAY.isoformat()] * 3
        assert [row["number"] for row in rows] == sorted(row["number"] for row in rows)


async def test_a_move_under_a_new_id_is_two_entries_and_a_request_one_of_its_own(tmp_path):
    async with desk(tmp_path, "new-id") as at:
        old = (await at.made("09:00", "09:30"))["ref"]
        new = (await at.send("PATCH", f"/bookings/{old}", begins="2026-11-30T10:00", ends="2026-11-30T10:30")).json()
        video = (await at.made("11:00", "11:30", kind="K2"))["ref"]
        request = (await at.send("POST", f"/bookings/{video}/annul")).json()["ref"]
        assert (await written(at))[1:] == [
            ("", new["ref"], None, "PLANNED"),
            ("", old, "PLANNED", "MOVED"),
            ("", video, None, "UNCONFIRMED"),
            ("", request, None, "AWAITING_CODE"),
        ]


async def test_the_staff_and_slot_records_are_in_it_too(tmp_path):
    async with desk(tmp_path, "slot-records") as at:
        slot = "D1-2026-11-30T09:00"
        await at.send("PATCH", f"/slots/{slot}", state="busy")
        ref = (await at.made("09:00", "09:30", slots=[slot]))["ref"]
        await at.send("POST", "/_control", stages={ref: "ARRIVED"})
        assert await written(at) == [
            ("", slot, "free", "busy"),
            ("", ref, None, "PLANNED"),
            ("", ref, "PLANNED", "ARRIVED"),
        ]


async def test_what_was_not_carried_out_is_not_in_it(tmp_path):
    async with desk(tmp_path) as at:
        await at.made("09:00", "09:30")
        for memo in ("!refuse", "!error", "!busy"):
            assert (await at.book("10:00", "10:30", memo=memo)).status_code != 201
        assert (await at.book("09:00", "09:30")).status_code == 409
        assert len(await written(at)) == 1


async def test_what_is_written_later_is_in_it_later_by_the_same_hand(tmp_path):
    async with desk(tmp_path, "async") as at:
        at.client.headers["x-hand"] = "somebody"
        await at.book("09:00", "09:30")
        assert await written(at) == []
        await asyncio.sleep(0.2)
        assert [(hand, was, now) for hand, _, was, now in await written(at)] == [("somebody", None, "PLANNED")]
