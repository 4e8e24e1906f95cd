"""A clinic app, the whole gateway, and a fake athenahealth whose staff does things meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import World
from tests.plugins.athenahealth.conftest import STAYS_CLOSED, Practice
from tests.plugins.athenahealth.test_contract import world_of
from tests.plugins.over_http import App, PatchScenarios, stands


class TestAthenaOverHttp(PatchScenarios):
    @pytest.fixture
    def world(self, practice: Practice) -> World:
        return world_of(practice)

    @pytest.fixture
    def settings(self, practice: Practice) -> dict[str, Any]:
        return practice.settings

    async def test_an_id_from_before_a_move_and_a_move_back_goes_on_working(self, app: App, practice: Practice):
        made = await app.booked(0)
        moved = await app.patch(made["id"], **app.when(2))
        back = await app.patch(made["id"], **app.when(0))
        assert len({made["id"], moved["id"], back["id"]}) == 3
        assert back["previous_ids"] == [made["id"], moved["id"]]
        assert await app.read(made["id"]) == await app.read(back["id"]) == {**back}

    async def test_a_slot_that_the_staff_takes_first_is_taken(self, app: App, practice: Practice):
        made = await app.booked(0)
        practice.fake.before_write = lambda: practice.staff_books(practice.half_hour(2), patient=practice.lo)
        answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(2))
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (409, "NO_TIMESLOTS_AVAILABLE")
        assert [method for method, _ in practice.fake.written()] == ["PUT", "PUT"]
        assert await app.read(made["id"]) == made

    async def test_a_move_onto_another_slot_than_was_said_is_taken_back(self, app: App, practice: Practice):
        """As athenahealth's other door was seen to do: it takes the next one."""
        made = await app.booked(0)
        practice.fake.takes_instead = practice.slot_at(practice.half_hour(3))
        answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(2))
        assert (answer.status_code, answer.json()["code"]) == (502, "EMR_DEVIATION")
        now = await app.read(made["id"])
        assert stands(now, app.when(0))
        assert (now["comment"], now["status"]) == (made["comment"], "booked")

    async def test_a_failed_command_goes_back_to_its_own_time_even_where_that_stayed_closed(
        self, app: App, practice: Practice
    ):
        """The slot that it left does not open again: for the way back it is made anew, and is nobody else's."""
        practice.fake.default_reason = STAYS_CLOSED
        made = await app.booked(0)
        free = len(practice.fake.open_slots())
        practice.fake.refuses = ("POST", "/notes")
        answer = await app.send("PATCH", f"/appointments/{made['id']}", {**app.when(2), "comment": "too much"})
        assert answer.status_code in (400, 409), answer.text
        now = await app.read(made["id"])
        assert stands(now, app.when(0))
        assert now["status"] == "booked"
        assert ("POST", "/appointments/open") in practice.fake.calls
        # It has left the slot that it had taken meanwhile, which stays closed, too.
        assert len(practice.fake.open_slots()) == free - 1

    async def test_no_way_leads_back_onto_somebody_else(self, app: App, practice: Practice):
        practice.fake.default_reason = STAYS_CLOSED
        made = await app.booked(0)

        def staff_books_there() -> None:
            practice.open(practice.half_hour(0))
            practice.staff_books(practice.half_hour(0), patient=practice.lo)

        practice.fake.refuses = ("POST", "/notes")
        practice.fake.before_refusal = staff_books_there
        answer = await app.send("PATCH", f"/appointments/{made['id']}", {**app.when(2), "comment": "too much"})
        assert (answer.status_code, answer.json()["code"]) == (502, "PARTIALLY_APPLIED")
        assert ("POST", "/appointments/open") not in practice.fake.calls
        assert stands(await app.read(made["id"]), app.when(2))

    async def test_a_note_of_the_staff_below_the_comment_stays(self, app: App, practice: Practice):
        made = await app.booked(0)
        practice.fake.note(made["id"], "older, of the staff")
        practice.fake.note(made["id"], "newer")
        assert (await app.read(made["id"]))["comment"] == "newer"
        assert (await app.patch(made["id"], comment="newest"))["comment"] == "newest"
        texts = [note["notetext"] for note in practice.fake.notes[made["id"]]]
        assert texts == ["older, of the staff", "newest"]
        answer = await app.send("PATCH", f"/appointments/{made['id']}", {"comment": ""})
        assert (answer.status_code, answer.json()["code"]) == (409, "EMR_REFUSED")
        assert answer.json()["errors"][0]["emr_error"] == "OLDER_NOTES"
        assert [note["notetext"] for note in practice.fake.notes[made["id"]]] == texts

    async def test_a_comment_that_the_staff_deletes_meanwhile_is_written_anew(self, app: App, practice: Practice):
        made = await app.patch((await app.booked(0))["id"], comment="first")

        def staff_deletes() -> None:
            practice.fake.notes[made["id"]][0]["deleted"] = True

        practice.fake.before_write = staff_deletes
        assert (await app.patch(made["id"], comment="second"))["comment"] == "second"

    async def test_what_lies_in_another_zone_is_another_accounts(self, app: App, practice: Practice):
        there = practice.open(practice.half_hour(0), department=practice.elsewhere)
        practice.fake.book(there, practice.kim)
        answer = await app.send("GET", f"/appointments/{there}")
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (404, "INVALID_APPOINTMENT_ID")
        units = (await app.http.get("/api/emrs/clinic/care-units")).json()
        assert [unit["id"] for unit in units] == [practice.here]

    async def test_a_booking_with_a_comment_is_withdrawn_if_that_can_not_be_written(self, app: App, practice: Practice):
        practice.fake.refuses = ("POST", "/notes")
        body = {
            **app.when(0), "resource_id": practice.anna, "patient_id": practice.kim,
            "healthcare_service_id": practice.service, "comment": "a word",
        }  # fmt: skip
        answer = await app.send("POST", "/appointments", body)
        assert answer.status_code in (400, 409), answer.text
        assert not [row for row in practice.fake.rows.values() if row["appointmentstatus"] == "f"]
        practice.fake.refuses = None
        made = await app.ok("POST", "/appointments", body, 201)
        assert made["comment"] == "a word"
