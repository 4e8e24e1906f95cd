"""The exact requests: method, address, headers and body, as a FHIR server would see them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import httpx
import pytest
import respx

from gateway.plugin import (
    Account,
    BadAccount,
    Cancel,
    Change,
    Create,
    Door,
    FindFreeTime,
    MarkSlot,
    ReadCalendar,
    Slot,
    Span,
)
from plugins.fhir import Settings, emr_open
from tests.plugins.fhir import samples
from tests.plugins.fhir.samples import at

BASE = "https://fhir.example.org/r4"
OWN_REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
EMPTY = {"resourceType": "Bundle", "type": "searchset"}


@pytest.fixture
def server():
    return respx.MockRouter(base_url=BASE, assert_all_called=False)


@pytest.fixture
async def opened(server):
    doors = []

    def open_with(cancel_reason=None, **settings):
        doors.append(Door(httpx.MockTransport(server.async_handler)))
        told = Settings.model_validate({"base_url": BASE, **settings})
        emr = emr_open(Account("fhir", told, doors[-1], cancel_reason=cancel_reason))
        emr.learned.if_match = emr.learned.chains = True  # as a probe and a search have found out
        return emr

    yield open_with
    for door in doors:
        await door.aclose()


@pytest.fixture
async def before(opened, server):
    server.get("/Appointment/a1").respond(json=samples.appointment())
    return await opened().appointment("a1")


def query(request):
    return [(name, value) for name, value in request.url.params.multi_items() if name != "_count"]


async def test_a_change_is_a_json_patch_over_the_version_that_was_read(opened, server, before):
    route = server.patch("/Appointment/a1").respond(json=samples.appointment(meta={"versionId": "8"}))
    receipt = await opened().change(Change(chain="a1", before=before, comment="grüß"))
    request = route.calls.last.request
    assert request.headers["content-type"] == "application/json-patch+json"
    assert request.headers["if-match"] == 'W/"7"'
    assert request.headers["accept"] == "application/fhir+json"
    assert request.headers["prefer"] == "return=representation"
    assert json.loads(request.content) == [{"op": "add", "path": "/comment", "value": "grüß"}]
    assert receipt.appointment.version == "8"
    assert len(route.calls) == 1


async def test_a_cancellation_uses_the_configured_reason(opened, server, before):
    route = server.patch("/Appointment/a1").respond(json=samples.appointment(status="cancelled"))
    for told, system, code in (
        ({"cancel_reason_system": "urn:clinic", "cancel_reason": "9"}, "urn:clinic", "9"),
        ({"cancel_reason": "pat-crs"}, OWN_REASONS, "pat-crs"),
        ({}, OWN_REASONS, "other"),
    ):
        await opened(**told).cancel(Cancel(chain="a1", before=before))
        ops = json.loads(route.calls.last.request.content)
        assert ops[1]["value"] == {"coding": [{"system": system, "code": code}]}


def test_a_code_of_another_system_is_not_guessed(opened):
    with pytest.raises(BadAccount, match="cancel_reason_system needs a code of it"):
        opened(cancel_reason_system="urn:clinic")


async def test_an_appointment_without_a_version_is_written_without_a_condition(opened, server):
    body = samples.appointment()
    del body["meta"]
    server.get("/Appointment/a1").respond(json=body)
    route = server.patch("/Appointment/a1").respond(json=body)
    emr = opened()
    await emr.change(Change(chain="a1", before=await emr.appointment("a1"), comment="x"))
    assert "if-match" not in route.calls.last.request.headers


async def test_a_booking_is_a_conditional_create_so_that_it_can_not_happen_twice(opened, server):
    location = f"{BASE}/Appointment/a9/_history/1"
    route = server.post("/Appointment").respond(201, headers={"Location": location})
    step = Create(chain="n", span=Span(at(10), at(11)), patient_id="p1", resource_id="Practitioner/d1", marker="c 1&|2")
    receipt = await opened().create(step)
    request = route.calls.last.request
    assert request.headers["content-type"] == "application/fhir+json"
    assert request.headers["if-none-exist"] == "identifier=urn%3Aemr-gateway%3Abooking|c%201%26%7C2"
    assert json.loads(request.content)["identifier"] == [{"system": "urn:emr-gateway:booking", "value": "c 1&|2"}]
    assert (receipt.id, receipt.appointment) == ("a9", None)


async def test_a_booking_without_a_marker_has_no_condition(opened, server):
    route = server.post("/Appointment").respond(201, json=samples.appointment())
    step = Create(chain="n", span=Span(at(10), at(11)), patient_id="p1", resource_id="Practitioner/d1")
    await opened().create(step)
    assert "if-none-exist" not in route.calls.last.request.headers


async def test_a_slot_is_taken_over_its_version_and_its_state(opened, server):
    route = server.patch("/Slot/d1-1000").respond(200, headers={"ETag": 'W/"4"'})
    slot = Slot(at(10), at(10, 30), id="d1-1000", version="3", native={"status": "free"})
    receipt = await opened().mark_slot(MarkSlot(chain="a1", slot=slot, state="busy"))
    request = route.calls.last.request
    assert request.headers["if-match"] == 'W/"3"'
    assert json.loads(request.content) == [
        {"op": "test", "path": "/status", "value": "free"},
        {"op": "replace", "path": "/status", "value": "busy"},
    ]
    assert (receipt.slot.version, receipt.slot.native) == ("4", {"status": "busy"})


async def test_free_time_is_asked_for_by_the_schedules_actor(opened, server):
    route = server.get("/Slot").respond(json=EMPTY)
    await opened().free_time(FindFreeTime(Span(at(9), at(10)), "Practitioner/d1"))
    request = route.calls.last.request
    assert query(request) == [
        ("status", "free"),
        ("start", "ge2027-03-02T08:00:00Z"),
        ("start", "lt2027-03-02T09:00:00Z"),
        ("schedule.actor", "Practitioner/d1"),
        ("_include", "Slot:schedule"),
    ]
    assert request.headers["prefer"] == "handling=strict"
    assert request.headers["cache-control"] == "no-cache"


async def test_a_calendar_is_asked_for_by_date_actor_and_patient(opened, server):
    route = server.get("/Appointment").respond(json=EMPTY)
    wanted = ReadCalendar(Span(at(9), at(10)), resource_id="Practitioner/d1", patient_id="p1")
    await opened().calendar(wanted)
    assert query(route.calls.last.request) == [
        ("date", "ge2027-03-01T08:00:00Z"),
        ("date", "lt2027-03-02T09:00:00Z"),
        ("actor", "Practitioner/d1"),
        ("patient", "Patient/p1"),
    ]


async def test_a_next_link_is_followed_as_it_stands(opened, server):
    link = f"{BASE}?_getpages=b0c1%2Fd2&_getpagesoffset=20"
    first = {**EMPTY, "link": [{"relation": "self", "url": "x"}, {"relation": "next", "url": link}]}
    server.get("/Appointment").respond(json=first)
    more = server.get(url=link).respond(json={**EMPTY, "entry": [{"resource": samples.appointment()}]})
    found = await opened().calendar(ReadCalendar(Span(at(9), at(10))))
    assert [a.id for a in found] == ["a1"]
    assert str(more.calls.last.request.url) == link


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({}, None),
        ({"auth": "bearer", "token": "sesame"}, "Bearer sesame"),
        (
            {"auth": "basic", "user": "gateway", "password": "öppna"},
            "Basic " + base64.b64encode("gateway:öppna".encode()).decode(),
        ),
    ],
)
async def test_each_kind_of_credentials_goes_where_it_belongs(opened, server, settings, header):
    route = server.get("/Appointment/a1").respond(json=samples.appointment())
    await opened(**settings).appointment("a1")
    assert route.calls.last.request.headers.get("authorization") == header


async def test_writes_that_stand_and_fall_together_are_one_transaction(opened, server, before):
    """A patch in a Binary, as base64; conditions as an entry says them."""
    taken = {"status": "200 OK", "etag": 'W/"4"'}
    answer = {"resourceType": "Bundle", "type": "transaction-response"}
    changed = {"resource": samples.appointment(meta={"versionId": "8"}), "response": {"status": "200 OK"}}
    booked = {"response": {"status": "201 Created", "location": "Appointment/a9/_history/1"}}
    route = server.post("").respond(json={**answer, "entry": [{"response": taken}, changed, booked]})
    emr = opened()
    emr.capabilities = replace(emr.capabilities, bundle_max=100)
    slot = Slot(at(10), at(10, 30), id="d1-1000", version="3", native={"status": "free"})
    step = Create(chain="n", span=Span(at(10), at(11)), patient_id="p1", resource_id="Practitioner/d1", marker="c1-2")
    receipts = await emr.bundle(
        [MarkSlot(chain="a1", slot=slot, state="busy"), Change(chain="a1", before=before, comment="grüß"), step]
    )
    request = route.calls.last.request
    assert (request.method, str(request.url)) == ("POST", BASE)
    assert request.headers["content-type"] == "application/fhir+json"
    assert request.headers["prefer"] == "return=representation"
    assert "if-match" not in request.headers
    marking = '[{"op":"test","path":"/status","value":"free"},{"op":"replace","path":"/status","value":"busy"}]'
    comment = '[{"op":"add","path":"/comment","value":"grüß"}]'
    assert json.loads(request.content) == {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"{BASE}/Slot/d1-1000",
                "resource": binary(marking),
                "request": {"method": "PATCH", "url": "Slot/d1-1000", "ifMatch": 'W/"3"'},
            },
            {
                "fullUrl": f"{BASE}/Appointment/a1",
                "resource": binary(comment),
                "request": {"method": "PATCH", "url": "Appointment/a1", "ifMatch": 'W/"7"'},
            },
            {
                "resource": {
                    "resourceType": "Appointment",
                    "status": "booked",
                    "start": at(10).isoformat(),
                    "end": at(11).isoformat(),
                    "minutesDuration": 60,
                    "participant": samples.participants("accepted", ("Patient/p1", "Practitioner/d1")),
                    "identifier": [{"system": "urn:emr-gateway:booking", "value": "c1-2"}],
                },
                "request": {
                    "method": "POST",
                    "url": "Appointment",
                    "ifNoneExist": "identifier=urn%3Aemr-gateway%3Abooking|c1-2",
                },
            },
        ],
    }
    assert (receipts[0].slot.version, receipts[1].appointment.version, receipts[2].id) == ("4", "8", "a9")
    assert len(route.calls) == 1


def binary(patch):
    data = base64.b64encode(patch.encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
