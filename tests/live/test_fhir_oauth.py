"""A real FHIR server behind OAuth 2, whose tokens end while they are in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.plugin import Account, Change, Door, Emr, Refused, Span
from gateway.vendor.transport import AiohttpTransport
from plugins.fhir import Settings, emr_open
from tests.live.fhir_clinic import Clinic
from tests.live.fhir_seeds import at
from tests.live.sekmet import LIFE_S, SCOPE, STAFF, Sekmet, pem, running, secured

pytestmark = pytest.mark.live

STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Opened = Callable[..., Emr]


@pytest.fixture(scope="module")
def server(sekmet_venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sekmet]:
    folder = tmp_path_factory.mktemp("secured")
    with running(sekmet_venv, folder, **secured(folder)) as server:
        yield server


@pytest.fixture
def staffed(server: Sekmet) -> Iterator[Clinic]:
    clinic = Clinic(server.base, STAFF)
    yield clinic
    clinic.close()


@pytest.fixture
async def opened(server: Sekmet) -> AsyncIterator[Opened]:
    transport, doors = AiohttpTransport(), list[Door]()

    def open_with(kind: str, **more: Any) -> Emr:
        doors.append(Door(transport))
        told = {"base_url": server.base, "zone": "Europe/Stockholm", **server.credentials(kind), **more}
        return emr_open(Account("fhir", Settings.model_validate(told), doors[-1]))

    yield open_with
    for door in doors:
        await door.aclose()
    await transport.aclose()


@pytest.mark.parametrize("kind", ["basic", "post", "rsa", "ec"])
async def test_an_account_reads_and_writes_by_its_token(opened: Opened, staffed: Clinic, kind: str):
    emr, id = opened(kind), staffed.book(staffed.anna, at(9), at(10))
    before = await emr.appointment(id)
    assert before is not None
    await emr.change(Change(chain="a", before=before, comment=f"by {kind}"))
    assert staffed.read("Appointment", id)["comment"] == f"by {kind}"


@pytest.mark.parametrize("kind", ["basic", "rsa"])
async def test_a_token_that_ends_is_replaced_while_many_calls_are_under_way(opened: Opened, staffed: Clinic, kind: str):
    emr = opened(kind)
    ids = [staffed.book(staffed.anna, at(hour), at(hour, 30)) for hour in (9, 10, 11)]
    found = [await emr.appointments(ids)]
    await asyncio.sleep(LIFE_S + 0.5)
    found += await asyncio.gather(*(emr.appointments(ids) for _ in range(8)))
    assert all(set(one) == set(ids) and None not in one.values() for one in found)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("basic", {"client_secret": "another-word"}),
        ("basic", {"scope": "system/Patient.cruds"}),
        ("rsa", {"private_key": pem(STRANGER)}),
        ("rsa", {"client_id": "nobody"}),
        ("rsa", {"scope": f"{SCOPE} system/Patient.cruds"}),
    ],
)
async def test_what_the_server_does_not_grant_is_told_as_wrong_credentials(
    opened: Opened, kind: str, wrong: dict[str, Any]
):
    with pytest.raises(Refused) as no:
        await opened(kind, **wrong).appointment("nobody")
    assert no.value.reason == "credentials"


async def test_what_is_out_of_scope_is_told_as_wrong_credentials(opened: Opened, staffed: Clinic):
    id = staffed.book(staffed.anna, at(9), at(10))
    emr = opened("rsa", scope="system/Appointment.rs")
    before = await emr.appointment(id)
    assert before is not None
    step = Change(chain="a", before=before, span=Span(at(11), at(12)))
    with pytest.raises(Refused) as no:
        await emr.change(step)
    assert (no.value.reason, no.value.emr_code) == ("credentials", "forbidden")
    assert staffed.read("Appointment", id)["meta"]["versionId"] == "1"
