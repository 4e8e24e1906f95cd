"""Answers in FHIR R4, over HTTP on sandbox EMRs: each one valid, stored ones too, telling what the others tell."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway import clock
from gateway.app import keys_of
from gateway.configuration.settings import load
from gateway.execute import codec
from gateway.ledger import CommandRow
from gateway.ledger.sqlite import SqliteLedger
from tests.e2e.clinic import staff_of
from tests.e2e.conftest import Api, at, span, started, working_day
from tests.fhir_form import MEDIA, actors, codes, fhir, places, told_extensions

ASKED = {"x-leyr-standard": "fhir"}
KEY = {"idempotency-key": "once"}


async def asked(api: Api, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
    url = path if path.startswith("/") else f"/api/emrs/{api.emr}/{path}"
    sent = {**api.headers, **ASKED, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await api.http.request(method, url, json=json, headers=sent)


def valid(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA), answer.text
    return fhir(answer.content)


def refused(answer: httpx.Response, status: int, *expected: str) -> dict[str, Any]:
    outcome = valid(answer, status)
    assert codes(outcome) == list(expected)
    return outcome


def entries(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle.get("entry", ())]


def id_of(appointment: dict[str, Any]) -> str:
    return appointment["identifier"][0]["value"]


def booking(hour: int, minute: int = 0, **other: Any) -> dict[str, Any]:
    start = at(10, hour, minute)
    told = span(start, start + timedelta(minutes=30), "D1")
    return {**told, "patient_id": "P4", "healthcare_service_id": "K1", **other}


# -- reads ----------------------------------------------------------------------------------------------------------


async def test_reads_tell_the_same_in_both_standards(each):
    """On every personality, whatever its ids look like."""
    (one,) = await each.booked(1)
    first = valid(await asked(each, "GET", f"appointments/{one['id']}"))
    assert (id_of(first), first["start"], first["end"]) == (one["id"], one["start"], one["end"])
    assert actors(first) == {
        "Patient": one["patient_id"],
        "Practitioner": one["resource_id"],
        "HealthcareService": one["healthcare_service_id"],
        "Location": one["care_unit_id"],
    }
    listed = entries(valid(await asked(each, "GET", "appointments")))
    assert [id_of(a) for a in listed] == [a["id"] for a in await each.get("appointments")]
    day = working_day(10)
    query = str(httpx.QueryParams({**span(day, day + timedelta(days=1)), "healthcare_service_id": "K1"}))
    plain = (await each.http.get(f"/api/emrs/{each.emr}/timeslots?{query}", headers=each.headers)).json()
    slots = entries(valid(await asked(each, "GET", f"timeslots?{query}")))
    assert slots
    assert [(s["start"], s["end"]) for s in slots] == [(s["start"], s["end"]) for s in plain]


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("care-units", "Location"),
        ("resources", "Practitioner"),
        ("healthcare-services", "HealthcareService"),
        ("patients", "Patient"),
    ],
)
async def test_directories_are_bundles(api, path, type):
    found = entries(valid(await asked(api, "GET", path)))
    assert {one["resourceType"] for one in found} == {type}
    assert [one["identifier"][0]["value"] for one in found] == [one["id"] for one in await api.get(path)]


async def test_a_range_without_anything_is_an_empty_bundle(api):
    query = httpx.QueryParams({**span(at(10, 3), at(10, 4)), "resource_id": "D1"})
    for path in ("appointments", "timeslots"):
        assert "entry" not in valid(await asked(api, "GET", f"{path}?{query}"))


async def test_an_etag_of_one_standard_is_good_in_the_other(api):
    (one,) = await api.booked(1)
    etag = (await asked(api, "GET", f"appointments/{one['id']}")).headers["etag"]
    await api.patch(one["id"], headers={"if-match": etag}, comment="x")
    stale = await asked(api, "PATCH", f"appointments/{one['id']}", {"comment": "y"}, if_match=etag)
    refused(stale, 412, "PRECONDITION_FAILED")


# -- writes ---------------------------------------------------------------------------------------------------------


async def test_one_appointment_is_booked_moved_commented_and_cancelled(api):
    answer = await asked(api, "POST", "appointments", booking(9, comment="Åsa"))
    booked = valid(answer, 201)
    assert answer.headers["etag"]
    assert answer.headers["x-command-id"]
    path = f"appointments/{id_of(booked)}"
    moved = valid(await asked(api, "PATCH", path, span(at(10, 13), at(10, 13, 30))))
    assert (moved["start"], moved["comment"]) == (at(10, 13).isoformat(), "Åsa")
    cleared = valid(await asked(api, "PATCH", path, {"comment": ""}))
    assert "comment" not in cleared
    cancelled = valid(await asked(api, "PATCH", path, {"status": "cancelled"}))
    assert cancelled["status"] == "cancelled"


async def test_a_moved_appointment_bears_its_earlier_id_as_an_old_one(http):
    api = Api(http, "new-id")
    (one,) = await api.booked(1)
    moved = valid(await asked(api, "PATCH", f"appointments/{one['id']}", span(at(10, 14), at(10, 14, 30))))
    assert id_of(moved) != one["id"]
    assert [i["value"] for i in moved["identifier"] if i.get("use") == "old"] == [one["id"]]


async def test_what_waits_for_a_code_is_pending(api):
    asks = valid(await asked(api, "POST", "appointments", booking(9, healthcare_service_id="K2")), 201)
    assert (asks["status"], asks["participant"][0]["status"]) == ("pending", "needs-action")
    path = f"appointments/{id_of(asks)}"
    wrong = await asked(api, "PATCH", path, {"confirmation": {"code": "111111"}})
    refused(wrong, 400, "BAD_REQUEST", "INVALID_CONFIRMATION_CODE")
    booked = valid(await asked(api, "PATCH", path, {"confirmation": {"code": "123456"}}))
    assert (booked["status"], booked["participant"][0]["status"]) == ("booked", "accepted")


async def test_many_are_a_bundle_with_what_became_of_each(api):
    ids = [a["id"] for a in await api.booked(3)]
    body = {"ids": ids, **span(at(10, 13), at(10, 14))}
    dry = valid(await asked(api, "PATCH", "appointments?dry_run=true", body))
    changed = entries(valid(await asked(api, "PATCH", "appointments", body)))
    assert [told_extensions(a)["change"] for a in changed] == ["moved", "moved", "cancelled"]
    assert [told_extensions(a)["change"] for a in entries(dry)] == ["moved", "moved", "cancelled"]
    assert [a["status"] for a in changed] == ["booked", "booked", "cancelled"]


async def test_a_dry_run_is_in_form_and_its_plan_holds_in_both_standards(api):
    dry = await asked(api, "POST", "appointments?dry_run=true", booking(9))
    assert not valid(dry, 201).keys() & {"id", "identifier"}
    assert (dry.headers["x-dry-run"], "etag" in dry.headers) == ("true", False)
    made = await api.call("POST", "appointments", booking(9), {"x-plan": dry.headers["x-plan"]})
    assert made.status_code == 201


# -- what is refused, and what fails ----------------------------------------------------------------------------------


async def test_refusals_are_operation_outcomes(api):
    one, two = await api.booked(2)
    path = f"appointments/{one['id']}"
    taken = span(at(10, 9, 30), at(10, 10))
    refused(await asked(api, "PATCH", path, taken), 400, "BAD_REQUEST", "NO_TIMESLOTS_AVAILABLE")
    many = await asked(api, "PATCH", "appointments", {"ids": [two["id"], "ghost"], "comment": "x"})
    assert places(refused(many, 400, "BAD_REQUEST", "INVALID_APPOINTMENT_ID")) == ["ids/1"]
    refused(await asked(api, "GET", "appointments/ghost"), 404, "NOT_FOUND", "INVALID_APPOINTMENT_ID")
    refused(await asked(api, "GET", "care-units/ghost/resources"), 404, "NOT_FOUND", "INVALID_CARE_UNIT_ID")
    refused(await asked(api, "GET", "/api/emrs/ghost/appointments"), 404, "NOT_FOUND")
    refused(await asked(api, "GET", path, x_leyr_client_secret="wrong"), 401, "UNAUTHORIZED")
    refused(await asked(api, "DELETE", path), 405, "METHOD_NOT_ALLOWED")
    valid(await asked(api, "PATCH", path, {"status": "cancelled"}))
    refused(await asked(api, "PATCH", path, taken), 409, "CONFLICT", "INVALID_APPOINTMENT_STATUS")
    unclear = await api.http.get(f"/api/emrs/{api.emr}/{path}?standard=hl7", headers={**api.headers, **ASKED})
    assert (unclear.status_code, unclear.headers["content-type"]) == (400, "application/problem+json")


async def test_what_the_emr_refuses_or_fails_at_is_an_operation_outcome(api):
    (one,) = await api.booked(1)
    path = f"appointments/{one['id']}"
    for fault, status, expected in (
        ("!refuse", 409, "EMR_REFUSED"),
        ("!error", 502, "EMR_ERROR"),
        ("!other", 502, "EMR_DEVIATION"),
    ):
        outcome = valid(await asked(api, "PATCH", path, {"comment": fault}), status)
        assert codes(outcome)[0] == expected
        assert fault not in str(outcome)


# -- what is stored -------------------------------------------------------------------------------------------------


async def test_a_replay_is_in_the_standard_of_the_request_and_another_standard_is_another_request(api):
    first = await asked(api, "POST", "appointments", booking(9), **KEY)
    again = await asked(api, "POST", "appointments", booking(9), **KEY)
    assert valid(again, 201) == valid(first, 201)
    assert again.headers["idempotent-replayed"] == "true"
    other = await api.call("POST", "appointments", booking(9), KEY)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    reused = await asked(api, "POST", "appointments", booking(11), **KEY)
    refused(reused, 422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_command_is_told_in_our_words_with_its_answer_in_fhir(api):
    answer = await asked(api, "POST", "appointments", booking(9), prefer="respond-async")
    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/json")
    command = await settled(api, answer.json()["id"])
    assert (command["state"], command["answer"]["status"]) == ("done", 201)
    booked = fhir(command["answer"]["body"])
    assert booked == valid(await asked(api, "GET", f"appointments/{id_of(booked)}"))


async def settled(api: Api, id: str) -> dict[str, Any]:
    for _ in range(200):
        command: dict[str, Any] = await api.get(f"/api/commands/{id}")
        if command["state"] in ("done", "undone", "refused"):
            return command
        await asyncio.sleep(0.05)
    raise AssertionError("the command did not settle")


async def test_a_command_that_a_restart_takes_up_answers_in_its_own_standard(config, monkeypatch):
    """It is left in the middle of a write whose outcome the EMR does not tell in time."""
    staff_of(monkeypatch)
    settings = config.read_text()
    config.write_text(settings + "\n[limits]\ndrain_s = 0\n")
    async with started(config) as http:
        api = Api(http)
        (one,) = await api.booked(1)
        body = {"comment": "!late"}
        answer = await asked(api, "PATCH", f"appointments/{one['id']}", body, prefer="respond-async", **KEY)
        id = answer.json()["id"]
        await attempting(api, id)
    async with started(config) as http:
        api = Api(http)
        command = await settled(api, id)
        resource = fhir(command["answer"]["body"])
        assert resource["resourceType"] == ("Appointment" if command["state"] == "done" else "OperationOutcome")


async def attempting(api: Api, id: str) -> None:
    for _ in range(500):
        command = await api.get(f"/api/commands/{id}")
        if any(step["state"] == "attempting" for step in command["steps"]):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no step was attempted")


async def test_a_command_that_was_stopped_before_it_had_a_plan_answers_in_its_own_standard(config):
    async with started(config):
        pass
    settings = load({}, config=config)
    await begun(settings, "f" * 32)
    async with started(config) as http:
        command = await settled(Api(http), "f" * 32)
    assert (command["state"], command["answer"]["status"]) == ("refused", 503)
    assert codes(fhir(command["answer"]["body"])) == ["BUSY"]


async def begun(settings: Any, id: str) -> None:
    """What a gateway has written down when it is killed between taking a command and planning it."""
    ledger = SqliteLedger(settings.state_dir / "ledger.sqlite", keys_of(settings))
    await ledger.open()
    row = CommandRow(
        id=id,
        client="one",
        emr="in-place",
        tenant="t",
        operation="update",
        created_at=clock.now(),
        updated_at=clock.now(),
        payload=codec.dump_standard("fhir"),
    )
    await ledger.begin(row)
    await ledger.close()
