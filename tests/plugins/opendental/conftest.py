"""An account on a fake Open Dental, in an office with two chairs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from gateway import clock
from gateway.plugin import Account, Door, Emr, Span
from gateway.vendor.in_process import InProcessTransport
from plugins.opendental import Settings, emr_open
from tests.plugins.opendental.asking import NOW, opened
from tests.plugins.opendental.fake import FORM, FakeOpenDental

HALF_HOUR = timedelta(minutes=30)


class Office:
    """In New York, whose clock changes."""

    def __init__(self, zone: str = "America/New_York", keys: str = "devkey/custkey") -> None:
        self.fake = fake = FakeOpenDental(zone, keys=keys)
        self.zone = fake.zone
        self.clinic = fake.put("clinics", Description="Test Street", IsHidden="false")
        self.anna, self.bo, self.hy = (
            fake.put("providers", Abbr=name.upper(), LName="Test", FName=name, IsHidden="false")
            for name in ("Anna", "Bo", "Hy")
        )
        self.first, self.second = (self._chair(dentist) for dentist in (self.anna, self.bo))
        self.service = fake.put("appointmenttypes", AppointmentTypeName="Test visit", IsHidden="false", Pattern="/XX/")
        self.kim, self.lo = (fake.put("patients", FName=name, LName="Test") for name in ("Kim", "Lo"))

    def _chair(self, dentist: int) -> int:
        own = {"ProvDentist": dentist, "ProvHygienist": 0, "IsHygiene": "false"}
        return self.fake.put("operatories", OpName="Test chair", IsHidden="false", ClinicNum=self.clinic, **own)

    @property
    def resources(self) -> tuple[str, str]:
        return f"{self.first}-{self.anna}", f"{self.second}-{self.bo}"

    @property
    def settings(self) -> dict[str, Any]:
        developer, customer = self.fake.keys.split("/")
        return {
            "office": "test-street", "developer_key": developer, "customer_key": customer, "zone": self.zone.key,
            "base_url": self.fake.url, "confirmed": [21], "late_write_s": 0.05,
        }  # fmt: skip

    def open(self, transport: httpx.AsyncBaseTransport | None = None, reason: str | None = None, **more: Any) -> Emr:
        door = Door(transport or InProcessTransport(self.fake.app))
        settings = Settings.model_validate({**self.settings, **more})
        return emr_open(Account("office", settings, door, cancel_reason=reason))

    def day(self, *, beyond: bool = False) -> datetime:
        """Midnight of a day three weeks from now; or of the next one whose offset is another."""
        first = (datetime.now(self.zone) + timedelta(days=21)).replace(hour=0, minute=0, second=0, microsecond=0)
        days = (first + timedelta(days=n) for n in range(370))
        noon = timedelta(hours=12)
        return next(day for day in days if ((day + noon).utcoffset() != (first + noon).utcoffset()) is beyond)

    def half_hour(self, n: int = 0, *, beyond: bool = False) -> Span:
        start = self.day(beyond=beyond).replace(hour=10).astimezone(UTC) + n * HALF_HOUR
        return Span(start.astimezone(self.zone), (start + HALF_HOUR).astimezone(self.zone))

    def staff_books(self, span: Span, **more: Any) -> int:
        """Anna, in the first chair, for half an hour."""
        who = {"PatNum": self.kim, "Op": self.first, "ProvNum": self.anna, "ClinicNum": self.clinic}
        return self.fake.book(said(span), **{**who, "AppointmentTypeNum": self.service, **more})


def said(span: Span) -> str:
    return span.start.strftime(FORM)


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def vendor() -> Iterator[respx.MockRouter]:
    """Every request is looked at."""
    with respx.MockRouter(assert_all_called=True) as router:
        yield router


@pytest.fixture
def emr(vendor: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> Emr:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return opened(vendor)
