"""What a clinic has when it is touched for the first time. The people are invented, and can be seen to be."""

from __future__ import annotations

import json
import sqlite3
from datetime import date, timedelta

from plugins.sandbox.emr.clinic import DAYS, Clinic, at, half_hours, working_day
from plugins.sandbox.emr.personality import Personality
from plugins.sandbox.emr.words import ABSENT, ANNULLED, ARRIVED, DONE, PLANNED, UNCONFIRMED

SITES = (("U1", "Sandbox North"), ("U2", "Sandbox South"))
STAFF = (("D1", "Dr. Sand Låda"), ("D2", "Nurse Spade Hink"), ("D3", "Room 3"))
KINDS = (("K1", "Follow-up visit", False), ("K2", "Video visit", True))
PEOPLE = (
    ("P1", "Test Testsson"),
    ("P2", "Exempla Exempelsson"),
    ("P3", "Fiktiv Påhittad"),
    ("P4", "Låtsas Provperson"),
    ("P5", "Ingen Alls"),
)
SLOT_MINUTES = 30

BOOKINGS = (
    # who, with, kind, working day, time, minutes, stage, memo
    ("P1", "D1", "K1", 1, "09:00", 30, PLANNED, "First of three."),
    ("P1", "D1", "K1", 1, "09:30", 30, PLANNED, ""),
    ("P1", "D1", "K1", 1, "10:00", 30, PLANNED, ""),
    ("P2", "D2", "K1", 2, "13:00", 30, PLANNED, ""),
    ("P2", "D2", "K1", 2, "13:30", 30, PLANNED, "Bring the blue bucket."),
    ("P2", "D2", "K1", 2, "15:00", 30, PLANNED, ""),
    ("P3", "D1", "K1", 3, "08:30", 60, PLANNED, ""),
    ("P1", "D1", "K2", 3, "11:00", 30, PLANNED, ""),
    ("P3", "D3", "K2", 3, "14:00", 30, UNCONFIRMED, ""),
    ("P4", "D3", "K1", 4, "10:00", 30, PLANNED, ""),
    ("P2", "D3", "K1", 4, "11:00", 30, ANNULLED, "No longer needed."),
    ("P1", "D2", "K1", -1, "09:00", 30, DONE, ""),
    ("P4", "D2", "K1", -2, "10:00", 30, ABSENT, ""),
    ("P4", "D3", "K1", -1, "11:00", 30, ARRIVED, ""),
)


def opened(db: sqlite3.Connection, name: str, clinic: str, personality: Personality, today: date) -> Clinic:
    """The clinic, founded and seeded if this is the first that is heard of it."""
    row = db.execute("SELECT * FROM clinic WHERE personality = ? AND name = ?", (name, clinic)).fetchone()
    if row is None:
        return _founded(db, name, clinic, personality, today)
    found = Clinic(db, row["id"], personality, date.fromisoformat(row["first_day"]), today)
    if personality.slot_records:
        _lay_out_slots(found, date.fromisoformat(row["slots_until"]))
    return found


def _founded(db: sqlite3.Connection, name: str, clinic: str, personality: Personality, today: date) -> Clinic:
    insert = "INSERT INTO clinic (personality, name, first_day, slots_until, last_number) VALUES (?, ?, ?, ?, 1000)"
    id = db.execute(insert, (name, clinic, today.isoformat(), today.isoformat())).lastrowid
    assert id is not None
    founded = Clinic(db, id, personality, today, today)
    _fill_register(founded)
    if personality.slot_records:
        _lay_out_slots(founded, today)
    for booking in BOOKINGS:
        _book(founded, *booking)
    return founded


def _fill_register(clinic: Clinic) -> None:
    insert = "INSERT INTO entry (clinic, list, ref, title, site, minutes, asks_code) VALUES (?, ?, ?, ?, ?, ?, ?)"
    for ref, title in SITES:
        clinic.write(insert, "sites", ref, title, None, None, None)
    for ref, title in STAFF:
        clinic.write(insert, "staff", ref, title, SITES[0][0], None, None)
    for ref, title, asks_code in KINDS:
        clinic.write(insert, "kinds", ref, title, None, SLOT_MINUTES, asks_code)
    for ref, title in PEOPLE:
        clinic.write(insert, "people", ref, title, None, None, None)


def _lay_out_slots(clinic: Clinic, laid_until: date) -> None:
    """Slot records for the days that have come into reach since `laid_until` (exclusive)."""
    until = clinic.today + timedelta(days=DAYS)
    if laid_until >= until:
        return
    insert = "INSERT INTO slot (clinic, ref, rev, staff, begins, ends, state) VALUES (?, ?, 1, ?, ?, ?, 'free')"
    for number in range((until - laid_until).days):
        day = laid_until + timedelta(days=number)
        for begins, ends in half_hours(day) if clinic.open_on(day) else ():
            for staff, _ in STAFF:
                clinic.write(insert, f"{staff}-{begins}", staff, begins, ends)
    clinic.db.execute("UPDATE clinic SET slots_until = ? WHERE id = ?", (until.isoformat(), clinic.id))


def _book(
    clinic: Clinic, who: str, staff: str, kind: str, day: int, time: str, minutes: int, stage: str, memo: str
) -> None:
    begins, ends = at(working_day(clinic.today, day), time, minutes)
    slots = _taken_slots(clinic, staff, begins, ends) if stage != ANNULLED else []
    agreed = stage == PLANNED if kind == "K2" else None
    clinic.write(
        "INSERT INTO booking (clinic, ref, rev, begins, ends, who, staff, kind, memo, stage, agreed, slots)"
        " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(clinic.next_ref("B"), begins, ends, who, staff, kind, memo, stage, agreed, json.dumps(slots)),
    )


def _taken_slots(clinic: Clinic, staff: str, begins: str, ends: str) -> list[str]:
    update = "UPDATE slot SET state = 'busy' WHERE clinic = ? AND staff = ? AND begins >= ? AND ends <= ? RETURNING ref"
    return sorted(row["ref"] for row in clinic.rows(update, staff, begins, ends))
