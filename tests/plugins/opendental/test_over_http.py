"""A clinic app, the whole gateway, and a fake Open Dental whose staff does things meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import World
from tests.plugins.opendental.conftest import Office, said
from tests.plugins.opendental.test_contract import world_of
from tests.plugins.over_http import App, PatchScenarios


class TestOpenDentalOverHttp(PatchScenarios):
    @pytest.fixture
    def world(self, office: Office) -> World:
        return world_of(office)

    @pytest.fixture
    def settings(self, office: Office) -> dict[str, Any]:
        return office.settings

    async def test_a_double_booking_that_comes_first_is_found_afterwards_and_undone(self, app: App, office: Office):
        """By whomever in that chair; the pattern that the undo brings back is the very one."""
        id = office.staff_books(office.half_hour(0), Note="stays")
        before = dict(office.fake.row(id))
        office.fake.before_write = lambda: office.staff_books(office.half_hour(2), PatNum=office.lo, ProvNum=office.hy)
        answer = await app.send("PATCH", f"/appointments/{id}", app.when(2, 3))
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (409, "NO_TIMESLOTS_AVAILABLE")
        assert [method for method, _ in office.fake.written()] == ["PUT", "PUT"]
        assert {**office.fake.row(id), "DateTStamp": ""} == {**before, "DateTStamp": ""}

    async def test_local_wall_time_in_is_local_wall_time_out(self, app: App, office: Office):
        id, there = office.staff_books(office.half_hour(0)), office.half_hour(beyond=True)
        told = await app.patch(str(id), start=there.start.isoformat(), end=there.end.isoformat())
        assert (told["start"], told["end"]) == (there.start.isoformat(), there.end.isoformat())
        assert office.fake.row(id)["AptDateTime"] == said(there)
