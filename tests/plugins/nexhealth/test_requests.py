"""Exactly what goes over the wire to NexHealth, and what is made of what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
    Confirm,
    Create,
    Door,
    FindFreeTime,
    Kind,
    MaybeDone,
    NotSent,
    ReadCalendar,
    Refused,
    Slot,
    Span,
    Status,
    Throttled,
)
from plugins.nexhealth import ROOM, NexHealthEmr, Settings, emr_open
from tests.plugins.nexhealth.samples import BLOCK, BOOKED, NEW, SYNC, URL, free, listed, told

ZONE = ZoneInfo("America/Chicago")
NOW = datetime(2027, 2, 20, 12, tzinfo=UTC)
ONE = f"{URL}/appointments/1001"
TOLD = {
    "subdomain": "test-street", "location_id": "21", "api_key": "invented-key", "zone": "America/Chicago",
    "system": "open-dental", "min_interval_s": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def nexhealth() -> Iterator[respx.MockRouter]:
    with respx.MockRouter(assert_all_called=False) as router:
        router.post(f"{URL}/authenticates").respond(201, json=told({"token": "invented-token"}))
        router.get(f"{URL}/sync_status").respond(json=told([SYNC]))
        yield router


@pytest.fixture
def emr(nexhealth: respx.MockRouter) -> NexHealthEmr:
    return opened(nexhealth)


def opened(router: respx.MockRouter, **more: Any) -> NexHealthEmr:
    door = Door(httpx.MockTransport(router.async_handler))
    emr = emr_open(Account("clinic", Settings.model_validate({**TOLD, **more}), door))
    assert isinstance(emr, NexHealthEmr)
    return emr


def read(row: Any, **more: Any) -> Appointment:
    return opened(respx.MockRouter(), **more).read(row)


def sent(router: respx.MockRouter, n: int = -1) -> httpx.Request:
    return router.calls[n].request


def body(router: respx.MockRouter) -> Any:
    return json.loads(sent(router).content)


def asked(router: respx.MockRouter, n: int = -1) -> list[tuple[str, str]]:
    return [*sent(router, n).url.params.multi_items()]


def booked() -> Appointment:
    return read(BOOKED)


def at(hour: int, minute: int = 0) -> datetime:
    """On the second of March."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)


def slot(hour: int, operatory: str | None) -> Slot:
    native = {} if operatory is None else {"operatory_id": operatory}
    return Slot(at(hour), at(hour, 30), "11", "31", "21", native=native)


WHOSE = ("subdomain", "test-street")
CREATE = Create(
    chain="x", span=Span(at(9), at(9, 30)), patient_id="41", resource_id="11", healthcare_service_id="31", marker="m1"
)


# -- reads ------------------------------------------------------------------------------------------------------------


async def test_a_key_is_exchanged_for_a_token_once(nexhealth, emr):
    nexhealth.get(ONE).respond(json=told(BOOKED))
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
        confirmed=False,
        version="2026-11-03T08:10:08.400Z",
    )
    await emr.appointment("1001")
    login, *asking = (sent(nexhealth, n) for n in range(3))
    assert (login.method, login.headers["authorization"], login.content) == ("POST", "invented-key", b"")
    for request in (login, *asking):
        assert request.headers["nex-api-version"] == "v3.0.0"
    assert [request.headers["authorization"] for request in asking] == ["Bearer invented-token"] * 2
    assert asked(nexhealth) == [WHOSE]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"cancelled": True, "patient_missed": True}, Status.CANCELLED),
        ({"patient_missed": True}, Status.NO_SHOW),
        ({"checked_out": True, "checkin_at": "2027-03-02T14:55:00.000Z"}, Status.COMPLETED),
        ({"checkin_at": "2027-03-02T14:55:00.000Z"}, Status.OTHER),
        ({"patient_missed": None, "checked_out": None}, Status.BOOKED),
    ],
)
def test_what_its_flags_say_together(changes, status):
    assert read({**BOOKED, **changes}).status is status


@pytest.mark.parametrize(
    ("changes", "there", "copy"),
    [
        ({}, False, False),
        ({"foreign_id": None, "last_sync_time": None}, True, True),
        ({"foreign_id": None, "last_sync_time": None, "cancelled": True}, True, False),
        ({"updated_at": "2026-11-03T08:10:09.500Z"}, True, False),
        ({"updated_at": "2026-11-03T08:09:00.000Z"}, False, False),
        ({"last_sync_time": None}, True, False),
    ],
)
def test_it_is_pending_until_the_practice_was_read_again(changes, there, copy):
    row = {**BOOKED, **changes}
    assert read(row).pending is there
    assert read(row, written="copy").pending is copy


def test_what_is_not_set_is_nothing():
    found = read({**BOOKED, "appointment_type_id": 0, "operatory_id": None, "note": ""})
    assert (found.healthcare_service_id, found.native, found.comment) == (None, {}, None)


