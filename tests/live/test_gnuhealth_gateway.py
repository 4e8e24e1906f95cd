"""A clinic app, the gateway and a real GNU Health server: after every scenario its free records and its appointments
agree, and nothing else in it has changed."""

from __future__ import annotations

import pytest

from tests.live.gateway import Client, errors, lengths, ok, span
from tests.live.gnuhealth_clinic import Clinic
from tests.live.sites import GNUHEALTH

pytestmark = [
    pytest.mark.live,
    pytest.mark.usefixtures("agreeing"),
    pytest.mark.parametrize("site", GNUHEALTH, indirect=True, scope="module"),
]


# -- one ------------------------------------------------------------------------------------------------------------


def test_a_move_takes_the_free_record_and_leaves_another(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    number = clinic.read(id)["name"]
    moved = ok(app.change(id, **span(clinic.at(13))))
    assert (moved["id"], moved["start"], moved["patient_id"]) == (id, clinic.at(13).isoformat(), clinic.patient)
    assert clinic.starts(clinic.anna) == ["10:00", "11:00", "13:00"]
    assert clinic.read(id)["name"] == number
    back = ok(app.change(id, **span(clinic.at(9))))
    assert back["start"] == clinic.at(9).isoformat()


def test_a_reassignment_moves_to_the_other_ones_time(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    now = ok(app.change(id, resource_id=clinic.bo, comment="both at once", **span(clinic.at(14))))
    assert (now["resource_id"], now["start"], now["comment"]) == (clinic.bo, clinic.at(14).isoformat(), "both at once")
    assert clinic.starts(clinic.bo) == ["14:00"]


def test_a_comment_is_written_and_cleared_and_what_is_so_already_is_not_written(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    assert ok(app.change(id, comment="ta med blankett å\n2 sidor "))["comment"] == "ta med blankett å\n2 sidor "
    assert not ok(app.change(id, comment=""))["comment"]
    before = clinic.read(id)["write_date"]
    ok(app.change(id, **span(clinic.at(9))))
    assert clinic.read(id)["write_date"] == before


def test_a_cancellation_makes_the_time_free_again_and_can_be_said_twice(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    for _ in range(2):
        now = ok(app.change(id, status="cancelled", comment="ill"))
        assert (now["status"], now["comment"]) == ("cancelled", "ill")
    assert clinic.read(id)["state"] == "user_cancelled"
    assert clinic.starts(clinic.anna) == ["10:00", "11:00"]
    shown = app.get("/timeslots", resource_id=clinic.anna, **span(clinic.at(9)))
    assert [one["start"] for one in shown] == [clinic.at(9).isoformat()]


def test_there_is_nothing_to_confirm(app: Client, clinic: Clinic):
    answer = app.change(clinic.booked(9)[0], confirmation={})
    assert (answer.status_code, errors(answer)) == (400, ["NOT_SUPPORTED"])


def test_a_taken_time_and_an_unknown_resource_are_refused_and_nothing_changes(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    before = clinic.records(clinic.anna)
    taken = app.change(id, **span(clinic.at(10)))
    assert (taken.status_code, errors(taken)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    elsewhere = app.change(id, resource_id="999999")
    assert (elsewhere.status_code, errors(elsewhere)) == (400, ["INVALID_RESOURCE_ID"])
    unknown = app.change("999999", comment="x")
    assert (unknown.status_code, errors(unknown)) == (404, ["INVALID_APPOINTMENT_ID"])
    assert clinic.records(clinic.anna) == before


def test_an_old_etag_is_refused(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    tag = app.send("GET", f"/appointments/{id}").headers["etag"]
    clinic.write(id, comments="the staff's")
    answer = app.send("PATCH", f"/appointments/{id}", {"comment": "older"}, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert clinic.read(id)["comments"] == "the staff's"


def test_a_booking_takes_the_time_that_was_shown(app: Client, clinic: Clinic):
    wanted = {"resource_id": clinic.bo, "healthcare_service_id": clinic.service}
    shown = app.get("/timeslots", **wanted, **span(clinic.at(8), clinic.at(9)))
    assert [one["start"] for one in shown] == [clinic.at(8).isoformat(), clinic.at(8, 30).isoformat()]
    body = {**wanted, **span(clinic.at(8)), "patient_id": clinic.patient, "comment": "first visit"}
    answer = app.send("POST", "/appointments", body)
    assert answer.status_code == 201, answer.text
    made = clinic.read(answer.json()["id"])
    assert (made["state"], made["comments"], str(made["institution"])) == ("confirmed", "first visit", clinic.unit)
    assert made["name"].startswith("APP ")
    mine = {"patient_id": clinic.patient, "resource_id": clinic.bo}
    listed = app.get("/appointments", **mine, **span(clinic.at(0), clinic.at(23)))
    assert [one["id"] for one in listed] == [answer.json()["id"]]


def test_a_care_unit_has_its_own_appointments_only(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    ok(app.send("PATCH", f"/care-units/{clinic.unit}/appointments/{id}", {"comment": "x"}))
    other = app.send("PATCH", f"/care-units/999999/appointments/{id}", {"comment": "y"})
    assert (other.status_code, errors(other)) == (404, ["INVALID_CARE_UNIT_ID"])


# -- many -----------------------------------------------------------------------------------------------------------


def test_many_are_reassigned_together(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10, 11), resource_id=clinic.bo, comment="holiday cover"))
    assert lengths(answer) == [("moved", "09:00"), ("moved", "10:00"), ("moved", "11:00")]
    assert clinic.starts(clinic.bo) == ["09:00", "10:00", "11:00"]


def test_of_many_that_do_not_all_fit_none_is_moved(app: Client, clinic: Clinic):
    clinic.book(clinic.bo, clinic.at(10))
    answer = app.change_many(clinic.booked(9, 10), resource_id=clinic.bo)
    assert (answer.status_code, errors(answer)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    assert answer.json()["errors"][0]["path"] == "ids/1"
    assert clinic.starts(clinic.anna) == ["09:00", "10:00", "11:00"]


def test_many_are_cancelled_together(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 11), status="cancelled", comment="closed"))
    assert [(one["change"], one["comment"]) for one in answer] == [("cancelled", "closed")] * 2
    assert clinic.starts(clinic.anna) == ["10:00"]


# -- continuous reschedule ------------------------------------------------------------------------------------------


def test_a_longer_range_creates_what_is_missing(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10), comment="therapy", **span(clinic.at(13), clinic.at(14, 30))))
    assert sorted(change for change, _ in lengths(answer)) == ["created", "moved", "moved"]
    assert clinic.starts(clinic.anna) == ["11:00", "13:00", "13:30", "14:00"]
    assert {one["comment"] for one in answer} == {"therapy"}
    made = next(one for one in answer if one["change"] == "created")
    assert (made["patient_id"], made["healthcare_service_id"]) == (clinic.patient, clinic.service)


def test_a_shorter_range_cancels_the_surplus(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10, 11), **span(clinic.at(13), clinic.at(14))))
    assert lengths(answer) == [("moved", "13:00"), ("moved", "13:30"), ("cancelled", "11:00")]
    assert clinic.starts(clinic.anna) == ["13:00", "13:30"]


def test_a_chain_shifts_within_itself(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10), **span(clinic.at(9, 30), clinic.at(10, 30))))
    assert sorted(change for change, _ in lengths(answer)) == ["kept", "moved"]
    assert clinic.starts(clinic.anna) == ["09:30", "10:00", "11:00"]


