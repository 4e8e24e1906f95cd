"""Exactly what goes over the wire to Cliniko, and what is made of what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx

from gateway import clock
from gateway.plugin import (
    Account,
    Appointment,
    Cancel,
    Change,
    Create,
    Discard,
    Door,
    Emr,
    FindFreeTime,
    MaybeDone,
    ReadCalendar,
    Refused,
    Span,
    Status,
    Throttled,
)
from plugins.cliniko import Settings, emr_open
from tests.plugins.cliniko.samples import BOOKED, CANCELLED, INVALID, NO_CONFLICT, TYPE, URL, listed, starts

ZONE = ZoneInfo("Europe/Stockholm")
NOW = datetime(2027, 2, 20, 12, tzinfo=UTC)
ONE = f"{URL}/individual_appointments/1001"
AUTHORIZATION = "Basic aW52ZW50ZWQta2V5LWV1MTo="


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def cliniko() -> Iterator[respx.MockRouter]:
    with respx.MockRouter(assert_all_called=True) as router:
        yield router


@pytest.fixture
def emr(cliniko: respx.MockRouter) -> Emr:
    return opened(cliniko)


def opened(router: respx.MockRouter, reason: str | None = None, **more: Any) -> Emr:
    told = {"subdomain": "test-street", "api_key": "invented-key-eu1", "contact": "test@example.org",
            "zone": "Europe/Stockholm", "business_id": "21", **more}  # fmt: skip
    door = Door(httpx.MockTransport(router.async_handler))
    return emr_open(Account("clinic", Settings.model_validate(told), door, cancel_reason=reason))


def sent(router: respx.MockRouter, n: int = -1) -> httpx.Request:
    return router.calls[n].request


def body(router: respx.MockRouter, n: int = -1) -> Any:
    return json.loads(sent(router, n).content)


def read(row: Any) -> Appointment | None:
    return opened(respx.MockRouter()).read(row)


def booked() -> Appointment:
    found = read(BOOKED)
    assert found is not None
    return found


def at(hour: int, minute: int = 0) -> datetime:
    """On the second of March."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)


# -- reads ------------------------------------------------------------------------------------------------------------


async def test_every_request_says_who_asks(cliniko, emr):
    cliniko.get(ONE, params={"q[]": "cancelled_at:*"}).respond(json=BOOKED)
    assert await emr.appointment("1001") == Appointment(
        id="1001",
        start=at(9),
        end=at(9, 30),
        status=Status.BOOKED,
        patient_id="41",
        resource_id="11",
        healthcare_service_id="31",
        care_unit_id="21",
        comment="bring the form",
        version="2026-11-03T08:10:08Z",
    )
    headers = sent(cliniko).headers
    assert headers["authorization"] == AUTHORIZATION
    assert headers["user-agent"] == "emr-gateway (test@example.org)"
    assert headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("changes", "status", "comment"),
    [
        ({}, Status.BOOKED, "bring the form"),
        ({"did_not_arrive": True}, Status.NO_SHOW, "bring the form"),
        ({"patient_arrived": True}, Status.OTHER, "bring the form"),
        ({"patient_arrived": True, "starts_at": "2027-01-04T08:00:00Z", "ends_at": "2027-01-04T08:30:00Z"},
         Status.COMPLETED, "bring the form"),
        ({"cancelled_at": "2026-11-04T10:00:00Z"}, Status.CANCELLED, "bring the form"),
        (CANCELLED, Status.CANCELLED, "ill"),
        ({"notes": ""}, Status.BOOKED, None),
    ],
)  # fmt: skip
def test_what_its_fields_say_together(changes, status, comment):
    found = read({**BOOKED, **changes})
    assert found is not None
    assert (found.status, found.comment) == (status, comment)


@pytest.mark.parametrize("field", ["archived_at", "deleted_at"])
def test_what_was_withdrawn_is_not_there(field):
    assert read({**BOOKED, field: "2026-11-04T10:00:00Z"}) is None


async def test_what_can_be_no_id_is_not_asked_for(emr):
    assert await emr.appointment("abc") is None
    assert not await emr.calendar(ReadCalendar(Span(at(8), at(9)), resource_id="x"))


