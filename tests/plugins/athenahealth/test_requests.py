"""Exactly what goes over the wire to athenahealth, and what is made of what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx

from gateway.plugin import (
    Account,
    Appointment,
    Cancel,
    Change,
    Confirm,
    Create,
    Door,
    Emr,
    FindFreeTime,
    Kind,
    MaybeDone,
    NotSent,
    ReadCalendar,
    Refused,
    Slot,
    Span,
    Status,
)
from plugins.athenahealth import Settings, emr_open, words
from tests.plugins.athenahealth.samples import (
    BOOKED,
    CANCELLED,
    DEPARTMENTS,
    ERROR,
    MOVED,
    NOTES,
    PRACTICE,
    RECORD,
    SLOT,
    TOKEN,
    URL,
    listed,
)

ZONE = ZoneInfo("America/New_York")
ONE, OTHER = f"{PRACTICE}/appointments/1110189", f"{PRACTICE}/appointments/2204083"


def at(hour: int, minute: int = 0) -> datetime:
    """On the second of March."""
    return datetime(2027, 3, 2, hour, minute, tzinfo=ZONE)


LATER = Slot(at(11, 15), at(11, 45), "528", "4", "1", id="2204083", native={"type": "4"})


@pytest.fixture
def athena() -> Iterator[respx.MockRouter]:
    with respx.MockRouter(assert_all_called=False) as router:
        router.post(f"{URL}/oauth2/v1/token").respond(json=TOKEN)
        router.get(f"{PRACTICE}/departments").respond(json=DEPARTMENTS)
        router.get(ONE).respond(json=[RECORD])
        yield router


@pytest.fixture
def emr(athena: respx.MockRouter) -> Emr:
    return opened(athena)


def opened(router: respx.MockRouter, reason: str | None = None, notify: bool | None = None, **more: Any) -> Emr:
    told = {"practice_id": "195900", "client_id": "an-app", "client_secret": "invented", "base_url": URL,
            "zone": "America/New_York", **more}  # fmt: skip
    door = Door(httpx.MockTransport(router.async_handler))
    account = Account("clinic", Settings.model_validate(told), door, notify=notify, cancel_reason=reason)
    return emr_open(account)


def form(route: respx.Route) -> list[tuple[str, str]]:
    request = route.calls.last.request
    if request.content:
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return parse_qsl(request.content.decode(), keep_blank_values=True)


def booked(**more: Any) -> Appointment:
    return words.appointment({**BOOKED, **more}, ZONE, None)


# -- reads ------------------------------------------------------------------------------------------------------------


async def test_one_is_read_by_its_id_and_then_where_a_list_shows_all_of_it(athena, emr):
    lists = athena.get(f"{PRACTICE}/appointments/booked").respond(json=listed(BOOKED))
    assert await emr.appointment("1110189") == Appointment(
        id="1110189",
        start=at(9),
        end=at(9, 30),
        status=Status.BOOKED,
        patient_id="7968",
        resource_id="528",
        healthcare_service_id="4",
        care_unit_id="1",
        comment="bring the form",
        version="06/02/2026 01:01:43",
        slot_ids=("1110189",),
    )
    assert dict(lists.calls.last.request.url.params) == {
        "startdate": "03/02/2027",
        "enddate": "03/02/2027",
        "departmentid": "1",
        "providerid": "528",
        "showcancelled": "true",
        "limit": "1000",
        "offset": "0",
    }


async def test_many_of_a_providers_day_are_read_from_one_list(athena, emr):
    ids = ("1110189", "2204083", "5")
    athena.get(OTHER).respond(json=[{**RECORD, "appointmentid": "2204083"}])
    athena.get(f"{PRACTICE}/appointments/5").respond(json=[{**RECORD, "appointmentid": "5", "providerid": "9"}])
    athena.get(f"{PRACTICE}/appointments/6").respond(404, json=ERROR)
    lists = athena.get(f"{PRACTICE}/appointments/booked").respond(
        json=listed(*({**BOOKED, "appointmentid": id} for id in ids))
    )
    found = await emr.appointments([*ids, "6"])
    assert [found[id] is not None for id in (*ids, "6")] == [True, True, True, False]
    assert [call.request.url.params["providerid"] for call in lists.calls] == ["528", "9"]


async def test_a_token_is_asked_for_once_and_goes_along(athena, emr):
    athena.get(f"{PRACTICE}/appointments/booked").respond(json=listed(BOOKED))
    for _ in range(2):
        await emr.appointment("1110189")
    (token,) = [call.request for call in athena.calls if call.request.url.path == "/oauth2/v1/token"]
    assert token.headers["authorization"] == "Basic YW4tYXBwOmludmVudGVk"
    assert parse_qsl(token.content.decode()) == [
        ("grant_type", "client_credentials"),
        ("scope", "athena/service/Athenanet.MDP.*"),
    ]
    assert athena.calls.last.request.headers["authorization"] == "Bearer invented-token"


@pytest.mark.parametrize(
    ("row", "status", "comment"),
    [
        (BOOKED, Status.BOOKED, "bring the form"),
        ({**BOOKED, "appointmentstatus": "2"}, Status.OTHER, "bring the form"),
        ({**BOOKED, "appointmentstatus": "3"}, Status.COMPLETED, "bring the form"),
        ({**BOOKED, "appointmentstatus": "4"}, Status.COMPLETED, "bring the form"),
        ({**BOOKED, "appointmentstatus": "?"}, Status.OTHER, "bring the form"),
        (CANCELLED, Status.CANCELLED, None),
        ({**CANCELLED, "cancelreasonnoshow": "true"}, Status.NO_SHOW, None),
        ({**CANCELLED, "cancelreasonnoshow": True}, Status.NO_SHOW, None),
    ],
)
def test_what_its_letters_mean(row, status, comment):
    read = words.appointment(row, ZONE, None)
    assert (read.status, read.comment) == (status, comment)


@pytest.mark.parametrize(("told", "confirmed"), [({}, False), ({"appointmentconfirmationid": "3"}, True),
                                                 ({"appointmentconfirmationid": "4"}, False)])  # fmt: skip
def test_it_is_confirmed_by_the_status_that_the_account_names(told, confirmed):
    assert words.appointment({**BOOKED, **told}, ZONE, "3").confirmed is confirmed
    assert words.appointment({**BOOKED, **told}, ZONE, None).confirmed is None


async def test_the_hidden_notes_of_a_cancelled_one_are_asked_for(athena, emr):
    athena.get(ONE).respond(json=[{**RECORD, "appointmentstatus": "x"}])
    athena.get(f"{PRACTICE}/appointments/booked").respond(json=listed(CANCELLED))
    athena.get(f"{ONE}/notes", params={"showdeleted": "true"}).respond(json=NOTES)
    found = await emr.appointment("1110189")
    assert found is not None
    assert (found.status, found.comment) == (Status.CANCELLED, "newest")


async def test_the_notes_of_a_moved_one_went_along(athena, emr):
    athena.get(ONE).respond(json=[{**RECORD, "appointmentstatus": "x"}])
    athena.get(f"{PRACTICE}/appointments/booked").respond(json=listed(MOVED))
    found = await emr.appointment("1110189")
    assert found is not None
    assert (found.status, found.comment) == (Status.CANCELLED, None)


async def test_an_open_slot_is_no_appointment(athena, emr):
    athena.get(ONE).respond(json=[{**RECORD, "appointmentstatus": "o"}])
    assert await emr.appointment("1110189") is None


async def test_what_is_in_no_list_is_not_taken_for_nothing(athena, emr):
    athena.get(f"{PRACTICE}/appointments/booked").respond(json=listed())
    with pytest.raises(MaybeDone):
        await emr.appointment("1110189")


async def test_what_can_be_no_id_is_not_asked_for(athena, emr):
    assert await emr.appointment("RE-81588") is None
    assert not await emr.calendar(ReadCalendar(Span(at(8), at(9)), resource_id="x"))
    assert not (await emr.free_time(FindFreeTime(Span(at(8), at(9)), "x"))).slots
    assert not [call for call in athena.calls if "appointments" in call.request.url.path]


async def test_a_calendar_begins_a_day_early_for_what_reaches_into_it(athena, emr):
    night = {**BOOKED, "appointmentid": "5", "date": "03/01/2027", "starttime": "23:45"}
    elsewhere = {**BOOKED, "appointmentid": "6", "departmentid": "21"}
    lists = athena.get(f"{PRACTICE}/appointments/booked").respond(json=listed(night, elsewhere, BOOKED))
    wanted = ReadCalendar(Span(at(0), at(12)), resource_id="528", patient_id="7968", care_unit_id="1")
    assert [one.id for one in await emr.calendar(wanted)] == ["5", "1110189"]
    asked = dict(lists.calls.last.request.url.params)
    assert (asked["startdate"], asked["enddate"]) == ("03/01/2027", "03/02/2027")
    assert (asked["providerid"], asked["patientid"], asked["departmentid"]) == ("528", "7968", "1")


async def test_free_time_is_of_a_type_in_a_department(athena, emr):
    lists = athena.get(f"{PRACTICE}/appointments/open").respond(
        json=listed(SLOT, {**SLOT, "appointmentid": 5, "frozen": True})
    )
    found = await emr.free_time(FindFreeTime(Span(at(8), at(12)), "528", "4", "1"))
    assert found.slots == (LATER,)
    assert dict(lists.calls.last.request.url.params) == {
        "startdate": "03/02/2027", "enddate": "03/02/2027", "appointmenttypeid": "4", "departmentid": "1",
        "providerid": "528", "limit": "1000", "offset": "0",
    }  # fmt: skip


async def test_free_time_without_a_type_is_of_any_reason_in_all_departments_of_the_zone(athena):
    lists = athena.get(f"{PRACTICE}/appointments/open").respond(json=listed(SLOT))
    await opened(athena, beyond_web=True).free_time(FindFreeTime(Span(at(8), at(12))))
    asked = dict(lists.calls.last.request.url.params)
    assert (asked["reasonid"], asked["departmentid"]) == ("-1", "1")
    assert (asked["ignoreschedulablepermission"], asked["bypassscheduletimechecks"]) == ("true", "true")
    assert "appointmenttypeid" not in asked


async def test_a_department_that_is_new_is_asked_for(athena, emr):
    assert [unit.id for unit in await emr.directory(Kind.CARE_UNIT)] == ["1"]
    new = {**DEPARTMENTS["departments"][0], "departmentid": "31"}
    athena.get(f"{PRACTICE}/departments").respond(json=listed(*DEPARTMENTS["departments"], new, name="departments"))
    athena.get(ONE).respond(json=[{**RECORD, "departmentid": "31"}])
    athena.get(f"{PRACTICE}/appointments/booked").respond(json=listed({**BOOKED, "departmentid": "31"}))
    found = await emr.appointment("1110189")
    assert found is not None
    assert found.care_unit_id == "31"


async def test_an_account_without_a_department_is_told_so_when_it_is_checked(athena):
    with pytest.raises(Refused) as no:
        await opened(athena, zone="Europe/Stockholm").probe()
    assert no.value.reason == "invalid"


# -- writes -----------------------------------------------------------------------------------------------------------


async def test_a_move_names_the_slot_and_the_patient_and_gives_the_slots_id(athena, emr):
    move = athena.put(f"{ONE}/reschedule").respond(json=[{**RECORD, "appointmentid": "2204083", "starttime": "11:15"}])
    step = Change(chain="x", before=booked(), span=LATER.span, slots=(LATER,), new_id=True)
    receipt = await emr.change(step)
    assert (receipt.id, receipt.appointment) == ("2204083", None)
    assert form(move) == [("newappointmentid", "2204083"), ("patientid", "7968")]


async def test_a_move_says_what_the_account_is_configured_with(athena):
    move = athena.put(f"{ONE}/reschedule").respond(json=[{**RECORD, "appointmentid": "2204083"}])
    step = Change(chain="x", before=booked(), resource_id="9", slots=(LATER,), new_id=True)
    await opened(athena, move_reason_id="12", beyond_web=True).change(step)
    assert dict(form(move)) == {
        "newappointmentid": "2204083", "patientid": "7968", "appointmentcancelreasonid": "12",
        "ignoreschedulablepermission": "true",
    }  # fmt: skip


async def test_a_booking_takes_a_slot_for_a_patient(athena, emr):
    book = athena.put(OTHER).respond(json=[{**RECORD, "appointmentid": "2204083", "starttime": "11:15"}])
    step = Create(chain="new/0", span=LATER.span, patient_id="7968", resource_id="528", slots=(LATER,))
    assert (await emr.create(step)).id == "2204083"
    assert form(book) == [("patientid", "7968"), ("appointmenttypeid", "4"), ("departmentid", "1")]
    await emr.create(replace(step, healthcare_service_id="9", care_unit_id="1", quiet=True))
    assert dict(form(book))["appointmenttypeid"] == "9"
    assert dict(form(book))["donotsendconfirmationemail"] == "true"


@pytest.mark.parametrize(
    ("notes", "comment", "method", "path", "said"),
    [
        ([], "one", "POST", "/notes", [("notetext", "one")]),
        (BOOKED["appointmentnotes"], "två\n& 3", "PUT", "/notes/51", [("notetext", "två\n& 3")]),
        (BOOKED["appointmentnotes"], "", "DELETE", "/notes/51", []),
    ],
)
async def test_a_comment_is_the_newest_note(athena, emr, notes, comment, method, path, said):
    route = athena.request(method, f"{ONE}{path}").respond(json={"success": "true"})
    receipt = await emr.change(Change(chain="x", before=booked(appointmentnotes=notes), comment=comment))
    assert receipt.id == "1110189"
    assert form(route) == said


async def test_a_cancellation_names_its_reason(athena):
    route = athena.put(f"{ONE}/cancel").respond(json=[{"appointmentid": "1110189", "status": "x"}])
    await opened(athena, reason="11").cancel(Cancel(chain="x", before=booked()))
    assert form(route) == [("patientid", "7968"), ("appointmentcancelreasonid", "11")]


async def test_a_confirmation_is_a_status(athena, emr):
    route = athena.put(f"{ONE}/confirmationstatus").respond(json={"success": True})
    await opened(athena, confirmed_id="3").confirm(Confirm(chain="x", before=booked()))
    assert form(route) == [("appointmentconfirmationid", "3")]
    assert emr.capabilities.confirm == "none"
    with pytest.raises(Refused):
        await emr.confirm(Confirm(chain="x", before=booked()))


async def test_an_undo_that_finds_no_open_slot_makes_one(athena, emr):
    """Back from 2204083 to 1110189, which was moved there and stayed closed."""
    now = booked(appointmentid="2204083", starttime="11:15")
    athena.get(f"{PRACTICE}/appointments/open").respond(json=listed())
    athena.get(f"{PRACTICE}/appointments/booked").respond(json=listed(MOVED))
    make = athena.post(f"{PRACTICE}/appointments/open").respond(json={"appointmentids": {"77": "09:00"}})
    move = athena.put(f"{OTHER}/reschedule").respond(json=[{**RECORD, "appointmentid": "77"}])
    old = Slot(at(9), at(9, 30), "528", id="1110189")
    step = Change(chain="x", before=now, span=old.span, slots=(old,), new_id=True, restores=booked())
    assert (await emr.change(step)).id == "77"
    assert dict(form(make)) == {
        "appointmentdate": "03/02/2027", "appointmenttime": "09:00", "departmentid": "1", "providerid": "528",
        "appointmenttypeid": "4",
    }  # fmt: skip
    assert dict(form(move))["newappointmentid"] == "77"


async def test_no_slot_is_made_for_a_move_that_is_no_way_back(athena, emr):
    """An account that looks for no free time names no slot."""
    athena.get(f"{PRACTICE}/appointments/open").respond(json=listed())
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="x", before=booked(), span=LATER.span, new_id=True))
    assert no.value.reason == "taken"


@pytest.mark.parametrize("list_", ["open", "booked"])
async def test_a_slot_that_can_not_be_looked_for_says_nothing_of_the_move(athena, emr, list_):
    for name in ("open", "booked"):
        athena.get(f"{PRACTICE}/appointments/{name}").respond(500 if name == list_ else 200, json=listed())
    step = Change(chain="x", before=booked(), span=LATER.span, new_id=True, restores=booked(starttime="11:15"))
    with pytest.raises(NotSent):
        await emr.change(step)
    assert not [
        call for call in athena.calls if call.request.method != "GET" and "appointments" in str(call.request.url)
    ]


@pytest.mark.parametrize(
    "other", [{"appointmentid": "5"}, {"starttime": "11:30"}, {"duration": 60}, {"providerid": "9"}]
)
async def test_an_answer_that_tells_of_another_place_proves_it(athena, emr, other):
    answer = {**RECORD, "appointmentid": "2204083", "starttime": "11:15", **other}
    athena.put(f"{ONE}/reschedule").respond(json=[answer])
    receipt = await emr.change(Change(chain="x", before=booked(), span=LATER.span, slots=(LATER,), new_id=True))
    assert receipt.appointment is not None
    assert receipt.appointment.comment == "bring the form"


# -- refusals: of them only prose is known ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("appointment", "slot", "reason"),
    [("f", "f", "taken"), ("f", "x", "taken"), ("f", "o", "invalid"), ("x", "o", "state"), ("2", "o", "state")],
)
@pytest.mark.parametrize("status", [400, 409, 422])
async def test_why_a_move_is_refused_is_what_the_records_show(athena, emr, appointment, slot, reason, status):
    athena.put(f"{ONE}/reschedule").respond(status, json=ERROR)
    athena.get(ONE).respond(json=[{**RECORD, "appointmentstatus": appointment}])
    athena.get(OTHER).respond(json=[{**RECORD, "appointmentid": "2204083", "appointmentstatus": slot}])
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="x", before=booked(), span=LATER.span, slots=(LATER,), new_id=True))
    assert no.value.reason == ("rule" if (reason, status) == ("invalid", 409) else reason)
    assert "Prose" not in f"{no.value!r} {no.value.__cause__!r}"


async def test_a_refusal_that_can_not_be_looked_into_stays_one(athena, emr):
    athena.put(f"{ONE}/cancel").respond(400, json=ERROR)
    athena.get(ONE).respond(500)
    with pytest.raises(Refused) as no:
        await emr.cancel(Cancel(chain="x", before=booked()))
    assert no.value.reason == "invalid"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"success": False, "errormessage": "Prose."}, Refused),
        ({"success": "false"}, Refused),
        ({"error": "Prose."}, MaybeDone),
        ([], MaybeDone),
        ({}, MaybeDone),
    ],
)
async def test_a_no_that_comes_as_a_success_is_no_success(athena, emr, answer, error):
    athena.put(f"{ONE}/cancel").respond(json=answer)
    with pytest.raises(error) as no:
        await emr.cancel(Cancel(chain="x", before=booked()))
    assert "Prose" not in repr(no.value)
