"""Bookings: made, changed, annulled, agreed to and withdrawn. Each function is the work of one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from plugins.sandbox.emr.clinic import Clinic
from plugins.sandbox.emr.journal import noted
from plugins.sandbox.emr.messages import told
from plugins.sandbox.emr.words import (
    ANNULLED,
    AWAITING_CODE,
    GONE,
    MOVED,
    OPEN,
    PLANNED,
    UNCONFIRMED,
    Annulment,
    Asked,
    Changed,
    Code,
    Fault,
    NewBooking,
    Query,
    bad_value,
)

RIGHT_CODE, EXPIRED_CODE = "123456", "999999"

View = dict[str, Any]

SELECT = """
SELECT b.*, k.asks_code, s.site, r.ref AS pending FROM booking b
JOIN entry k ON k.clinic = b.clinic AND k.list = 'kinds' AND k.ref = b.kind
JOIN entry s ON s.clinic = b.clinic AND s.list = 'staff' AND s.ref = b.staff
LEFT JOIN request r ON r.clinic = b.clinic AND r.about = b.ref
WHERE b.clinic = ?"""


# -- reading --------------------------------------------------------------------------------------------------------


def found(clinic: Clinic, refs: Sequence[str]) -> list[View]:
    """Bookings and requests by their references; unknown ones are left out."""
    views = []
    for ref in dict.fromkeys(refs):
        booking = clinic.row(f"{SELECT} AND b.ref = ?", ref)
        request = clinic.row(f"{SELECT} AND r.ref = ?", ref)
        if booking is not None:
            views.append(view(booking))
        elif request is not None:
            views.append(request_view(request))
    return views


def listed(clinic: Clinic, query: Query) -> list[View]:
    """What overlaps a stretch of time, annulled ones too; what has moved elsewhere is listed there only."""
    rows = clinic.rows(
        f"{SELECT} AND b.begins < ? AND b.ends > ? AND b.stage <> '{MOVED}'"
        " AND b.staff = coalesce(?, b.staff) AND b.who = coalesce(?, b.who) AND s.site = coalesce(?, s.site)"
        " ORDER BY b.begins, b.ref",
        *(query.ends, query.begins, query.staff, query.who, query.site),
    )
    return [view(row) for row in rows]


def marked(clinic: Clinic, mark: str) -> list[View]:
    """The booking that its maker calls `mark`."""
    return [view(row) for row in clinic.rows(f"{SELECT} AND b.mark = ?", mark)]


def view(row: sqlite3.Row) -> View:
    agreed = row["agreed"]
    return {
        "ref": row["ref"],
        "rev": str(row["rev"]),
        "begins": row["begins"],
        "ends": row["ends"],
        "who": row["who"],
        "with": row["staff"],
        "kind": row["kind"],
        "place": row["site"],
        "memo": row["memo"],
        "stage": row["stage"],
        "agreed": None if agreed is None else bool(agreed),
        "annul_asks_code": bool(row["asks_code"]) and row["stage"] in OPEN,
        "moved_to": row["moved_to"],
        "slots": json.loads(row["slots"]),
    }


def request_view(row: sqlite3.Row) -> View:
    """The request to annul a booking, with the booking's data. It is settled when the booking is annulled."""
    stage = ANNULLED if row["stage"] == ANNULLED else AWAITING_CODE
    return view(row) | {"ref": row["pending"], "about": row["ref"], "stage": stage, "annul_asks_code": False}


# -- writing --------------------------------------------------------------------------------------------------------


def book(clinic: Clinic, asked: NewBooking) -> View:
    kind = _entry(clinic, "kinds", asked.kind)
    _entry(clinic, "people", asked.who)
    _fits(clinic, asked.staff, asked.begins, asked.ends, asked.slots, but="")
    made = _insert(
        clinic,
        {
            "rev": 1,
            "begins": asked.begins,
            "ends": asked.ends,
            "who": asked.who,
            "staff": asked.staff,
            "kind": asked.kind,
            "memo": asked.memo or "",
            "stage": UNCONFIRMED if kind["asks_code"] else PLANNED,
            "agreed": False if kind["asks_code"] else None,
            "mark": asked.mark,
            "slots": json.dumps(asked.slots or []),
        },
    )
    return made if kind["asks_code"] else told(clinic, asked, made, "BOOKED")


