"""Transactions on real servers: which of them is believed, and what that makes of a clinic app's commands."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from gateway.plugin import Account, Door
from gateway.vendor.transport import AiohttpTransport
from plugins.fhir import FhirEmr, Settings, emr_open
from plugins.fhir.proof import proven
from tests.live.clinics import HALF_HOUR
from tests.live.fhir_clinic import Clinic
from tests.live.fhir_seeds import at, slot_id
from tests.live.fhir_world import FhirWorld
from tests.live.gateway import HEADERS, Client, errors, lengths, ok, serving, span
from tests.live.test_races import REFUSALS
from tests.live.witness import Witness

pytestmark = pytest.mark.live


@pytest.fixture(scope="module", params=["open_sekmet", "medplum"])
def server(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def transacts(server: str, request: pytest.FixtureRequest) -> bool:
    """Only the one of them carries out all or nothing."""
    return server == request.getfixturevalue("open_sekmet")


@pytest.fixture(scope="module")
def accounts(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two gateways that start when there are free slots to try it on; neither knows of the other's locks."""
    Clinic(server).close()
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    told = {"base_url": server, "zone": "Europe/Stockholm", "page_size": 7}
    with serving(first, "fhir", clinic=told) as one, serving(second, "fhir", clinic=told) as other:
        yield one.account(), other.account()


@pytest.fixture
def witness(server: str) -> Witness:
    return Witness(FhirWorld(server))


@pytest.fixture
def clinic(server: str) -> Iterator[Clinic]:
    clinic = Clinic(server)
    yield clinic
    assert clinic.disagreements() == []
    clinic.close()


@pytest.fixture
def app(accounts: tuple[str, str], witness: Witness) -> Iterator[Client]:
    client = Client(accounts[0], witness)
    yield client
    client.close()


@pytest.fixture
async def emr(server: str) -> AsyncIterator[FhirEmr]:
    transport = AiohttpTransport()
    door = Door(transport)
    emr = emr_open(Account("fhir", Settings(base_url=server, zone="Europe/Stockholm"), door))
    assert isinstance(emr, FhirEmr)
    yield emr
    await door.aclose()
    await transport.aclose()


def writes(accounts: tuple[str, str]) -> int:
    """How many writes the first gateway has sent to its EMR."""
    told = httpx.get(accounts[0].partition("/api/")[0] + "/metrics", timeout=10).text
    counts = re.findall(r'^gateway_emr_calls_total\{kind="write",[^}]*\} (\S+)', told, re.MULTILINE)
    return round(sum(map(float, counts)))


# -- the proof ------------------------------------------------------------------------------------------------------


async def test_the_probe_believes_the_server_that_rolls_back(emr: FhirEmr, clinic: Clinic, transacts: bool):
    assert (await emr.probe()).bundle_max == (100 if transacts else 0)


async def test_the_proof_finds_out_which_of_them_rolls_back(emr: FhirEmr, clinic: Clinic, transacts: bool):
    """Whatever it says of itself. No slot says anything else afterwards."""
    slots = [slot_id(clinic.anna, at(8)), slot_id(clinic.anna, at(8, 30))]
    before = [clinic.read("Slot", id) for id in slots]
    assert await proven(emr._http, clinic.base, before) is transacts
    after = [clinic.read("Slot", id) for id in slots]
    for now, was in zip(after, before, strict=True):
        assert now.pop("meta") != was.pop("meta")
        assert now.pop("overbooked", False) is False
        assert now == was
    # Of the one, only the good transaction has left a version; of the other, some that should have failed have, too.
    left = {clinic.versions("Slot", id) for id in slots}
    assert left == {2} if transacts else max(left) > 2


def test_what_the_proof_is_about(clinic: Clinic, transacts: bool):
    """A write that is good, and one whose test can't hold: said to be one, and on one of the servers two."""
    good, bad = slot_id(clinic.anna, at(9)), slot_id(clinic.anna, at(9, 30))
    entries = [
        _entry(good, [{"op": "add", "path": "/comment", "value": "left standing"}]),
        _entry(bad, [{"op": "test", "path": "/resourceType", "value": ""}]),
    ]
    clinic.http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert ("comment" in clinic.read("Slot", good)) is not transacts


def _entry(id: str, ops: list[dict[str, Any]]) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(ops).encode()).decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    return {"fullUrl": f"Slot/{id}", "resource": binary, "request": {"method": "PATCH", "url": f"Slot/{id}"}}


# -- a clinic app's commands ----------------------------------------------------------------------------------------


