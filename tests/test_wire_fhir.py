from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import BadRequest, Busy, EmrRefused, PartiallyApplied, Problem, RateLimited, Unauthorized
from gateway.domain.model import Entry, Kind, Slot, Status
from gateway.domain.outcome import Outcome, Shown
from gateway.execute import codec
from gateway.ledger import Answer, LedgerDown
from gateway.openapi import document
from gateway.pages.texts import CODES, ERROR_CODES, kinds
from gateway.wire import render_error, speaking
from gateway.wire.fhir.issues import ISSUE_TYPES
from tests.fhir_form import ISSUE_TYPES as FHIRS_ISSUE_TYPES
from tests.fhir_form import MEDIA, URL, actors, codes, fhir, places, told_extensions
from tests.stub_gateway import EMR, MANY, ONE, StubGateway, appointment, client_of

FHIR = speaking("fhir", URL, "clinic")
SYSTEM = f"{URL}/api/emrs/clinic"
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=80).filter(str.strip)


def etag(_) -> str:
    return '"e"'


def outcome(*shown: Shown, single: bool = True, created: bool = False, dry_run: bool = False) -> Answer:
    return FHIR.outcome(Outcome(shown, single, created), etag, dry_run=dry_run)


def told(*shown: Shown, **how) -> dict:
    answer = outcome(*shown, **how)
    assert dict(answer.headers)["content-type"] == MEDIA
    return fhir(answer.body)


# -- appointments ---------------------------------------------------------------------------------------------------


def test_one_appointment_is_an_appointment_with_its_etag():
    answer = outcome(Shown(appointment(comment="Åsa's"), previous_ids=("a-0", "a-00")))
    assert (answer.status, dict(answer.headers)) == (200, {"content-type": MEDIA, "etag": '"e"'})

    def actor(type: str, path: str, id: str) -> dict:
        reference = {"type": type, "identifier": {"system": f"{SYSTEM}/{path}", "value": id}}
        return {"actor": reference, "status": "accepted"}

    assert fhir(answer.body) == {
        "resourceType": "Appointment",
        "id": "a-1",
        "identifier": [
            {"system": f"{SYSTEM}/appointments", "value": "a-1"},
            {"use": "old", "system": f"{SYSTEM}/appointments", "value": "a-0"},
            {"use": "old", "system": f"{SYSTEM}/appointments", "value": "a-00"},
        ],
        "status": "booked",
        "start": "2031-03-03T09:00:00+01:00",
        "end": "2031-03-03T09:30:00+01:00",
        "comment": "Åsa's",
        "participant": [
            actor("Patient", "patients", "p-1"),
            actor("Practitioner", "resources", "r-1"),
            actor("HealthcareService", "healthcare-services", "s-1"),
            actor("Location", "care-units", "c-1"),
        ],
    }


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.BOOKED, "booked"),
        (Status.AWAITING, "pending"),
        (Status.COMPLETED, "fulfilled"),
        (Status.CANCELLED, "cancelled"),
        (Status.NO_SHOW, "noshow"),
    ],
)
def test_a_status_has_fhirs_word(status, word):
    assert told(Shown(appointment(status=status)))["status"] == word


def test_another_status_is_said_to_be_unknown_instead_of_being_guessed():
    one = told(Shown(appointment(status=Status.OTHER)))
    assert "status" not in one
    assert [e["valueCode"] for e in one["_status"]["extension"]] == ["unknown"]


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({"status": Status.AWAITING}, True),
        ({"status": Status.AWAITING, "confirmed": True}, True),
        ({"confirmed": False}, True),
        ({"confirmed": True}, False),
        ({}, False),
        ({"status": Status.CANCELLED, "confirmed": False}, False),
    ],
)
def test_the_patient_has_to_act_where_a_confirmation_is_waited_for(fields, waits):
    one = told(Shown(appointment(**fields)))
    assert [p["status"] for p in one["participant"]] == ["needs-action" if waits else "accepted", *["accepted"] * 3]
    assert told_extensions(one).get("confirmed") == fields.get("confirmed")


def test_what_is_not_there_is_left_out():
    nothing = dict.fromkeys(("patient_id", "resource_id", "healthcare_service_id", "care_unit_id"))
    one = told(Shown(appointment(**nothing, comment=" ")))
    assert not one.keys() & {"comment", "extension"}
    assert len(one["participant"]) == 1
    assert "status" not in one["participant"][0]
    assert told(Shown(appointment(patient_id=None)))["participant"][0]["actor"]["type"] == "Practitioner"


