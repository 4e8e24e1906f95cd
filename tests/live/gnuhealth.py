"""A practice of invented people in a real GNU Health server, and what its staff do and see there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.plugin import Span
from tests.live.gnuhealth_rpc import FRONT_DESK, PASSWORD, Rpc
from tests.live.gnuhealth_server import DATABASES, Server, running

ROOT = Path(__file__).parents[2]
ZONE = ZoneInfo("Europe/Stockholm")
FIRST_DAY = date(2027, 4, 1)
BEYOND = date(2027, 11, 8)
"""On the other side of the change from summer time."""
HALF_HOUR = timedelta(minutes=30)
MONTH = 31
APPOINTMENT = "gnuhealth.appointment"
PEOPLE = ("gnuhealth.patient", "gnuhealth.healthprofessional", "gnuhealth.institution", "party.party", "res.user")
GONE = ("user_cancelled", "center_cancelled")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EDGES = ("appointment_date", "appointment_date_end")

_practices = count(1)


@pytest.fixture(scope="session")
def gnuhealth_venv() -> Path:
    """Where GNU Health and PostgreSQL are installed."""
    venv = Path(os.environ.get("GNUHEALTH_VENV", ROOT / ".venv-gnuhealth"))
    if not (venv / "bin" / "trytond").exists():
        pytest.fail("there is no GNU Health to test against: `make live` installs it")
    return venv.absolute()


@pytest.fixture(scope="module", params=DATABASES)
def gnuhealth(request: pytest.FixtureRequest, gnuhealth_venv: Path) -> Iterator[Server]:
    """A running server on each database in turn."""
    with running(gnuhealth_venv, request.param) as server:
        yield server


@pytest.fixture(scope="module")
def practice(gnuhealth: Server) -> Iterator[Practice]:
    practice = Practice(gnuhealth, booked=(9, 10, 11))
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
    `booked` (hours), where Anna has an appointment with Kim.

    They are all made at once: so nothing is so new in a test that its version could mean two writes.
    """

    def __init__(
        self, server: Server, days: int = MONTH, hours: tuple[int, int] = (8, 16), booked: Sequence[int] = ()
    ) -> None:
        self.rpc, self._number = Rpc(server.base, "admin"), next(_practices)
        self.unit = self._id("gnuhealth.institution", "code", "TEST")
        self.service = self._id("gnuhealth.specialty", "code", "TESTVISIT")
        self.anna, self.bo = self._professional("Anna"), self._professional("Bo")
        self.patient, self.other_patient = self._patient("Kim"), self._patient("Lo")
        self.hours = hours
        for who in (self.anna, self.bo):
            self.open(who, FIRST_DAY, days)
        for hour in booked:
            self._book(hour)
        self._left = iter([FIRST_DAY + timedelta(days=n) for n in range(days)])

    def close(self) -> None:
        self.rpc.close()

    def clinic(self) -> Clinic:
        """The next day."""
        return Clinic(self, next(self._left))

    def open(self, who: str, day: date, days: int = 1) -> None:
        """Free half hours, made as the staff makes them: for a month at most at once."""
        if days > MONTH:
            self.open(who, day + timedelta(days=MONTH), days - MONTH)
            days = MONTH
        values = {
            "healthprof": int(who),
            "specialty": int(self.service),
            "institution": int(self.unit),
            "date_start": _told_date(day),
            "date_end": _told_date(day + timedelta(days=days - 1)),
            "time_start": _told_hour(self.hours[0]),
            "time_end": _told_hour(self.hours[1]),
            "appointment_minutes": 30,
            **dict.fromkeys(WEEKDAYS, True),
        }
        (company,) = self.rpc.rows("company.company", [])
        self.rpc.wizard("gnuhealth.calendar.create.appointment", values, "create_", company=company["id"])

    def _book(self, hour: int) -> None:
        """On every day. The server is told of all its records at once."""
        free = self.rpc.rows(APPOINTMENT, [["healthprof", "=", int(self.anna)]], EDGES[0])
        then = [r["id"] for r in free if _heard(r[EDGES[0]]).astimezone(ZONE).time() == time(hour)]
        self.rpc.call(APPOINTMENT, "write", then, {"patient": int(self.patient), "state": "confirmed"})

    def _id(self, model: str, field: str, value: str) -> str:
        return str(self.rpc.rows(model, [[field, "=", value]])[0]["id"])

    def _person(self, name: str, **more: Any) -> int:
        named = {"name": name, "lastname": f"Testperson {self._number}", "gender": "f", "fed_country": None}
        return self.rpc.create("party.party", is_person=True, **named, **more)

    def _professional(self, name: str) -> str:
        party = self._person(name, is_healthprof=True)
        return str(self.rpc.create("gnuhealth.healthprofessional", party=party, institution=int(self.unit)))

    def _patient(self, name: str) -> str:
        return str(self.rpc.create("gnuhealth.patient", party=self._person(name, is_patient=True)))


