"""Exactly what goes over the wire to DrChrono, and what is made of what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.plugin import (
    Account,
    Appointment,
    BadAccount,
    Cancel,
    Change,
    Confirm,
    Consent,
    Create,
    Discard,
    Door,
    Emr,
    FindFreeTime,
    Kind,
    MaybeDone,
    ReadCalendar,
    Refused,
    Span,
    Status,
    Throttled,
    repeated,
)
from plugins.drchrono import Settings, emr_open, words
from plugins.drchrono.settings import consent
from tests.plugins.drchrono.samples import BLOCK, BOOKED, BREAK, DOCTOR, OFFICE, OVERLAP, URL, listed, schedule

ZONE = ZoneInfo("America/Los_Angeles")
ONE, ALL = f"{URL}/appointments/7001", f"{URL}/appointments"
TOLD = {"client_id": "gateway", "client_secret": "what they know us by", "practice_group": "4711",
        "zone": ZONE.key, "office_id": "21", "exam_room": 3, "calls_per_second": 1e6}  # fmt: skip


class Let:
    async def token(self, consent: Consent, send: Any, instead_of: str | None = None) -> str:
        return "an-access-token"


@pytest.fixture
def drchrono() -> Iterator[respx.MockRouter]:
    with respx.MockRouter(assert_all_called=True) as router:
        yield router


@pytest.fixture
def emr(drchrono: respx.MockRouter) -> Emr:
    return opened(drchrono)


def opened(router: respx.MockRouter, **more: Any) -> Emr:
    door = Door(httpx.MockTransport(router.async_handler))
    return emr_open(Account("clinic", Settings.model_validate({**TOLD, **more}), door, grant=Let()))


def sent(router: respx.MockRouter, n: int = -1) -> httpx.Request:
    return router.calls[n].request


def body(router: respx.MockRouter, n: int = -1) -> Any:
    return json.loads(sent(router, n).content)


def booked(**changes: Any) -> Appointment:
    found = words.appointment({**BOOKED, **changes}, ZONE)
    assert found is not None
    return found


def at(hour: int, minute: int = 0) -> datetime:
    """On the second of March, a Tuesday."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)


# -- reads ------------------------------------------------------------------------------------------------------------


async def test_every_request_says_who_asks_and_in_which_version(drchrono, emr):
    drchrono.get(ONE).respond(json=BOOKED)
    assert await emr.appointment("7001") == Appointment(
        id="7001",
        start=at(9),
        end=at(9, 30),
        status=Status.BOOKED,
        patient_id="41",
        resource_id="11",
        healthcare_service_id="31",
        care_unit_id="21",
        comment="bring the form",
        confirmed=False,
        version="2026-11-03T08:10:08",
    )
    headers = sent(drchrono).headers
    assert headers["authorization"] == "Bearer an-access-token"
    assert headers["x-drc-api-version"] == "v4"
    assert not sent(drchrono).url.query


@pytest.mark.parametrize(
    ("word", "status", "confirmed"),
    [
        ("", Status.BOOKED, False),
        (None, Status.BOOKED, False),
        ("Not Confirmed", Status.BOOKED, False),
        ("Confirmed", Status.BOOKED, True),
        ("Complete", Status.COMPLETED, None),
        ("Cancelled", Status.CANCELLED, None),
        ("No Show", Status.NO_SHOW, None),
        ("Rescheduled", Status.OTHER, None),
        ("In Room", Status.OTHER, None),
        ("A word of the practice's own", Status.OTHER, None),
    ],
)
def test_what_its_statuses_say(word, status, confirmed):
    read = booked(status=word)
    assert (read.status, read.confirmed) == (status, confirmed)


async def test_neither_a_break_nor_what_was_deleted_is_an_appointment(drchrono, emr):
    for row in (BREAK, {**BOOKED, "deleted_flag": True}):
        drchrono.get(ONE).respond(json={**row, "id": "7001"})
        assert await emr.appointment("7001") is None


async def test_what_can_be_no_id_is_not_asked_for(emr):
    assert await emr.appointment("../doctors") is None
    assert await emr.look_up(Kind.RESOURCE, "x") is None
    assert not await emr.calendar(ReadCalendar(Span(at(8), at(9)), resource_id="x"))


async def test_another_record_than_was_asked_for_is_not_believed(drchrono, emr):
    drchrono.get(ONE).respond(json={**BOOKED, "id": "7003"})
    with pytest.raises(MaybeDone):
        await emr.appointment("7001")


