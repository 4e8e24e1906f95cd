"""Steps into JSON Patches and resources: pure, so nothing but values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.plugin import Appointment, Cancel, Change, Confirm, Create, MarkSlot, Refused, Slot, Span
from plugins.fhir import Settings, patches, words
from tests.plugins.fhir import samples
from tests.plugins.fhir.samples import at

SETTINGS = Settings(base_url="https://fhir.example.org/r4", zone="Europe/Stockholm")
TEN_TO_ELEVEN = Span(at(10), at(11))
TWO_SLOTS = (Slot(at(10), at(10, 30), id="d1-1000"), Slot(at(10, 30), at(11), id="d1-1030"))


def image(**more: object) -> Appointment:
    read = words.appointment(samples.appointment(**more), SETTINGS)
    assert read is not None
    return read


def add(path: str, value: object) -> dict[str, object]:
    return {"op": "add", "path": path, "value": value}


def replaced(path: str, value: object) -> dict[str, object]:
    return {"op": "replace", "path": path, "value": value}


def test_a_move_sets_both_ends_the_length_and_the_slots():
    step = Change(chain="a1", before=image(), span=Span(at(10), at(11, 30)), slots=TWO_SLOTS)
    assert patches.change(step, SETTINGS) == [
        add("/start", "2027-03-02T10:00:00+01:00"),
        add("/end", "2027-03-02T11:30:00+01:00"),
        add("/minutesDuration", 90),
        add("/slot", [{"reference": "Slot/d1-1000"}, {"reference": "Slot/d1-1030"}]),
    ]


def test_a_length_that_was_not_there_is_not_invented():
    before = image()
    before = replace(before, native={k: v for k, v in before.native.items() if k != "minutesDuration"})
    step = Change(chain="a1", before=before, span=TEN_TO_ELEVEN, slots=TWO_SLOTS)
    assert "/minutesDuration" not in {op["path"] for op in patches.change(step, SETTINGS)}


def test_a_move_to_a_time_without_slot_records_lets_go_of_the_old_ones():
    ops = patches.change(Change(chain="a1", before=image(), span=TEN_TO_ELEVEN), SETTINGS)
    assert {"op": "remove", "path": "/slot"} in ops


def test_a_comment_alone_leaves_times_and_slots_alone():
    step = Change(chain="a1", before=image(), comment="fasting")
    assert patches.change(step, SETTINGS) == [add("/comment", "fasting")]


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_an_empty_comment_removes_it_since_fhir_has_no_empty_string(blank):
    step = Change(chain="a1", before=image(), comment=blank)
    assert patches.change(step, SETTINGS) == [{"op": "remove", "path": "/comment"}]


def test_what_is_not_there_is_not_removed():
    before = replace(image(), native={})
    assert patches.change(Change(chain="a1", before=before, comment=""), SETTINGS) == []


def test_a_reassignment_changes_the_one_participant_that_is_the_resource():
    step = Change(chain="a1", before=image(), resource_id="Practitioner/d2", slots=TWO_SLOTS)
    assert patches.change(step, SETTINGS) == [
        add("/slot", [{"reference": "Slot/d1-1000"}, {"reference": "Slot/d1-1030"}]),
        {"op": "test", "path": "/participant/1/actor/reference", "value": "Practitioner/d1"},
        replaced("/participant/1/actor", {"reference": "Practitioner/d2"}),
    ]


def test_an_absolute_reference_is_not_tested_since_the_server_may_store_it_otherwise():
    people = ("Patient/p1", "https://fhir.example.org/r4/Practitioner/d1")
    before = image(participant=samples.participants("accepted", people))
    ops = patches.change(Change(chain="a1", before=before, resource_id="Practitioner/d2"), SETTINGS)
    assert ops[-1] == replaced("/participant/1/actor", {"reference": "Practitioner/d2"})
    assert not [op for op in ops if op["op"] == "test"]


def test_an_appointment_without_a_resource_gets_one_more_participant():
    before = image(participant=samples.participants("accepted", ("Patient/p1",)))
    ops = patches.change(Change(chain="a1", before=before, resource_id="Practitioner/d2"), SETTINGS)
    assert ops[-1] == add("/participant/-", {"actor": {"reference": "Practitioner/d2"}, "status": "accepted"})


@pytest.mark.parametrize("wrong", ["d2", "Patient/p1", "Practitioner/../x", "Practitioner/", "Practitioner/a b"])
def test_a_resource_of_another_form_or_type_is_refused_before_anything_is_sent(wrong):
    with pytest.raises(Refused) as refused:
        patches.change(Change(chain="a1", before=image(), resource_id=wrong), SETTINGS)
    assert refused.value.reason == "invalid"


def test_a_cancellation_gives_its_reason_and_its_comment():
    step = Cancel(chain="a1", before=image(), comment="ill")
    system = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
    assert patches.cancellation(step, patches.reason("other", SETTINGS)) == [
        replaced("/status", "cancelled"),
        add("/cancelationReason", {"coding": [{"system": system, "code": "other"}]}),
        add("/comment", "ill"),
    ]


def test_a_cancellation_without_a_comment_leaves_the_old_one():
    paths = [op["path"] for op in patches.cancellation(Cancel(chain="a1", before=image()), {})]
    assert "/comment" not in paths


def test_confirming_books_and_accepts_for_whoever_has_not_answered():
    people = [
        {"actor": {"reference": "Patient/p1"}, "status": "needs-action"},
        {"actor": {"reference": "Practitioner/d1"}, "status": "accepted"},
        {"actor": {"reference": "Device/x"}, "status": "declined"},
        {"actor": {"reference": "Location/u1"}, "status": "tentative"},
    ]
    step = Confirm(chain="a1", before=image(status="pending", participant=people))
    assert patches.confirmation(step) == [
        replaced("/status", "booked"),
        replaced("/participant/0/status", "accepted"),
        replaced("/participant/3/status", "accepted"),
    ]


def test_confirming_what_is_booked_only_accepts():
    step = Confirm(chain="a1", before=image(participant=samples.participants("needs-action", ("Patient/p1",))))
    assert patches.confirmation(step) == [replaced("/participant/0/status", "accepted")]


def test_a_patient_who_had_declined_can_still_confirm():
    step = Confirm(chain="a1", before=image(participant=samples.participants("declined", ("Patient/p1", "Device/x"))))
    assert patches.confirmation(step) == [replaced("/participant/0/status", "accepted")]


def test_a_slot_is_taken_only_from_the_state_in_which_it_was_read():
    slot = Slot(at(9), at(9, 30), id="s", version="1", native={"status": "free"})
    assert patches.marking(MarkSlot(chain="a1", slot=slot, state="busy")) == [
        {"op": "test", "path": "/status", "value": "free"},
        replaced("/status", "busy"),
    ]


def test_a_slot_of_unknown_state_is_given_back_only_if_it_is_taken():
    ops = patches.marking(MarkSlot(chain="a1", slot=Slot(at(9), at(9, 30), id="s"), state="free"))
    assert ops[0] == {"op": "test", "path": "/status", "value": "busy"}


def creation(**more: object) -> Create:
    fields: dict[str, object] = {
        "chain": "new/0",
        "span": TEN_TO_ELEVEN,
        "patient_id": "p1",
        "resource_id": "Practitioner/d1",
        "healthcare_service_id": "h1",
        "care_unit_id": "u1",
        "slots": TWO_SLOTS,
        "marker": "command-0",
        **more,
    }
    return Create(**fields)  # type: ignore[arg-type]


def test_a_booking_names_everyone_the_slots_and_its_marker():
    assert patches.booking(creation(comment="first visit"), SETTINGS) == {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2027-03-02T10:00:00+01:00",
        "end": "2027-03-02T11:00:00+01:00",
        "minutesDuration": 60,
        "participant": samples.participants(
            "accepted", ("Patient/p1", "Practitioner/d1", "Location/u1", "HealthcareService/h1")
        ),
        "identifier": [{"system": "urn:emr-gateway:booking", "value": "command-0"}],
        "slot": [{"reference": "Slot/d1-1000"}, {"reference": "Slot/d1-1030"}],
        "comment": "first visit",
    }


def test_a_booking_beside_another_takes_over_its_kind_and_its_company():
    people = (*samples.PEOPLE, "Device/x", "Practitioner/assistant")
    kind = {"serviceType": [{"text": "visit"}], "reasonCode": [{"text": "check-up"}]}
    like = image(participant=samples.participants("accepted", people), **kind)
    body = patches.booking(creation(like=like, resource_id="Practitioner/d2"), SETTINGS)
    assert [p["actor"]["reference"] for p in body["participant"]] == [
        "Patient/p1",
        "Practitioner/d2",
        "Location/u1",
        "HealthcareService/h1",
        "Device/x",
        "Practitioner/assistant",
    ]
    assert {key: body[key] for key in kind} == kind
    assert "comment" not in body


def test_a_service_type_is_booked_as_a_coding():
    typed = SETTINGS.model_copy(update={"services": "serviceType"})
    body = patches.booking(creation(healthcare_service_id="urn:x|57"), typed)
    assert body["serviceType"] == [{"coding": [{"system": "urn:x", "code": "57"}]}]
    assert "HealthcareService" not in str(body["participant"])


@pytest.mark.parametrize("wrong", [{"patient_id": "a/b"}, {"resource_id": "p1"}, {"care_unit_id": "../x"}])
def test_a_booking_of_what_can_be_no_id_is_refused(wrong):
    with pytest.raises(Refused) as refused:
        patches.booking(creation(**wrong), SETTINGS)
    assert refused.value.reason == "invalid"
