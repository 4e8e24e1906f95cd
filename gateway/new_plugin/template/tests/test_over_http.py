"""A clinic app, the whole gateway with the plugin installed, and the fake Acme."""

from __future__ import annotations

from typing import Any

import pytest
from practice import Practice

from gateway.testing.over_http import App, PatchScenarios


class TestAcmeOverHttp(PatchScenarios):
    @pytest.fixture
    def settings(self, practice: Practice) -> dict[str, Any]:
        return practice.settings

    async def test_what_the_staff_closed_is_not_moved(self, app: App, practice: Practice) -> None:
        made = await app.booked()
        practice.fake.touch(practice.fake.rows["visits"][made["id"]], state="done")
        await app.refused(409, "INVALID_APPOINTMENT_STATUS", made["id"], **app.when(1))
