"""All that is in a GNU Health server, and what of it has changed without being asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.live.gnuhealth_clinic import APPOINTMENT, EDGES, Row, heard
from tests.live.gnuhealth_rpc import Rpc
from tests.live.witness import Place, Said

FIELDS = (
    *("state", "patient", "healthprof", "speciality", "institution", "comments", "name", "event", *EDGES),
    *("appointment_type", "visit_type", "urgency", "consultations", "insurance", "checked_in_date"),
    *("create_uid", "create_date", "write_uid", "write_date"),
)
MOVED = {*EDGES, "state", "healthprof", "comments", "event", "write_uid", "write_date"}
"""What the gateway may write of an appointment, or the server with that."""
OTHERS = ("gnuhealth.patient", "gnuhealth.healthprofessional", "gnuhealth.institution", "party.party", "res.user")

Rows = Mapping[str, Row]


class GnuHealthWorld:
    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def look(self) -> Rows:
        wanted = {APPOINTMENT: FIELDS, **dict.fromkeys(OTHERS, ("create_date", "write_date"))}
        return {
            f"{model},{row['id']}": row
            for model, fields in wanted.items()
            for row in self._rpc.rows(model, [], *fields)
        }

    def unasked(self, before: Rows, after: Rows, said: Said) -> list[str]:
        def stood(id: str) -> Iterator[Place]:
            key = f"{APPOINTMENT},{id}"
            return (_place(state[key]) for state in (before, after) if key in state)

        theirs = {f"{APPOINTMENT},{id}" for id in said.theirs}
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} - theirs
        ids, places = said.ids, said.places(stood)
        return [key for key in sorted(changed) if not _explained(key, before.get(key), after.get(key), ids, places)]


def _explained(key: str, old: Row | None, new: Row | None, ids: set[str], places: list[Place]) -> bool:
    model, _, id = key.partition(",")
    if model != APPOINTMENT:
        return False
    if id in ids and new is not None:
        return old is None or _fixed(old) == _fixed(new)
    # Time that is free is a record that goes when it is taken, and another one when it is given back.
    row = old or new
    return (old is None or new is None) and row is not None and _free_there(row, places)


def _free_there(row: Row, places: list[Place]) -> bool:
    here = _place(row)
    return row["state"] == "free" and any(here.meets(place) for place in places)


def _fixed(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in MOVED}


def _place(row: Row) -> Place:
    return Place(str(row["healthprof"]), str(row["institution"]), *(heard(row[edge]) for edge in EDGES))
