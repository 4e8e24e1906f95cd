"""A real FHIR R4 server (SEKMET) on loopback: open to everybody, or behind OAuth 2 and acting by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.live.processes import Process, free_port

LIFE_S = 3
"""Of a token."""
SCOPE = "system/Appointment.cruds system/Slot.rsu"
WIDE_SCOPE = f"{SCOPE} system/*.rs"
"""Directories, too."""
STAFF = ("staff", "staff-word")
SECRET = "client-word"
KEYS = {
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ec": ec.generate_private_key(ec.SECP384R1()),
}


class Sekmet(Process):
    """`more` are further settings of the server's."""

    def __init__(self, venv: Path, folder: Path, **more: Any) -> None:
        port, config = free_port(), folder / "settings.yaml"
        self.base = f"http://127.0.0.1:{port}/fhir"
        settings = {
            "base_url": self.base,
            "host": "127.0.0.1",
            "port": port,
            "data_dir": str(folder / "data"),
            "simulator": {"enabled": False},
            "log_inbound": False,
            **more,
        }
        config.write_text(json.dumps(settings))  # JSON is YAML
        command = [venv / "bin" / "sekmet", "serve", "-c", config, "--host", "127.0.0.1", "--port", str(port)]
        super().__init__(command, folder, f"{self.base}/metadata", folder / "server.log")

    @property
    def token_url(self) -> str:
        return self.base.removesuffix("/fhir") + "/auth/token"

    def credentials(self, kind: str, scope: str = SCOPE) -> dict[str, Any]:
        """How an account proves itself: with a secret (as `basic` or by `post`), or with the key of that name."""
        if kind in KEYS:
            return {"auth": "smart_backend", "client_id": kind, "private_key": pem(KEYS[kind]), "scope": scope}
        told = {"auth": "client_credentials", "token_url": self.token_url, "scope": scope, "client_auth": kind}
        return {**told, "client_id": "secret", "client_secret": SECRET}


@contextmanager
def running(venv: Path, folder: Path, **more: Any) -> Iterator[Sekmet]:
    """With an empty database in `folder`."""
    server = Sekmet(venv, folder, **more)
    with server.running():
        yield server


def secured(folder: Path, life_s: int = LIFE_S) -> dict[str, Any]:
    """The settings of a server that has the staff log in, and programs prove themselves for tokens that soon end."""
    clients = [{"client_id": "secret", "client_secret": SECRET, "scopes": WIDE_SCOPE}]
    for name, key in KEYS.items():
        public = folder / f"{name}.pem"
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        clients.append({"client_id": name, "public_key_path": str(public), "scopes": WIDE_SCOPE})
    auth = {"types": ["smart", "basic"], "users": dict([STAFF]), "smart_clients": clients, "token_lifetime": life_s}
    return {"server_auth": auth}


def simulating(delay_s: float) -> dict[str, Any]:
    """The settings of a server that books a proposal by itself so long after it was written."""
    return {"simulator": {"enabled": True, "delay_seconds": delay_s, "auto": ["Appointment"]}}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