@pytest.mark.parametrize("id", ["a/b", "å", "a b", "a" * 65, "a_b", "-2026,7"])
def test_an_id_that_is_none_in_fhir_is_an_identifier_only(id):
    one = told(Shown(appointment(id)))
    assert "id" not in one
    assert one["identifier"][0]["value"] == id


def test_many_are_a_bundle_in_order_each_with_its_change_and_its_url():
    shown = (Shown(appointment("a"), "moved"), Shown(appointment("b/c", status=Status.CANCELLED), "cancelled"))
    answer = outcome(*shown, single=False)
    assert (answer.status, dict(answer.headers)) == (200, {"content-type": MEDIA})
    bundle = fhir(answer.body)
    assert [e["fullUrl"] for e in bundle["entry"]] == [f"{SYSTEM}/appointments/a", f"{SYSTEM}/appointments/b%2Fc"]
    assert [told_extensions(e["resource"])["change"] for e in bundle["entry"]] == ["moved", "cancelled"]


def test_of_one_appointment_no_change_is_told():
    assert "extension" not in told(Shown(appointment(), "created"), created=True)


def test_an_empty_array_is_a_bundle_without_entries():
    assert told(single=False) == {"resourceType": "Bundle", "type": "collection"}
    assert fhir(FHIR.slots([]).body) == {"resourceType": "Bundle", "type": "collection"}
    assert fhir(FHIR.entries(Kind.PATIENT, []).body) == {"resourceType": "Bundle", "type": "collection"}


def test_a_dry_run_of_a_booking_is_an_appointment_without_an_id():
    booked = outcome(Shown(appointment()), created=True)
    assert (booked.status, "etag" in dict(booked.headers)) == (201, True)
    dry = outcome(Shown(appointment("")), created=True, dry_run=True)
    assert (dry.status, "etag" in dict(dry.headers)) == (201, False)
    assert not fhir(dry.body).keys() & {"id", "identifier"}
    two = told(Shown(appointment("")), Shown(appointment("")), single=False, dry_run=True)
    assert [list(entry) for entry in two["entry"]] == [["resource"], ["resource"]]


@given(id=IDS, comment=st.none() | TEXTS, status=st.sampled_from(Status), confirmed=st.none() | st.booleans())
def test_whatever_an_emr_holds_is_told_in_form(id, comment, status, confirmed):
    one = appointment(id, comment=comment, status=status, confirmed=confirmed, patient_id=id, care_unit_id=id)
    told(Shown(one, "kept", (id,)), single=False)
    fhir(FHIR.slots([Slot(one.start, one.end, id, None, id)]).body)


def test_half_characters_never_break_an_answer():
    half = "\ud83d"
    one = told(Shown(appointment(half, comment=half, patient_id=half), None, (half,)), single=False)
    assert "?" in one["entry"][0]["resource"]["comment"]
    fhir(FHIR.entries(Kind.PATIENT, [Entry(half, half, half)]).body)


# -- slots and directories ------------------------------------------------------------------------------------------


def test_a_free_slot_carries_the_schedule_that_says_whose_time_it_is():
    start, end = appointment().span.start, appointment().span.end
    bundle = fhir(FHIR.slots([Slot(start, end, "r-1", "s-1", "c-1", id="x"), Slot(start, end)]).body)
    first, second = (entry["resource"] for entry in bundle["entry"])
    assert (first["status"], first["start"], first["end"]) == ("free", start.isoformat(), end.isoformat())
    assert [(one["type"], one["identifier"]["value"]) for one in first["contained"][0]["actor"]] == [
        ("Practitioner", "r-1"),
        ("HealthcareService", "s-1"),
        ("Location", "c-1"),
    ]
    assert [list(actor) for actor in second["contained"][0]["actor"]] == [["extension"]]


@pytest.mark.parametrize(
    ("kind", "type"),
    [
        (Kind.CARE_UNIT, "Location"),
        (Kind.RESOURCE, "Practitioner"),
        (Kind.SERVICE, "HealthcareService"),
        (Kind.PATIENT, "Patient"),
    ],
)
def test_a_directory_is_a_bundle_of_what_exists(kind, type):
    bundle = fhir(FHIR.entries(kind, [Entry("1", "Test Testsson", "c/1"), Entry("p 2", " ")]).body)
    first, second = (entry["resource"] for entry in bundle["entry"])
    assert (first["resourceType"], first["id"]) == (type, "1")
    assert first["identifier"] == [{"system": f"{SYSTEM}/{kind}", "value": "1"}]
    assert first["name"] in ("Test Testsson", [{"text": "Test Testsson"}])
    unit = first["location"][0] if kind is Kind.SERVICE else told_extensions(first)["care-unit"]
    assert unit == {"type": "Location", "identifier": {"system": f"{SYSTEM}/care-units", "value": "c/1"}}
    assert bundle["entry"][1]["fullUrl"] == f"{SYSTEM}/{kind}/p%202"
    assert set(second) == {"resourceType", "identifier"}


