"""FHIR's words into ours, on wire samples."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.plugin import Entry, Slot, Span, Status
from plugins.fhir import Settings, words
from tests.plugins.fhir import samples
from tests.plugins.fhir.samples import at

BASE = "https://fhir.example.org/r4"
SETTINGS = Settings(base_url=BASE, zone="Europe/Stockholm")


def settings(**more: object) -> Settings:
    return Settings.model_validate({"base_url": BASE, "zone": "Europe/Stockholm", **more})


def test_an_appointment_is_read_with_its_participants_slots_and_version():
    read = words.appointment(samples.appointment(), SETTINGS)
    assert read is not None
    assert (read.id, read.status, read.version) == ("a1", Status.BOOKED, "7")
    assert (read.patient_id, read.resource_id) == ("p1", "Practitioner/d1")
    assert (read.care_unit_id, read.healthcare_service_id) == ("u1", "h1")
    assert (read.comment, read.confirmed) == ("bring the form", True)
    assert read.slot_ids == ("d1-0900", "d1-0930")
    assert read.span.same(Span(at(9), at(10)))


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("proposed", Status.AWAITING),
        ("pending", Status.AWAITING),
        ("booked", Status.BOOKED),
        ("arrived", Status.OTHER),
        ("checked-in", Status.OTHER),
        ("fulfilled", Status.COMPLETED),
        ("cancelled", Status.CANCELLED),
        ("noshow", Status.NO_SHOW),
        ("waitlist", Status.OTHER),
        ("some-future-word", Status.OTHER),
    ],
)
def test_each_status_has_its_word_and_an_unknown_one_is_other(word, status):
    read = words.appointment(samples.appointment(status=word), SETTINGS)
    assert read is not None
    assert read.status is status


def test_what_was_entered_in_error_was_never_there():
    assert words.appointment(samples.appointment(status="entered-in-error"), SETTINGS) is None


def test_a_proposal_without_a_time_is_no_appointment_yet():
    body = samples.appointment(status="proposed")
    del body["start"], body["end"]
    assert words.appointment(body, SETTINGS) is None


def test_times_are_told_in_the_zone_of_the_care_units():
    read = words.appointment(samples.appointment(start="2027-07-01T07:00:00Z", end="2027-07-01T08:00:00Z"), SETTINGS)
    assert read is not None
    assert read.start.isoformat() == "2027-07-01T09:00:00+02:00"


@pytest.mark.parametrize("wrong", ["2027-03-02T09:00:00", "nine", ""])
def test_an_instant_without_an_offset_is_not_guessed(wrong):
    with pytest.raises(ValueError):
        words.appointment(samples.appointment(start=wrong), SETTINGS)


def test_another_resource_is_not_taken_for_an_appointment():
    with pytest.raises(ValueError):
        words.appointment({"resourceType": "Slot", "id": "a1", "status": "free"}, SETTINGS)


@pytest.mark.parametrize(
    ("status", "participation", "confirmed"),
    [("booked", "accepted", True), ("booked", "needs-action", False), ("pending", "accepted", False)],
)
def test_confirmed_says_whether_the_patient_has_accepted_what_is_booked(status, participation, confirmed):
    body = samples.appointment(status=status, participant=samples.participants(participation))
    read = words.appointment(body, SETTINGS)
    assert read is not None
    assert read.confirmed is confirmed


def test_without_a_patient_nobody_knows_whether_it_is_confirmed():
    body = samples.appointment(participant=samples.participants("accepted", ("Practitioner/d1",)))
    read = words.appointment(body, SETTINGS)
    assert read is not None
    assert (read.patient_id, read.confirmed) == (None, None)


def test_absolute_references_into_this_server_are_the_same_as_relative_ones():
    people = tuple(f"{BASE}/{reference}" for reference in samples.PEOPLE)
    body = samples.appointment(
        participant=samples.participants("accepted", people), slot=[{"reference": f"{BASE}/Slot/d1-0900/_history/3"}]
    )
    assert words.appointment(body, SETTINGS) == words.appointment(
        samples.appointment(slot=[{"reference": "Slot/d1-0900"}]), SETTINGS
    )


def test_a_patient_of_another_server_stays_another_one():
    people = ("https://elsewhere.example.org/Patient/p1", "Practitioner/d1")
    read = words.appointment(samples.appointment(participant=samples.participants("accepted", people)), SETTINGS)
    assert read is not None
    assert read.patient_id == "https://elsewhere.example.org/Patient/p1"


def test_the_resource_is_the_first_participant_of_the_accounts_types():
    people = ("Patient/p1", "Device/x", "PractitionerRole/r1", "Practitioner/d1")
    body = samples.appointment(participant=samples.participants("accepted", people))
    both = words.appointment(body, settings(resources=["Practitioner", "PractitionerRole"]))
    one = words.appointment(body, settings(resources=["Practitioner"]))
    assert both is not None
    assert one is not None
    assert (both.resource_id, one.resource_id) == ("PractitionerRole/r1", "Practitioner/d1")


def test_a_room_can_be_the_resource_where_there_are_no_care_units():
    read = words.appointment(samples.appointment(), settings(resources=["Location"], care_units="none"))
    assert read is not None
    assert (read.resource_id, read.care_unit_id) == ("Location/u1", None)


def test_a_service_type_is_named_by_system_and_code():
    typed = [{"coding": [{"system": "urn:x", "code": "57"}]}]
    read = words.appointment(samples.appointment(serviceType=typed), settings(services="serviceType"))
    assert read is not None
    assert read.healthcare_service_id == "urn:x|57"


def test_participants_without_an_actor_are_passed_over():
    body = samples.appointment(participant=[{"type": [{"text": "translator"}], "status": "accepted"}])
    read = words.appointment(body, SETTINGS)
    assert read is not None
    assert (read.patient_id, read.resource_id, read.care_unit_id) == (None, None, None)


def test_native_holds_what_a_patch_needs_and_not_the_whole_record():
    body = samples.appointment(description="not needed", supportingInformation=[{"reference": "Condition/c1"}])
    read = words.appointment(body, SETTINGS)
    assert read is not None
    assert read.native["participant"] == body["participant"]
    assert not {"description", "supportingInformation"} & read.native.keys()


def test_a_slot_gets_its_place_from_its_schedule():
    one = words.placed(
        words.slot({**samples.slot("d1", at(8)), "meta": {"versionId": "2"}}, SETTINGS),
        samples.schedule("d1"),
        SETTINGS,
    )
    assert one == Slot(
        at(8), at(8, 30), "Practitioner/d1", care_unit_id="u1", id="d1-0800", version="2", native={"status": "free"}
    )


VISIT, SURGERY = ({"coding": [{"system": "urn:x", "code": code}]} for code in ("visit", "surgery"))


@pytest.mark.parametrize(
    ("slot", "schedule", "codes", "fits"),
    [
        ({}, {}, ["urn:x|visit"], True),
        ({"serviceType": [VISIT]}, {}, ["urn:x|visit"], True),
        ({"serviceType": [SURGERY]}, {}, ["urn:x|visit"], False),
        ({"serviceType": [SURGERY]}, {}, [], True),
        ({}, {"serviceType": [SURGERY]}, ["urn:x|visit"], False),
        ({"serviceType": [VISIT]}, {"serviceType": [SURGERY]}, ["urn:x|visit"], True),
    ],
)
def test_a_slot_fits_a_service_unless_it_is_for_others(slot, schedule, codes, fits):
    assert words.fits(slot, schedule, "h1", codes, SETTINGS) is fits


def test_a_schedule_of_another_service_does_not_fit():
    schedule = {"actor": [{"reference": "Practitioner/d1"}, {"reference": "HealthcareService/h2"}]}
    assert not words.fits({}, schedule, "h1", [], SETTINGS)
    assert words.fits({}, schedule, "h2", [], SETTINGS)
    assert words.fits({}, schedule, None, [], SETTINGS)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"resourceType": "Location", "id": "u1", "name": "Testunit"}, Entry("u1", "Testunit")),
        ({"resourceType": "Patient", "id": "p1", "name": [{"text": "A B"}]}, Entry("p1", "A B")),
        ({"resourceType": "Patient", "id": "p1", "name": [{"given": ["A", "C"], "family": "B"}]}, Entry("p1", "A C B")),
        ({"resourceType": "Patient", "id": "p1"}, Entry("p1", "p1")),
        ({"resourceType": "Practitioner", "id": "d1", "name": [{"family": "B"}]}, Entry("Practitioner/d1", "B")),
        (
            {
                "resourceType": "PractitionerRole",
                "id": "r1",
                "practitioner": {"reference": "Practitioner/d1", "display": "A B"},
                "location": [{"reference": "Location/u1"}],
            },
            Entry("PractitionerRole/r1", "A B", "u1"),
        ),
    ],
)
def test_an_entry_bears_the_id_by_which_appointments_name_it(body, shown):
    assert words.entry(body, settings(resources=["Practitioner", "PractitionerRole"])) == shown


def test_a_search_for_what_overlaps_looks_back_by_the_longest_appointment():
    span = Span(at(9), at(10) + timedelta(days=1))
    assert words.looking_back(span, settings(longest_h=2)) == [
        ("date", "ge2027-03-02T06:00:00Z"),
        ("date", "lt2027-03-03T09:00:00Z"),
    ]
