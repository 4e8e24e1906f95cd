"""What has been carried out at a clinic, and by whose hand: written with the write itself, and never changed."""

from __future__ import annotations

import json
from typing import Any

from plugins.sandbox.emr.clinic import Clinic

View = dict[str, Any]


def noted(clinic: Clinic, was: View | None, now: View | None) -> None:
    """A booking, a request or a slot record is `now` what it was not before; `None` where there is none."""
    told = was if now is None else now
    assert told is not None
    sql = "INSERT INTO journal (clinic, at, hand, ref, was, now) VALUES (?, ?, ?, ?, ?, ?)"
    clinic.write(sql, clinic.at, clinic.hand, told["ref"], json.dumps(was), json.dumps(now))


def listed(clinic: Clinic) -> list[View]:
    """All of it, oldest first. What a clinic was founded with is not in it."""
    rows = clinic.rows("SELECT number, at, hand, ref, was, now FROM journal WHERE clinic = ? ORDER BY number")
    return [{**dict(row), "was": json.loads(row["was"]), "now": json.loads(row["now"])} for row in rows]