async def test_another_record_than_was_asked_for_is_not_believed(cliniko, emr):
    cliniko.get(ONE).respond(json={**BOOKED, "id": "1002"})
    with pytest.raises(MaybeDone):
        await emr.appointment("1001")


async def test_a_calendar_is_filtered_and_read_to_its_end(cliniko, emr):
    other = {**BOOKED, "id": "1002", "starts_at": "2027-03-02T09:00:00Z", "ends_at": "2027-03-02T09:30:00Z"}
    following = f"{URL}/individual_appointments?page=2&per_page=100"
    cliniko.get(following).respond(json=listed(other, total=2))
    cliniko.get(f"{URL}/individual_appointments").respond(json=listed(BOOKED, total=2, more=following))
    wanted = ReadCalendar(Span(at(8), at(12)), resource_id="11", patient_id="41", care_unit_id="21")
    assert [a.id for a in await emr.calendar(wanted)] == ["1001", "1002"]
    assert sent(cliniko, 0).url.params.multi_items() == [
        ("q[]", "starts_at:<2027-03-02T11:00:00Z"),
        ("q[]", "ends_at:>2027-03-02T07:00:00Z"),
        ("q[]", "practitioner_id:=11"),
        ("q[]", "patient_id:=41"),
        ("q[]", "business_id:=21"),
        ("q[]", "cancelled_at:*"),
        ("sort", "created_at:asc"),
        ("per_page", "100"),
    ]


async def test_free_time_is_asked_for_in_pieces_of_a_week_and_is_as_long_as_its_type(cliniko, emr):
    cliniko.get(f"{URL}/appointment_types/31").respond(json=TYPE)
    path = f"{URL}/businesses/21/practitioners/11/appointment_types/31/available_times"
    first = cliniko.get(path, params={"from": "2027-03-02", "to": "2027-03-08"})
    first.respond(json=starts("2027-03-02T08:00:00Z", "2027-03-02T06:00:00Z"))
    last = cliniko.get(path, params={"from": "2027-03-09", "to": "2027-03-10"})
    last.respond(json=starts("2027-03-09T08:00:00Z"))
    span = Span(at(8), at(8) + timedelta(days=8))
    found = await emr.free_time(FindFreeTime(span, "11", "31"))
    assert [(s.start.isoformat(), s.end.isoformat()) for s in found.slots] == [
        ("2027-03-02T09:00:00+01:00", "2027-03-02T09:45:00+01:00"),
        ("2027-03-09T09:00:00+01:00", "2027-03-09T09:45:00+01:00"),
    ]
    assert {(s.resource_id, s.healthcare_service_id, s.care_unit_id) for s in found.slots} == {("11", "31", "21")}


async def test_whoever_does_not_work_there_has_no_free_time(cliniko, emr):
    cliniko.get(f"{URL}/appointment_types/31").respond(json=TYPE)
    cliniko.get(f"{URL}/businesses/22/practitioners/11/appointment_types/31/available_times").respond(404, json={})
    assert not (await emr.free_time(FindFreeTime(Span(at(8), at(12)), "11", "31", "22"))).slots


async def test_the_past_is_not_asked_for(cliniko, emr, monkeypatch):
    cliniko.get(f"{URL}/appointment_types/31").respond(json=TYPE)
    monkeypatch.setattr(clock, "now", lambda: at(9))
    route = cliniko.get(f"{URL}/businesses/21/practitioners/11/appointment_types/31/available_times")
    route.respond(json=starts())
    await emr.free_time(FindFreeTime(Span(at(8) - timedelta(days=9), at(12)), "11", "31"))
    assert [dict(c.request.url.params) for c in route.calls] == [
        {"from": "2027-03-02", "to": "2027-03-02", "per_page": "100"}
    ]


async def test_conflicts_are_its_own(cliniko, emr):
    route = cliniko.get(f"{ONE}/conflicts")
    route.respond(json=NO_CONFLICT)
    assert await emr.conflicts(booked()) is False
    route.respond(json={"conflicts": {"exist": True}})
    assert await emr.conflicts(booked()) is True


# -- writes -----------------------------------------------------------------------------------------------------------


