"""An account on a fake Cliniko, in a practice with two practitioners."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.plugin import Account, Door, Emr, Span
from gateway.vendor.in_process import InProcessTransport
from plugins.cliniko import Settings, emr_open
from tests.plugins.cliniko.fake import FakeCliniko

HALF_HOUR = timedelta(minutes=30)


class Practice:
    """In Melbourne, where the day begins while it is still yesterday in UTC."""

    def __init__(self, zone: str = "Australia/Melbourne", key: str = "invented-key-au1") -> None:
        self.fake = fake = FakeCliniko(zone, key=key)
        self.zone = fake.zone
        self.business = fake.put(
            "businesses", business_name="Test Street", time_zone_identifier=zone, display_name="Test Street"
        )
        self.anna, self.bo = (fake.put("practitioners", display_name=f"Test {n}", active=True) for n in ("Anna", "Bo"))
        self.service = fake.put("appointment_types", name="Test visit", duration_in_minutes=30)
        self.long = fake.put("appointment_types", name="Long test visit", duration_in_minutes=60)
        self.kim = fake.put("patients", first_name="Kim", last_name="Test")
        self.lo = fake.put("patients", first_name="Lo", last_name="Test")

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "subdomain": "test-street", "api_key": self.fake.key, "contact": "test@example.org",
            "zone": self.zone.key, "base_url": self.fake.url, "business_id": self.business, "late_write_s": 0.05,
        }  # fmt: skip

    def open(self, transport: httpx.AsyncBaseTransport | None = None, reason: str | None = None, **more: Any) -> Emr:
        door = Door(transport or InProcessTransport(self.fake.app))
        told = {name: value for name, value in {**self.settings, **more}.items() if value is not None}
        return emr_open(Account("clinic", Settings.model_validate(told), door, cancel_reason=reason))

    def day(self, *, beyond: bool = False) -> datetime:
        """Midnight of a day three weeks from now; or of the next one whose offset is another."""
        first = (datetime.now(self.zone) + timedelta(days=21)).replace(hour=0, minute=0, second=0, microsecond=0)
        days = (first + timedelta(days=n) for n in range(370))
        noon = timedelta(hours=12)
        return next(day for day in days if ((day + noon).utcoffset() != (first + noon).utcoffset()) is beyond)

    def half_hour(self, n: int = 0, *, beyond: bool = False) -> Span:
        start = self.day(beyond=beyond).replace(hour=10).astimezone(UTC) + n * HALF_HOUR
        return Span(start.astimezone(self.zone), (start + HALF_HOUR).astimezone(self.zone))

    def staff_books(self, span: Span, practitioner: str | None = None, **more: Any) -> str:
        told = {
            "starts_at": said(span.start), "ends_at": said(span.end), "practitioner_id": practitioner or self.anna,
            "patient_id": self.kim, "business_id": self.business, "appointment_type_id": self.service,
        }  # fmt: skip
        return self.fake.book(**{**told, **more})

    def staff_blocks(self, span: Span, **where: str) -> str:
        times = {"starts_at": said(span.start), "ends_at": said(span.end)}
        return self.fake.put("unavailable_blocks", deleted_at=None, **times, **where)


def said(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def practice() -> Practice:
    return Practice()


@pytest.fixture
def emr(practice: Practice) -> Emr:
    return practice.open()