@pytest.mark.parametrize("changes", [{"unavailable": True}, {"location_id": 22}, {"location_id": None}])
async def test_blocked_time_and_other_locations_have_no_appointments(nexhealth, emr, changes):
    nexhealth.get(ONE).respond(json=told({**BOOKED, **changes}))
    nexhealth.get(f"{URL}/appointments").respond(json=listed({**BOOKED, **changes}))
    assert await emr.appointment("1001") is None
    assert await emr.calendar(ReadCalendar(Span(at(8), at(12)))) == []


@pytest.mark.parametrize("id", ["abc", "01001", "0", "-1", "9" * 19, ""])
async def test_what_can_be_no_id_is_not_asked_for(emr, nexhealth, id):
    assert await emr.appointment(id) is None
    assert not await emr.calendar(ReadCalendar(Span(at(8), at(9)), resource_id=id))
    assert not nexhealth.calls


async def test_another_record_or_a_failure_that_is_told_as_a_success_is_not_believed(nexhealth, emr):
    for answer in (told({**BOOKED, "id": 1002}), {**told(BOOKED), "code": False}):
        nexhealth.get(ONE).respond(json=answer)
        with pytest.raises(MaybeDone):
            await emr.appointment("1001")


async def test_a_calendar_is_read_by_cursors_from_a_day_before_as_it_lists_what_begins(nexhealth, emr):
    route = nexhealth.get(f"{URL}/appointments")
    later = {**BOOKED, "id": 1003, "start_time": "2027-03-02T18:00:00.000Z", "end_time": "2027-03-02T18:30:00.000Z"}
    route.side_effect = [
        httpx.Response(200, json=listed({**BOOKED, "id": 1000, "provider_id": 12}, BOOKED, more="next")),
        httpx.Response(200, json=listed(BLOCK, later)),
    ]
    wanted = ReadCalendar(Span(at(8), at(12)), resource_id="11", patient_id="41", care_unit_id="21")
    assert [a.id for a in await emr.calendar(wanted)] == ["1001"]
    first = [
        WHOSE,
        ("location_id", "21"),
        ("start", "2027-03-01T14:00:00Z"),
        ("end", "2027-03-02T18:00:00Z"),
        ("provider_ids[]", "11"),
        ("patient_ids[]", "41"),
        ("per_page", "300"),
    ]
    assert [asked(nexhealth, -2), asked(nexhealth)] == [first, [*first, ("end_cursor", "next")]]


async def test_another_location_has_nothing(emr, nexhealth):
    assert not await emr.calendar(ReadCalendar(Span(at(8), at(12)), care_unit_id="22"))
    assert not (await emr.free_time(FindFreeTime(Span(at(8), at(12)), "11", "31", "22"))).slots
    with pytest.raises(Refused):
        await emr.create(replace(CREATE, care_unit_id="22"))
    assert not nexhealth.calls


async def test_free_time_is_asked_for_in_pieces_of_two_weeks_and_told_once_for_each_time(nexhealth, emr):
    hours = [("2027-03-02T09:00:00.000-06:00", "2027-03-02T09:45:00.000-06:00")]
    route = nexhealth.get(f"{URL}/available_slots")
    route.side_effect = [
        httpx.Response(200, json=free(*((*hours[0], room) for room in (50, 51)))),
        httpx.Response(200, json=free(("2027-03-16T09:00:00.000-05:00", "2027-03-16T09:45:00.000-05:00", None))),
    ]
    found = await emr.free_time(FindFreeTime(Span(at(8), at(8) + timedelta(days=14, hours=4)), "11", "31"))
    assert [(s.start.isoformat(), s.end.isoformat(), s.native) for s in found.slots] == [
        ("2027-03-02T09:00:00-06:00", "2027-03-02T09:45:00-06:00", {"operatory_id": "50"}),
        ("2027-03-16T09:00:00-05:00", "2027-03-16T09:45:00-05:00", {}),
    ]
    rest = [("lids[]", "21"), ("pids[]", "11"), ("overlapping_operatory_slots", "true"), ("appointment_type_id", "31")]
    assert asked(nexhealth, -2) == [WHOSE, ("start_date", "2027-03-02"), ("days", "14"), *rest]
    assert asked(nexhealth)[1:3] == [("start_date", "2027-03-16"), ("days", "1")]


async def test_of_several_operatories_its_own_is_offered(nexhealth, emr):
    times = ("2027-03-02T10:00:00.000-06:00", "2027-03-02T10:30:00.000-06:00")
    nexhealth.get(f"{URL}/available_slots").respond(json=free(*((*times, room) for room in (50, 51, 52))))
    (found,) = (await emr.free_time(FindFreeTime(Span(at(8), at(12)), "11", "31", ignoring=(booked(),)))).slots
    assert found.native == {"operatory_id": "51"}


