"""Who stands in a slot record: it tells only whether it is taken, not by whom."""

from __future__ import annotations

from collections.abc import Collection

from gateway.domain.availability import holds_time
from gateway.domain.model import Slot
from gateway.domain.questions import ReadCalendar
from gateway.port import Emr


async def is_held(emr: Emr, slot: Slot, *, but: Collection[str] = ()) -> bool:
    """Does anybody's appointment stand in the slot, as far as the EMR can be asked? `but`: ids that don't count.

    Raises EmrError.
    """
    if not emr.capabilities.lists:
        return False
    there = await emr.calendar(ReadCalendar(slot.span, resource_id=slot.resource_id))
    return any(holds_time(one) and slot.id in one.slot_ids and one.id not in but for one in there)
