"""API6:2023 Unrestricted Access to Sensitive Business Flows: booking again and again gains nothing that is not free."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.conftest import at, span

pytestmark = pytest.mark.security
SLOT = {**span(at(10, 9), at(10, 9, 30)), "patient_id": "P4", "healthcare_service_id": "K1", "resource_id": "D1"}


async def test_a_slot_is_booked_once_however_many_ask_for_it(api):
    answers = await asyncio.gather(*(api.call("POST", "appointments", SLOT) for _ in range(20)))
    assert [a.status_code for a in answers].count(201) == 1
    assert {a.status_code for a in answers} <= {201, 400, 409, 503}


async def test_a_key_is_carried_out_once_however_often_it_is_sent(api):
    key = {"idempotency-key": "once"}
    answers = await asyncio.gather(*(api.call("POST", "appointments", SLOT, key) for _ in range(20)))
    assert {a.status_code for a in answers} <= {201, 409}
    assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1


async def test_a_code_is_not_found_by_trying_without_being_seen_to_try(api):
    booked = await api.book({**SLOT}, healthcare_service_id="K2")
    for code in range(20):
        answer = await api.call("PATCH", f"appointments/{booked['id']}", {"confirmation": {"code": f"{code:06}"}})
        assert answer.status_code in (400, 409)
    assert (await api.read(booked["id"]))["status"] == "awaiting_confirmation"
