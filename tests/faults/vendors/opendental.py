"""An Open Dental office, and its book."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.faults.vendors.stage import BYSTANDER, GONE, STANDS, THREE, WAITING, Plain, Row, cast_of, on_one_day, row
from tests.plugins.opendental.conftest import Office

OnOneDay = on_one_day(Office)
STAMPS = {"AptNum", "DateTStamp"}
HELD = ("Scheduled", "Complete")


class Stage(Plain):
    def __init__(self, address: str) -> None:
        at = self._at = OnOneDay()
        at.fake.url, self.app = f"{address}/api/v1", at.fake.app
        at.staff_books(at.half_hour(BYSTANDER), PatNum=at.lo, Op=at.second, ProvNum=at.bo)
        # As their own staff lays them out: an undo has to lead back to that.
        three = [at.staff_books(at.half_hour(n), Pattern="/XXXX/", PatternSecondary="//////") for n in THREE]
        waiting = at.staff_books(at.half_hour(WAITING), Confirmed=20)
        self.cast = cast_of(at, three, waiting, other=at.resources[1], patient=at.lo, service=at.service)
        self.settings = at.settings

    def rows(self) -> list[Row]:
        return [_row(one) for one in self._at.fake.rows["appointments"].values()]


def _row(one: Row) -> Row:
    """By the office's clock, five minutes for each sign of the pattern; in a chair, whoever works there."""
    begins = datetime.fromisoformat(one["AptDateTime"])
    ends = begins + timedelta(minutes=5) * len(one["Pattern"])
    return row(
        one,
        STAMPS,
        **{"ref": str(one["AptNum"]), "with": one["Op"], "begins": str(begins), "ends": str(ends)},
        stage=STANDS if one["AptStatus"] in HELD else GONE,
    )
