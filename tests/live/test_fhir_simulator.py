"""A real FHIR server that books proposals by itself, a moment after they were written: none of it is overwritten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.plugin import Account, Cancel, Change, Confirm, Door, Refused, Span
from gateway.vendor.transport import AiohttpTransport
from plugins.fhir import Settings, emr_open
from tests.live.clinics import HALF_HOUR
from tests.live.fhir_clinic import Clinic
from tests.live.fhir_seeds import at
from tests.live.fhir_world import FhirWorld
from tests.live.gateway import Client, errors, serving
from tests.live.sekmet import running, simulating
from tests.live.witness import Witness

pytestmark = pytest.mark.live

DELAY_S = 1.0


@pytest.fixture(scope="module")
def busy_server(sekmet_venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(sekmet_venv, tmp_path_factory.mktemp("simulated"), **simulating(DELAY_S)) as server:
        yield server.base


@pytest.fixture(scope="module")
def account(busy_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    told = {"base_url": busy_server, "zone": "Europe/Stockholm", "page_size": 7}
    with serving(tmp_path_factory.mktemp("gateway"), "fhir", clinic=told) as gateway:
        yield gateway.account()


@pytest.fixture
def witness(busy_server: str) -> Witness:
    return Witness(FhirWorld(busy_server, acts=True))


@pytest.fixture
def app(account: str, witness: Witness) -> Iterator[Client]:
    client = Client(account, witness)
    yield client
    client.close()


@pytest.fixture
def clinic(busy_server: str) -> Iterator[Clinic]:
    clinic = Clinic(busy_server)
    yield clinic
    clinic.close()


def proposed(clinic: Clinic, hour: int, minute: int = 0) -> str:
    start = at(hour, minute)
    return clinic.book(clinic.anna, start, start + HALF_HOUR, status="proposed")


def until_booked(clinic: Clinic, id: str) -> None:
    deadline = time.monotonic() + 20
    while clinic.read("Appointment", id)["status"] != "booked":
        assert time.monotonic() < deadline, "the server did not book it"
        time.sleep(0.05)


def history(clinic: Clinic, id: str) -> list[dict]:
    """All versions of an appointment, the oldest first."""
    versions = [entry["resource"] for entry in clinic.read("Appointment", f"{id}/_history")["entry"]]
    return sorted(versions, key=lambda one: int(one["meta"]["versionId"]))


def test_what_the_server_does_by_itself_is_seen_and_an_old_etag_is_refused(app: Client, clinic: Clinic):
    id = proposed(clinic, 9)
    shown = app.send("GET", f"/appointments/{id}")
    assert shown.json()["status"] == "awaiting_confirmation"
    until_booked(clinic, id)
    answer = app.send("PATCH", f"/appointments/{id}", {"comment": "late"}, headers={"If-Match": shown.headers["etag"]})
    assert (answer.status_code, answer.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert app.get(f"/appointments/{id}")["status"] == "booked"
    assert [version["status"] for version in history(clinic, id)] == ["proposed", "booked"]


def test_a_proposal_that_is_moved_is_booked_where_it_then_is(app: Client, clinic: Clinic):
    id = proposed(clinic, 9)
    answer = app.change(id, start=at(13).isoformat(), end=at(13, 30).isoformat())
    assert answer.status_code == 200, answer.text
    until_booked(clinic, id)
    assert clinic.read("Appointment", id)["start"] == at(13).isoformat()
    assert clinic.disagreements() == []


def test_what_the_server_booked_and_we_cancelled_stays_cancelled(app: Client, clinic: Clinic):
    id = proposed(clinic, 9)
    until_booked(clinic, id)
    assert app.change(id, status="cancelled").json()["status"] == "cancelled"
    answer = app.change(id, confirmation={})
    assert (answer.status_code, errors(answer)) == (409, ["INVALID_APPOINTMENT_STATUS"])
    assert clinic.read("Appointment", id)["status"] == "cancelled"


def test_commands_that_meet_the_servers_own_writes_overwrite_none_of_them(
    account: str, clinic: Clinic, witness: Witness
):
    """Comments at moments all around the one at which the server books: each is written whole, or refused and not."""
    ids = [proposed(clinic, 8 + n // 2, 30 * (n % 2)) for n in range(12)]

    def comment(n: int) -> int:
        client = Client(account, witness)
        time.sleep(n * 1.6 * DELAY_S / len(ids))
        answer = client.change(ids[n], comment=f"number {n}")
        client.close()
        assert answer.status_code == 200 or errors(answer) == ["CHANGED_MEANWHILE"], answer.text
        return answer.status_code

    with ThreadPoolExecutor(len(ids)) as pool:
        answers = list(pool.map(comment, range(len(ids))))
    for n, (id, status) in enumerate(zip(ids, answers, strict=True)):
        until_booked(clinic, id)
        versions = history(clinic, id)
        assert any(one.get("comment") == f"number {n}" for one in versions) is (status == 200)
        booked = [one["status"] == "booked" for one in versions]
        assert booked == sorted(booked), "a booking was overwritten"
    assert 200 in answers
    assert clinic.disagreements() == []


async def test_no_write_goes_over_a_version_that_the_server_has_replaced(busy_server: str, clinic: Clinic):
    transport = AiohttpTransport()
    door = Door(transport)
    emr = emr_open(Account("fhir", Settings(base_url=busy_server, zone="Europe/Stockholm"), door))
    id = proposed(clinic, 9)
    before = await emr.appointment(id)
    assert before is not None
    until_booked(clinic, id)
    for write in (
        emr.change(Change(chain="a", before=before, span=Span(at(11), at(11, 30)))),
        emr.cancel(Cancel(chain="a", before=before)),
        emr.confirm(Confirm(chain="a", before=before)),
    ):
        with pytest.raises(Refused) as no:
            await write
        assert no.value.reason == "stale"
    assert clinic.versions("Appointment", id) == 2
    await door.aclose()
    await transport.aclose()