def change(clinic: Clinic, ref: str, asked: Changed) -> View:
    old = _booking(clinic, ref, asked.if_rev)
    new: dict[str, Any] = {}
    if asked.memo is not None:
        _stage(old["stage"] not in GONE)
        new["memo"] = asked.memo
    moves = any(value is not None for value in (asked.begins, asked.ends, asked.staff))
    if not moves:
        return _update(clinic, ref, new)
    new |= _moved(clinic, old, asked)
    now = _successor(clinic, old, new) if clinic.personality.moves == "new_id" else _update(clinic, ref, new)
    return told(clinic, asked, now, "MOVED")


def annul(clinic: Clinic, ref: str, asked: Annulment) -> View:
    """The annulled booking; or, where the patient is asked for a code first, the request that waits for it."""
    old = _booking(clinic, ref, asked.if_rev)
    if old["stage"] == ANNULLED:
        raise Fault(409, "ALREADY")
    _stage(old["stage"] in OPEN)
    if old["asks_code"]:
        return _requested(clinic, old, asked.memo)
    now = _update(clinic, ref, {"stage": ANNULLED} | ({} if asked.memo is None else {"memo": asked.memo}))
    return told(clinic, asked, now, "ANNULLED")


def agree(clinic: Clinic, ref: str, asked: Code) -> View:
    """The code from the patient, for a booking or for a request."""
    request = clinic.row("SELECT * FROM request WHERE clinic = ? AND ref = ?", ref)
    old = _booking(clinic, request["about"] if request else ref, asked.if_rev)
    if old["stage"] == (ANNULLED if request else PLANNED) and old["agreed"] is not None:
        raise Fault(409, "ALREADY")
    _stage(old["stage"] in OPEN if request else old["stage"] == UNCONFIRMED)
    if asked.code == EXPIRED_CODE:
        raise Fault(410, "EXPIRED_CODE")
    if asked.code != RIGHT_CODE:
        raise Fault(422, "WRONG_CODE")
    if request is None:
        return told(clinic, asked, _update(clinic, ref, {"stage": PLANNED, "agreed": True}), "BOOKED")
    memo = {} if request["memo"] is None else {"memo": request["memo"]}
    told(clinic, asked, _update(clinic, old["ref"], {"stage": ANNULLED} | memo), "ANNULLED")
    return found(clinic, [ref])[0]


def withdraw(clinic: Clinic, ref: str, mark: str, asked: Asked) -> None:
    """Take back what was only just made, as if it had never been: for its maker, who knows its mark."""
    old = _booking(clinic, ref, asked.if_rev)
    if old["mark"] != mark:
        raise Fault(409, "RULE_NOT_YOURS")
    _stage(old["stage"] in OPEN)
    clinic.write("DELETE FROM request WHERE clinic = ? AND about = ?", ref)
    clinic.write("DELETE FROM booking WHERE clinic = ? AND ref = ?", ref)
    noted(clinic, view(old), None)
    told(clinic, asked, view(old), "WITHDRAWN")


def set_stage(clinic: Clinic, ref: str, stage: str) -> None:
    """What the staff does at its own desk."""
    _booking(clinic, ref, None)
    _update(clinic, ref, {"stage": stage})


# -- rules ----------------------------------------------------------------------------------------------------------


def _booking(clinic: Clinic, ref: str, if_rev: str | None) -> sqlite3.Row:
    row = clinic.row(f"{SELECT} AND b.ref = ?", ref)
    if row is None:
        is_request = clinic.row("SELECT 1 FROM request WHERE clinic = ? AND ref = ?", ref) is not None
        raise Fault(409, "WRONG_STAGE") if is_request else Fault(404, "UNKNOWN_REF")
    if if_rev is not None and if_rev != str(row["rev"]):
        raise Fault(412, "STALE")
    return row


def _stage(fine: bool) -> None:
    if not fine:
        raise Fault(409, "WRONG_STAGE")


def _entry(clinic: Clinic, list_: str, ref: str) -> sqlite3.Row:
    row = clinic.row("SELECT * FROM entry WHERE clinic = ? AND list = ? AND ref = ?", list_, ref)
    if row is None:
        raise bad_value()
    return row


