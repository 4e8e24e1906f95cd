"""What exists, and the ids by which appointments name it."""

from __future__ import annotations

import pytest

from gateway.plugin import Entry, Kind, Refused
from tests.plugins.fhir import samples


async def test_directories_list_what_can_be_booked(emr):
    assert await emr.directory(Kind.CARE_UNIT) == [Entry("u1", "Testunit")]
    assert await emr.directory(Kind.SERVICE) == [Entry("h1", "Testvisit")]
    assert await emr.directory(Kind.PATIENT) == [Entry("p1", "Ett Testperson"), Entry("p2", "Två Testperson")]
    assert await emr.directory(Kind.RESOURCE) == [
        Entry("Practitioner/d1", "A Testdoctor", "u1"),
        Entry("Practitioner/d2", "B Testdoctor", "u1"),
    ]


async def test_a_resource_in_two_care_units_belongs_to_neither(emr, fake):
    actors = [{"reference": "Practitioner/d1"}, {"reference": "Location/u2"}]
    fake.put({**samples.schedule("d1"), "id": "s-other", "actor": actors})
    assert await emr.look_up(Kind.RESOURCE, "Practitioner/d1") == Entry("Practitioner/d1", "A Testdoctor")


@pytest.mark.parametrize(
    ("kind", "id", "name"),
    [
        (Kind.CARE_UNIT, "u1", "Testunit"),
        (Kind.SERVICE, "h1", "Testvisit"),
        (Kind.PATIENT, "p1", "Ett Testperson"),
        (Kind.RESOURCE, "Practitioner/d1", "A Testdoctor"),
        (Kind.RESOURCE, "Practitioner/d9", "Idle Testdoctor"),
    ],
)
async def test_one_entry_is_looked_up_by_one_or_two_reads(emr, fake, kind, id, name):
    entry = await emr.look_up(kind, id)
    assert (entry.id, entry.name) == (id, name)
    assert len(fake.seen) <= 2


@pytest.mark.parametrize(
    ("kind", "id"),
    [(Kind.PATIENT, "p9"), (Kind.RESOURCE, "d1"), (Kind.RESOURCE, "Practitioner/zz"), (Kind.RESOURCE, "Patient/p1")],
)
async def test_what_does_not_exist_is_none(emr, kind, id):
    assert await emr.look_up(kind, id) is None


async def test_service_types_are_listed_from_services_and_schedules(opened, fake):
    visit, surgery = ({"coding": [{"system": "urn:x", "code": code, "display": code}]} for code in ("visit", "surgery"))
    fake.put({"resourceType": "HealthcareService", "id": "h1", "type": [visit]})
    fake.put(samples.schedule("d1", serviceType=[surgery, visit]))
    emr = opened(services="serviceType")
    assert await emr.directory(Kind.SERVICE) == [Entry("urn:x|surgery", "surgery"), Entry("urn:x|visit", "visit")]
    assert await emr.look_up(Kind.SERVICE, "urn:x|visit") == Entry("urn:x|visit", "visit")
    assert await emr.look_up(Kind.SERVICE, "urn:x|none") is None


async def test_no_care_units_can_be_listed_where_there_are_none(opened):
    with pytest.raises(Refused) as refused:
        await opened(care_units="none").directory(Kind.CARE_UNIT)
    assert refused.value.reason == "unsupported"


NUMBER = {"system": "http://electronichealth.se/identifier/personnummer", "value": "190001019999"}


async def test_an_identifier_is_resolved_to_the_one_that_bears_it(emr, fake):
    fake.put({**fake.get("Patient", "p1"), "identifier": [NUMBER]})
    assert await emr.resolve(Kind.PATIENT, "se_personal_number", NUMBER["value"]) == "p1"
    assert await emr.resolve(Kind.PATIENT, "se_personal_number", "190001010000") is None


async def test_an_identifier_that_two_bear_is_not_guessed(emr, fake):
    for id in ("p1", "p2"):
        fake.put({**fake.get("Patient", id), "identifier": [NUMBER]})
    with pytest.raises(Refused) as refused:
        await emr.resolve(Kind.PATIENT, "se_personal_number", NUMBER["value"])
    assert refused.value.reason == "invalid"


async def test_an_unknown_type_of_identifier_is_unsupported(emr):
    with pytest.raises(Refused) as refused:
        await emr.resolve(Kind.PATIENT, "library_card", "1")
    assert refused.value.reason == "unsupported"
