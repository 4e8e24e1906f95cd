"""SMART Backend Services: the assertion, the endpoint's discovery, and what must have been granted."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from pydantic import SecretStr

from gateway.port import EmrError, NotSent, Refused
from gateway.vendor import http as vendor_http
from gateway.vendor.http import Door, VendorHttp, meter
from gateway.vendor.smart_backend import SmartBackend, covers

BASE = "https://emr.example/r4"
TOKEN_URL = "https://login.example/token"
SCOPE = "system/Appointment.cruds system/Slot.rsu"
NOW = datetime(2027, 3, 2, 9, tzinfo=UTC)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP384R1())


def pem(key: Any, encryption: KeySerializationEncryption | None = None) -> SecretStr:
    raw = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return SecretStr(raw.decode())


class Server:
    """A FHIR server with its authorization server: hands out t1, t2, ...; takes only tokens it has not revoked."""

    def __init__(self) -> None:
        self.smart: Any = {"token_endpoint": TOKEN_URL}
        self.token: dict[str, Any] = {"expires_in": 300, "token_type": "bearer", "scope": SCOPE}
        self.status = self.smart_status = 200
        self.discovered: list[httpx.Request] = []
        self.asked: list[httpx.Request] = []
        self.used: list[str] = []
        self.revoked: set[str] = set()
        self.time = 1000.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/.well-known/smart-configuration"):
            self.discovered.append(request)
            return httpx.Response(self.smart_status, json=self.smart)
        if request.method == "POST":
            self.asked.append(request)
            return httpx.Response(self.status, json={"access_token": f"t{len(self.asked)}"} | self.token)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.used.append(token)
        return httpx.Response(401 if token in self.revoked else 200, json={})

    def auth(self, key: Any = RSA, scope: str = SCOPE, base: str = BASE, **options: Any) -> SmartBackend:
        return SmartBackend(base, "clinic", pem(key), scope, clock=lambda: self.time, today=lambda: NOW, **options)

    def http(self, **options: Any) -> VendorHttp:
        return Door(httpx.MockTransport(self)).http(base_url=BASE, auth=self.auth(**options))

    def form(self, n: int = -1) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.asked[n].content.decode()).items()}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    async def at_once(wait: float) -> None:
        pass

    monkeypatch.setattr(vendor_http, "_sleep", at_once)
    return Server()


def status(response: httpx.Response) -> int:
    return response.status_code


def part(text: str) -> Any:
    return json.loads(raw(text))


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def rs384(signature: bytes, said: bytes) -> None:
    RSA.public_key().verify(signature, said, padding.PKCS1v15(), hashes.SHA384())


def es384(signature: bytes, said: bytes) -> None:
    assert len(signature) == 96
    r, s = (int.from_bytes(half, "big") for half in (signature[:48], signature[48:]))
    EC.public_key().verify(encode_dss_signature(r, s), said, ec.ECDSA(hashes.SHA384()))


@pytest.mark.parametrize(("key", "alg", "verify"), [(RSA, "RS384", rs384), (EC, "ES384", es384)])
async def test_a_token_is_asked_for_by_an_assertion_that_the_key_signed(
    server: Server, key: Any, alg: str, verify: Callable[[bytes, bytes], None]
):
    await server.http(key=key, key_id="k1").read("a", status)
    form = server.form()
    head, claims, signature = form.pop("client_assertion").split(".")
    assert form == {
        "grant_type": "client_credentials",
        "scope": SCOPE,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert part(head) == {"alg": alg, "typ": "JWT", "kid": "k1"}
    told = part(claims)
    assert (told["iss"], told["sub"], told["aud"]) == ("clinic", "clinic", TOKEN_URL)
    assert told["iat"] == NOW.timestamp()
    assert 0 < told["exp"] - told["iat"] <= 300
    verify(raw(signature), f"{head}.{claims}".encode())
    with pytest.raises(InvalidSignature):
        verify(raw(signature), f"{head}.{claims}x".encode())


async def test_no_assertion_is_used_twice(server: Server):
    client = server.http()
    for _ in range(3):
        await client.read("a", status)
        server.time += 300
    ids = {part(server.form(n)["client_assertion"].split(".")[1])["jti"] for n in range(3)}
    assert len(ids) == len(server.asked) == 3


async def test_the_endpoint_is_discovered_once_and_without_credentials(server: Server):
    client = server.http()
    with meter() as counted:
        for _ in range(2):
            await client.read("a", status)
            server.time += 300
    (discovered,) = server.discovered
    assert str(discovered.url) == f"{BASE}/.well-known/smart-configuration"
    assert "authorization" not in discovered.headers
    assert (str(server.asked[0].url), counted.calls) == (TOKEN_URL, 2)


async def test_an_endpoint_that_is_configured_is_not_looked_for(server: Server):
    await server.http(token_url="https://login.example/other").read("a", status)
    assert server.discovered == []
    assert str(server.asked[0].url) == "https://login.example/other"
    assert part(server.form()["client_assertion"].split(".")[1])["aud"] == "https://login.example/other"


async def test_an_endpoint_that_refuses_is_looked_for_again(server: Server):
    client, server.status = server.http(), 401
    for _ in range(2):
        with pytest.raises(Refused) as no:
            await client.read("a", status)
        assert no.value.reason == "credentials"
        server.time += 60
    assert len(server.discovered) == 2


async def test_a_token_that_was_refused_is_replaced_once(server: Server):
    client = server.http()
    await client.read("a", status)
    server.revoked = {"t1"}
    await client.read("a", status)
    assert server.used == ["t1", "t1", "t2"]


@pytest.mark.parametrize(
    "smart",
    [{}, [], {"token_endpoint": 7}, {"token_endpoint": "http://login.example/token"}, {"token_endpoint": "ftp://x/y"}],
    ids=str,
)
async def test_no_assertion_goes_where_the_configuration_names_no_safe_endpoint(server: Server, smart: Any):
    server.smart = smart
    with pytest.raises(NotSent):
        await server.http().write("POST", "a", status)
    assert (server.asked, server.used) == ([], [])


async def test_a_server_without_a_configuration_is_sent_nothing_else(server: Server):
    server.smart_status = 404
    with pytest.raises(NotSent):
        await server.http().write("POST", "a", status)
    assert (server.asked, server.used) == ([], [])


async def test_less_than_the_scope_is_refused_before_the_emr_is_asked(server: Server):
    server.token["scope"] = "system/Appointment.rs system/Slot.rsu"
    with pytest.raises(Refused) as no:
        await server.http().write("POST", "a", status)
    assert no.value.reason == "credentials"
    assert server.used == []


async def test_an_answer_that_names_no_scope_granted_what_was_asked(server: Server):
    del server.token["scope"]
    assert await server.http().read("a", status) == 200


@pytest.mark.parametrize(
    ("granted", "wanted", "enough"),
    [
        ("system/Slot.rs", "system/Slot.rs", True),
        ("system/Slot.read", "system/Slot.rs", True),
        ("system/Slot.rs", "system/Slot.read", True),
        ("system/*.cruds", "system/Slot.write", True),
        ("system/Slot.rs system/Slot.cud", "system/Slot.*", True),
        ("system/Slot.rs", "system/Slot.rsu", False),
        ("user/Slot.rs", "system/Slot.rs", False),
        ("system/Slot.rs", "system/*.rs", False),
        ("system/Slot.rs?status=free", "system/Slot.rs", False),
        ("launch system/Slot.rs", "system/Slot.rs launch", True),
        ("system/Slot.rs", "system/Slot.rs launch", False),
        ("", "launch", False),
    ],
)
def test_a_grant_is_compared_by_what_it_allows(granted: str, wanted: str, enough: bool):
    assert covers(granted, wanted) is enough


@pytest.mark.parametrize(
    "key",
    [
        SecretStr("no key"),
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(EC, BestAvailableEncryption(b"word")),
    ],
    ids=["none", "short", "P-256", "Ed25519", "encrypted"],
)
def test_a_key_that_can_not_sign_as_smart_wants_is_refused_at_once(key: SecretStr):
    with pytest.raises(ValueError, match="key") as refused:
        SmartBackend(BASE, "clinic", key, SCOPE)
    assert key.get_secret_value() not in str(refused.value)


def test_no_key_is_shown(server: Server):
    auth = server.auth()
    secret = pem(RSA).get_secret_value().splitlines()[1]
    assert secret not in repr(auth) + str(vars(auth))


async def test_a_failure_names_neither_the_client_nor_an_address(server: Server):
    server.status = 400
    with pytest.raises(EmrError) as no:
        await server.http().read("a", status)
    assert "login.example" not in str(no.value)
    assert "clinic" not in str(no.value)