async def test_a_calendar_is_asked_for_from_the_day_before_and_page_by_page(drchrono, emr):
    page = f"{ALL}?cursor=abc"
    late = {**BOOKED, "id": "6999", "scheduled_time": "2027-03-01T23:45:00"}
    drchrono.get(ALL, params={"cursor": "abc"}).respond(json=listed({**BOOKED, "id": "7004"}, BREAK, name="results"))
    drchrono.get(ALL).respond(json=listed(late, BOOKED, more=page))
    found = await emr.calendar(ReadCalendar(Span(at(0), at(12)), resource_id="11", patient_id="41", care_unit_id="21"))
    assert [one.id for one in found] == ["6999", "7001", "7004"]
    assert sent(drchrono, 0).url.params.multi_items() == [
        ("date_range", "2027-03-01/2027-03-02"),
        ("doctor", "11"),
        ("patient", "41"),
        ("office", "21"),
        ("page_size", "250"),
    ]


async def test_a_page_on_another_host_is_not_asked_for(drchrono, emr):
    drchrono.get(ALL).respond(json=listed(BOOKED, more="https://elsewhere.example/api/appointments?cursor=abc"))
    with pytest.raises(MaybeDone):
        await emr.calendar(ReadCalendar(Span(at(8), at(12)), resource_id="11"))


async def test_a_long_time_is_asked_for_in_pieces(drchrono, emr):
    route = drchrono.get(ALL).respond(json=listed())
    await emr.calendar(ReadCalendar(Span(at(8), at(8) + timedelta(days=200)), resource_id="11"))
    ranges = [call.request.url.params["date_range"] for call in route.calls]
    assert ranges == ["2027-03-01/2027-08-27", "2027-08-28/2027-09-18"]


async def test_what_is_not_to_be_used_any_more_is_in_no_directory(drchrono, emr):
    doctors = [DOCTOR, {**DOCTOR, "id": 12, "is_account_suspended": True}]
    drchrono.get(f"{URL}/doctors").respond(json=listed(*doctors))
    assert [(one.id, one.name) for one in await emr.directory(Kind.RESOURCE)] == [("11", "Test Anna")]
    drchrono.get(f"{URL}/offices/21").respond(json={**OFFICE, "archived": True})
    assert await emr.look_up(Kind.CARE_UNIT, "21") is None


async def test_whoever_has_let_the_gateway_in_must_be_of_the_practice(drchrono, emr):
    route = drchrono.get(f"{URL}/doctors", params={"page_size": "1"})
    for group in ("4711", 4711, None):
        route.respond(json=listed({**DOCTOR, "practice_group": group}))
        await emr.probe()
    route.respond(json=listed({**DOCTOR, "practice_group": "4712"}))
    with pytest.raises(Refused):
        await emr.probe()


# -- free time --------------------------------------------------------------------------------------------------------


async def free(router: respx.MockRouter, emr: Emr, *rows: Any, doctor: Any = DOCTOR, office: Any = OFFICE) -> list[str]:
    """What is open that day, as from-to, with a block at lunch."""
    router.get(f"{URL}/doctors/11").respond(json=doctor)
    router.get(f"{URL}/offices/21").respond(json=office)
    router.get(ALL).respond(json=listed(*rows))
    router.get(f"{URL}/schedule_blocks").respond(json=listed(BLOCK, {**BLOCK, "id": 1, "provider": 12}))
    found = await emr.free_time(FindFreeTime(Span(at(0), at(23, 59)), "11", "31"))
    assert {(s.resource_id, s.healthcare_service_id, s.care_unit_id) for s in found.slots} <= {("11", "31", "21")}
    return [f"{slot.start:%H:%M}-{slot.end:%H:%M}" for slot in found.slots]


async def test_free_is_when_the_office_is_open_and_nothing_is_in_the_way(drchrono, emr):
    there = [BOOKED, {**BREAK, "scheduled_time": "2027-03-02T10:00:00"}, {**BOOKED, "id": "1", "status": "Cancelled"}]
    elsewhere = {**BOOKED, "id": "2", "office": 22, "scheduled_time": "2027-03-02T16:30:00"}
    assert await free(drchrono, emr, *there, elsewhere) == ["08:00-09:00", "09:30-10:00", "10:30-12:00", "13:00-16:30"]
    assert sent(drchrono, -1).url.params.multi_items() == [
        ("date_range", "2027-03-02/2027-03-02"),
        ("doctor", "11"),
        ("page_size", "250"),
    ]


