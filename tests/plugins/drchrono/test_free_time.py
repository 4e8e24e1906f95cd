"""When somebody can be booked, worked out of hours and of what is in the way."""

from __future__ import annotations

from typing import Any

import pytest
import respx

from gateway.plugin import Emr, FindFreeTime, MaybeDone, Refused, Span
from tests.plugins.drchrono.samples import BLOCK, BOOKED, BREAK, DOCTOR, OFFICE, URL, listed, schedule
from tests.plugins.drchrono.wire import ALL, at, booked, opened, sent


async def free(router: respx.MockRouter, emr: Emr, *rows: Any, doctor: Any = DOCTOR, office: Any = OFFICE) -> list[str]:
    """What is open that day, as from-to, with a block at lunch."""
    router.get(f"{URL}/doctors/11").respond(json=doctor)
    router.get(f"{URL}/offices/21").respond(json=office)
    router.get(ALL).respond(json=listed(*rows))
    router.get(f"{URL}/schedule_blocks").respond(
        json=listed(BLOCK, {**BLOCK, "id": 1, "provider": 12, "end_time": "2027-03-02T15:00:00"})
    )
    found = await emr.free_time(FindFreeTime(Span(at(0), at(23, 59)), "11", "31"))
    assert {(s.resource_id, s.healthcare_service_id, s.care_unit_id) for s in found.slots} <= {("11", "31", "21")}
    return [f"{slot.start:%H:%M}-{slot.end:%H:%M}" for slot in found.slots]


async def test_free_is_when_the_office_is_open_and_nothing_is_in_the_way(drchrono, emr):
    there = [BOOKED, {**BREAK, "scheduled_time": "2027-03-02T10:00:00"}, {**BOOKED, "id": "1", "status": "Cancelled"}]
    elsewhere = {**BOOKED, "id": "2", "office": 22, "scheduled_time": "2027-03-02T16:30:00"}
    assert await free(drchrono, emr, *there, elsewhere) == ["08:00-09:00", "09:30-10:00", "10:30-12:00", "13:00-16:30"]
    assert sent(drchrono, -1).url.params.multi_items() == [
        ("date_range", "2027-01-01/2027-03-02"),
        ("doctor", "11"),
        ("page_size", "250"),
    ]


@pytest.mark.parametrize(
    ("doctor", "office", "hours"),
    [
        (schedule(Tuesday=[("09:00", "11:00")]), None, ["09:00-11:00"]),
        (schedule(Tuesday=[("09:00:00", "10:00:00"), ("15:00", "24:00")]), None, ["09:00-10:00", "15:00-00:00"]),
        (schedule(Monday=[("09:00", "11:00")]), None, []),
        (schedule(off=("Tuesday",), Monday=[], Tuesday=[("09:00", "11:00")]), None, []),
        (schedule(off=("Tuesday",), Tuesday=[("09:00", "11:00")]), None, ["08:00-12:00", "13:00-17:00"]),
        (schedule(22, Tuesday=[("09:00", "11:00")]), None, ["08:00-12:00", "13:00-17:00"]),
        (None, schedule(Tuesday=[("10:00", "11:00")]), ["10:00-11:00"]),
        (schedule(Tuesday=[("09:00", "11:00")]), schedule(Tuesday=[("10:00", "11:00")]), ["09:00-11:00"]),
    ],
)
async def test_whoever_has_hours_of_their_own_works_then(drchrono, emr, doctor, office, hours):
    told = {"doctor": {**DOCTOR, "doctor_work_schedule": doctor}, "office": {**OFFICE, "office_work_schedule": office}}
    if hours:
        assert await free(drchrono, emr, **told) == hours
    else:
        drchrono.get(f"{URL}/doctors/11").respond(json=told["doctor"])
        drchrono.get(f"{URL}/offices/21").respond(json=told["office"])
        assert not (await emr.free_time(FindFreeTime(Span(at(0), at(23)), "11", "31"))).slots


@pytest.mark.parametrize("wrong", [{"start_time": "17:00"}, {"start_time": "8"}, {"end_time": None}])
async def test_hours_that_make_no_sense_are_not_guessed_at(drchrono, emr, wrong):
    drchrono.get(f"{URL}/doctors/11").respond(json=DOCTOR)
    drchrono.get(f"{URL}/offices/21").respond(json={**OFFICE, **wrong})
    with pytest.raises(MaybeDone):
        await emr.free_time(FindFreeTime(Span(at(8), at(12)), "11", "31"))


async def test_own_time_is_free_out_of_hours_too_unless_somebody_else_is_there(drchrono, emr):
    own = booked(scheduled_time="2027-03-02T06:00:00", duration=60)
    other = {**BOOKED, "id": "2", "scheduled_time": "2027-03-02T06:45:00"}
    drchrono.get(f"{URL}/doctors/11").respond(json=DOCTOR)
    drchrono.get(f"{URL}/offices/21").respond(json=OFFICE)
    drchrono.get(f"{URL}/schedule_blocks").respond(json=listed())
    route, wanted = drchrono.get(ALL), FindFreeTime(Span(at(5), at(8)), "11", "31", ignoring=(own,))
    for there, end in (([], at(7)), ([other], at(6, 45))):
        route.respond(json=listed({**BOOKED, "scheduled_time": "2027-03-02T06:00:00", "duration": 60}, *there))
        assert [slot.span for slot in (await emr.free_time(wanted)).slots] == [Span(at(6), end)]


async def test_without_an_office_there_is_no_telling_when_somebody_is_free(drchrono):
    with pytest.raises(Refused) as no:
        await opened(drchrono, office_id=None).free_time(FindFreeTime(Span(at(8), at(12)), "11", "31"))
    assert no.value.reason == "unsupported"


async def test_breaks_and_blocks_are_conflicts_too(drchrono, emr):
    appointments, blocks = drchrono.get(ALL), drchrono.get(f"{URL}/schedule_blocks")
    for there, block, answer in (([], [], False), ([BREAK], [], True), ([], [BLOCK], True)):
        appointments.respond(json=listed(BOOKED, *there))
        blocks.respond(json=listed(*({**one, "start_time": "2027-03-02T09:15:00"} for one in block)))
        assert await emr.conflicts(booked()) is answer
