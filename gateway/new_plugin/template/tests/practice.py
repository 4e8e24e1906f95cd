"""A practice with two clinicians, and how an account of it is opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from fake import FakeAcme

from emr_acme import Settings, emr_open, emr_vendor
from gateway.plugin import Account, Door, Emr, Span
from gateway.testing import InProcessTransport, World

HALF_HOUR = timedelta(minutes=30)
ZONE = ZoneInfo("Europe/Stockholm")


class Practice:
    def __init__(self, host: str = "acme.test") -> None:
        self.fake = fake = FakeAcme(key=f"invented-key-of-{host}")
        self.url = f"http://{host}"
        self.site = fake.put("sites", "Test Street")
        self.anna, self.bo = (fake.put("clinicians", f"Test {name}") for name in ("Anna", "Bo"))
        self.visit_type = fake.put("visit-types", "Test visit")
        self.kim = fake.put("patients", "Kim Test")

    @property
    def settings(self) -> dict[str, Any]:
        """What a clients file says of its account."""
        return {"base_url": self.url, "api_key": self.fake.key, "zone": ZONE.key, "late_write_s": 0.05}

    def transport(self) -> httpx.AsyncBaseTransport:
        return InProcessTransport(self.fake.app)

    def open(self, transport: httpx.AsyncBaseTransport | None = None) -> Emr:
        settings = Settings.model_validate(self.settings)
        return emr_open(Account("clinic", settings, Door(transport or self.transport())))

    def half_hour(self, n: int = 0, *, beyond: bool = False) -> Span:
        """The n-th one from ten o'clock on, three weeks from now; or on the next day whose offset is another."""
        first = (datetime.now(ZONE) + timedelta(days=21)).replace(hour=10, minute=0, second=0, microsecond=0)
        days = (first + timedelta(days=n) for n in range(370))
        day = next(day for day in days if (day.utcoffset() != first.utcoffset()) is beyond)
        start = day.astimezone(UTC) + n * HALF_HOUR
        return Span(start.astimezone(ZONE), (start + HALF_HOUR).astimezone(ZONE))

    def world(self) -> World:
        transport = self.transport()
        return World(
            vendor=emr_vendor(),
            emr=self.open(transport),
            other=Practice("elsewhere.test").open(),
            patient_id=self.kim,
            resource_ids=(self.anna, self.bo),
            healthcare_service_id=self.visit_type,
            care_unit_id=self.site,
            openings=tuple(self.half_hour(n) for n in range(4)),
            unknown_id="v-999999",
            transport=transport,
            open_over=self.open,
            beyond_clock_change=self.half_hour(beyond=True),
        )
