"""A clinic app, the gateway and a real GNU Health server: after every scenario its free records and its appointments
agree, and nothing else in it has changed."""

# ruff: noqa: F811  fixtures are imported, and bear the names of what they give

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.live.gateway import Client, errors
from tests.live.gnuhealth import HALF_HOUR, Clinic, clinic, gnuhealth, gnuhealth_venv, practice  # noqa: F401
from tests.live.gnuhealth_gateway import serving
from tests.live.gnuhealth_server import Server

pytestmark = pytest.mark.live

REFUSALS = [
    (400, ["NO_TIMESLOTS_AVAILABLE"]),
    (409, ["NO_TIMESLOTS_AVAILABLE"]),
    (409, ["CHANGED_MEANWHILE"]),
    (503, []),
]
"""What those are told who come too late: gone before, or while, we wrote; or another command has the resource."""


@pytest.fixture(scope="module")
def accounts(gnuhealth: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two gateways in front of one EMR: neither knows of the other's locks.

    On SQLite they are one: there the server looks before it locks, and of two at the same moment it lets both.
    """
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    with serving(gnuhealth, first) as one, serving(gnuhealth, second) as other:
        yield one, one if gnuhealth.database == "sqlite" else other


@pytest.fixture
def app(accounts: tuple[str, str]) -> Iterator[Client]:
    client = Client(accounts[0])
    yield client
    client.close()


@pytest.fixture(autouse=True)
def agreeing(clinic: Clinic) -> Iterator[None]:
    """Every half hour is one record's, free or standing."""
    yield
    assert clinic.disagreements() == []


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def span(start: datetime, end: datetime | None = None) -> dict[str, str]:
    """A half hour, or until `end`."""
    return {"start": start.isoformat(), "end": (end or start + HALF_HOUR).isoformat()}


def lengths(answer: list[dict[str, str]]) -> list[tuple[str, str]]:
    """(change, local start) of each appointment of an answer."""
    return [(one["change"], one["start"][11:16]) for one in answer]


# -- one ------------------------------------------------------------------------------------------------------------


def test_a_move_takes_the_free_record_and_leaves_another(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    number = clinic.read(id)["name"]
    moved = ok(app.change(id, **span(clinic.at(13))))
    assert (moved["id"], moved["start"], moved["patient_id"]) == (id, clinic.at(13).isoformat(), clinic.patient)
    assert clinic.standing(clinic.anna) == ["10:00", "11:00", "13:00"]
    assert clinic.read(id)["name"] == number
    back = ok(app.change(id, **span(clinic.at(9))))
    assert back["start"] == clinic.at(9).isoformat()


def test_a_reassignment_moves_to_the_other_ones_time(app: Client, clinic: Clinic):
    (id,) = clinic.booked(9)
    now = ok(app.change(id, resource_id=clinic.bo, comment="both at once", **span(clinic.at(14))))
    assert (now["resource_id"], now["start"], now["comment"]) == (clinic.bo, clinic.at(14).isoformat(), "both at once")
    assert clinic.standing(clinic.bo) == ["14:00"]


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
    assert clinic.standing(clinic.anna) == ["10:00", "11:00"]
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
    listed = app.get("/appointments", resource_id=clinic.bo, **span(clinic.at(0), clinic.at(23)))
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
    assert clinic.standing(clinic.bo) == ["09:00", "10:00", "11:00"]


def test_of_many_that_do_not_all_fit_none_is_moved(app: Client, clinic: Clinic):
    clinic.book(clinic.bo, clinic.at(10))
    answer = app.change_many(clinic.booked(9, 10), resource_id=clinic.bo)
    assert (answer.status_code, errors(answer)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    assert answer.json()["errors"][0]["path"] == "ids/1"
    assert clinic.standing(clinic.anna) == ["09:00", "10:00", "11:00"]


def test_many_are_cancelled_together(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 11), status="cancelled", comment="closed"))
    assert [(one["change"], one["comment"]) for one in answer] == [("cancelled", "closed")] * 2
    assert clinic.standing(clinic.anna) == ["10:00"]


# -- continuous reschedule ------------------------------------------------------------------------------------------


def test_a_longer_range_creates_what_is_missing(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10), comment="therapy", **span(clinic.at(13), clinic.at(14, 30))))
    assert sorted(change for change, _ in lengths(answer)) == ["created", "moved", "moved"]
    assert clinic.standing(clinic.anna) == ["11:00", "13:00", "13:30", "14:00"]
    assert {one["comment"] for one in answer} == {"therapy"}
    made = next(one for one in answer if one["change"] == "created")
    assert (made["patient_id"], made["healthcare_service_id"]) == (clinic.patient, clinic.service)


