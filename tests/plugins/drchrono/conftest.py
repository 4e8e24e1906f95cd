"""An account on a fake DrChrono, in a practice with two doctors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from gateway.plugin import Account, Door, Emr, Span
from gateway.vendor.in_process import InProcessTransport
from plugins.drchrono import Settings, emr_open
from tests.plugins.drchrono.fake import FakeDrChrono
from tests.plugins.drchrono.wire import Let, opened

HALF_HOUR = timedelta(minutes=30)


class Practice:
    """In Los Angeles, open from 8 to 17."""

    def __init__(self, zone: str = "America/Los_Angeles", *, group: str = "4711", first_id: int = 1000) -> None:
        self.fake = fake = FakeDrChrono(zone, group=group, first_id=first_id)
        self.zone = fake.zone
        self.office = fake.put("offices", name="Test Street", archived=False, start_time="08:00:00", end_time="17:00")
        self.anna, self.bo = (
            fake.put("doctors", first_name="Test", last_name=name, practice_group=group, is_account_suspended=False)
            for name in ("Anna", "Bo")
        )
        self.service = self._profile("Test visit", 30)
        self.long = self._profile("Long test visit", 60)
        self.kim, self.lo = (
            fake.put("patients_summary", first_name=name, last_name="Test", gender="Other", doctor=int(self.anna))
            for name in ("Kim", "Lo")
        )

    def _profile(self, name: str, minutes: int) -> str:
        more = {"color": "", "reason": "", "archived": False, "online_scheduling": False}
        return self.fake.put("appointment_profiles", name=name, duration=minutes, **more)

    @property
    def settings(self) -> dict[str, Any]:
        fake = self.fake
        return {
            "client_id": fake.client, "client_secret": fake.secret, "practice_group": fake.group, "base_url": fake.url,
            "zone": self.zone.key, "office_id": self.office, "late_write_s": 0.05, "calls_per_second": 1e6,
            "calls_per_hour": 1_000_000,
        }  # fmt: skip

    def open(self, transport: httpx.AsyncBaseTransport | None = None, **more: Any) -> Emr:
        door = Door(transport or InProcessTransport(self.fake.app))
        told = {name: value for name, value in {**self.settings, **more}.items() if value is not None}
        return emr_open(Account("clinic", Settings.model_validate(told), door, grant=Let(self.fake.give_access())))

    def day(self, *, beyond: bool = False) -> datetime:
        """Midnight of a day three weeks from now; or of the next one whose offset is another."""
        first = (datetime.now(self.zone) + timedelta(days=21)).replace(hour=0, minute=0, second=0, microsecond=0)
        days = (first + timedelta(days=n) for n in range(370))
        noon = timedelta(hours=12)
        return next(day for day in days if ((day + noon).utcoffset() != (first + noon).utcoffset()) is beyond)

    def half_hour(self, n: int = 0, *, beyond: bool = False) -> Span:
        start = self.day(beyond=beyond).replace(hour=10) + n * HALF_HOUR
        return Span(start, start + HALF_HOUR)

    def staff_books(self, span: Span, doctor: str | None = None, **more: Any) -> str:
        """With the right to double-book, as staff has it."""
        told = {
            "scheduled_time": wall(span.start), "duration": int(span.length.total_seconds() // 60),
            "doctor": int(doctor or self.anna), "patient": int(self.kim), "office": int(self.office),
            "profile": int(self.service),
        }  # fmt: skip
        return self.fake.book(None, **{**told, **more})

    def staff_blocks(self, span: Span, doctor: str | None = None) -> str:
        times = {"start_time": wall(span.start), "end_time": wall(span.end)}
        return self.fake.put(
            "schedule_blocks", **times, provider=int(doctor or self.anna), office=int(self.office), description="x"
        )


def wall(instant: datetime) -> str:
    """As the practice's clock shows it, where its zone is the instant's."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S")


@pytest.fixture
def practice() -> Practice:
    return Practice()


@pytest.fixture
def drchrono() -> Iterator[respx.MockRouter]:
    with respx.MockRouter(assert_all_called=True) as router:
        yield router


@pytest.fixture
def emr(drchrono: respx.MockRouter) -> Emr:
    return opened(drchrono)
