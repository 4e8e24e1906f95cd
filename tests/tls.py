"""Certificates made on the spot, and a server on 127.0.0.1 that shows them and counts what arrives."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tests.loopback import OK

ADDRESS = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Issued:
    """A certificate with its key; `issuer` is None for one that signs itself."""

    name: str
    issuer: Issued | None = None
    is_authority: bool = False
    stands_for: x509.GeneralName = ADDRESS
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @cached_property
    def certificate(self) -> x509.Certificate:
        today, issuer = dt.datetime.now(dt.UTC), self.issuer or self
        return (
            x509.CertificateBuilder()
            .subject_name(_name(self.name))
            .issuer_name(_name(issuer.name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - dt.timedelta(days=1))
            .not_valid_after(today + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([self.stands_for]), critical=False)
            .add_extension(x509.BasicConstraints(ca=self.is_authority, path_length=None), critical=True)
            .sign(issuer.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def key_pem(self, password: str | None = None) -> str:
        sealing = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing).decode()


AUTHORITY = Issued("Test authority", is_authority=True)
ANOTHER = Issued("Another authority", is_authority=True)
SERVER = Issued("emr", AUTHORITY)
GATEWAY = Issued("gateway", AUTHORITY)
STRANGER = Issued("stranger", ANOTHER)


class TlsServer:
    """Answers every request with 200 and `{}`."""

    def __init__(self) -> None:
        self.url = ""
        self.heads: list[bytes] = []
        self.callers: list[str] = []
        """Whose certificate was shown with each request, where one was wanted."""
        self.connections = 0

    @property
    def requests(self) -> int:
        return len(self.heads)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                shown: dict[str, Any] = writer.get_extra_info("peercert") or {}
                self.callers += [value for part in shown.get("subject", ()) for _, value in part]
                await reader.readexactly(_length(head))
                self.heads.append(head)
                writer.write(OK)
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client went away
        finally:
            writer.close()


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


def server_context(
    folder: Path, shown: Issued = SERVER, *chain: Issued, callers: Issued | None = None, version: Any = None
) -> ssl.SSLContext:
    """`callers`: whose certificates callers must have; `version`: of TLS, the only one that is spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = folder / f"{shown.name}.pem"
    file.write_text("".join([shown.pem, *(one.pem for one in chain), shown.key_pem()]))
    context.load_cert_chain(file)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if callers is not None:
        context.load_verify_locations(cadata=callers.pem)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def tls_server(context: ssl.SSLContext) -> AsyncIterator[TlsServer]:
    server = TlsServer()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context) as listening:
        server.url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
