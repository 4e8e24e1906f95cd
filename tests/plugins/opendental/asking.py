"""An account whose every request is looked at."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import respx

from gateway.plugin import Account, Appointment, Door, Span
from plugins.opendental import OpenDental, Settings, emr_open
from tests.plugins.opendental.samples import BOOKED, URL

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2027, 2, 20, 12, tzinfo=UTC)
ONE = f"{URL}/appointments/1001"


def opened(router: respx.MockRouter, reason: str | None = None, **more: Any) -> OpenDental:
    """Its pace is kept by the gateway around it, not by the door alone."""
    told = {"office": "test", "developer_key": "devkey", "customer_key": "custkey", "zone": "America/New_York",
            "confirmed": [21, 22], **more}  # fmt: skip
    door = Door(httpx.MockTransport(router.async_handler))
    emr = emr_open(Account("office", Settings.model_validate(told), door, cancel_reason=reason))
    assert isinstance(emr, OpenDental)
    return emr


def sent(router: respx.MockRouter, n: int = -1) -> httpx.Request:
    return router.calls[n].request


def body(router: respx.MockRouter, n: int = -1) -> Any:
    return json.loads(sent(router, n).content)


def booked(row: Any = BOOKED) -> Appointment:
    found = opened(respx.MockRouter()).read(row)
    assert found is not None
    return found


def at(hour: int, minute: int = 0) -> datetime:
    """On the second of March."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)


NINE = Span(at(9), at(9, 30))
