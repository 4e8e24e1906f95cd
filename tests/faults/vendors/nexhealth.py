"""A NexHealth practice: the book in the practice's own system, and the copy, which has to say the same in the end."""

from __future__ import annotations

from tests.faults.pace import SETTLE_S
from tests.faults.vendors.stage import (
    BYSTANDER,
    GONE,
    STANDS,
    THREE,
    WAITING,
    Plain,
    Row,
    cast_of,
    clashing,
    on_one_day,
    row,
)
from tests.plugins.nexhealth.conftest import Practice

OnOneDay = on_one_day(Practice)
STAMPS = {"id", "foreign_id", "referrer", "created_at", "updated_at", "last_sync_time", "cancelled_at", "confirmed_at"}


class Stage(Plain):
    def __init__(self, address: str) -> None:
        at = self._at = OnOneDay()
        at.fake.url, at.fake.settle_s, self.app = address, SETTLE_S, at.fake.app
        at.staff_books(at.half_hour(BYSTANDER), at.bo, patient_id=at.lo, operatory_id=at.rooms[1])
        three = [at.staff_books(at.half_hour(n)) for n in THREE]
        waiting = at.staff_books(at.half_hour(WAITING))
        self.cast = cast_of(at, three, waiting, other=at.bo, patient=at.lo, service=at.service)
        self.settings = at.settings

    def rows(self) -> list[Row]:
        return [_row(id, one) for id, one in self._at.fake.system.items()]

    def wrong(self) -> list[str]:
        fake = self._at.fake
        copy, there = ({id: _row(id, one) for id, one in rows.items()} for rows in (fake.rows, fake.system))
        unlike = sorted(id for id in copy.keys() | there.keys() if copy.get(id) != there.get(id))
        rooms = [f"{one} and {other} are in one room" for one, other in clashing(self.rows(), "operatory_id")]
        return rooms + ([f"of {unlike} the copy says something else than the system"] if unlike else [])

    def is_quiet(self) -> bool:
        """It works on what is queued when it is asked for something."""
        self._at.fake._work()
        return not self._at.fake.queue


def _row(id: int, one: Row) -> Row:
    """Without a note, or with an empty one: to the practice that is the same."""
    return row(
        {**one, "note": one["note"] or ""},
        STAMPS,
        **{"ref": str(id), "with": one["provider_id"], "begins": one["start_time"], "ends": one["end_time"]},
        stage=GONE if one["cancelled"] else STANDS,
    )
