"""What the sandbox EMR tells a patient of a write, and that it says nothing where it is asked not to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.plugins.sandbox.clinics import Desk, desk


async def heard(at: Desk) -> list[tuple[str, str]]:
    return [(one["says"], one["about"]) for one in (await at.get("/messages"))["messages"]]


async def test_nobody_has_been_told_anything_of_what_the_clinic_begins_with(tmp_path):
    async with desk(tmp_path) as at:
        assert await heard(at) == []


async def test_a_message_says_what_became_of_which_booking_to_whom(tmp_path):
    async with desk(tmp_path) as at:
        ref = (await at.made("09:00", "09:30"))["ref"]
        told = {"to": "P4", "about": ref, "says": "BOOKED", "begins": "2026-11-30T09:00"}
        assert (await at.get("/messages"))["messages"] == [told]


@pytest.mark.parametrize("more", [{}, {"tell": True}, {"tell": False}])
@pytest.mark.parametrize("personality", ["in-place", "new-id"])
async def test_every_write_that_concerns_a_patient_is_told_unless_it_says_no(tmp_path, personality, more):
    async with desk(tmp_path, personality) as at:
        ref = (await at.made("09:00", "09:30", **more))["ref"]
        times = {"begins": "2026-11-30T10:00", "ends": "2026-11-30T10:30"}
        moved = (await at.send("PATCH", f"/bookings/{ref}", **times, **more)).json()["ref"]
        await at.send("PATCH", f"/bookings/{moved}", memo="for the staff", **more)
        await at.send("POST", f"/bookings/{moved}/annul", **more)
        told = [("BOOKED", ref), ("MOVED", moved), ("ANNULLED", moved)]
        assert await heard(at) == ([] if more.get("tell") is False else told)


@pytest.mark.parametrize(("tell", "told"), [("true", ["BOOKED", "WITHDRAWN"]), ("false", ["BOOKED"])])
async def test_a_withdrawal_has_its_switch_in_the_address(tmp_path, tell, told):
    async with desk(tmp_path) as at:
        ref = (await at.made("09:00", "09:30", mark="m-1"))["ref"]
        assert await at.fault("DELETE", f"/bookings/{ref}?mark=m-1&tell=maybe") == (422, "BAD_VALUE")
        assert (await at.send("DELETE", f"/bookings/{ref}?mark=m-1&tell={tell}")).status_code == 204
        assert [says for says, _ in await heard(at)] == told


@pytest.mark.parametrize("more", [{}, {"tell": False}])
async def test_what_waits_for_a_code_is_told_when_that_has_come(tmp_path, more):
    async with desk(tmp_path) as at:
        ref = (await at.made("09:00", "09:30", kind="K2", **more))["ref"]
        assert await heard(at) == []
        await at.send("POST", f"/bookings/{ref}/code", code="123456", **more)
        request = (await at.send("POST", f"/bookings/{ref}/annul", **more)).json()["ref"]
        assert await heard(at) == ([] if more else [("BOOKED", ref)])
        await at.send("POST", f"/bookings/{request}/code", code="123456", **more)
        assert await heard(at) == ([] if more else [("BOOKED", ref), ("ANNULLED", ref)])


async def test_what_was_refused_is_not_told(tmp_path):
    async with desk(tmp_path) as at:
        await at.made("09:00", "09:30")
        assert (await at.book("09:00", "09:30", who="P5")).status_code == 409
        assert (await at.book("10:00", "10:30", memo="!refuse")).status_code == 409
        assert len(await heard(at)) == 1


async def test_what_is_written_later_is_told_later_and_once(tmp_path):
    async with desk(tmp_path, "async") as at:
        assert (await at.book("09:00", "09:30")).status_code == 202
        assert await heard(at) == []
        await asyncio.sleep(0.2)
        assert [says for says, _ in await heard(at)] == ["BOOKED"]


async def test_a_clinics_messages_are_its_own(tmp_path):
    async with desk(tmp_path) as at:
        await at.made("09:00", "09:30")
        other: dict[str, Any] = {"x-clinic-key": "south-key"}
        answer = await at.client.get("http://sandbox.invalid/in-place/south/messages", headers=other)
        assert answer.json() == {"messages": []}
