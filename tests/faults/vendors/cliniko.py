"""A Cliniko practice, and its book."""

from __future__ import annotations

from tests.faults.vendors.stage import BYSTANDER, GONE, STANDS, THREE, WAITING, Plain, Row, cast_of, on_one_day, row
from tests.plugins.cliniko.conftest import Practice

OnOneDay = on_one_day(Practice)
STAMPS = {"id", "created_at", "updated_at", "cancelled_at"}


class Stage(Plain):
    def __init__(self, address: str) -> None:
        at = self._at = OnOneDay()
        at.fake.url, self.app = f"{address}/v1", at.fake.app
        at.staff_books(at.half_hour(BYSTANDER), at.bo, patient_id=at.lo)
        three = [at.staff_books(at.half_hour(n)) for n in THREE]
        # Nothing can be confirmed there.
        waiting = at.staff_books(at.half_hour(WAITING))
        self.cast = cast_of(at, three, waiting, other=at.bo, patient=at.lo, service=at.service)
        self.settings = at.settings

    def rows(self) -> list[Row]:
        """What was archived or deleted is in nobody's book."""
        kept = self._at.fake.rows["individual_appointments"].values()
        return [
            row(
                one,
                STAMPS,
                **{
                    "ref": one["id"],
                    "with": one["practitioner_id"],
                    "begins": one["starts_at"],
                    "ends": one["ends_at"],
                },
                stage=STANDS if one["cancelled_at"] is None else GONE,
            )
            for one in kept
            if one["archived_at"] is None and one["deleted_at"] is None
        ]