async def test_a_move_says_both_ends_and_nothing_that_stays(cliniko, emr):
    cliniko.patch(ONE).respond(json={**BOOKED, "starts_at": "2027-03-02T12:00:00Z", "ends_at": "2027-03-02T12:30:00Z"})
    receipt = await emr.change(Change(chain="x", before=booked(), span=Span(at(13), at(13, 30))))
    assert body(cliniko) == {"starts_at": "2027-03-02T12:00:00Z", "ends_at": "2027-03-02T12:30:00Z"}
    assert receipt.appointment is not None
    assert receipt.appointment.start == at(13)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resource_id": "12"}, {"practitioner_id": "12"}),
        ({"comment": "new"}, {"notes": "new"}),
        ({"comment": ""}, {"notes": None}),
        ({"resource_id": "12", "comment": "å"}, {"practitioner_id": "12", "notes": "å"}),
    ],
)
async def test_a_change_says_what_changes(cliniko, emr, fields, said):
    cliniko.patch(ONE).respond(json=BOOKED)
    await emr.change(Change(chain="x", before=booked(), **fields))
    assert body(cliniko) == said


@pytest.mark.parametrize(
    ("reason", "comment", "said"),
    [
        (None, None, {"cancellation_reason": 50, "apply_to_repeats": False}),
        ("30", "ill", {"cancellation_reason": 30, "apply_to_repeats": False, "cancellation_note": "ill"}),
    ],
)
async def test_a_cancellation_has_a_reason_and_is_of_one(cliniko, reason, comment, said):
    cliniko.patch(f"{ONE}/cancel").respond(204)
    receipt = await opened(cliniko, reason).cancel(Cancel(chain="x", before=booked(), comment=comment))
    assert (receipt.id, receipt.appointment) == ("1001", None)
    assert body(cliniko) == said


async def test_a_booking_says_all_of_it(cliniko, emr):
    cliniko.post(f"{URL}/individual_appointments").respond(201, json=BOOKED)
    step = Create(chain="x", span=Span(at(9), at(9, 30)), patient_id="41", resource_id="11", healthcare_service_id="31",
                  comment="bring the form")  # fmt: skip
    assert (await emr.create(step)).appointment == booked()
    assert body(cliniko) == {
        "patient_id": "41",
        "practitioner_id": "11",
        "appointment_type_id": "31",
        "business_id": "21",
        "starts_at": "2027-03-02T08:00:00Z",
        "ends_at": "2027-03-02T08:30:00Z",
        "notes": "bring the form",
    }


async def test_a_booking_without_a_business_or_a_type_is_not_sent(cliniko):
    step = Create(chain="x", span=Span(at(9), at(9, 30)), patient_id="41", resource_id="11", healthcare_service_id="31")
    for emr, one in (
        (opened(cliniko, business_id=None), step),
        (opened(cliniko), replace(step, healthcare_service_id=None)),
    ):
        with pytest.raises(Refused) as no:
            await emr.create(one)
        assert no.value.reason == "invalid"


async def test_what_was_booked_is_withdrawn_by_archiving_it(cliniko, emr):
    cliniko.post(f"{ONE}/archive").respond(204)
    await emr.discard(Discard(chain="x", before=booked()))
    assert not sent(cliniko).content


# -- refusals ---------------------------------------------------------------------------------------------------------


async def test_what_refusals_mean(cliniko, emr):
    step = Change(chain="x", before=booked(), comment="new")
    route = cliniko.patch(ONE)
    for status, reason in ((404, "not_found"), (422, "invalid"), (401, "credentials")):
        route.respond(status, json=INVALID)
        with pytest.raises(Refused) as no:
            await emr.change(step)
        assert no.value.reason == reason
        assert "prose" not in str(no.value)
    route.respond(504)
    with pytest.raises(MaybeDone):
        await emr.change(step)
    route.respond(
        429, headers={"Date": format_datetime(NOW, usegmt=True), "X-RateLimit-Reset": str(int(NOW.timestamp()) + 40)}
    )
    with pytest.raises(Throttled) as later:
        await emr.change(step)
    assert later.value.retry_after == pytest.approx(40, abs=1)