@pytest.mark.parametrize(
    ("doctor", "office", "hours"),
    [
        (schedule(Tuesday=[("09:00", "11:00")]), None, ["09:00-11:00"]),
        (schedule(Tuesday=[("09:00:00", "10:00:00"), ("15:00", "24:00")]), None, ["09:00-10:00", "15:00-00:00"]),
        (schedule(Monday=[("09:00", "11:00")], Tuesday=None), None, []),
        (schedule(Tuesday=None), None, ["08:00-12:00", "13:00-17:00"]),
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


# -- writes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"span": Span(at(13), at(13, 45))}, {"scheduled_time": "2027-03-02T13:00:00", "duration": 45}),
        ({"resource_id": "12"}, {"doctor": 12}),
        ({"comment": "new"}, {"notes": "new"}),
        ({"comment": ""}, {"notes": ""}),
        (
            {"resource_id": "12", "comment": "å", "span": Span(at(8).astimezone(UTC), at(9).astimezone(UTC))},
            {"doctor": 12, "notes": "å", "scheduled_time": "2027-03-02T08:00:00", "duration": 60},
        ),
    ],
)
async def test_a_change_says_what_changes_and_is_answered_with_nothing(drchrono, emr, fields, said):
    drchrono.patch(ONE).respond(204)
    receipt = await emr.change(Change(chain="x", before=booked(), **fields))
    assert (receipt.id, receipt.appointment) == ("7001", None)
    assert body(drchrono) == said


async def test_cancelling_confirming_and_withdrawing(drchrono, emr):
    route = drchrono.patch(ONE).respond(204)
    await emr.cancel(Cancel(chain="x", before=booked()))
    await emr.cancel(Cancel(chain="x", before=booked(), comment="ill"))
    await emr.confirm(Confirm(chain="x", before=booked()))
    assert [json.loads(call.request.content) for call in route.calls] == [
        {"status": "Cancelled"},
        {"status": "Cancelled", "notes": "ill"},
        {"status": "Confirmed"},
    ]
    drchrono.delete(ONE).respond(204)
    await emr.discard(Discard(chain="x", before=booked()))
    assert not sent(drchrono).content


async def test_a_booking_says_all_of_it_and_stays_in_the_room_that_it_continues(drchrono, emr):
    drchrono.post(ALL).respond(201, json=BOOKED)
    step = Create(chain="x", span=Span(at(9), at(9, 30)), patient_id="41", resource_id="11", healthcare_service_id="31",
                  comment="bring the form")  # fmt: skip
    assert (await emr.create(step)).appointment == booked()
    said = {
        "doctor": 11,
        "patient": 41,
        "office": 21,
        "exam_room": 3,
        "profile": 31,
        "scheduled_time": "2027-03-02T09:00:00",
        "duration": 30,
        "notes": "bring the form",
    }
    assert body(drchrono) == said
    for office, room in ((None, 2), ("21", 2), ("22", 3)):
        await emr.create(replace(step, like=booked(), care_unit_id=office))
        assert (body(drchrono)["office"], body(drchrono)["exam_room"]) == (int(office or 21), room)


@pytest.mark.parametrize("change", [{"patient_id": "x"}, {"resource_id": "-1"}, {"healthcare_service_id": "31 "}])
async def test_a_booking_that_nobody_can_have_is_not_sent(emr, change):
    step = Create(chain="x", span=Span(at(9), at(9, 30)), patient_id="41", resource_id="11", healthcare_service_id="31")
    with pytest.raises(Refused) as no:
        await emr.create(replace(step, **change))
    assert no.value.reason == "invalid"


@pytest.mark.parametrize(
    "row",
    [
        {"recurring_appointment": True},
        {"is_virtual_base": True},
        {"id": "2027-03-02_7001", "base_recurring_appointment": "7001"},
    ],
)
async def test_what_stands_for_a_series_is_not_written_to(emr, row):
    before = booked(**row)
    for write in (
        emr.change(Change(chain="x", before=before, comment="new")),
        emr.cancel(Cancel(chain="x", before=before)),
        emr.confirm(Confirm(chain="x", before=before)),
        emr.discard(Discard(chain="x", before=before)),
    ):
        with pytest.raises(Refused) as no:
            await write
        assert (no.value.reason, no.value.emr_code) == ("rule", "RECURRING")


