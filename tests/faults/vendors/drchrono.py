"""A DrChrono practice, and its book."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.faults.vendors.stage import BYSTANDER, GONE, STANDS, THREE, WAITING, Plain, Row, cast_of, on_one_day, row
from tests.plugins.drchrono.conftest import Practice

OnOneDay = on_one_day(Practice)
STAMPS = {"id", "created_at", "updated_at"}


class Stage(Plain):
    def __init__(self, address: str) -> None:
        at = self._at = OnOneDay()
        at.fake.url, self.app = address, at.fake.app
        at.staff_books(at.half_hour(BYSTANDER), at.bo, patient=int(at.lo))
        three = [at.staff_books(at.half_hour(n)) for n in THREE]
        waiting = at.staff_books(at.half_hour(WAITING), status="Not Confirmed")
        self.cast = cast_of(at, three, waiting, other=at.bo, patient=at.lo, service=at.service)
        self.settings = at.settings

    def rows(self) -> list[Row]:
        """What was deleted is in nobody's book. Times are the practice's own."""
        kept = self._at.fake.rows["appointments"].values()
        return [_row(one) for one in kept if not one["deleted_flag"]]

    def let_in(self) -> str:
        return self._at.fake.let_in()


def _row(one: Row) -> Row:
    begins = datetime.fromisoformat(one["scheduled_time"])
    ends = begins + timedelta(minutes=one["duration"])
    return row(
        one,
        STAMPS,
        **{"ref": one["id"], "with": one["doctor"], "begins": begins.isoformat(), "ends": ends.isoformat()},
        stage=GONE if one["status"] in ("Cancelled", "Rescheduled") else STANDS,
    )