@pytest.mark.parametrize(("ignoring", "minutes"), [((), "15"), ((booked(),), "30")])
async def test_without_a_type_a_slot_is_as_long_as_what_is_moved(nexhealth, emr, ignoring, minutes):
    nexhealth.get(f"{URL}/available_slots").respond(json=free())
    await emr.free_time(FindFreeTime(Span(at(8), at(12)), "11", ignoring=ignoring))
    assert asked(nexhealth)[-1] == ("slot_length", minutes)


@pytest.mark.parametrize(
    ("changes", "is_one"),
    [
        ({}, True),
        ({"provider_id": 12}, True),
        ({"provider_id": 12, "operatory_id": 52}, False),
        ({"cancelled": True}, False),
        ({"start_time": "2027-03-02T15:30:00.000Z", "end_time": "2027-03-02T16:00:00.000Z"}, False),
    ],
)
async def test_a_conflict_is_with_whatever_has_the_provider_or_the_operatory(nexhealth, emr, changes, is_one):
    nexhealth.get(f"{URL}/appointments").respond(json=listed(BOOKED, {**BLOCK, **changes}))
    assert await emr.conflicts(booked()) is is_one
    assert await emr.conflicts(booked(), ["1002"]) is False


@pytest.mark.parametrize("takes", [True, False])
async def test_a_location_that_takes_no_bookings_is_found_out(nexhealth, emr, takes):
    row = {"id": 21, "name": "Test Street", "insert_appt_client": takes}
    nexhealth.get(f"{URL}/locations/21").respond(json=told(row))
    assert (await emr.probe()).create is takes
    assert [entry.id for entry in await emr.directory(Kind.CARE_UNIT)] == ["21"]


# -- writes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"span": Span(at(13), at(13, 30))},
            {"start_time": "2027-03-02T19:00:00Z", "end_time": "2027-03-02T19:30:00Z"},
        ),
        (
            {"span": Span(at(13), at(13, 30)), "slots": (slot(13, "52"),)},
            {"start_time": "2027-03-02T19:00:00Z", "end_time": "2027-03-02T19:30:00Z", "operatory_id": 52},
        ),
        (
            {"span": Span(at(13), at(13, 30)), "slots": (slot(13, "51"),), "comment": "new"},
            {"start_time": "2027-03-02T19:00:00Z", "end_time": "2027-03-02T19:30:00Z", "note": "new"},
        ),
        ({"comment": ""}, {"note": ""}),
    ],
)
async def test_a_change_says_what_changes(nexhealth, emr, fields, said):
    nexhealth.patch(ONE).respond(json=told({"appt": BOOKED}))
    receipt = await emr.change(Change(chain="x", before=booked(), **fields))
    assert (receipt.id, receipt.appointment) == ("1001", None)
    assert body(nexhealth) == {"appt": said}
    assert asked(nexhealth) == [WHOSE]


async def test_an_undo_leads_back_to_the_operatory_that_it_was_in(nexhealth, emr):
    nexhealth.patch(ONE).respond(json=told({"appt": BOOKED}))
    before = replace(booked(), native={"operatory_id": "54"})
    await emr.change(Change(chain="x", before=booked(), span=before.span, restores=before))
    assert body(nexhealth)["appt"]["operatory_id"] == 54


def test_an_appointment_is_in_one_operatory():
    with pytest.raises(Refused) as no:
        ROOM.of_all((slot(13, "51"), slot(14, "52")), None)
    assert no.value.reason == "taken"
    assert ROOM.of_all((slot(13, "51"), slot(14, None)), booked()) == "51"
    assert ROOM.of_all((), None) is None


@pytest.mark.parametrize("changes", [{"resource_id": "12"}, {"comment": "new", "resource_id": "12"}])
async def test_another_provider_can_not_be_said(emr, nexhealth, changes):
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="x", before=booked(), **changes))
    assert (no.value.reason, len(nexhealth.calls)) == ("unsupported", 0)


async def test_a_booking_says_all_of_it_and_where_it_comes_from(nexhealth, emr):
    nexhealth.post(f"{URL}/appointments").respond(201, json=told({"appt": NEW}))
    step = replace(CREATE, comment="bring the form", slots=(slot(9, "51"),))
    assert (await emr.create(step)).id == "1001"
    assert asked(nexhealth) == [WHOSE, ("location_id", "21")]
    assert body(nexhealth) == {
        "appt": {
            "patient_id": 41,
            "provider_id": 11,
            "appointment_type_id": 31,
            "operatory_id": 51,
            "start_time": "2027-03-02T15:00:00Z",
            "end_time": "2027-03-02T15:30:00Z",
            "referrer": "emr-gateway:m1",
            "note": "bring the form",
        }
    }


