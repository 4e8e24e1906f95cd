"""What has to be named for an EMR's free time to be told is asked for in our own words, before the EMR is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.domain.capabilities import Capabilities
from gateway.domain.errors import BadRequest
from gateway.domain.model import FreeTime, Kind, Span
from gateway.port import Emr
from gateway.reading import Reading
from gateway.testing import MemoryLedger

DAY = Span(datetime(2027, 3, 2, tzinfo=UTC), datetime(2027, 3, 3, tzinfo=UTC))
NAMED = {
    "resource_id": "query/resource_id",
    "service_id": "query/healthcare_service_id",
    "care_unit_id": "care_unit_id",
}


class Particular(Emr):
    async def free_time(self, wanted):
        return FreeTime("slots")


@pytest.mark.parametrize("left_out", [(), ("resource_id",), ("service_id", "care_unit_id"), tuple(NAMED)])
async def test_free_time_is_told_by_what_the_emr_asks_for(left_out):
    emr = Particular(
        Capabilities(free_time="slots", free_time_by=frozenset({Kind.RESOURCE, Kind.SERVICE, Kind.CARE_UNIT})), "t"
    )
    asked = {name: None if name in left_out else "x" for name in NAMED}
    asking = Reading(MemoryLedger()).timeslots(emr, DAY, **asked)
    if not left_out:
        assert await asking == []
        return
    with pytest.raises(BadRequest) as no:
        await asking
    told = [(p.error_code, p.path) for p in no.value.problems]
    assert told == [("MISSING_REQUIRED_FIELD", NAMED[name]) for name in left_out]
