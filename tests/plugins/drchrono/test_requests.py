"""Exactly what goes over the wire to DrChrono, and what is made of what comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, timedelta

import httpx
import pytest

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Confirm,
    Create,
    Discard,
    Kind,
    MaybeDone,
    ReadCalendar,
    Refused,
    Span,
    Status,
    Throttled,
)
from plugins.drchrono import problem
from tests.plugins.drchrono.samples import BOOKED, BREAK, DOCTOR, OFFICE, OVERLAP, URL, listed
from tests.plugins.drchrono.wire import ALL, ONE, at, body, booked, sent

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


async def test_breaks_are_in_no_calendar(drchrono, emr):
    drchrono.get(ALL).respond(json=listed(BOOKED, BREAK))
    assert [one.id for one in await emr.calendar(ReadCalendar(Span(at(0), at(12)), resource_id="11"))] == ["7001"]


async def test_a_booking_is_known_by_all_that_was_said(drchrono, emr):
    step = Create(chain="x", span=Span(at(9), at(9, 30)), patient_id="41", resource_id="11", healthcare_service_id="31",
                  care_unit_id="21", comment="bring the form")  # fmt: skip
    others = ({"duration": 45}, {"notes": ""}, {"profile": None}, {"office": 22}, {"status": "Cancelled"},
              {"recurring_appointment": True}, {"patient": 42}, {"doctor": 12})  # fmt: skip
    rows = [{**BOOKED, **other, "id": str(8000 + n)} for n, other in enumerate(others)]
    route = drchrono.get(ALL).respond(json=listed(*rows))
    assert await emr.find_own(step) is None
    route.respond(json=listed({**BOOKED, "id": "999"}, BOOKED, *rows))
    assert await emr.find_own(step) == booked()


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
    await emr.create(replace(step, like=booked(exam_room=None)))
    assert body(drchrono)["exam_room"] == 3


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
    told = problem(httpx.Response(429, json={"detail": "Test prose. Expected available in 1234 seconds."}))
    assert isinstance(told, Throttled)
    assert told.retry_after == 1234.0
    assert "prose" not in str(told)
    assert problem(httpx.Response(429, json={"detail": "Test prose."})) is None
