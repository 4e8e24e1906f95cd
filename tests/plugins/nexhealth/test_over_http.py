"""A clinic app, the whole gateway, and a fake NexHealth with a practice behind it that may refuse what was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import World
from tests.plugins.nexhealth.conftest import Practice, said
from tests.plugins.nexhealth.test_contract import world_of
from tests.plugins.over_http import App, PatchScenarios, app_of


def booking(app: App, opening: int) -> dict[str, str]:
    of = app.world
    ids = {"patient_id": of.patient_id, "healthcare_service_id": of.healthcare_service_id}
    return {**app.when(opening), "resource_id": of.resource_ids[0], **ids}


async def settled(app: App, command: str, while_it_is: str) -> dict[str, Any]:
    """The command once it is something else, or after 10 seconds."""
    for _ in range(200):
        told: dict[str, Any] = (await app.http.get(command)).json()
        if told["state"] != while_it_is:
            break
        await asyncio.sleep(0.05)
    return told


class TestNexHealthOverHttp(PatchScenarios):
    @pytest.fixture
    def world(self, practice: Practice) -> World:
        return world_of(practice)

    @pytest.fixture
    def settings(self, practice: Practice) -> dict[str, Any]:
        return {**practice.settings, "settles_within_s": 0.5}

    async def test_a_move_that_the_practice_takes_back_is_no_success(self, app: App, practice: Practice):
        made = await app.booked(0)
        practice.fake.refuses = lambda _, values: values is not None and "start_time" in values
        answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(2))
        assert (answer.status_code, answer.json()["code"]) == (502, "EMR_ERROR")
        assert (await app.read(made["id"]))["start"] == made["start"]

    async def test_a_booking_that_never_reaches_the_practice_is_never_called_booked(self, app: App, practice: Practice):
        practice.fake.refuses = lambda _, values: values is None
        answer = await app.send("POST", "/appointments", booking(app, 0))
        assert (answer.status_code, answer.json()["code"]) == (502, "OUTCOME_UNKNOWN")
        (command,) = (await app.http.get("/api/commands", params={"state": "unsettled"})).json()
        assert (command["id"], command["state"]) == (answer.headers["x-command-id"], "repairing")
        assert not practice.fake.system

    async def test_what_was_unknown_is_found_out_once_the_practice_has_it(self, app: App, practice: Practice):
        practice.fake.settle_s = 1e9
        answer = await app.send("POST", "/appointments", booking(app, 0))
        assert (answer.status_code, answer.json()["code"]) == (502, "OUTCOME_UNKNOWN")
        practice.fake.queue[0].due = 0.0
        told = await settled(app, f"/api/commands/{answer.headers['x-command-id']}", "repairing")
        assert (told["state"], told["answer"]["status"]) == ("done", 201)
        (row,) = practice.fake.system.values()
        assert told["answer"]["body"]["id"] == str(row["id"])

    async def test_nothing_is_written_while_the_practice_is_asleep(self, app: App, practice: Practice):
        made = await app.booked(0)
        practice.fake.write_status, before = "red", len(practice.fake.written())
        answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(2))
        assert (answer.status_code, answer.json()["code"]) == (503, "EMR_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
        assert len(practice.fake.written()) == before

    async def test_it_is_told_once_the_practice_has_it_and_not_when_it_is_shown(self, app: App, practice: Practice):
        made = await app.booked(0)
        practice.fake.settle_s = 0.2
        await app.patch(made["id"], **app.when(1))
        assert practice.fake.system[int(made["id"])]["start_time"] == said(practice.half_hour(1).start)

    async def test_who_does_not_wait_is_told_later(self, app: App, practice: Practice):
        made = await app.booked(0)
        practice.fake.settle_s = 0.1
        url, prefer = f"/api/emrs/clinic/appointments/{made['id']}", {"Prefer": "respond-async"}
        answer = await app.http.patch(url, json=app.when(1), headers=prefer)
        assert answer.status_code == 202
        command = answer.headers["location"]
        told = await settled(app, command, "running")
        assert (told["state"], told["answer"]["status"]) == ("done", 200)
        assert practice.fake.system[int(made["id"])]["start_time"] == said(practice.half_hour(1).start)

    async def test_a_double_booking_that_comes_first_is_found_afterwards_and_undone(self, app: App, practice: Practice):
        made = await app.booked(0)
        practice.fake.before_write = lambda: practice.staff_books(practice.half_hour(2), patient_id=practice.lo)
        answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(2))
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (409, "NO_TIMESLOTS_AVAILABLE")
        row = practice.fake.system[int(made["id"])]
        assert row["start_time"] == said(practice.half_hour(0).start)

    async def test_an_undo_puts_it_back_into_its_operatory(self, app: App, practice: Practice):
        made = await app.booked(0)
        first, second = practice.rooms
        practice.staff_books(practice.half_hour(2), practice.bo, operatory_id=first)
        practice.fake.before_write = lambda: practice.staff_books(practice.half_hour(2), operatory_id=second)
        answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(2))
        assert answer.status_code == 409
        patched = [call for call in practice.fake.written() if call[0] == "PATCH"]
        assert len(patched) == 2
        assert practice.fake.system[int(made["id"])]["operatory_id"] == first

    async def test_a_move_stays_in_its_operatory_where_that_is_free(self, app: App, practice: Practice):
        first, second = practice.rooms
        practice.staff_books(practice.half_hour(0), practice.bo, operatory_id=first)
        made = await app.booked(0)
        assert practice.fake.system[int(made["id"])]["operatory_id"] == second
        await app.patch(made["id"], **app.when(2))
        assert practice.fake.system[int(made["id"])]["operatory_id"] == second

    async def test_two_in_one_operatory_are_a_conflict(self, app: App, practice: Practice):
        """Each of them with a provider of its own."""
        room = {"operatory_id": practice.rooms[0]}
        practice.fake.before_write = lambda: practice.staff_books(practice.half_hour(1), practice.bo, **room)
        answer = await app.send("POST", "/appointments", booking(app, 1))
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (409, "NO_TIMESLOTS_AVAILABLE")

    async def test_one_without_a_type_is_moved_too(self, app: App, practice: Practice):
        id = practice.staff_books(practice.half_hour(0), appointment_type_id=None)
        await app.patch(str(id), **app.when(2))
        assert practice.fake.system[id]["start_time"] == said(practice.half_hour(2).start)


class TestElsewhereOverHttp(PatchScenarios):
    @pytest.fixture
    def practice(self) -> Iterator[Practice]:
        practice = Practice(system="other", rooms=0)
        yield practice
        # Of anything else the practice would never hear.
        assert {name for said in practice.fake.patched for name in said} <= {"cancelled", "confirmed"}

    @pytest.fixture
    def world(self, practice: Practice) -> World:
        return world_of(practice)

    @pytest.fixture
    def settings(self, practice: Practice) -> dict[str, Any]:
        return practice.settings


class TestByTheCopy:
    """An account that believes NexHealth's copy, whatever becomes of it at the practice."""

    async def test_a_change_counts_once_the_copy_shows_it_and_a_booking_once_it_is_written(self, tmp_path: Path):
        practice = Practice()
        settings = {**practice.settings, "written": "copy"}
        async with app_of(tmp_path, "nexhealth", settings, world_of(practice)) as app:
            made = await app.booked(0)
            assert practice.fake.system[int(made["id"])]["foreign_id"]
            practice.fake.settle_s = 1e9
            told = await app.patch(made["id"], **app.when(1))
            assert told["start"] != made["start"]
            assert practice.fake.system[int(made["id"])]["start_time"] == said(practice.half_hour(0).start)