def test_a_chain_moves_to_somebody_else(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10), resource_id=clinic.bo, **span(clinic.at(14), clinic.at(15))))
    assert [one["resource_id"] for one in answer] == [clinic.bo] * 2
    assert (clinic.starts(clinic.anna), clinic.starts(clinic.bo)) == (["11:00"], ["14:00", "14:30"])


def test_a_range_that_is_not_free_changes_nothing(app: Client, clinic: Clinic):
    before = clinic.records(clinic.anna)
    answer = app.change_many(clinic.booked(9, 10), **span(clinic.at(10, 30), clinic.at(12)))
    assert (answer.status_code, errors(answer)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    assert clinic.records(clinic.anna) == before


# -- and the staff -------------------------------------------------------------------------------------------------


def test_time_that_the_staff_have_squeezed_somebody_into_is_not_offered(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    other = clinic.squeeze_in(clinic.anna, clinic.at(13, 15), clinic.at(13, 45))
    for start in (clinic.at(13), clinic.at(13, 30)):
        answer = app.change(id, **span(start))
        assert (answer.status_code, errors(answer)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    clinic.delete(other)
    ok(app.change(id, **span(clinic.at(13))))


def test_where_two_are_at_one_time_it_gets_free_with_the_last_of_them(app: Client, clinic: Clinic):
    (first,) = clinic.booked(9)
    second = clinic.squeeze_in(clinic.anna, clinic.at(9), clinic.at(9, 30))
    ok(app.change(first, status="cancelled"))
    assert [r["state"] for r in clinic.records(clinic.anna) if r["start"] == clinic.at(9)].count("free") == 0
    ok(app.change(second, status="cancelled"))
