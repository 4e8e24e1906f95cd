"""A practice in Stockholm with two professionals, an invented patient, and free half hours in one morning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.plugin import Span
from tests.plugins.gnuhealth.fake import FakeGnuHealth

ZONE = ZoneInfo("Europe/Stockholm")
DAY = datetime(2027, 3, 2, tzinfo=ZONE)
HALF_HOUR = timedelta(minutes=30)
BEYOND = datetime(2027, 4, 6, 9, tzinfo=ZONE)
"""On the other side of the change to summer time."""


def at(hour: int, minute: int = 0) -> datetime:
    return DAY.replace(hour=hour, minute=minute)


def half_hour(start: datetime) -> Span:
    return Span(start, start + HALF_HOUR)


class Practice:
    """A database and who is in it."""

    def __init__(self, **more: Any) -> None:
        self.fake = FakeGnuHealth(**more)
        named = {"rec_name": "Test"}
        self.unit = self.fake.put("gnuhealth.institution", rec_name="Test institution")
        self.service = self.fake.put("gnuhealth.specialty", rec_name="Test visit")
        self.anna = self.fake.put("gnuhealth.healthprofessional", rec_name="Testdoctor, Anna")
        self.bo = self.fake.put("gnuhealth.healthprofessional", rec_name="Testdoctor, Bo")
        self.kim = self.fake.put("gnuhealth.patient", rec_name="Testperson, Kim")
        self.fake.put("gnuhealth.patient", **named)
        for who in (self.anna, self.bo):
            for n in range(4):
                self.open(who, at(10) + n * HALF_HOUR)
        self.open(self.anna, BEYOND)
        # They were all made long before anybody looks.
        self.fake.now += timedelta(minutes=5)

    def open(self, who: int, start: datetime, **more: Any) -> int:
        """A free record, as the staff's wizard makes it."""
        return self.fake.put_appointment(
            **{**self._place(who, start), "state": "free", "speciality": self.service, "institution": self.unit, **more}
        )

    def book(self, who: int, start: datetime, **more: Any) -> int:
        """The free record of that time becomes an appointment, as in the staff's own client."""
        (slot,) = self.fake.rows(state="free", **self._place(who, start))
        self.fake.touch(slot["id"], state="confirmed", patient=self.kim, name="APP 2026/900", **more)
        self.fake.now += timedelta(minutes=5)
        return int(slot["id"])

    def _place(self, who: int, start: datetime) -> dict[str, Any]:
        utc = start.astimezone(UTC)
        return {"healthprof": who, "appointment_date": utc, "appointment_date_end": utc + HALF_HOUR}
