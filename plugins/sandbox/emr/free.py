"""Free time, in whatever shape the clinic's personality lists it; and slot records, where it has them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from plugins.sandbox.emr.clinic import CLOSES, OPENS, Clinic, half_hours
from plugins.sandbox.emr.journal import noted
from plugins.sandbox.emr.words import Fault, Marked, Query

View = dict[str, Any]


def free(clinic: Clinic, query: Query) -> dict[str, list[View]]:
    """What lies wholly within the stretch. The time of the bookings in `ignoring` counts as free, unless somebody
    else's booking lies there too."""
    staff = _staff(clinic, query)
    if clinic.personality.slot_records:
        return {"slots": [slot_view(row) for row in _free_records(clinic, staff, query)]}
    held = _held(clinic, query)
    if clinic.personality.offers == "windows":
        return {"windows": [_at(one, w, staff) for one in staff for w in _windows(clinic, query, held.get(one, []))]}
    slots = [_at(one, s, staff) for one in staff for s in _slots(clinic, query, held.get(one, []))]
    if clinic.personality.offers == "starts":
        return {"starts": [{name: slot[name] for name in ("begins", "with", "place")} for slot in slots]}
    return {"slots": slots}


def slot(clinic: Clinic, ref: str) -> View:
    return slot_view(_record(clinic, ref))


def mark(clinic: Clinic, ref: str, asked: Marked) -> View:
    """Set a slot record's state, over the revision that the caller read."""
    was = slot(clinic, ref)
    if asked.if_rev not in (None, was["rev"]):
        raise Fault(412, "STALE")
    clinic.write("UPDATE slot SET rev = rev + 1, state = ?3 WHERE clinic = ?1 AND ref = ?2", ref, asked.state)
    now = slot(clinic, ref)
    noted(clinic, was, now)
    return now


def slot_view(row: sqlite3.Row) -> View:
    return {
        "ref": row["ref"],
        "rev": str(row["rev"]),
        "begins": row["begins"],
        "ends": row["ends"],
        "with": row["staff"],
        "place": row["site"],
        "state": row["state"],
    }


SELECT = """
SELECT l.*, s.site FROM slot l JOIN entry s ON s.clinic = l.clinic AND s.list = 'staff' AND s.ref = l.staff
WHERE l.clinic = ?"""

Stretch = tuple[str, str]


def _record(clinic: Clinic, ref: str) -> sqlite3.Row:
    if not clinic.personality.slot_records:
        raise Fault(405, "NOT_POSSIBLE")
    row = clinic.row(f"{SELECT} AND l.ref = ?", ref)
    if row is None:
        raise Fault(404, "UNKNOWN_REF")
    return row


def _staff(clinic: Clinic, query: Query) -> dict[str, str]:
    """Whose time is asked for, and the site of each; nobody's for a kind of visit that there is not."""
    kind = "SELECT 1 FROM entry WHERE clinic = ? AND list = 'kinds' AND ref = ?"
    if query.kind is not None and clinic.row(kind, query.kind) is None:
        return {}
    rows = clinic.rows(
        "SELECT ref, site FROM entry WHERE clinic = ? AND list = 'staff'"
        " AND ref = coalesce(?, ref) AND site = coalesce(?, site) ORDER BY ref",
        *(query.staff, query.site),
    )
    return {row["ref"]: row["site"] for row in rows}


def _held(clinic: Clinic, query: Query) -> dict[str, list[Stretch]]:
    """The time that bookings hold, those in `ignoring` left out, by staff and in order."""
    held: dict[str, list[Stretch]] = {}
    for row in _standing(clinic, query):
        if row["ref"] not in query.ignoring:
            held.setdefault(row["staff"], []).append((row["begins"], row["ends"]))
    return held


def _standing(clinic: Clinic, query: Query) -> list[sqlite3.Row]:
    return clinic.rows(
        "SELECT * FROM standing WHERE clinic = ? AND begins < ? AND ends > ? ORDER BY begins",
        *(query.ends, query.begins),
    )


def _at(staff: str, stretch: Stretch, sites: dict[str, str]) -> View:
    return {"begins": stretch[0], "ends": stretch[1], "with": staff, "place": sites[staff]}


def _slots(clinic: Clinic, query: Query, held: list[Stretch]) -> list[Stretch]:
    return [
        (begins, ends)
        for day in clinic.open_days(query.begins, query.ends)
        for begins, ends in half_hours(day)
        if query.begins <= begins and ends <= query.ends and not any(b < ends and begins < e for b, e in held)
    ]


def _windows(clinic: Clinic, query: Query, held: list[Stretch]) -> list[Stretch]:
    windows = []
    for day in clinic.open_days(query.begins, query.ends):
        at, closes = max(query.begins, f"{day}T{OPENS}"), min(query.ends, f"{day}T{CLOSES}")
        for begins, ends in [*held, (closes, closes)]:
            if at < min(begins, closes):
                windows.append((at, min(begins, closes)))
            at = max(at, ends)
    return windows


def _free_records(clinic: Clinic, staff: dict[str, str], query: Query) -> list[sqlite3.Row]:
    """Records by their own state; one that only ignored bookings hold is shown with them."""
    standing = _standing(clinic, query)
    own = {ref for row in standing if row["ref"] in query.ignoring for ref in json.loads(row["slots"])}
    others = [row for row in standing if row["ref"] not in query.ignoring]
    rows = clinic.rows(f"{SELECT} AND l.begins >= ? AND l.ends <= ? ORDER BY l.begins", query.begins, query.ends)
    return [
        row
        for row in rows
        if row["staff"] in staff and (row["state"] == "free" or (row["ref"] in own and not _lies_on(others, row)))
    ]


def _lies_on(bookings: list[sqlite3.Row], slot: sqlite3.Row) -> bool:
    return any(
        b["staff"] == slot["staff"] and b["begins"] < slot["ends"] and slot["begins"] < b["ends"] for b in bookings
    )