# -- errors ---------------------------------------------------------------------------------------------------------


def test_an_error_is_an_operation_outcome_with_its_entries():
    instance = str(uuid4())
    problems = [
        Problem("NO_TIMESLOTS_AVAILABLE", "No time slot.", "ids/2"),
        Problem("BAD_INPUT", "Not this.", None, emr_error="E-17"),
    ]
    answer = render_error(BadRequest("Not so.", problems), instance, URL, "fhir")
    assert (answer.status, dict(answer.headers)) == (400, {"content-type": MEDIA})
    emr_error = {"url": f"{URL}/fhir/StructureDefinition/emr-error", "valueString": "E-17"}

    def details(code: str, **more: str) -> dict:
        return {"coding": [{"system": f"{URL}/errors", "code": code, **more}]}

    assert fhir(answer.body) == {
        "resourceType": "OperationOutcome",
        "id": instance,
        "issue": [
            {
                "severity": "error",
                "code": "invalid",
                "details": details("BAD_REQUEST", display="Request validation failed"),
                "diagnostics": "Not so.",
            },
            {
                "severity": "error",
                "code": "business-rule",
                "details": details("NO_TIMESLOTS_AVAILABLE"),
                "diagnostics": "No time slot.",
                "location": ["ids/2"],
            },
            {
                "extension": [emr_error],
                "severity": "error",
                "code": "value",
                "details": details("BAD_INPUT"),
                "diagnostics": "Not this.",
            },
        ],
    }


def test_every_code_has_a_type_of_issue_and_no_other_has():
    assert ISSUE_TYPES.keys() == CODES.keys() | ERROR_CODES.keys()
    assert set(ISSUE_TYPES.values()) <= FHIRS_ISSUE_TYPES


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_kind_of_error_is_told_in_form(kind):
    answer = render_error(kind(problems=[Problem("SOMETHING_NEW", "", "a-1")]), str(uuid4()), URL, "fhir")
    outcome = fhir(answer.body)
    assert (answer.status, codes(outcome), places(outcome)) == (kind.status, [kind.code, "SOMETHING_NEW"], ["a-1"])


def test_headers_are_the_same_in_both_standards():
    for error in (Busy(retry_after=0.2), RateLimited(retry_after=3), Unauthorized(), EmrRefused(), PartiallyApplied()):
        plain, second = (
            dict(render_error(error, str(uuid4()), URL, standard).headers) for standard in ("leyr", "fhir")
        )
        assert plain | {"content-type": MEDIA} == second


# -- over HTTP ------------------------------------------------------------------------------------------------------

ASKED = {"x-leyr-standard": "fhir"}
BOOKING = {
    "start": "2031-03-03T09:00:00Z",
    "end": "2031-03-03T10:00:00Z",
    "patient_id": "p",
    "resource_id": "r",
    "healthcare_service_id": "s",
}


@pytest.fixture
def gateway():
    return StubGateway()


@pytest.fixture
async def client(gateway):
    async with client_of(gateway) as client:
        yield client


def refused(response: httpx.Response, status: int, *expected: str) -> dict:
    assert (response.status_code, response.headers["content-type"]) == (status, MEDIA)
    outcome = fhir(response.content)
    assert codes(outcome) == list(expected)
    return outcome


@pytest.mark.parametrize("asked", [{"headers": ASKED}, {"params": {"standard": "fhir"}}])
async def test_every_read_about_an_emr_is_answered_in_fhir(client, asked):
    paths = {
        ONE: "Appointment",
        MANY: "Bundle",
        f"{EMR}/timeslots": "Bundle",
        **{f"{EMR}/{kind}": "Bundle" for kind in Kind},
        f"{EMR}/care-units/c-1/appointments": "Bundle",
    }
    for path, type in paths.items():
        response = await client.get(path, **asked)
        assert (response.status_code, response.headers["content-type"]) == (200, MEDIA)
        assert fhir(response.content)["resourceType"] == type
    first = fhir((await client.get(MANY, **asked)).content)["entry"][0]
    assert (await client.get(first["fullUrl"], **asked)).json() == first["resource"]
    assert actors(first["resource"])["Patient"] == "p-1"


