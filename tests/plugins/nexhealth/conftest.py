"""An account on a fake NexHealth, in a practice with two providers and two operatories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.plugin import Account, Door, Emr, Span
from gateway.vendor.in_process import InProcessTransport
from plugins.nexhealth import Settings, emr_open
from tests.plugins.nexhealth.fake import FakeNexHealth

HALF_HOUR = timedelta(minutes=30)


class Practice:
    def __init__(self, zone: str = "America/Chicago", *, system: str = "open-dental", rooms: int = 2) -> None:
        self.fake = fake = FakeNexHealth(zone)
        fake.takes_all = system != "other"
        self.system, self.zone = system, fake.zone
        self.location = fake.put(
            "locations", name="Test Street", tz=zone, insert_appt_client=True, map_by_operatory=rooms > 0
        )
        self.anna, self.bo = (fake.put("providers", name=f"Test {n}") for n in ("Anna", "Bo"))
        self.rooms = [fake.put("operatories", name=f"Test {n}", location_id=self.location) for n in range(rooms)]
        self.service = fake.put("appointment_types", name="Test visit", minutes=30)
        self.kim, self.lo = (fake.put("patients", name=f"{n} Test") for n in ("Kim", "Lo"))

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "subdomain": "test-street", "location_id": str(self.location), "api_key": self.fake.key,
            "zone": self.zone.key, "system": self.system, "base_url": self.fake.url,
            "settles_within_s": 2.0, "late_write_s": 0.05, "min_interval_s": 0.0,
        }  # fmt: skip

    def open(self, transport: httpx.AsyncBaseTransport | None = None, **more: Any) -> Emr:
        door = Door(transport or InProcessTransport(self.fake.app))
        return emr_open(Account("clinic", Settings.model_validate({**self.settings, **more}), door))

    def day(self, *, beyond: bool = False) -> datetime:
        """Midnight of a day three weeks from now; or of the next one whose offset is another."""
        first = (datetime.now(self.zone) + timedelta(days=21)).replace(hour=0, minute=0, second=0, microsecond=0)
        days = (first + timedelta(days=n) for n in range(370))
        noon = timedelta(hours=12)
        return next(day for day in days if ((day + noon).utcoffset() != (first + noon).utcoffset()) is beyond)

    def half_hour(self, n: int = 0, *, beyond: bool = False) -> Span:
        start = self.day(beyond=beyond).replace(hour=10).astimezone(UTC) + n * HALF_HOUR
        return Span(start.astimezone(self.zone), (start + HALF_HOUR).astimezone(self.zone))

    def staff_books(self, span: Span, provider: int | None = None, **more: Any) -> int:
        room = {"operatory_id": self.rooms[0]} if self.rooms else {}
        told = {
            "start_time": said(span.start), "end_time": said(span.end), "provider_id": provider or self.anna,
            "patient_id": self.kim, "location_id": self.location, "appointment_type_id": self.service, **room,
        }  # fmt: skip
        return self.fake.staff(**{**told, **more})


def said(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def practice() -> Practice:
    return Practice()


@pytest.fixture
def emr(practice: Practice) -> Emr:
    return practice.open()