class Clinic:
    """One day of a practice."""

    def __init__(self, practice: Practice, day: date) -> None:
        self.rpc, self._hours, self._day = practice.rpc, practice.hours, datetime.combine(day, time(), ZONE)
        self.unit, self.service = practice.unit, practice.service
        self.anna, self.bo = practice.anna, practice.bo
        self.patient, self.other_patient = practice.patient, practice.other_patient
        self._since, self._elsewhere = told(datetime.now(UTC)), self._count(APPOINTMENT, self._outside())

    def at(self, hour: int, minute: int = 0) -> datetime:
        return self._day.replace(hour=hour, minute=minute)

    def span(self, hour: int, minute: int = 0) -> Span:
        start = self.at(hour, minute)
        return Span(start, start + HALF_HOUR)

    # -- what the staff do -------------------------------------------------------------------------------------

    def book(self, who: str, start: datetime, **more: Any) -> str:
        """The free record of that time becomes an appointment, as in the server's own client; → its id."""
        (slot,) = [r for r in self.records(who) if r["state"] == "free" and r["start"] == start]
        self.write(str(slot["id"]), patient=int(self.patient), state="confirmed", **more)
        return str(slot["id"])

    def squeeze_in(self, who: str, start: datetime, end: datetime) -> str:
        """An appointment beside the free records: nothing in the server forbids that."""
        times = dict(zip(EDGES, (told(start), told(end)), strict=True))
        people = {"healthprof": int(who), "patient": int(self.other_patient), "institution": int(self.unit)}
        return str(self.rpc.create(APPOINTMENT, state="confirmed", comments=None, **times, **people))

    def booked(self, *hours: int) -> list[str]:
        """The ids of what Anna has at these hours."""
        starts = {r["start"]: str(r["id"]) for r in self.records(self.anna) if r["state"] == "confirmed"}
        return [starts[self.at(hour)] for hour in hours]

    def write(self, id: str, **values: Any) -> None:
        self.rpc.call(APPOINTMENT, "write", [int(id)], values)

    def delete(self, id: str) -> None:
        self.rpc.call(APPOINTMENT, "delete", [int(id)])

    # -- what became of it -------------------------------------------------------------------------------------

    def read(self, id: str) -> dict[str, Any]:
        (row,) = self._rows([["id", "=", int(id)]])
        return row

    def records(self, who: str) -> list[dict[str, Any]]:
        return self._rows([*self._today(), ["healthprof", "=", int(who)]])

    def _rows(self, domain: list[Any]) -> list[dict[str, Any]]:
        fields = ("state", "patient", "healthprof", "speciality", "institution", "comments", "name", "write_date")
        rows = self.rpc.rows(APPOINTMENT, domain, *EDGES, *fields)
        return [{**row, "start": _heard(row[EDGES[0]]), "end": _heard(row[EDGES[1]])} for row in rows]

    def standing(self, who: str) -> list[str]:
        """The local times at which a professional's appointments begin."""
        standing = [r for r in self.records(who) if r["state"] not in ("free", *GONE)]
        return sorted(r["start"].astimezone(ZONE).strftime("%H:%M") for r in standing)

    def disagreements(self) -> list[str]:
        """Half hours that are not held by just one record, free or standing; and whatever else has changed."""
        found = []
        for who in (self.anna, self.bo):
            left = [r for r in self.records(who) if r["state"] not in GONE]
            first, last = self._hours
            for n in range(2 * (last - first)):
                start = self.at(first) + n * HALF_HOUR
                here = [r for r in left if r["start"] < start + HALF_HOUR and start < r["end"]]
                if [(r["start"], r["end"]) for r in here] != [(start, start + HALF_HOUR)]:
                    found.append(f"{start:%H:%M} of {who} is held by {[(r['id'], r['state']) for r in here]}")
        return found + self._changed_elsewhere()

    def _changed_elsewhere(self) -> list[str]:
        new = ["OR", ["create_date", ">=", self._since], ["write_date", ">=", self._since]]
        found = [model for model in PEOPLE if self._count(model, [new])]
        if self._count(APPOINTMENT, self._outside()) != self._elsewhere or self._count(
            APPOINTMENT, [new, *self._outside()]
        ):
            found.append(APPOINTMENT)
        return [f"something else has changed in {model}" for model in found]

    def _today(self) -> list[Any]:
        return [[EDGES[0], ">=", told(self._day)], [EDGES[0], "<", told(self._day + timedelta(days=1))]]

    def _outside(self) -> list[Any]:
        early, late = [EDGES[0], "<", told(self._day)], [EDGES[0], ">=", told(self._day + timedelta(days=1))]
        return [["OR", early, late, ["healthprof", "not in", [int(self.anna), int(self.bo)]]]]

    def _count(self, model: str, domain: list[Any]) -> int:
        return int(self.rpc.call(model, "search_count", domain))


def told(value: datetime) -> dict[str, Any]:
    """A datetime in the server's words: in UTC, without saying so."""
    utc = value.astimezone(UTC)
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{part: getattr(utc, part) for part in parts}}


def _told_date(value: date) -> dict[str, Any]:
    return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}


def _told_hour(hour: int) -> dict[str, Any]:
    return {"__class__": "time", "hour": hour, "minute": 0, "second": 0, "microsecond": 0}


def _heard(value: dict[str, Any]) -> datetime:
    parts = ("year", "month", "day", "hour", "minute", "second")
    return datetime(*(value[part] for part in parts), tzinfo=UTC)
