"""API3:2023 Broken Object Property Level Authorization: only what is offered is set, only what is described shown."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import at, span
from tests.security.matrix import API

pytestmark = pytest.mark.security
SHOWN = set(API["components"]["schemas"]["Appointment"]["properties"])
NOT_OURS = sorted(SHOWN - {"start", "end", "resource_id", "comment", "status"})


@pytest.mark.parametrize("name", [*NOT_OURS, "rev", "memo", "stage", "tenant", "client", "__proto__", "is_admin", "x"])
@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_what_is_not_offered_is_not_set(api, name, dry_run):
    before = await api.read("B1004")
    for value in ("x", True, {}, ["x"], 7):
        for body in ({name: value}, {name: value, "comment": "along with it"}):
            answer = await api.call("PATCH", "appointments/B1004", body, dry_run=dry_run)
            assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert await api.read("B1004") == before


@pytest.mark.parametrize(
    "status", ["booked", "completed", "no_show", "awaiting_confirmation", "other", "CANCELLED", 1, True]
)
async def test_no_status_but_cancelled_can_be_asked_for(api, status):
    assert (await api.call("PATCH", "appointments/B1004", {"status": status})).status_code == 400


async def test_nothing_is_shown_but_what_is_described(api):
    booked = await api.book(span(at(10, 9), at(10, 9, 30), "D1"))
    listed = await api.everything()
    assert {name for one in [*listed, booked, await api.read(booked["id"])] for name in one} <= SHOWN
    for path in ("resources", "patients", "care-units", "healthcare-services"):
        shown = {name for one in await api.get(path) for name in one}
        assert shown <= set(API["components"]["schemas"]["Entry"]["properties"])
