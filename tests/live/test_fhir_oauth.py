"""A real FHIR server behind OAuth 2, whose tokens end while they are in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.plugin import Account, Change, Door, Emr, Refused, Span
from gateway.transport import AiohttpTransport
from plugins.fhir import Settings, emr_open
from tests.live.sekmet import Clinic, at, running

pytestmark = pytest.mark.live

LIFE_S = 3
SCOPE = "system/Appointment.cruds system/Slot.rsu"
STAFF = ("staff", "staff-word")
KEYS = {
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ec": ec.generate_private_key(ec.SECP384R1()),
}
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Opened = Callable[..., Emr]


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass(frozen=True)
class Secured:
    base: str

    @property
    def token_url(self) -> str:
        return self.base.removesuffix("/fhir") + "/auth/token"

    def settings(self, kind: str) -> dict[str, Any]:
        if kind in KEYS:
            return {"auth": "smart_backend", "client_id": kind, "private_key": pem(KEYS[kind]), "scope": SCOPE}
        told = {"auth": "client_credentials", "token_url": self.token_url, "scope": SCOPE, "client_auth": kind}
        return {**told, "client_id": "secret", "client_secret": "client-word"}


@pytest.fixture(scope="module")
def secured(sekmet_venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    clients = [{"client_id": "secret", "client_secret": "client-word", "scopes": SCOPE}]
    for name, key in KEYS.items():
        public = folder / f"{name}.pem"
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        clients.append({"client_id": name, "public_key_path": str(public), "scopes": SCOPE})
    auth = {
        "types": ["smart", "basic"],
        "users": dict([STAFF]),
        "smart_clients": clients,
        "token_lifetime": LIFE_S,
    }
    with running(sekmet_venv, folder, server_auth=auth) as base:
        yield Secured(base)


@pytest.fixture
def staffed(secured: Secured) -> Iterator[Clinic]:
    clinic = Clinic(secured.base, STAFF)
    yield clinic
    clinic.close()


@pytest.fixture
async def opened(secured: Secured) -> AsyncIterator[Opened]:
    transport, doors = AiohttpTransport(), list[Door]()

    def open_with(kind: str, **more: Any) -> Emr:
        doors.append(Door(transport))
        told = {"base_url": secured.base, "zone": "Europe/Stockholm", **secured.settings(kind), **more}
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
