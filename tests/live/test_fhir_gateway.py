"""A clinic app, the gateway and each real FHIR server: after every scenario slots and appointments agree, and nothing
else in the server has changed."""

from __future__ import annotations

import pytest

from tests.live.fhir_clinic import Clinic
from tests.live.fhir_seeds import at
from tests.live.gateway import Client, errors, lengths, ok, span
from tests.live.sites import FHIR

pytestmark = [
    pytest.mark.live,
    pytest.mark.usefixtures("agreeing"),
    pytest.mark.parametrize("site", FHIR, indirect=True, scope="module"),
]


# -- one ------------------------------------------------------------------------------------------------------------


def test_a_move_takes_the_new_slots_and_gives_the_old_ones_back(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    moved = ok(app.change(id, **span(at(13), at(14))))
    assert (moved["id"], moved["start"], moved["resource_id"]) == (id, at(13).isoformat(), clinic.anna)
    assert clinic.busy(clinic.anna) == ["13:00", "13:30"]


def test_a_move_into_ones_own_time_keeps_what_it_needs(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    ok(app.change(id, **span(at(9, 30), at(10, 30))))
    assert clinic.busy(clinic.anna) == ["09:30", "10:00"]


def test_shortening_gives_back_what_is_left_over(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    ok(app.change(id, **span(at(9), at(9, 30))))
    assert clinic.busy(clinic.anna) == ["09:00"]


def test_a_reassignment_moves_to_the_other_ones_slots(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    assert ok(app.change(id, resource_id=clinic.bo))["resource_id"] == clinic.bo
    assert (clinic.busy(clinic.anna), clinic.busy(clinic.bo)) == ([], ["09:00", "09:30"])


def test_time_resource_and_comment_change_together(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    now = ok(app.change(id, resource_id=clinic.bo, comment="both at once", **span(at(11), at(12))))
    assert (now["resource_id"], now["start"], now["comment"]) == (clinic.bo, at(11).isoformat(), "both at once")


def test_a_comment_is_written_and_cleared_without_touching_slots(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    assert ok(app.change(id, comment="bring the form"))["comment"] == "bring the form"
    assert not ok(app.change(id, comment=""))["comment"]
    assert "comment" not in clinic.read("Appointment", id)


def test_what_is_so_already_is_not_written(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    ok(app.change(id, **span(at(9), at(10))))
    assert clinic.versions("Appointment", id) == 1


def test_a_cancellation_frees_the_slots_and_can_be_said_twice(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    for _ in range(2):
        now = ok(app.change(id, status="cancelled", comment="ill"))
        assert (now["status"], now["comment"]) == ("cancelled", "ill")
    assert clinic.busy(clinic.anna) == []
    assert clinic.versions("Appointment", id) == 2


def test_a_request_is_confirmed(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10), status="pending", participation="needs-action")
    assert ok(app.send("GET", f"/appointments/{id}"))["status"] == "awaiting_confirmation"
    for _ in range(2):
        now = ok(app.change(id, confirmation={}))
        assert (now["status"], now["confirmed"]) == ("booked", True)


def test_a_taken_time_is_refused_and_nothing_changes(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    clinic.book(clinic.anna, at(10), at(11))
    answer = app.change(id, **span(at(9, 30), at(10, 30)))
    assert (answer.status_code, errors(answer)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    assert clinic.versions("Appointment", id) == 1


def test_an_old_etag_is_refused(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    tag = app.send("GET", f"/appointments/{id}").headers["etag"]
    ok(app.change(id, comment="newer"))
    answer = app.send("PATCH", f"/appointments/{id}", {"comment": "older"}, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert clinic.read("Appointment", id)["comment"] == "newer"


def test_unknown_appointments_and_resources_are_named(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    unknown = app.change("nobody", comment="x")
    assert (unknown.status_code, errors(unknown)) == (404, ["INVALID_APPOINTMENT_ID"])
    elsewhere = app.change(id, resource_id="Practitioner/nobody")
    assert (elsewhere.status_code, errors(elsewhere)) == (400, ["INVALID_RESOURCE_ID"])


def test_a_booking_takes_a_slot_that_was_shown(app: Client, clinic: Clinic):
    wanted = {"resource_id": clinic.anna, "healthcare_service_id": clinic.service}
    shown = app.get("/timeslots", **wanted, **span(at(8), at(9)))
    assert [one["start"] for one in shown] == [at(8).isoformat(), at(8, 30).isoformat()]
    body = {**wanted, **span(at(8), at(9)), "patient_id": clinic.patient, "comment": "first visit"}
    answer = app.send("POST", "/appointments", body)
    assert answer.status_code == 201, answer.text
    assert clinic.busy(clinic.anna) == ["08:00", "08:30"]
    mine = {"patient_id": clinic.patient, "resource_id": clinic.anna}
    listed = app.get("/appointments", **mine, **span(at(0), at(23)))
    assert [one["id"] for one in listed] == [answer.json()["id"]]


def test_a_care_unit_has_its_own_appointments_only(app: Client, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    own = app.send("PATCH", f"/care-units/{clinic.unit}/appointments/{id}", {"comment": "x"})
    assert own.status_code == 200, own.text
    other = app.send("PATCH", f"/care-units/{clinic.unit}-none/appointments/{id}", {"comment": "y"})
    assert (other.status_code, errors(other)) == (404, ["INVALID_CARE_UNIT_ID"])


# -- many -----------------------------------------------------------------------------------------------------------


def test_many_are_reassigned_together(app: Client, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(hour), at(hour, 30)) for hour in (9, 11, 14)]
    answer = ok(app.change_many(ids, resource_id=clinic.bo, comment="holiday cover"))
    assert lengths(answer) == [("moved", "09:00"), ("moved", "11:00"), ("moved", "14:00")]
    assert clinic.busy(clinic.bo) == ["09:00", "11:00", "14:00"]


def test_of_many_that_do_not_all_fit_none_is_moved(app: Client, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(hour), at(hour, 30)) for hour in (9, 11)]
    clinic.book(clinic.bo, at(11), at(11, 30))
    answer = app.change_many(ids, resource_id=clinic.bo)
    assert (answer.status_code, errors(answer)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    assert answer.json()["errors"][0]["path"] == "ids/1"
    assert clinic.busy(clinic.anna) == ["09:00", "11:00"]


def test_many_are_cancelled_together(app: Client, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(hour), at(hour, 30)) for hour in (9, 11)]
    answer = ok(app.change_many(ids, status="cancelled", comment="closed"))
    assert [(one["change"], one["status"], one["comment"]) for one in answer] == [
        ("cancelled", "cancelled", "closed")
    ] * 2
    assert clinic.busy(clinic.anna) == []


# -- continuous reschedule ------------------------------------------------------------------------------------------


def test_a_longer_range_creates_what_is_missing(app: Client, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(hour), at(hour, 30)) for hour in (9, 10)]
    answer = ok(app.change_many(ids, comment="therapy", **span(at(13), at(14, 30))))
    assert sorted(lengths(answer), key=lambda one: one[1]) == lengths(answer)
    assert sorted(change for change, _ in lengths(answer)) == ["created", "moved", "moved"]
    assert clinic.busy(clinic.anna) == ["13:00", "13:30", "14:00"]
    assert {one["comment"] for one in answer} == {"therapy"}
    made = next(one for one in answer if one["change"] == "created")
    assert (made["patient_id"], made["healthcare_service_id"]) == (clinic.patient, clinic.service)


def test_a_shorter_range_cancels_the_surplus(app: Client, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(hour), at(hour, 30)) for hour in (9, 10, 11)]
    answer = ok(app.change_many(ids, **span(at(13), at(14))))
    assert lengths(answer) == [("moved", "13:00"), ("moved", "13:30"), ("cancelled", "11:00")]
    assert clinic.busy(clinic.anna) == ["13:00", "13:30"]


def test_a_chain_shifts_by_one_slot_within_itself(app: Client, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(9), at(9, 30)), clinic.book(clinic.anna, at(9, 30), at(10))]
    answer = ok(app.change_many(ids, **span(at(9, 30), at(10, 30))))
    assert sorted(change for change, _ in lengths(answer)) == ["kept", "moved"]
    assert clinic.busy(clinic.anna) == ["09:30", "10:00"]


def test_a_chain_moves_to_somebody_else(app: Client, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(9), at(9, 30)), clinic.book(clinic.anna, at(9, 30), at(10))]
    answer = ok(app.change_many(ids, resource_id=clinic.bo, **span(at(9), at(10))))
    assert [one["resource_id"] for one in answer] == [clinic.bo] * 2
    assert (clinic.busy(clinic.anna), clinic.busy(clinic.bo)) == ([], ["09:00", "09:30"])


def test_a_range_that_is_not_free_changes_nothing(app: Client, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(hour), at(hour, 30)) for hour in (9, 10)]
    clinic.book(clinic.anna, at(13, 30), at(14))
    answer = app.change_many(ids, **span(at(13), at(14, 30)))
    assert (answer.status_code, errors(answer)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    assert clinic.busy(clinic.anna) == ["09:00", "10:00", "13:30"]


def test_of_two_on_one_slot_the_one_that_goes_leaves_it_taken(app: Client, clinic: Clinic):
    """A double booking that somebody made: the slot is given back with the last of them."""
    first, second = clinic.book(clinic.anna, at(9), at(10)), clinic.book(clinic.anna, at(9), at(10))
    ok(app.change(first, status="cancelled"))
    assert clinic.busy(clinic.anna) == ["09:00", "09:30"]
    ok(app.change(second, status="cancelled"))
    assert clinic.busy(clinic.anna) == []