async def test_an_answer_about_another_one_is_not_believed(nexhealth, emr):
    nexhealth.post(f"{URL}/appointments").respond(201, json=told({"appt": BOOKED}))
    nexhealth.patch(ONE).respond(json=told({"appt": {**BOOKED, "id": 1002}}))
    for write in (emr.create(CREATE), emr.cancel(Cancel(chain="x", before=booked()))):
        with pytest.raises(MaybeDone):
            await write


@pytest.mark.parametrize(
    ("changes", "is_own"),
    [
        ({"misc": {"is_booked_on_nexhealth": True}}, True),
        ({"foreign_id": None}, True),
        ({}, False),
        ({"misc": None}, False),
        ({"misc": {"is_booked_on_nexhealth": True}, "note": "another"}, False),
        ({"misc": {"is_booked_on_nexhealth": True}, "cancelled": True}, False),
        ({"misc": {"is_booked_on_nexhealth": True}, "referrer": "https://elsewhere.example"}, False),
    ],
)
async def test_without_its_mark_it_is_known_by_all_that_it_says_if_the_practice_has_not_made_it(
    nexhealth, emr, changes, is_own
):
    nexhealth.get(f"{URL}/appointments").respond(json=listed({**BOOKED, **changes}))
    assert (await emr.find_own(replace(CREATE, comment="bring the form")) is not None) is is_own


async def test_an_answer_without_the_mark_is_believed_if_it_says_all_that_was_booked(nexhealth, emr):
    nexhealth.post(f"{URL}/appointments").respond(201, json=told({"appt": {**NEW, "referrer": None}}))
    assert (await emr.create(replace(CREATE, comment="bring the form"))).id == "1001"


@pytest.mark.parametrize("asleep", [{"write_status": "red"}, {"read_status": "red"}])
async def test_what_would_be_written_hours_later_is_not_sent(nexhealth, emr, asleep):
    nexhealth.get(f"{URL}/sync_status").respond(json=told([SYNC, {**SYNC, **asleep}]))
    writes = (emr.create(CREATE), emr.cancel(Cancel(chain="x", before=booked())))
    for write in writes:
        with pytest.raises(NotSent) as later:
            await write
        assert later.value.retry_after == 60
    assert asked(nexhealth) == [WHOSE, ("location_ids[]", "21")]
    nexhealth.patch(ONE).respond(json=told({"appt": BOOKED}))
    await opened(nexhealth, only_awake=False).cancel(Cancel(chain="x", before=booked()))


async def test_whether_it_is_awake_may_not_be_known(nexhealth, emr):
    nexhealth.get(f"{URL}/sync_status").respond(500)
    with pytest.raises(NotSent):
        await emr.create(CREATE)


@pytest.mark.parametrize("there", [True, False])
async def test_an_own_booking_is_known_by_its_mark_and_by_nothing_else(nexhealth, emr, there):
    """Another one may be the same in all else."""
    nexhealth.get(f"{URL}/appointments").respond(json=listed(BOOKED, *([{**NEW, "id": 1005}] if there else [])))
    found = await emr.find_own(CREATE)
    assert (found.id, found.pending) == ("1005", True) if there else found is None


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Cancel(chain="x", before=booked()), {"cancelled": True}),
        (Cancel(chain="x", before=booked(), comment="ill"), {"cancelled": True, "note": "ill"}),
        (Confirm(chain="x", before=booked()), {"confirmed": True}),
    ],
)
async def test_a_cancellation_and_a_confirmation_are_flags(nexhealth, emr, step, said):
    nexhealth.patch(ONE).respond(json=told({"appt": BOOKED}))
    await (emr.cancel(step) if isinstance(step, Cancel) else emr.confirm(step))
    assert body(nexhealth) == {"appt": said}


# -- refusals ---------------------------------------------------------------------------------------------------------


async def test_what_refusals_mean(nexhealth, emr):
    step, route = Change(chain="x", before=booked(), comment="new"), nexhealth.patch(ONE)
    for status, reason in ((404, "not_found"), (400, "invalid"), (403, "credentials")):
        route.respond(status, json={**told({}), "code": False, "error": ["Test prose."]})
        with pytest.raises(Refused) as no:
            await emr.change(step)
        assert no.value.reason == reason
        assert "prose" not in str(no.value)
    route.respond(500, json={**told({}), "code": False})
    with pytest.raises(MaybeDone):
        await emr.change(step)
    route.respond(429)
    with pytest.raises(Throttled):
        await emr.change(step)


async def test_a_key_that_is_refused_is_not_said_again_at_once(nexhealth, emr):
    login = nexhealth.post(f"{URL}/authenticates")
    login.respond(401, json={**told({}), "code": False})
    for _ in range(2):
        with pytest.raises(Refused) as no:
            await emr.appointment("1001")
        assert no.value.reason == "credentials"
    assert login.call_count == 1
