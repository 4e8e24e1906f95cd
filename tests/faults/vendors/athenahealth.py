"""An athenahealth practice: what is booked, and the slots that are open, each of which is one or the other."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from tests.faults.vendors.stage import (
    BYSTANDER,
    GONE,
    LAST,
    STANDS,
    THREE,
    WAITING,
    Plain,
    Row,
    cast_of,
    on_one_day,
    row,
)
from tests.plugins.athenahealth.conftest import WAITING as UNCONFIRMED
from tests.plugins.athenahealth.conftest import Practice

OnOneDay = on_one_day(Practice)
STAMPS = {"appointmentid", "rescheduledappointmentid", "lastmodified", "lastmodifiedby", "scheduledby"}


class Stage(Plain):
    def __init__(self, address: str) -> None:
        at = self._at = OnOneDay()
        self.app = at.fake.app
        for n in range(4, LAST):
            for provider in (at.anna, at.bo):
                at.open(at.half_hour(n), provider)
        self._slots = self._laid_out()
        at.staff_books(at.half_hour(BYSTANDER), at.bo, at.lo)
        three = [at.staff_books(at.half_hour(n)) for n in THREE]
        at.fake.note(three[0], "First of three.")
        waiting = at.staff_books(at.half_hour(WAITING))
        at.fake.touch(waiting, appointmentconfirmationid=UNCONFIRMED)
        self.cast = cast_of(at, three, waiting, other=at.bo, patient=at.lo, service=at.service)
        self.settings = {**at.settings, "base_url": address, "page_size": 1000}

    def rows(self) -> list[Row]:
        return [self._row(id, one) for id, one in self._at.fake.rows.items() if one["appointmentstatus"] != "o"]

    def wrong(self) -> list[str]:
        """A slot is never lost and never there twice, whether it is open or taken."""
        now = self._laid_out()
        more, fewer = sorted((now - self._slots).elements()), sorted((self._slots - now).elements())
        return [f"slots {more} are there twice, and {fewer} are lost"] if more or fewer else []

    def _laid_out(self) -> Counter[tuple[str, str, str]]:
        rows = self._at.fake.rows.values()
        there = [one for one in rows if one["appointmentstatus"] != "x"]
        return Counter((one["providerid"], one["date"], one["starttime"]) for one in there)

    def _row(self, id: str, one: Row) -> Row:
        begins = datetime.strptime(f"{one['date']} {one['starttime']}", "%m/%d/%Y %H:%M")
        ends = begins + timedelta(minutes=one["duration"])
        every = self._at.fake.notes[id]
        # What was cancelled takes its notes along: the last one says why.
        kept = every[-1:] if one["appointmentstatus"] == "x" else [note for note in every if not note["deleted"]]
        notes = [note["notetext"] for note in kept]
        return row(
            one,
            STAMPS,
            **{"ref": id, "with": one["providerid"], "begins": str(begins), "ends": str(ends), "notes": notes},
            stage=STANDS if one["appointmentstatus"] == "f" else GONE,
            moved_to=one.get("rescheduledappointmentid"),
        )
