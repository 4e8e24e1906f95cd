"""Asking a sandbox account for things as the gateway does, and what the tests ask it for."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from gateway.plugin import Create, FindFreeTime, Receipt, Refused, Span
from plugins.sandbox import SandboxEmr
from plugins.sandbox.declared import Personality

STOCKHOLM = ZoneInfo("Europe/Stockholm")
ALL = get_args(Personality)


def at(hour: int, minute: int = 0, *, minutes: int = 30) -> Span:
    start = datetime(2026, 11, 30, hour, minute, tzinfo=STOCKHOLM)
    return Span(start, start + timedelta(minutes=minutes))


DAY = Span(datetime(2026, 11, 30, tzinfo=STOCKHOLM), datetime(2026, 12, 1, tzinfo=STOCKHOLM))


async def book(emr: SandboxEmr, span: Span, *, service: str = "K1", resource: str = "D1", **more):
    """Book as the gateway does: slot records named, the outcome found if the answer holds none."""
    slots = ()
    if emr.capabilities.slot_records:
        slots = (await emr.free_time(FindFreeTime(span, resource))).slots
    step = Create(
        **{"chain": "new/0", "span": span, "patient_id": "P4", "resource_id": resource, "marker": "m-1", "slots": slots}
        | {"healthcare_service_id": service}
        | more
    )
    return await settled(emr, step, await emr.create(step))


async def settled(emr: SandboxEmr, step, receipt: Receipt):
    """What a write came to: from its answer, or read as the gateway would."""
    if receipt.appointment is not None:
        return receipt.appointment
    deadline = time.monotonic() + 10
    while True:
        found = await emr.find_own(step) if isinstance(step, Create) else await emr.appointment(step.before.id)
        if found is not None and (isinstance(step, Create) or found.version != step.before.version):
            return found
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def refusal(awaitable) -> str:
    with pytest.raises(Refused) as refused:
        await awaitable
    return refused.value.reason


async def control(emr: SandboxEmr, **orders) -> None:
    """Order the clinic's next answers."""
    await emr._http.write("POST", "/_control", lambda answer: None, json=orders)