def _moved(clinic: Clinic, old: sqlite3.Row, asked: Changed) -> dict[str, Any]:
    _stage(old["stage"] == PLANNED)
    if clinic.personality.moves == "never":
        raise Fault(405, "NOT_POSSIBLE")
    begins, ends = asked.begins or old["begins"], asked.ends or old["ends"]
    staff = asked.staff or old["staff"]
    _fits(clinic, staff, begins, ends, asked.slots, but=old["ref"])
    return {"begins": begins, "ends": ends, "staff": staff, "slots": json.dumps(asked.slots or [])}


def _fits(clinic: Clinic, staff: str, begins: str, ends: str, slots: list[str] | None, *, but: str) -> None:
    """The time can be booked, and nobody else than `but` holds it (for those who look)."""
    _entry(clinic, "staff", staff)
    if begins >= ends:
        raise bad_value()
    if not clinic.offers(begins, ends):
        raise Fault(409, "NOT_OFFERED")
    if clinic.personality.slot_records:
        _tiled(clinic, staff, begins, ends, slots or [])
    if clinic.personality.refuses_overlap and _holders(clinic, staff, begins, ends, but):
        raise Fault(409, "TIME_TAKEN")


def _holders(clinic: Clinic, staff: str, begins: str, ends: str, but: str) -> list[sqlite3.Row]:
    return clinic.rows(
        "SELECT ref FROM standing WHERE clinic = ? AND staff = ? AND begins < ? AND ends > ? AND ref <> ?",
        *(staff, ends, begins, but),
    )


def _tiled(clinic: Clinic, staff: str, begins: str, ends: str, slots: list[str]) -> None:
    """The slot records that a booking names are its time, whoever has marked them."""
    at = begins
    for ref in slots:
        slot = clinic.row("SELECT * FROM slot WHERE clinic = ? AND ref = ?", ref)
        if slot is None or slot["staff"] != staff or slot["begins"] != at:
            raise bad_value()
        at = slot["ends"]
    if at != ends:
        raise bad_value()


# -- rows -----------------------------------------------------------------------------------------------------------


def _insert(clinic: Clinic, values: dict[str, Any]) -> View:
    ref = clinic.next_ref("B")
    columns = ", ".join(values)
    places = ", ".join("?" for _ in values)
    # The columns' names are ours, here and below.
    sql = f"INSERT INTO booking (clinic, ref, {columns}) VALUES (?, ?, {places})"  # noqa: S608
    clinic.write(sql, ref, *values.values())
    return _noted(clinic, ref, None)


def _update(clinic: Clinic, ref: str, values: dict[str, Any]) -> View:
    was = found(clinic, [ref])[0]
    sets = "".join(f", {column} = ?{number}" for number, column in enumerate(values, start=3))
    sql = f"UPDATE booking SET rev = rev + 1{sets} WHERE clinic = ?1 AND ref = ?2"  # noqa: S608
    clinic.write(sql, ref, *values.values())
    return _noted(clinic, ref, was)


def _noted(clinic: Clinic, ref: str, was: View | None) -> View:
    """What the reference stands for now, once that is in the journal."""
    now = found(clinic, [ref])[0]
    noted(clinic, was, now)
    return now


def _successor(clinic: Clinic, old: sqlite3.Row, new: dict[str, Any]) -> View:
    kept = {name: old[name] for name in ("who", "kind", "memo", "stage", "agreed")}
    made = _insert(clinic, kept | {"rev": 1, "came_from": old["ref"]} | new)
    _update(clinic, old["ref"], {"stage": MOVED, "moved_to": made["ref"]})
    clinic.write("UPDATE request SET about = ?3 WHERE clinic = ?1 AND about = ?2", old["ref"], made["ref"])
    return made


def _requested(clinic: Clinic, old: sqlite3.Row, memo: str | None) -> View:
    """Asked twice, the request is the same one; a memo given later takes the place of the earlier."""
    if old["pending"] is None:
        ref = clinic.next_ref("R")
        clinic.write("INSERT INTO request (clinic, ref, about, memo) VALUES (?, ?, ?, ?)", ref, old["ref"], memo)
        return _noted(clinic, ref, None)
    if memo is not None:
        clinic.write("UPDATE request SET memo = ?3 WHERE clinic = ?1 AND ref = ?2", old["pending"], memo)
    return found(clinic, [old["pending"]])[0]
