"""Trouble on demand: what each name does, and at which write."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from plugins.sandbox.emr.faults import OTHER_TEXT, named
from tests.plugins.sandbox.clinics import Desk, desk, sandbox


@pytest.mark.parametrize(
    ("memo", "nth", "name"),
    [
        ("please !refuse this", 1, "refuse"),
        ("please !refuse this", 7, "refuse"),
        ("!drop@2", 1, None),
        ("!drop@2", 2, "drop"),
        ("!drop@2", 3, None),
        ("!busy", 1, "busy"),
        ("!busy", 2, None),
        ("!busy@2", 2, "busy"),
        ("!error@1 !lost@2", 1, "error"),
        ("!error@1 !lost@2", 2, "lost"),
        ("(!late)", 1, "late"),
        ("!other, please", 1, "other"),
        ("!lostandfound", 1, None),
        ("lost", 1, None),
        ("!nothing", 1, None),
        ("!lost@", 1, None),
        ("!lost@2nd", 2, None),
    ],
)
def test_a_memo_names_its_trouble(memo, nth, name):
    assert named(memo, nth) == name


async def _one(at: Desk, **more: object) -> dict:
    return await at.made("09:00", "09:30", memo="old", **more)


@pytest.mark.parametrize(
    ("memo", "answer"), [("!refuse", (409, "RULE_REFUSED")), ("!error", (500, "BROKEN")), ("!busy", (429, "BUSY"))]
)
async def test_refused_broken_and_busy_leave_it_as_it_was(tmp_path, memo, answer):
    async with desk(tmp_path) as at:
        made = await _one(at)
        for method, path in (("PATCH", ""), ("POST", "/annul")):
            text = f"{memo} {method}"
            assert await at.fault(method, f"/bookings/{made['ref']}{path}", memo=text) == answer
        assert await at.fault("POST", "/bookings", **_asked(memo)) == answer
        assert await at.booking(made["ref"]) == made


async def test_busy_is_over_at_the_second_try(tmp_path):
    async with desk(tmp_path) as at:
        made = await _one(at)
        first = await at.send("PATCH", f"/bookings/{made['ref']}", memo="!busy")
        assert (first.status_code, first.headers["retry-after"]) == (429, "1")
        assert (await at.send("PATCH", f"/bookings/{made['ref']}", memo="!busy")).json()["memo"] == "!busy"


@pytest.mark.parametrize(("memo", "stands"), [("!drop", False), ("!lost", True)])
async def test_a_dropped_connection_tells_nothing(tmp_path, memo, stands):
    async with desk(tmp_path) as at:
        made = await _one(at)
        with pytest.raises(ConnectionResetError):
            await at.send("PATCH", f"/bookings/{made['ref']}", memo=memo)
        assert (await at.booking(made["ref"]))["memo"] == (memo if stands else "old")
        with pytest.raises(ConnectionResetError):
            await at.send("POST", "/bookings", **_asked(memo))
        assert len(await at.bookings(mark="m-1")) == stands


async def test_a_lost_write_that_is_refused_says_so(tmp_path):
    async with desk(tmp_path) as at:
        await at.made("11:00", "11:30")
        assert await at.fault("POST", "/bookings", **_asked("!lost")) == (409, "TIME_TAKEN")


async def test_a_late_write_comes_after_its_failure(tmp_path):
    async with desk(tmp_path, late_s=0.05) as at:
        made = await _one(at)
        assert await at.fault("PATCH", f"/bookings/{made['ref']}", memo="!late") == (504, "TOO_SLOW")
        assert (await at.booking(made["ref"]))["memo"] == "old"
        await _until(at, made["ref"], "!late")


async def test_a_late_write_is_refused_in_silence_if_it_is_stale_by_then(tmp_path):
    async with desk(tmp_path, late_s=0.05) as at:
        made = await _one(at)
        await at.send("PATCH", f"/bookings/{made['ref']}", memo="!late", if_rev="1")
        await at.send("PATCH", f"/bookings/{made['ref']}", memo="sooner", if_rev="1")
    async with desk(tmp_path) as at:  # the first EMR has ended, and with it all that it had accepted
        assert (await at.booking(made["ref"]))["memo"] == "sooner"


async def test_a_shutdown_ends_what_was_accepted(tmp_path):
    async with desk(tmp_path, late_s=0.05) as at:
        made = await _one(at)
        await at.send("PATCH", f"/bookings/{made['ref']}", memo="!late")
    async with desk(tmp_path) as at:
        assert (await at.booking(made["ref"]))["memo"] == "!late"


async def test_another_text_is_stored(tmp_path):
    async with desk(tmp_path) as at:
        made = await _one(at)
        assert (await at.send("PATCH", f"/bookings/{made['ref']}", memo="!other")).json()["memo"] == OTHER_TEXT
        assert (await at.send("POST", "/bookings", **_asked("!other"))).json()["memo"] == OTHER_TEXT


async def test_the_nth_write_is_counted_for_this_very_memo_in_this_clinic_beyond_a_restart(tmp_path):
    async with desk(tmp_path) as at:
        made = await _one(at)
        path = f"/bookings/{made['ref']}"
        assert (await at.send("PATCH", path, memo="!refuse@3")).status_code == 200
        assert (await at.send("PATCH", path, memo="another !refuse@3")).status_code == 200
        assert (await at.send("PATCH", path, memo="!refuse@3")).status_code == 200
    async with desk(tmp_path, clinic="south") as at:
        assert (await at.send("PATCH", "/bookings/B1001", memo="!refuse@3")).status_code == 200
    async with desk(tmp_path) as at:
        assert await at.fault("PATCH", path, memo="!refuse@3") == (409, "RULE_REFUSED")
        assert (await at.send("PATCH", path, memo="!refuse@3")).status_code == 200


async def test_a_write_without_a_memo_is_in_no_trouble_whatever_the_booking_bears(tmp_path):
    async with desk(tmp_path) as at:
        made = await at.made("09:00", "09:30", memo="!refuse@2")
        assert (await at.send("PATCH", f"/bookings/{made['ref']}", **{"with": "D2"})).status_code == 200


# -- ordered --------------------------------------------------------------------------------------------------------


async def test_the_next_writes_fail_as_ordered(tmp_path):
    async with desk(tmp_path) as at:
        made = await _one(at)
        assert (await at.send("POST", "/_control", fail_writes="error", writes=2)).status_code == 204
        for method, path in (("PATCH", ""), ("DELETE", "?mark=m-1")):
            assert await at.fault(method, f"/bookings/{made['ref']}{path}") == (500, "BROKEN")
        assert (await at.send("PATCH", f"/bookings/{made['ref']}")).status_code == 200


async def test_the_next_reads_fail_as_ordered(tmp_path):
    async with desk(tmp_path) as at:
        await at.send("POST", "/_control", fail_reads=2)
        answers = [(await at.client.get("/bookings")).status_code for _ in range(3)]
        assert answers == [500, 500, 200]


async def test_answers_take_as_long_as_ordered(tmp_path):
    async with desk(tmp_path) as at:
        await at.send("POST", "/_control", latency_ms=60_000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await at.bookings()


async def test_an_unknown_order_is_refused(tmp_path):
    async with desk(tmp_path) as at:
        assert await at.fault("POST", "/_control", fail_writes="explode") == (422, "BAD_VALUE")


# -- on a port of its own -------------------------------------------------------------------------------------------


def test_on_a_port_of_its_own_a_dropped_connection_is_one(tmp_path):
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(sandbox(tmp_path), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        base = f"http://127.0.0.1:{listening.getsockname()[1]}/in-place/north"
        with httpx.Client(base_url=base, headers={"x-clinic-key": "north-key"}, timeout=10) as client:
            for memo in ("!lost", "!drop"):
                with pytest.raises(httpx.RemoteProtocolError):
                    client.patch("/bookings/B1001", json={"memo": memo})
                assert client.get("/bookings?ref=B1001").json()["bookings"][0]["memo"] == "!lost"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
    assert not thread.is_alive()


def _asked(memo: str) -> dict[str, str]:
    at = {"begins": "2026-11-30T11:00", "ends": "2026-11-30T11:30"}
    return {"who": "P4", "with": "D1", "kind": "K1", "mark": "m-1", "memo": memo} | at


async def _until(at: Desk, ref: str, memo: str) -> None:
    deadline = time.monotonic() + 10
    while (await at.booking(ref))["memo"] != memo:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
