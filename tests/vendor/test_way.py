"""The way of an account: what is wrong with it is said before anything is sent, and nothing of it is shown."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.vendor import way
from gateway.vendor.transport import NOT_SENT, AiohttpTransport, TlsError
from gateway.vendor.way import Proxy, Tls
from tests.tls import ANOTHER, AUTHORITY, GATEWAY, STRANGER, Issued, server_context, tls_server

SECRET = "correct-horse-battery"


async def post(url: str, tls: Tls | None) -> httpx.Response:
    context = None if tls is None else tls.context()
    async with httpx.AsyncClient(transport=AiohttpTransport(ssl_context=context), timeout=5) as client:
        return await client.post(url, json={"note": "nothing to see"})


def own(issued: Issued = GATEWAY, **more: Any) -> Tls:
    return Tls(ca=AUTHORITY.pem, certificate=issued.pem, private_key=issued.key_pem(), **more)


# -- whom it trusts ----------------------------------------------------------------------------------------------------


async def test_the_named_authority_is_trusted_and_no_other_is(tmp_path: Path):
    async with tls_server(server_context(tmp_path)) as server:
        assert (await post(server.url, Tls(ca=AUTHORITY.pem))).status_code == 200
        assert (await post(server.url, Tls(ca=ANOTHER.pem + AUTHORITY.pem))).status_code == 200
        for unknown in (None, Tls(ca=ANOTHER.pem)):
            with pytest.raises(TlsError):
                await post(server.url, unknown)
        assert server.requests == 2


def test_the_named_authority_takes_the_place_of_the_systems():
    assert Tls(ca=AUTHORITY.pem).context().cert_store_stats()["x509"] == 1
    assert own().context().cert_store_stats()["x509"] == 1


async def test_an_authority_between_may_be_named_without_its_root(tmp_path: Path):
    between = Issued("between", AUTHORITY, is_authority=True)
    async with tls_server(server_context(tmp_path, Issued("below", between))) as server:
        assert (await post(server.url, Tls(ca=between.pem))).status_code == 200


async def test_a_certificate_of_another_host_is_not_sent_anything(tmp_path: Path):
    other = Issued("other", AUTHORITY, stands_for=x509.DNSName("other.example"))
    async with tls_server(server_context(tmp_path, other)) as server:
        with pytest.raises(TlsError):
            await post(server.url, Tls(ca=AUTHORITY.pem))
        assert server.requests == 0


# -- by what it proves itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_is_shown_to_whoever_wants_one(tmp_path: Path, version: ssl.TLSVersion):
    async with tls_server(server_context(tmp_path, callers=AUTHORITY, version=version)) as server:
        sealed = Tls(
            ca=AUTHORITY.pem, certificate=GATEWAY.pem, private_key=GATEWAY.key_pem(SECRET), key_password=SECRET
        )
        for tls in (own(), sealed):
            assert (await post(server.url, tls)).status_code == 200
        assert server.callers == ["gateway", "gateway"]


async def test_the_authorities_between_are_shown_too(tmp_path: Path):
    between = Issued("between", AUTHORITY, is_authority=True)
    below = Issued("below", between)
    tls = Tls(ca=AUTHORITY.pem, certificate=below.pem + between.pem, private_key=below.key_pem())
    async with tls_server(server_context(tmp_path, callers=AUTHORITY)) as server:
        assert (await post(server.url, tls)).status_code == 200
        assert server.callers == ["below"]


@pytest.mark.parametrize("shown", [None, STRANGER], ids=["none", "a stranger's"])
async def test_without_the_certificate_that_is_wanted_nothing_was_sent(tmp_path: Path, shown: Issued | None):
    tls = Tls(ca=AUTHORITY.pem) if shown is None else own(shown)
    async with tls_server(server_context(tmp_path, callers=AUTHORITY, version=ssl.TLSVersion.TLSv1_2)) as server:
        with pytest.raises(httpx.ConnectError):
            await post(server.url, tls)
        assert server.requests == 0


@pytest.mark.parametrize("shown", [None, STRANGER], ids=["none", "a stranger's"])
async def test_tls_1_3_tells_of_a_refused_certificate_too_late_to_promise_that(tmp_path: Path, shown: Issued | None):
    """The server looks at it when the client may have sent already: what is not known is not promised."""
    tls = Tls(ca=AUTHORITY.pem) if shown is None else own(shown)
    async with tls_server(server_context(tmp_path, callers=AUTHORITY, version=ssl.TLSVersion.TLSv1_3)) as server:
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)) as caught:
            await post(server.url, tls)
        assert not isinstance(caught.value, NOT_SENT)
        assert server.requests == 0


def test_the_key_is_never_in_a_file_as_it_is(monkeypatch: pytest.MonkeyPatch):
    files = []

    def watched() -> Any:
        files.append(tempfile.NamedTemporaryFile())  # noqa: SIM115 - `_load` closes it
        monkeypatch.setattr(files[-1], "flush", lambda: written.append(contents(files[-1])))
        return files[-1]

    def contents(file: Any) -> str:
        file.seek(0)
        return file.read().decode()

    written: list[str] = []
    monkeypatch.setattr(way, "NamedTemporaryFile", watched)
    own().context()
    (text,) = written
    assert GATEWAY.pem in text
    assert GATEWAY.key_pem().splitlines()[1] not in text
    assert "ENCRYPTED PRIVATE KEY" in text
    assert not Path(files[0].name).exists()


# -- what is wrong with it ---------------------------------------------------------------------------------------------

PAIR = {"certificate": GATEWAY.pem, "private_key": GATEWAY.key_pem()}
TOGETHER = "certificate and private_key go together; give both"


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        ({}, ["ca is missing, and certificate with private_key; give the one or the other"]),
        ({"ca": "/etc/ssl/ca.pem"}, ["ca holds no readable certificate in PEM"]),
        ({"ca": AUTHORITY.key_pem()}, ["ca holds no readable certificate in PEM"]),
        ({"ca": AUTHORITY.pem.replace("M", "!")}, ["ca holds no readable certificate in PEM"]),
        ({"certificate": GATEWAY.pem}, [TOGETHER]),
        ({"private_key": GATEWAY.key_pem()}, [TOGETHER]),
        ({"ca": AUTHORITY.pem, "key_password": SECRET}, [TOGETHER]),
        (PAIR | {"certificate": "x"}, ["certificate holds no readable certificate in PEM"]),
        (PAIR | {"private_key": SECRET}, ["private_key is no private key in PEM"]),
        (PAIR | {"private_key": GATEWAY.pem}, ["private_key is no private key in PEM"]),
        (PAIR | {"private_key": STRANGER.key_pem()}, ["private_key does not fit the certificate"]),
        (PAIR | {"private_key": GATEWAY.key_pem(SECRET)}, ["private_key is encrypted; give its key_password"]),
        (PAIR | {"key_password": SECRET}, ["private_key is not encrypted; leave out key_password"]),
        (
            PAIR | {"private_key": GATEWAY.key_pem(SECRET), "key_password": "another"},
            ["private_key is no private key in PEM that key_password opens"],
        ),
        (
            PAIR | {"ca": "x", "private_key": "x"},
            ["private_key is no private key in PEM", "ca holds no readable certificate in PEM"],
        ),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(given: dict[str, str], sentences: list[str]):
    assert list(Tls(**given).mistakes()) == sentences


@pytest.mark.parametrize(
    "tls",
    [
        Tls(ca=AUTHORITY.pem),
        Tls(ca=f"# Ä comment\n{AUTHORITY.pem}\n{ANOTHER.pem}"),
        Tls(**PAIR),
        Tls(certificate=GATEWAY.pem + GATEWAY.key_pem(), private_key=GATEWAY.pem + GATEWAY.key_pem()),
        own(),
    ],
)
def test_what_can_be_used_has_no_mistake(tls: Tls):
    assert list(tls.mistakes()) == []


def test_what_only_openssl_refuses_is_said_too(monkeypatch: pytest.MonkeyPatch):
    short = rsa.generate_private_key(65537, 1024)
    weak = Issued("weak", AUTHORITY, key=short)  # type: ignore[arg-type]
    tls = Tls(certificate=weak.pem, private_key=weak.key_pem())
    assert list(tls.mistakes()) == ["certificate or ca can't be used here (EE_KEY_TOO_SMALL)"]
    monkeypatch.setattr(way, "NamedTemporaryFile", lambda: (_ for _ in ()).throw(FileNotFoundError(2, "no place")))
    assert list(own().mistakes()) == ["certificate or ca can't be used here (no place)"]


# -- the proxy ---------------------------------------------------------------------------------------------------------

FORM = "should be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
UNSPOKEN = f"{FORM}; SOCKS, and TLS to the proxy itself, are not spoken"


@pytest.mark.parametrize(
    ("url", "address", "authorization"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", None),
        ("http://proxy.example:3128/", "http://proxy.example:3128", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://user:word@10.0.0.1:8080", "http://10.0.0.1:8080", "Basic dXNlcjp3b3Jk"),
        ("http://user@proxy:1", "http://proxy:1", "Basic dXNlcjo="),
        ("http://us%40er:w%3Aord%2F@proxy:1", "http://proxy:1", "Basic dXNAZXI6dzpvcmQv"),
    ],
)
def test_a_proxy_is_taken_apart(url: str, address: str, authorization: str | None):
    assert Proxy.parse(url) == Proxy(address=address, authorization=authorization)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        *((f"{scheme}://{SECRET}:{SECRET}@proxy:1080", UNSPOKEN) for scheme in ("https", "socks5", "socks5h")),
        *(
            (url, FORM)
            for url in (
                "", "proxy:3128", "http://proxy", "http://proxy:0", "http://proxy:70000", "http://proxy:x",
                "http://:3128", f"http://u:{SECRET}@:3128", "http://proxy:3128/path", "http://proxy:3128?q",
                "http://proxy:3128#f", "http://pro xy:3128", "http://pro\nxy:3128", "http://[::1:3128", "ftp://proxy:21",
            )
        ),
        ("http://a%3Ab:word@proxy:1", "has a user with a colon in it, which HTTP Basic can't say"),
    ],
)  # fmt: skip
def test_what_is_no_proxy_is_said_without_showing_it(url: str, sentence: str):
    with pytest.raises(ValueError) as refused:
        Proxy.parse(url)
    assert str(refused.value) == sentence


def test_secrets_do_not_show():
    proxy = Proxy.parse(f"http://user:{SECRET}@proxy:1")
    shown = f"{proxy!r} {own(key_password=SECRET)!r}"
    assert SECRET not in shown
    assert proxy.authorization is not None
    assert proxy.authorization not in shown
    assert "PRIVATE KEY" not in shown