def test_a_shorter_range_cancels_the_surplus(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10, 11), **span(clinic.at(13), clinic.at(14))))
    assert lengths(answer) == [("moved", "13:00"), ("moved", "13:30"), ("cancelled", "11:00")]
    assert clinic.standing(clinic.anna) == ["13:00", "13:30"]


def test_a_chain_shifts_within_itself(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10), **span(clinic.at(9, 30), clinic.at(10, 30))))
    assert sorted(change for change, _ in lengths(answer)) == ["kept", "moved"]
    assert clinic.standing(clinic.anna) == ["09:30", "10:00", "11:00"]


def test_a_chain_moves_to_somebody_else(app: Client, clinic: Clinic):
    answer = ok(app.change_many(clinic.booked(9, 10), resource_id=clinic.bo, **span(clinic.at(14), clinic.at(15))))
    assert [one["resource_id"] for one in answer] == [clinic.bo] * 2
    assert (clinic.standing(clinic.anna), clinic.standing(clinic.bo)) == (["11:00"], ["14:00", "14:30"])


def test_a_range_that_is_not_free_changes_nothing(app: Client, clinic: Clinic):
    before = clinic.records(clinic.anna)
    answer = app.change_many(clinic.booked(9, 10), **span(clinic.at(10, 30), clinic.at(12)))
    assert (answer.status_code, errors(answer)) == (400, ["NO_TIMESLOTS_AVAILABLE"])
    assert clinic.records(clinic.anna) == before


# -- many clients, and the staff ------------------------------------------------------------------------------------


def test_of_eight_clients_that_want_one_slot_exactly_one_gets_it(accounts: tuple[str, str], clinic: Clinic):
    """Those who move and those who book, half of them by another gateway, so that only the server stands between."""
    ids = clinic.booked(9, 10, 11)
    clients = [Client(accounts[n % 2]) for n in range(8)]
    booking = {"patient_id": clinic.patient, "resource_id": clinic.anna, "healthcare_service_id": clinic.service}
    with ThreadPoolExecutor(8) as pool:
        moves = [pool.submit(c.change, id, **span(clinic.at(15))) for c, id in zip(clients, ids, strict=False)]
        body = {**booking, **span(clinic.at(15))}
        books = [pool.submit(c.send, "POST", "/appointments", body) for c in clients[len(ids) :]]
        answers = [want.result(timeout=120) for want in (*moves, *books)]
    for client in clients:
        client.close()
    losers = [answer for answer in answers if answer.status_code not in (200, 201)]
    assert len(losers) == 7, [answer.text for answer in answers]
    for answer in losers:
        assert (answer.status_code, errors(answer)) in REFUSALS, answer.text
    assert clinic.standing(clinic.anna).count("15:00") == 1


def test_of_eight_clients_that_change_one_appointment_all_are_told_the_truth(accounts: tuple[str, str], clinic: Clinic):
    """Through two gateways: what stands in the end is the last that was said to have been done."""
    (id,) = clinic.booked(9)
    clients = [Client(accounts[n % 2]) for n in range(8)]
    starts = [clinic.at(12) + n * HALF_HOUR for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        wants = [pool.submit(c.change, id, **span(start)) for c, start in zip(clients, starts, strict=True)]
        answers = [want.result(timeout=120) for want in wants]
    for client in clients:
        client.close()
    for answer in answers:
        assert answer.status_code == 200 or (answer.status_code, errors(answer)) in REFUSALS, answer.text
    done = [one.json()["start"] for one in answers if one.status_code == 200]
    stands = next(start.isoformat() for start in starts if clinic.read(id)["start"] == start)
    assert stands in done
    assert len(clinic.standing(clinic.anna)) == 3


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
