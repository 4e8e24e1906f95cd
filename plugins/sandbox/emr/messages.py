"""What a clinic has told its patients, where it was not asked to be quiet. Codes go their own way: they are needed."""

from __future__ import annotations

from typing import Any

from plugins.sandbox.emr.clinic import Clinic
from plugins.sandbox.emr.words import Asked

View = dict[str, Any]


def told(clinic: Clinic, asked: Asked, booking: View, says: str) -> View:
    """The booking, once its patient has been told of it."""
    if asked.tell:
        sql = "INSERT INTO message (clinic, who, about, says, begins) VALUES (?, ?, ?, ?, ?)"
        clinic.write(sql, booking["who"], booking["ref"], says, booking["begins"])
    return booking


def listed(clinic: Clinic) -> list[View]:
    """All of them, oldest first."""
    rows = clinic.rows("SELECT who, about, says, begins FROM message WHERE clinic = ? ORDER BY number")
    return [{"to": row["who"], **{name: row[name] for name in ("about", "says", "begins")}} for row in rows]
