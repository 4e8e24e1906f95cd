"""What the port does for a plugin that overrides little of it."""

from __future__ import annotations

import pytest

from gateway.domain.capabilities import Capabilities
from gateway.domain.model import Appointment, Status
from gateway.plugin import Emr, Refused
from tests.model import at

ONE = Appointment("a", at(0), at(30), Status.BOOKED)


class OneByOne(Emr):
    async def appointment(self, id):
        return ONE if id == "a" else None


class ByList(Emr):
    async def appointments(self, ids):
        return {id: ONE if id == "a" else None for id in ids}


@pytest.mark.parametrize("kind", [OneByOne, ByList])
async def test_one_way_to_read_appointments_makes_two(kind):
    emr = kind(Capabilities(), "t")
    assert (await emr.appointment("a"), await emr.appointment("b")) == (ONE, None)
    assert await emr.appointments(["b", "a"]) == {"b": None, "a": ONE}


async def test_without_either_nothing_can_be_read():
    emr = Emr(Capabilities(), "t")
    for asking in (emr.appointment("a"), emr.appointments(["a"])):
        with pytest.raises(Refused) as no:
            await asking
        assert no.value.reason == "unsupported"
