"""A clinic app, the gateway and each real FHIR server: after every scenario, slots and appointments agree."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.live.gateway import Client, errors, serving
from tests.live.medplum_router import medplum, medplum_home  # noqa: F401
from tests.live.sekmet import HALF_HOUR, Clinic, at

pytestmark = pytest.mark.live

REFUSALS = [
    (400, ["NO_TIMESLOTS_AVAILABLE"]),
    (409, ["NO_TIMESLOTS_AVAILABLE"]),
    (409, ["CHANGED_MEANWHILE"]),
    (503, []),
]
"""What those are told who come too late: gone before, or while, we wrote; or another command has the resource."""


@pytest.fixture(scope="module", params=["sekmet", "medplum"])
def server(request: pytest.FixtureRequest) -> str:
    """The base URL of each server in turn."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def clinic(server: str) -> Iterator[Clinic]:
    clinic = Clinic(server)
    yield clinic
    clinic.close()


@pytest.fixture(scope="module")
def accounts(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two gateways in front of one EMR: neither knows of the other's locks."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    with serving(server, first) as one, serving(server, second) as other:
        yield one, other


@pytest.fixture
def app(accounts: tuple[str, str]) -> Iterator[Client]:
    client = Client(accounts[0])
    yield client
    client.close()


@pytest.fixture(autouse=True)
def agreeing(clinic: Clinic) -> Iterator[None]:
    """Each standing appointment's slots are busy, and no other slot is."""
    yield
    assert clinic.disagreements() == []


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def span(start: datetime, end: datetime) -> dict[str, str]:
    return {"start": start.isoformat(), "end": end.isoformat()}


def lengths(answer: list[dict[str, str]]) -> list[tuple[str, str]]:
    """(change, local start) of each appointment of an answer."""
    return [(one["change"], one["start"][11:16]) for one in answer]


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
    listed = app.get("/appointments", resource_id=clinic.anna, **span(at(0), at(23)))
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


# -- many clients ---------------------------------------------------------------------------------------------------


def test_of_eight_clients_that_want_one_slot_exactly_one_gets_it(accounts: tuple[str, str], clinic: Clinic):
    """Half of them by another gateway, so that only the server's version check stands between them."""
    starts = [at(8) + n * HALF_HOUR for n in range(8)]
    ids = [clinic.book(clinic.anna, start, start + HALF_HOUR) for start in starts]
    clients = [Client(accounts[n % 2]) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        wants = [pool.submit(c.change, id, **span(at(15), at(15, 30))) for c, id in zip(clients, ids, strict=True)]
        answers = [want.result(timeout=120) for want in wants]
    for client in clients:
        client.close()
    losers = [answer for answer in answers if answer.status_code != 200]
    assert len(losers) == 7, [answer.text for answer in answers]
    for answer in losers:
        assert (answer.status_code, errors(answer)) in REFUSALS, answer.text
    there = [id for id in ids if clinic.read("Appointment", id)["start"] == at(15).isoformat()]
    assert len(there) == 1


def test_of_two_on_one_slot_the_one_that_goes_leaves_it_taken(app: Client, clinic: Clinic):
    """A double booking that somebody made: the slot is given back with the last of them."""
    first, second = clinic.book(clinic.anna, at(9), at(10)), clinic.book(clinic.anna, at(9), at(10))
    ok(app.change(first, status="cancelled"))
    assert clinic.busy(clinic.anna) == ["09:00", "09:30"]
    ok(app.change(second, status="cancelled"))
    assert clinic.busy(clinic.anna) == []
