"""A clinic app, the whole gateway, and a fake Cliniko whose staff does things meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.testing import World
from tests.plugins import spec
from tests.plugins.cliniko.conftest import Practice, said
from tests.plugins.cliniko.test_by_document import NAME
from tests.plugins.cliniko.test_contract import world_of
from tests.plugins.over_http import App, PatchScenarios


class TestClinikoOverHttp(PatchScenarios):
    @pytest.fixture
    def world(self, practice: Practice) -> Iterator[World]:
        with spec.judging(world_of(practice), NAME) as world:
            yield world

    @pytest.fixture
    def settings(self, practice: Practice) -> dict[str, Any]:
        return practice.settings

    async def test_a_double_booking_that_comes_first_is_found_afterwards_and_undone(self, app: App, practice: Practice):
        """Cliniko takes both: only its `conflicts` tells."""
        made = await app.booked(0)
        before = practice.fake.shown(made["id"])
        practice.fake.before_write = lambda: practice.staff_books(practice.half_hour(2), patient_id=practice.lo)
        answer = await app.send("PATCH", f"/appointments/{made['id']}", app.when(2))
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (409, "NO_TIMESLOTS_AVAILABLE")
        assert [method for method, _ in practice.fake.written()] == ["POST", "PATCH", "PATCH"]
        now = practice.fake.shown(made["id"])
        assert {**now, "updated_at": ""} == {**before, "updated_at": ""}

    async def test_blocked_time_is_a_conflict_too(self, app: App, practice: Practice):
        block = {"business_id": practice.business, "practitioner_id": practice.anna}
        body = {"resource_id": practice.anna, "patient_id": practice.kim, "healthcare_service_id": practice.service}
        practice.fake.before_write = lambda: practice.staff_blocks(practice.half_hour(1), **block)
        answer = await app.send("POST", "/appointments", {**app.when(1), **body})
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (409, "NO_TIMESLOTS_AVAILABLE")
        (row,) = practice.fake.rows["individual_appointments"].values()
        assert row["archived_at"]

    async def test_one_more_than_its_type_is_long_takes_two_starts(self, app: App, practice: Practice):
        made = await app.booked(0)
        told = await app.patch(made["id"], **app.when(2, 3))
        row = practice.fake.rows["individual_appointments"][told["id"]]
        assert (row["starts_at"], row["ends_at"]) == (
            said(practice.half_hour(2).start),
            said(practice.half_hour(3).end),
        )