def test_the_gateway_says_what_was_proven(accounts: tuple[str, str], transacts: bool):
    for account in accounts:
        (told,) = httpx.get(account.rpartition("/")[0], headers=HEADERS, timeout=10).json()
        assert told["capabilities"]["facts"]["bundle_max"] == (100 if transacts else 0)


def test_a_move_is_one_write(app: Client, accounts: tuple[str, str], clinic: Clinic, transacts: bool):
    id, before = clinic.book(clinic.anna, at(9), at(10)), writes(accounts)
    moved = ok(app.change(id, comment="moved", **span(at(13), at(14))))
    assert (moved["start"], moved["comment"]) == (at(13).isoformat(), "moved")
    assert clinic.busy(clinic.anna) == ["13:00", "13:30"]
    assert writes(accounts) - before == (1 if transacts else 5)
    assert clinic.versions("Appointment", id) == 2


def test_a_booking_and_a_cancellation_are_one_write_each(
    app: Client, accounts: tuple[str, str], clinic: Clinic, transacts: bool
):
    wanted = {"resource_id": clinic.anna, "healthcare_service_id": clinic.service, "patient_id": clinic.patient}
    before = writes(accounts)
    made = app.send("POST", "/appointments", {**wanted, **span(at(8), at(8, 30))})
    assert made.status_code == 201, made.text
    assert writes(accounts) - before == (1 if transacts else 2)
    assert clinic.busy(clinic.anna) == ["08:00"]
    before = writes(accounts)
    ok(app.change(made.json()["id"], status="cancelled"))
    assert writes(accounts) - before == (1 if transacts else 2)
    assert clinic.busy(clinic.anna) == []


def test_a_continuous_reschedule_is_one_write(app: Client, accounts: tuple[str, str], clinic: Clinic, transacts: bool):
    """More tiles than appointments: they are moved and one is created; then fewer: one is cancelled."""
    ids = [clinic.book(clinic.anna, at(hour), at(hour, 30)) for hour in (9, 10)]
    before = writes(accounts)
    answer = ok(app.change_many(ids, comment="therapy", **span(at(13), at(14, 30))))
    assert sorted(change for change, _ in lengths(answer)) == ["created", "moved", "moved"]
    assert clinic.busy(clinic.anna) == ["13:00", "13:30", "14:00"]
    assert writes(accounts) - before == (1 if transacts else 8)
    before = writes(accounts)
    answer = ok(app.change_many([one["id"] for one in answer], **span(at(9), at(10))))
    assert lengths(answer) == [("moved", "09:00"), ("moved", "09:30"), ("cancelled", "14:00")]
    assert clinic.busy(clinic.anna) == ["09:00", "09:30"]
    assert writes(accounts) - before == (1 if transacts else 8)


def test_many_are_reassigned_by_one_write(app: Client, accounts: tuple[str, str], clinic: Clinic, transacts: bool):
    ids = [clinic.book(clinic.anna, at(hour), at(hour, 30)) for hour in (9, 11, 14)]
    before = writes(accounts)
    assert lengths(ok(app.change_many(ids, resource_id=clinic.bo))) == [
        ("moved", "09:00"),
        ("moved", "11:00"),
        ("moved", "14:00"),
    ]
    assert writes(accounts) - before == (1 if transacts else 9)


def test_of_eight_clients_that_want_one_slot_exactly_one_gets_it(
    accounts: tuple[str, str], clinic: Clinic, witness: Witness
):
    """Half of them by another gateway: only the server's own all or nothing stands between them."""
    starts = [at(8) + n * HALF_HOUR for n in range(8)]
    ids = [clinic.book(clinic.anna, start, start + HALF_HOUR) for start in starts]
    answers = _at_once(accounts, ids, at(15), witness)
    losers = [answer for answer in answers if answer.status_code != 200]
    assert len(losers) == 7, [answer.text for answer in answers]
    for answer in losers:
        assert (answer.status_code, errors(answer)) in REFUSALS, answer.text
    there = [id for id in ids if clinic.read("Appointment", id)["start"] == at(15).isoformat()]
    assert len(there) == 1
    untouched = [id for id in ids if id not in there]
    assert {clinic.versions("Appointment", id) for id in untouched} == {1}


def _at_once(accounts: tuple[str, str], ids: list[str], start: datetime, witness: Witness) -> list[httpx.Response]:
    clients = [Client(accounts[n % 2], witness) for n in range(len(ids))]
    with ThreadPoolExecutor(len(ids)) as pool:
        wants = [
            pool.submit(client.change, id, **span(start, start + HALF_HOUR))
            for client, id in zip(clients, ids, strict=True)
        ]
        answers = [want.result(timeout=120) for want in wants]
    for client in clients:
        client.close()
    return answers
