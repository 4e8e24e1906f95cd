"""An account over a router that a test tells what DrChrono answers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import respx

from gateway.plugin import Account, Appointment, Consent, Door, Emr
from plugins.drchrono import DrChronoEmr, Settings, emr_open
from tests.plugins.drchrono.samples import BOOKED, URL

ZONE = ZoneInfo("America/Los_Angeles")
ONE, ALL = f"{URL}/appointments/7001", f"{URL}/appointments"
TOLD = {"client_id": "gateway", "client_secret": "what they know us by", "practice_group": "4711",
        "zone": ZONE.key, "office_id": "21", "exam_room": 3, "calls_per_second": 1e6}  # fmt: skip


class Let:
    """Somebody has let the gateway in, and an access token is always good."""

    def __init__(self, token: str = "an-access-token") -> None:
        self._token = token

    async def token(self, consent: Consent, send: Any, instead_of: str | None = None) -> str:
        return self._token


def opened(router: respx.MockRouter, **more: Any) -> Emr:
    door = Door(httpx.MockTransport(router.async_handler))
    return emr_open(Account("clinic", Settings.model_validate({**TOLD, **more}), door, grant=Let()))


def sent(router: respx.MockRouter, n: int = -1) -> httpx.Request:
    return router.calls[n].request


def body(router: respx.MockRouter, n: int = -1) -> Any:
    return json.loads(sent(router, n).content)


def booked(**changes: Any) -> Appointment:
    emr = opened(respx.MockRouter())
    assert isinstance(emr, DrChronoEmr)
    found = emr.read({**BOOKED, **changes})
    assert found is not None
    return found


def at(hour: int, minute: int = 0) -> datetime:
    """On the second of March, a Tuesday."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)
