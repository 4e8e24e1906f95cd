"""One day of a practice in GNU Health: what its staff do, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gateway.plugin import Span
from tests.live.clinics import HALF_HOUR, ZONE, Facts
from tests.live.clinics import starts as standing_starts
from tests.live.witness import State

if TYPE_CHECKING:
    from tests.live.gnuhealth import Practice

APPOINTMENT = "gnuhealth.appointment"
EDGES = ("appointment_date", "appointment_date_end")
FIELDS = ("state", "patient", "healthprof", "speciality", "institution", "comments", "name", "write_date")
GONE = ("user_cancelled", "center_cancelled")
STATUS = {"confirmed": "booked", "done": "completed", **dict.fromkeys(GONE, "cancelled")}

Row = dict[str, Any]


class Clinic:
    def __init__(self, practice: Practice, day: datetime) -> None:
        self._practice, self._day, self.rpc = practice, day, practice.rpc
        self.unit, self.service = practice.unit, practice.service
        self.anna, self.bo = practice.anna, practice.bo
        self.patient, self.other_patient = practice.patient, practice.other_patient
        self.theirs = set[str]()
        self.seen: State | None = None
        self._of, self._rows_of = self.seen, list[Row]()
        self.resources = [self.anna, self.bo]

    def at(self, hour: int, minute: int = 0) -> datetime:
        return self._day.replace(hour=hour, minute=minute)

    def span(self, hour: int, minute: int = 0) -> Span:
        start = self.at(hour, minute)
        return Span(start, start + HALF_HOUR)

    # -- who there is -------------------------------------------------------------------------------------------------

    def booked(self, *hours: int) -> list[str]:
        starts = {r["start"]: str(r["id"]) for r in self.records(self.anna) if r["state"] == "confirmed"}
        return [starts[self.at(hour)] for hour in hours]

    def colleague(self, *starts: datetime) -> tuple[str, list[str]]:
        who = self._practice.professional("Colleague")
        self.resources.append(who)
        self._practice.open(who, self._day.date(), hours=(9, 11))
        return who, [self.book(who, start) for start in starts]

    # -- what the staff do --------------------------------------------------------------------------------------------

    def book(self, who: str, start: datetime, **more: Any) -> str:
        """The free record of that time becomes an appointment, as in the server's own client; → its id."""
        (id,) = self._free(who, start)
        self._write(id, **{"patient": int(self.patient), "state": "confirmed", **more})
        return id

    def _free(self, who: str, start: datetime) -> list[str]:
        return [str(r["id"]) for r in self.records(who) if r["state"] == "free" and r["start"] == start]

    def take(self, who: str, start: datetime) -> str | None:
        if not self._free(who, start):
            return None
        id = self.book(who, start, patient=int(self.other_patient))
        self.theirs.add(id)
        return id

    def squeeze_in(self, who: str, start: datetime, end: datetime) -> str:
        """An appointment beside the free records: nothing in the server forbids that."""
        times = dict(zip(EDGES, (told(start), told(end)), strict=True))
        people = {"healthprof": int(who), "patient": int(self.other_patient), "institution": int(self.unit)}
        id = str(self.rpc.create(APPOINTMENT, state="confirmed", comments=None, **times, **people))
        self.theirs.add(id)
        return id

    def note(self, id: str, text: str) -> None:
        self.write(id, comments=text)

    def cancel(self, id: str) -> None:
        """Its time is not free again by that: no rule of the server's sees to it."""
        self.write(id, state="center_cancelled")

    def finish(self, id: str) -> None:
        self.write(id, state="done")

    def write(self, id: str, **values: Any) -> None:
        self.theirs.add(id)
        self._write(id, **values)

    def delete(self, id: str) -> None:
        self.theirs.add(id)
        self.rpc.call(APPOINTMENT, "delete", [int(id)])

    def _write(self, id: str, **values: Any) -> None:
        self.rpc.call(APPOINTMENT, "write", [int(id)], values)

    # -- what became of it --------------------------------------------------------------------------------------------

    def read(self, id: str) -> Row:
        (row,) = self._rows([["id", "=", int(id)]])
        return row

    def records(self, who: str) -> list[Row]:
        """A professional's records of the day in this institution."""
        return [row for row in self._today() if str(row["healthprof"]) == who]

    def _today(self) -> list[Row]:
        unit, end = int(self.unit), self._day + timedelta(days=1)
        if self.seen is None:
            today = [[EDGES[0], ">=", told(self._day)], [EDGES[0], "<", told(end)]]
            return self._rows([*today, ["institution", "=", unit]])
        if self._of is not self.seen:
            rows = (_timed(row) for row in self.seen.values() if row.get("institution") == unit)
            self._of, self._rows_of = self.seen, [row for row in rows if self._day <= row["start"] < end]
        return self._rows_of

    def facts(self, id: str) -> Facts | None:
        if self.seen is None:
            found = self._rows([["id", "=", int(id)]])
        else:
            found = [_timed(row) for row in (self.seen.get(f"{APPOINTMENT},{id}"),) if row is not None]
        return _facts(found[0]) if found and found[0]["state"] != "free" else None

    def standing(self) -> Mapping[str, Facts]:
        rows = [r for who in self.resources for r in self.records(who) if r["state"] not in ("free", *GONE)]
        there = {str(row["id"]): _facts(row) for row in rows}
        return {id: one for id, one in there.items() if one.patient_id == self.patient or id in self.theirs}

    def starts(self, who: str) -> list[str]:
        """The local times at which a professional's appointments begin."""
        return standing_starts(self, who)

    def disagreements(self) -> list[str]:
        """Half hours that are not held by just one record, free or standing. What the staff have cancelled may hold
        its time, or not."""
        found = []
        for who in (self.anna, self.bo):
            rows = self.records(who)
            left = [r for r in rows if r["state"] not in GONE]
            theirs = [r for r in rows if r["state"] in GONE and str(r["id"]) in self.theirs]
            first, last = self._practice.hours
            for n in range(2 * (last - first)):
                start = self.at(first) + n * HALF_HOUR
                here, closed = _meeting(left, start), bool(_meeting(theirs, start))
                if [(r["start"], r["end"]) for r in here] != [(start, start + HALF_HOUR)] and (here or not closed):
                    found.append(f"{start:%H:%M} of {who} is held by {[(r['id'], r['state']) for r in here]}")
        return found

    def _rows(self, domain: list[Any]) -> list[Row]:
        return [_timed(row) for row in self.rpc.rows(APPOINTMENT, domain, *EDGES, *FIELDS)]


def _timed(row: Row) -> Row:
    return {**row, "start": heard(row[EDGES[0]]), "end": heard(row[EDGES[1]])}


def _facts(row: Row) -> Facts:
    status, comment = STATUS.get(row["state"], "other"), row["comments"] or ""
    return Facts(str(row["healthprof"]), row["start"], row["end"], status, comment, str(row["patient"]))


def _meeting(rows: list[Row], start: datetime) -> list[Row]:
    return [r for r in rows if r["start"] < start + HALF_HOUR and start < r["end"]]


def told(value: datetime) -> dict[str, Any]:
    """A datetime in the server's words: in UTC, without saying so."""
    utc = value.astimezone(UTC)
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{part: getattr(utc, part) for part in parts}}


def heard(value: dict[str, Any]) -> datetime:
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return datetime(*(value[part] for part in parts), tzinfo=UTC).astimezone(ZONE)
