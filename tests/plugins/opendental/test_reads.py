"""What is asked of Open Dental, and what is made of what it answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.plugin import (
    Appointment,
    Entry,
    FindFreeTime,
    Kind,
    MaybeDone,
    ReadCalendar,
    Span,
    Status,
)
from tests.plugins.opendental.asking import NINE, ONE, at, booked, opened, sent
from tests.plugins.opendental.samples import BOOKED, CHAIR, HYGIENE, PLANNED, PROVIDER, URL, WINDOW


async def test_every_request_says_who_asks_and_that_it_speaks_json(vendor, emr):
    vendor.get(ONE).respond(json=BOOKED)
    assert await emr.appointment("1001") == Appointment(
        id="1001",
        start=at(9),
        end=at(9, 30),
        status=Status.BOOKED,
        patient_id="41",
        resource_id="3-11",
        healthcare_service_id="31",
        care_unit_id="21",
        comment="bring the form",
        confirmed=False,
        version="2027-02-19 08:30:12",
    )
    headers = sent(vendor).headers
    assert (headers["authorization"], headers["content-type"]) == ("ODFHIR devkey/custkey", "application/json")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"AptStatus": "Complete"}, {"status": Status.COMPLETED}),
        ({"AptStatus": "Broken"}, {"status": Status.CANCELLED}),
        ({"AptStatus": "UnschedList"}, {"status": Status.CANCELLED}),
        ({"AptStatus": "ASAP"}, {"status": Status.OTHER}),
        ({"AptStatus": "PtNote"}, {"status": Status.OTHER}),
        ({"Confirmed": 22}, {"confirmed": True}),
        ({"Note": ""}, {"comment": None}),
        ({"ClinicNum": 0, "AppointmentTypeNum": 0}, {"care_unit_id": None, "healthcare_service_id": None}),
        ({"Op": 0}, {"resource_id": None}),
        (HYGIENE, {"resource_id": "3-12"}),
        ({"IsHygiene": "true"}, {"resource_id": "3-11"}),
        ({"Pattern": "X"}, {"end": at(9, 5)}),
    ],
)
def test_what_its_fields_say(changes, told):
    read = booked({**BOOKED, **changes})
    assert {name: getattr(read, name) for name in told} == told


def test_without_definitions_nothing_is_said_about_confirmation(vendor):
    found = opened(vendor, confirmed=[]).read(BOOKED)
    assert found is not None
    assert found.confirmed is None


async def test_what_has_no_time_is_not_there(vendor, emr):
    vendor.get(ONE).respond(json={**BOOKED, "AptDateTime": "0001-01-01 00:00:00"})
    assert await emr.appointment("1001") is None


async def test_another_record_than_was_asked_for_is_not_believed(vendor, emr):
    vendor.get(ONE).respond(json={**BOOKED, "AptNum": 1002})
    with pytest.raises(MaybeDone):
        await emr.appointment("1001")


async def test_what_can_be_no_id_is_not_asked_for(emr):
    assert await emr.appointment("abc") is None
    assert await emr.appointment("0") is None
    assert await emr.look_up(Kind.RESOURCE, "3") is None
    assert await emr.look_up(Kind.PATIENT, "../1") is None
    assert not await emr.calendar(ReadCalendar(NINE, resource_id="3"))
    assert not (await emr.free_time(FindFreeTime(NINE, "3"))).slots


async def test_a_calendar_is_filtered_and_has_nothing_that_is_only_planned(vendor, emr):
    """From the day before on, as one that begins then may go on past midnight; by chair, and here by provider."""
    elsewhere = {**BOOKED, "AptNum": 1003, "ProvNum": 13}
    vendor.get(f"{URL}/appointments").respond(json=[BOOKED, PLANNED, elsewhere])
    wanted = ReadCalendar(Span(at(8), at(12)), resource_id="3-11", patient_id="41", care_unit_id="21")
    assert [one.id for one in await emr.calendar(wanted)] == ["1001"]
    assert dict(sent(vendor).url.params) == {
        "dateStart": "2027-03-01", "dateEnd": "2027-03-02", "Op": "3", "PatNum": "41", "ClinicNum": "21",
        "Offset": "0", "Limit": "100",
    }  # fmt: skip


async def test_a_list_is_read_until_a_page_is_not_full(vendor, emr):
    rows = [{**BOOKED, "AptNum": 2000 + n} for n in range(130)]
    for offset in (0, 99):
        route = vendor.get(f"{URL}/appointments", params={"Offset": str(offset)})
        route.respond(json=rows[offset : offset + 100])
    assert len(await emr.calendar(ReadCalendar(NINE))) == 130


async def test_free_time_is_of_a_chair_and_its_provider_in_pieces_of_a_fortnight(vendor, emr):
    path, place = f"{URL}/appointments/Slots", {"OpNum": "3", "ProvNum": "11"}
    stranger = {**WINDOW, "OpNum": 4}
    first = vendor.get(path, params={"dateStart": "2027-03-02", "dateEnd": "2027-03-15", **place})
    first.respond(json=[WINDOW, stranger])
    last = vendor.get(path, params={"dateStart": "2027-03-16", "dateEnd": "2027-03-16", **place})
    last.respond(json=[])
    found = await emr.free_time(FindFreeTime(Span(at(8), at(8) + timedelta(days=14, hours=2)), "3-11", "31"))
    assert [(s.start, s.end, s.resource_id) for s in found.slots] == [(at(8), at(10, 30), "3-11")]
    assert found.shape == "windows"


async def test_the_past_is_not_asked_for(vendor, emr):
    vendor.get(f"{URL}/appointments/Slots", params={"dateStart": "2027-02-20", "dateEnd": "2027-02-21"}).respond(
        json=[]
    )
    await emr.free_time(FindFreeTime(Span(at(8) - timedelta(days=19), at(8) - timedelta(days=9)), "3-11"))


async def test_a_chair_is_listed_with_its_dentist_and_its_hygienist(vendor, emr):
    hidden = {**CHAIR, "OperatoryNum": 4, "IsHidden": "true"}
    nobodys = {**CHAIR, "OperatoryNum": 5, "ProvDentist": 0, "ProvHygienist": 0}
    vendor.get(f"{URL}/operatories").respond(json=[CHAIR, hidden, nobodys])
    assert await emr.directory(Kind.RESOURCE) == [
        Entry("3-11", "Test chair", "21"),
        Entry("3-12", "Test chair (hygienist)", "21"),
    ]


@pytest.mark.parametrize(("id", "found"), [("3-13", Entry("3-13", "Test chair", "21")), ("3-14", None)])
async def test_any_provider_may_work_in_a_chair(vendor, emr, id, found):
    vendor.get(f"{URL}/operatories").respond(json=[CHAIR])
    vendor.get(f"{URL}/providers").respond(json=[PROVIDER, {**PROVIDER, "ProvNum": 14, "IsHidden": "true"}])
    assert await emr.look_up(Kind.RESOURCE, id) == found


async def test_whose_chair_it_is_need_not_be_asked(vendor, emr):
    vendor.get(f"{URL}/operatories").respond(json=[CHAIR])
    assert await emr.look_up(Kind.RESOURCE, "3-12") == Entry("3-12", "Test chair (hygienist)", "21")
    assert await emr.look_up(Kind.RESOURCE, "4-11") is None


@pytest.mark.parametrize(
    ("other", "conflicts"),
    [
        ({}, True),
        ({"ProvNum": 13}, True),
        ({"AptStatus": "Complete"}, True),
        ({"AptStatus": "Broken"}, False),
        ({"AptStatus": "Planned"}, False),
        ({"AptDateTime": "2027-03-02 09:30:00"}, False),
        ({"AptDateTime": "2027-03-02 08:35:00"}, True),
        ({"Op": 4}, False),
    ],
)
async def test_a_conflict_is_of_the_chair_whoever_works_there(vendor, emr, other, conflicts):
    vendor.get(f"{URL}/appointments").respond(json=[BOOKED, {**BOOKED, "AptNum": 1002, **other}])
    assert await emr.conflicts(booked()) is conflicts
    assert await emr.conflicts(booked(), ["1002"]) is False
