"""Free time out of the records of some days, with the command's own time among it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.plugin import FindFreeTime, FreeTime, Slot
from plugins.gnuhealth import words
from plugins.gnuhealth.words import Record


def free_time(wanted: FindFreeTime, records: Sequence[Record]) -> FreeTime:
    """Free records on which nobody lies, and what only the ignored appointments hold.

    A record can be free under an appointment: the staff may book beside it, and no rule of the server's forbids that.
    """
    own = {a.id for a in wanted.ignoring}
    standing = [r for r in records if r.holds_time]
    strangers = [r for r in standing if str(r.row["id"]) not in own]
    free = [r for r in records if r.is_free]
    bookable = [r for r in free if _suits(r, wanted) and not _meets(r, strangers)]
    mine = [r for r in standing if str(r.row["id"]) in own and not _meets(r, [*strangers, *free])]
    found: dict[str | None, Slot] = {}
    for record in sorted([*bookable, *mine], key=lambda r: (r.span.key, r.row["id"])):
        slot = words.slot(record)
        if wanted.span.contains(slot.span):
            # Of equal records everybody is offered the same one, so that two can't take one each.
            found.setdefault(slot.id, slot)
    return FreeTime("slots", tuple(found.values()))


def _suits(record: Record, wanted: FindFreeTime) -> bool:
    return all(
        asked is None or record.row[field] is None or str(record.row[field]) == asked
        for field, asked in (("speciality", wanted.healthcare_service_id), ("institution", wanted.care_unit_id))
    )


def _meets(record: Record, others: Sequence[Record]) -> bool:
    return any(o.row["healthprof"] == record.row["healthprof"] and o.span.overlaps(record.span) for o in others)