async def test_one_of_a_series_that_is_written_down_is_itself(drchrono, emr):
    drchrono.patch(ONE).respond(204)
    before = booked(recurring_appointment=True, base_recurring_appointment="6000")
    await emr.cancel(Cancel(chain="x", before=before))


async def test_an_answer_where_none_is_due_is_not_taken_for_done(drchrono, emr):
    drchrono.patch(ONE).respond(200, json=BOOKED)
    with pytest.raises(MaybeDone):
        await emr.change(Change(chain="x", before=booked(), comment="new"))


# -- refusals ---------------------------------------------------------------------------------------------------------


async def test_what_refusals_mean(drchrono, emr):
    step = Change(chain="x", before=booked(), comment="new")
    route = drchrono.patch(ONE)
    for status, reason in ((404, "not_found"), (400, "invalid"), (403, "credentials"), (409, "taken")):
        route.respond(status, json=OVERLAP)
        with pytest.raises(Refused) as no:
            await emr.change(step)
        assert no.value.reason == reason
        assert "prose" not in str(no.value)
    for status in (500, 302):
        route.respond(status)
        with pytest.raises(MaybeDone):
            await emr.change(step)


def test_when_to_come_again_is_read_in_the_text():
    told = words.problem(httpx.Response(429, json={"detail": "Test prose. Expected available in 1234 seconds."}))
    assert isinstance(told, Throttled)
    assert told.retry_after == 1234.0
    assert "prose" not in str(told)
    assert words.problem(httpx.Response(429, json={"detail": "Test prose."})) is None


# -- clocks -----------------------------------------------------------------------------------------------------------

YEAR = range(525_600)
SPRING, AUTUMN = datetime(2027, 3, 14, 10, tzinfo=UTC), datetime(2027, 11, 7, 9, tzinfo=UTC)
"""When the clock goes from 2 to 3, and from 2 to 1."""


def minutes(instant: datetime) -> int:
    return int((instant - datetime(2027, 1, 1, tzinfo=UTC)).total_seconds() // 60)


@example(minutes(SPRING) - 1, 2)
@example(minutes(SPRING), 1)
@example(minutes(AUTUMN) - 61, 122)
@given(st.sampled_from(YEAR), st.integers(1, 600))
def test_what_is_said_in_wall_time_is_read_as_the_same_instant(minute, length):
    start = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    span = Span(start, start + timedelta(minutes=length))
    assume(not repeated(span.start, ZONE) and not repeated(span.end, ZONE))
    said = words.times(span, ZONE)
    assert booked(**said).span.same(span)
    assert said["scheduled_time"] == start.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:00")


@pytest.mark.parametrize(
    "span",
    [
        Span(AUTUMN - timedelta(minutes=30), AUTUMN + timedelta(hours=3)),
        Span(AUTUMN, AUTUMN + timedelta(hours=3)),
        Span(AUTUMN - timedelta(hours=3), AUTUMN - timedelta(minutes=30)),
        Span(SPRING + timedelta(seconds=1), SPRING + timedelta(minutes=30, seconds=1)),
        Span(SPRING, SPRING + timedelta(minutes=30, seconds=1)),
        Span(SPRING, SPRING),
    ],
)
async def test_what_can_not_be_said_is_refused_and_not_rounded(emr, span):
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="x", before=booked(), span=span))
    assert no.value.reason == "invalid"


def test_a_time_that_the_clock_skips_is_read_as_that_instant():
    assert booked(scheduled_time="2027-03-14T02:30:00").start == SPRING + timedelta(minutes=30)


# -- being let in -----------------------------------------------------------------------------------------------------


def test_how_somebody_is_asked_and_how_tokens_are_asked_for():
    asked = consent(Settings.model_validate(TOLD))
    assert asked.authorize_url == "https://app.drchrono.com/o/authorize/"
    assert asked.scope == "calendar:read calendar:write user:read patients:summary:read"
    assert asked.rotates
    request = asked.request({"grant_type": "refresh_token", "refresh_token": "r"})
    assert (request.method, str(request.url)) == ("POST", "https://app.drchrono.com/o/token/")
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r"],
        "client_id": ["gateway"],
        "client_secret": ["what they know us by"],
    }
    assert "authorization" not in request.headers


def test_nobody_is_asked_for_anything_before_somebody_has_let_the_gateway_in(drchrono):
    door = Door(httpx.MockTransport(drchrono.async_handler))
    with pytest.raises(BadAccount):
        emr_open(Account("clinic", Settings.model_validate(TOLD), door))
