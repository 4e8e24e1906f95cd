"""An account on a fake athenahealth: a practice in New York with two providers, and a department in another zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from gateway.plugin import Account, Door, Emr, Span
from gateway.vendor.in_process import InProcessTransport
from plugins.athenahealth import Settings, emr_open
from tests.plugins.athenahealth.fake import FakeAthena

ZONE = ZoneInfo("America/New_York")
HALF_HOUR = timedelta(minutes=30)
BASE = "http://athena.test"
CONFIRMED, WAITING = "1", "2"
STAYS_CLOSED, NO_SHOW = "7", "8"


class Practice:
    """Anna and Bo have four half hours on a day in three weeks, and Anna one beyond the next clock change."""

    def __init__(self, practice: str = "195900", *, first_id: int = 1_000_000) -> None:
        self.fake = fake = FakeAthena(practice, first_id=first_id)
        self.here = fake.put("departments", name="Test Street", timezonename=ZONE.key)
        self.elsewhere = fake.put("departments", name="Far Street", timezonename="America/Chicago")
        self.anna, self.bo = (fake.put("providers", displayname=f"Test {name}") for name in ("Anna", "Bo"))
        self.service = fake.put("appointmenttypes", name="Test visit", duration=30)
        self.long = fake.put("appointmenttypes", name="Long test visit", duration=60)
        self.any = fake.put("appointmenttypes", name="Any 30", duration=30, generic=True)
        self.kim, self.lo = "7895", "7968"
        fake.patients |= {self.kim, self.lo}
        for id in ("1", "2"):
            fake.reason(id)
        fake.reason(STAYS_CLOSED, slot=False)
        fake.reason(NO_SHOW, slot=False, noshow=True)
        for n in range(4):
            self.open(self.half_hour(n), self.anna)
            self.open(self.half_hour(n), self.bo)
        self.open(self.half_hour(beyond=True), self.anna)

    def open(self, span: Span, provider: str | None = None, **more: Any) -> str:
        """The staff opens a slot."""
        start = span.start.astimezone(ZONE)
        place = {"department": self.here, "provider": provider or self.anna, "kind": self.service, **more}
        return self.fake.slot(f"{start:%m/%d/%Y}", f"{start:%H:%M}", **place)

    def staff_books(self, span: Span, provider: str | None = None, patient: str | None = None) -> str:
        """Into the open slot of that time."""
        return self.fake.book(self.slot_at(span, provider), patient or self.kim)

    def slot_at(self, span: Span, provider: str | None = None) -> str:
        start = span.start.astimezone(ZONE)
        wanted = (f"{start:%m/%d/%Y}", f"{start:%H:%M}", provider or self.anna)
        rows = self.fake.open_slots()
        found = [row for row in rows if (row["date"], row["starttime"], row["providerid"]) == wanted]
        return str(found[0]["appointmentid"])

    @property
    def settings(self) -> dict[str, Any]:
        fake = self.fake
        return {
            "practice_id": fake.practice, "client_id": fake.client, "client_secret": fake.secret, "base_url": BASE,
            "zone": ZONE.key, "confirmed_id": CONFIRMED, "late_write_s": 0.05, "page_size": 3,
        }  # fmt: skip

    def opened(
        self, transport: httpx.AsyncBaseTransport | None = None, *, reason: str | None = None, **more: Any
    ) -> Emr:
        door = Door(transport or InProcessTransport(self.fake.app))
        told = {name: value for name, value in {**self.settings, **more}.items() if value is not None}
        return emr_open(Account("clinic", Settings.model_validate(told), door, cancel_reason=reason))

    @staticmethod
    def day(*, beyond: bool = False) -> datetime:
        """Midnight of a day three weeks from now; or of the next one whose offset is another."""
        first = (datetime.now(ZONE) + timedelta(days=21)).replace(hour=0, minute=0, second=0, microsecond=0)
        days = (first + timedelta(days=n) for n in range(370))
        noon = timedelta(hours=12)
        return next(day for day in days if ((day + noon).utcoffset() != (first + noon).utcoffset()) is beyond)

    def half_hour(self, n: int = 0, *, beyond: bool = False) -> Span:
        start = self.day(beyond=beyond).replace(hour=10) + n * HALF_HOUR
        return Span(start, start + HALF_HOUR)


@pytest.fixture
def practice() -> Practice:
    return Practice()


@pytest.fixture
def emr(practice: Practice) -> Emr:
    return practice.opened()
