"""Free time and conflicts of an EMR that tells hours, appointments and blocked time."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from gateway.plugin import (
    Appointment,
    Capabilities,
    Door,
    FindFreeTime,
    Kind,
    OpenHoursEmr,
    Refused,
    Span,
    Status,
    hours,
)

ZONE = ZoneInfo("Europe/Stockholm")
CAN = Capabilities(free_time="windows", free_time_by=frozenset({Kind.RESOURCE, Kind.CARE_UNIT}), own_time_shown=True)


def at(hour: int, minute: int = 0) -> datetime:
    """On the second of March, a Tuesday."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)


def visit(id: str, start: datetime, end: datetime, **more) -> Appointment:
    return Appointment(id, start, end, **{"status": Status.BOOKED, "patient_id": "5", "resource_id": "1", **more})


class Emr(OpenHoursEmr):
    """That is asked for what it lists and for what is blocked, and counts how often."""

    def __init__(self, *there: Appointment, blocked: tuple[Span, ...] = (), care_unit_id: str | None = "2") -> None:
        http = Door(httpx.MockTransport(lambda _: httpx.Response(500))).http(base_url="https://emr.example")
        super().__init__(http, CAN, "a practice", zone=ZONE, care_unit_id=care_unit_id)
        self.there, self.off, self.asked = there, blocked, 0

    async def listed(self, wanted):
        self.asked += 1
        return [*self.there]

    def is_shown(self, one):
        return one.patient_id is not None

    async def week(self, resource_id, care_unit_id):
        return {1: [hours("08:00", "12:00")]} if (resource_id, care_unit_id) == ("1", "2") else {}

    async def blocked(self, resource_id, span):
        self.asked += 1
        return [one for one in self.off if one.overlaps(span)]


async def free(emr: Emr, *ignoring: Appointment, who: str | None = "1", unit: str | None = None) -> list[str]:
    found = await emr.free_time(FindFreeTime(Span(at(0), at(23)), who, "3", unit, ignoring))
    assert found.shape == "windows"
    assert {(s.resource_id, s.healthcare_service_id, s.care_unit_id) for s in found.slots} <= {("1", "3", "2")}
    return [f"{slot.start:%H:%M}-{slot.end:%H:%M}" for slot in found.slots]


async def test_free_is_what_is_worked_and_nothing_is_in_the_way_of():
    pause = visit("8", at(10), at(10, 30), patient_id=None)
    elsewhere = visit("7", at(9), at(9, 30), care_unit_id="9")
    emr = Emr(elsewhere, pause, blocked=(Span(at(11, 30), at(13)),))
    assert await free(emr) == ["08:00-09:00", "09:30-10:00", "10:30-11:30"]


async def test_own_time_is_free_out_of_hours_too():
    own = visit("7", at(18), at(19))
    assert await free(Emr(own), own) == ["08:00-12:00", "18:00-19:00"]


@pytest.mark.parametrize(("who", "unit"), [("4", None), ("1", "9"), ("x", None), ("1", "x")])
async def test_where_nobody_works_nothing_else_is_asked_for(who, unit):
    emr = Emr()
    assert await free(emr, visit("7", at(8), at(9), resource_id="3"), who=who, unit=unit) == []
    assert not emr.asked


@pytest.mark.parametrize("more", [{"who": None}, {"unit": None}])
async def test_free_time_of_nobody_or_nowhere_can_not_be_told(more):
    with pytest.raises(Refused) as no:
        await free(Emr(care_unit_id=None), **more)
    assert no.value.reason == "unsupported"


def test_what_is_always_meant_need_not_be_asked_by():
    assert Emr(care_unit_id=None).capabilities.free_time_by == {Kind.RESOURCE, Kind.CARE_UNIT}
    assert Emr().capabilities.free_time_by == {Kind.RESOURCE}


async def test_whatever_stands_or_is_blocked_is_in_conflict():
    mine = visit("7", at(9), at(10))
    beside = [visit("6", at(8), at(9)), visit("5", at(9), at(10), status=Status.CANCELLED)]
    for there, blocked, answer in (
        ([], (), False),
        ([visit("8", at(9, 59), at(11))], (), True),
        ([visit("8", at(9), at(11), patient_id=None)], (), True),
        ([], (Span(at(9, 30), at(9, 45)),), True),
        ([], (Span(at(10), at(10) + timedelta(hours=1)),), False),
    ):
        assert await Emr(mine, *beside, *there, blocked=blocked).conflicts(mine) is answer
    assert not await Emr(visit("8", at(9), at(11))).conflicts(mine, ignoring=("8",))
    assert not await Emr(visit("8", at(9), at(11))).conflicts(visit("9", at(9), at(10), resource_id=None))
