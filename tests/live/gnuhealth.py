"""A practice of invented people in a real GNU Health server, with a day for each test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.live.clinics import ZONE, lo_comes
from tests.live.gnuhealth_clinic import APPOINTMENT, EDGES, Clinic, heard
from tests.live.gnuhealth_rpc import FRONT_DESK, PASSWORD, Rpc
from tests.live.gnuhealth_server import DATABASES, Server, running

ROOT = Path(__file__).parents[2]
FIRST_DAY = date(2027, 4, 1)
BEYOND = date(2027, 11, 8)
"""On the other side of the change from summer time."""
MONTH = 31
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
KIM_COMES = ((9, 0), (10, 0), (11, 0))

Times = Sequence[tuple[int, int]]


@pytest.fixture(scope="module", params=DATABASES)
def gnuhealth(request: pytest.FixtureRequest, gnuhealth_venv: Path) -> Iterator[Server]:
    """A running server on each database in turn."""
    with running(gnuhealth_venv, request.param) as server:
        yield server


@pytest.fixture(scope="module")
def practice(gnuhealth: Server) -> Iterator[Practice]:
    practice = Practice(gnuhealth, booked=KIM_COMES, neighbours=True)
    yield practice
    practice.close()


@pytest.fixture
def clinic(practice: Practice) -> Clinic:
    return practice.clinic()


def settings(server: Server, **more: Any) -> dict[str, Any]:
    """Of the gateway's account there: a user of the front desk, and no more."""
    account = {"base_url": server.url, "database": "health", "username": FRONT_DESK, "password": PASSWORD}
    return {**account, "zone": "Europe/Stockholm", "page_size": 7, **more}


class Practice:
    """Two professionals and two patients, with half hours of many days, of which each test has one: all free but
    `booked`, when Kim has an appointment with Anna.

    With `neighbours` the other patient comes to both, who also work in another institution: somebody has an
    appointment there, and time that is free in both is free twice.

    They are all made at once: so nothing is so new in a test that its version could mean two writes.
    """

    def __init__(
        self,
        server: Server,
        days: int = MONTH,
        hours: tuple[int, int] = (8, 16),
        booked: Times = (),
        *,
        neighbours: bool = False,
    ) -> None:
        self.rpc, self.hours, self._days = Rpc(server.base, "admin"), hours, days
        self._number = self.rpc.call("gnuhealth.healthprofessional", "search_count", [])
        self.unit = self._id("gnuhealth.institution", "code", "TEST")
        self.service = self._id("gnuhealth.specialty", "code", "TESTVISIT")
        self.anna, self.bo = self.professional("Anna"), self.professional("Bo")
        self.patient, self.other_patient = self._patient("Kim"), self._patient("Lo")
        for who in (self.anna, self.bo):
            self.open(who, FIRST_DAY, days)
        self._book(self.patient, booked, self.anna)
        if neighbours:
            self._book(self.other_patient, lo_comes(hours), self.anna, self.bo)
            self._annexe()
        self._left = iter([FIRST_DAY + timedelta(days=n) for n in range(days)])

    def close(self) -> None:
        self.rpc.close()

    def clinic(self) -> Clinic:
        """The next day."""
        return Clinic(self, datetime.combine(next(self._left), time(), ZONE))

    def professional(self, name: str) -> str:
        party = self._person(name, is_healthprof=True)
        return str(self.rpc.create("gnuhealth.healthprofessional", party=party, institution=int(self.unit)))

    def open(
        self, who: str, day: date, days: int = 1, hours: tuple[int, int] | None = None, unit: str | None = None
    ) -> None:
        """Free half hours, made as the staff makes them: for a month at most at once."""
        if days > MONTH:
            self.open(who, day + timedelta(days=MONTH), days - MONTH, hours, unit)
            days = MONTH
        first, last = hours or self.hours
        values = {
            "healthprof": int(who),
            "specialty": int(self.service),
            "institution": int(unit or self.unit),
            "date_start": _told_date(day),
            "date_end": _told_date(day + timedelta(days=days - 1)),
            "time_start": _told_hour(first),
            "time_end": _told_hour(last),
            "appointment_minutes": 30,
            **dict.fromkeys(WEEKDAYS, True),
        }
        (company,) = self.rpc.rows("company.company", [])
        self.rpc.wizard("gnuhealth.calendar.create.appointment", values, "create_", company=company["id"])

    def _annexe(self) -> None:
        party = self.rpc.create("party.party", name="Test annexe", is_institution=True, fed_country=None)
        kind = {"institution_type": "clinic", "public_level": "private"}
        annexe = self.rpc.create("gnuhealth.institution", party=party, code=f"ANNEXE{self._number}", **kind)
        for who in (self.anna, self.bo):
            for hours in ((13, 14), (16, 17)):
                self.open(who, FIRST_DAY, self._days, hours, str(annexe))
        self._book(self.other_patient, ((16, 0),), self.anna, self.bo)

    def _book(self, patient: str, times: Times, *who: str) -> None:
        """On every day. The server is told of all its records at once."""
        free = self.rpc.rows(APPOINTMENT, [["healthprof", "in", [int(one) for one in who]]], EDGES[0])
        wanted = [time(*one) for one in times]
        then = [r["id"] for r in free if heard(r[EDGES[0]]).astimezone(ZONE).time() in wanted]
        if then:
            self.rpc.call(APPOINTMENT, "write", then, {"patient": int(patient), "state": "confirmed"})

    def _id(self, model: str, field: str, value: str) -> str:
        return str(self.rpc.rows(model, [[field, "=", value]])[0]["id"])

    def _person(self, name: str, **more: Any) -> int:
        named = {"name": name, "lastname": f"Testperson {self._number}", "gender": "f", "fed_country": None}
        return self.rpc.create("party.party", is_person=True, **named, **more)

    def _patient(self, name: str) -> str:
        return str(self.rpc.create("gnuhealth.patient", party=self._person(name, is_patient=True)))


def _told_date(value: date) -> dict[str, Any]:
    return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}


def _told_hour(hour: int) -> dict[str, Any]:
    return {"__class__": "time", "hour": hour, "minute": 0, "second": 0, "microsecond": 0}