async def test_accounts_and_commands_are_the_same_in_both_standards(client):
    for path in ("/api/emrs", "/api/commands", "/api/commands/command-1"):
        response = await client.get(path, headers=ASKED)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        assert response.json() == (await client.get(path)).json()
    refused(await client.get("/api/commands/other", headers=ASKED), 404, "NOT_FOUND")


async def test_the_etag_is_one_in_both_standards(client):
    etag = (await client.get(ONE)).headers["etag"]
    response = await client.get(ONE, headers=ASKED)
    assert response.headers["etag"] == etag
    assert (await client.get(ONE, headers={**ASKED, "if-none-match": etag})).status_code == 304


async def test_a_write_says_which_standard_it_wants_and_that_it_is_another_request(client, gateway):
    for method, path, json in (("PATCH", ONE, {"comment": "c"}), ("POST", MANY, BOOKING)):
        gateway.asked.clear()
        for headers in ({}, ASKED, {**ASKED, "content-type": MEDIA}):
            assert (await client.request(method, path, json=json, headers=headers)).status_code == 200
        plain, second, third = (asked["circumstances"] for asked in gateway.asked)
        assert (plain.standard, second.standard) == ("leyr", "fhir")
        assert plain.fingerprint != second.fingerprint == third.fingerprint


async def test_every_refusal_is_told_in_fhir(client, gateway):
    async def asks(method: str = "PATCH", path: str = ONE, json: object = None, **headers: str) -> httpx.Response:
        sent = {**ASKED, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await client.request(method, path, json=json, headers=sent)

    refused(await asks("GET", x_leyr_client_secret="wrong"), 401, "UNAUTHORIZED")
    refused(await asks("GET", "/api/emrs/other/appointments"), 404, "NOT_FOUND")
    refused(await asks("GET", "/api/nowhere"), 404, "NOT_FOUND")
    refused(await asks("PUT"), 405, "METHOD_NOT_ALLOWED")
    refused(await asks(content_type="text/plain", json={}), 415, "UNSUPPORTED_MEDIA_TYPE")
    bad = refused(await asks(json={"start": "x", "comment": 1}), 400, "BAD_REQUEST", "BAD_INPUT", "BAD_INPUT")
    assert places(bad) == ["body/start", "body/comment"]
    bad = refused(await asks(json={"comment": "c"}, path=f"{ONE}?other=1"), 400, "BAD_REQUEST", "BAD_INPUT")
    assert places(bad) == ["query[0]"]
    gateway.fails = LedgerDown()
    refused(await asks("GET"), 503, "BUSY")
    gateway.fails = RuntimeError("inside")
    refused(await asks("GET"), 500, "UNKNOWN_ERROR")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("standard=hl7", []),
        ("standard=fhir&standard=fhir", []),
        ("standard=leyr", [("x-leyr-standard", "fhir")]),
        ("standard=fhir&x=%FF", []),
        ("", [("x-leyr-standard", "fhir"), ("x-leyr-standard", "fhir")]),
    ],
)
async def test_while_it_is_not_clear_which_standard_is_wanted_refusals_are_problem_details(client, query, headers):
    response = await client.get(f"{ONE}?{query}", headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")


async def test_the_header_holds_where_the_query_is_unreadable(client):
    refused(await client.get(f"{ONE}?x=%FF", headers=ASKED), 400, "BAD_REQUEST", "BAD_INPUT")


# -- what is described and what is stored ---------------------------------------------------------------------------


def test_every_example_of_the_description_is_in_form():
    found = []
    described = document(URL)
    responses = [r for item in described["paths"].values() for one in item.values() for r in one["responses"].values()]
    for response in [*responses, *described["components"]["responses"].values()]:
        media = response.get("content", {}).get(MEDIA, {})
        found += [media["example"]] if "example" in media else []
        found += [example["value"] for example in media.get("examples", {}).values()]
    assert {fhir(example)["resourceType"] for example in found} == {"Appointment", "Bundle", "OperationOutcome"}


def test_a_command_keeps_its_standard_before_it_has_a_plan():
    assert codec.standard_of(codec.dump_standard("fhir")) == "fhir"
    assert codec.standard_of(b"") == "leyr"


def test_times_are_instants_whatever_the_offset():
    at = datetime(2031, 3, 3, 9, 0, 0, 500_000, tzinfo=UTC)
    one = told(Shown(replace(appointment(), start=at)))
    assert one["start"] == "2031-03-03T09:00:00.500000+00:00"
