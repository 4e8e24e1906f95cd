"""One clinic within one transaction, and the half hours that it offers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from plugins.sandbox.emr.personality import Personality

DAYS = 60
OPENS, CLOSES = "08:00", "16:00"
HALF_HOURS = tuple(f"{minute // 60:02}:{minute % 60:02}" for minute in range(8 * 60, 16 * 60 + 1, 30))


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic as it is found: its rows, by `db`, and its days. Lives as long as the transaction."""

    db: sqlite3.Connection
    id: int
    personality: Personality
    first_day: date
    """The day it was first touched."""
    today: date
    at: str = ""
    """The local time at which this is done."""
    hand: str = ""
    """Whose hand does it, as it calls itself."""

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """`sql` with the clinic's id as its first value."""
        return self.db.execute(sql, (self.id, *values)).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.db.execute(sql, (self.id, *values)).fetchone()
        return row

    def write(self, sql: str, *values: object) -> None:
        self.db.execute(sql, (self.id, *values))

    def next_ref(self, letter: str) -> str:
        """A reference that this clinic has never given before."""
        row = self.row("UPDATE clinic SET last_number = last_number + 1 WHERE id = ? RETURNING last_number")
        assert row is not None
        return f"{letter}{row['last_number']}"

    def open_on(self, day: date) -> bool:
        return day.weekday() < 5 and self.first_day <= day < self.today + timedelta(days=DAYS)

    def open_days(self, begins: str, ends: str) -> Iterator[date]:
        """The open days that a stretch of wall time touches."""
        day = max(self.first_day, date.fromisoformat(begins[:10]))
        last = min(self.today + timedelta(days=DAYS), date.fromisoformat(ends[:10]))
        while day <= last:
            if self.open_on(day):
                yield day
            day += timedelta(days=1)

    def offers(self, begins: str, ends: str) -> bool:
        """Could this be booked at all: on one open day, and in whole half hours unless time is open?"""
        day, first, last = begins[:10], begins[11:], ends[11:]
        if ends[:10] != day or not OPENS <= first < last <= CLOSES or not self.open_on(date.fromisoformat(day)):
            return False
        return self.personality.offers == "windows" or (first in HALF_HOURS and last in HALF_HOURS)


def half_hours(day: date) -> Iterator[tuple[str, str]]:
    for first, last in pairwise(HALF_HOURS):
        yield f"{day}T{first}", f"{day}T{last}"


def working_day(today: date, number: int) -> date:
    """The n-th weekday after today, or before it where `number` is negative."""
    day, step = today, timedelta(days=1 if number > 0 else -1)
    left = abs(number)
    while left:
        day += step
        left -= day.weekday() < 5
    return day


def at(day: date, time: str, minutes: int) -> tuple[str, str]:
    """Beginning and end of something that takes so many minutes from `time` on."""
    begins = datetime.fromisoformat(f"{day}T{time}")
    return begins.isoformat(timespec="minutes"), (begins + timedelta(minutes=minutes)).isoformat(timespec="minutes")
