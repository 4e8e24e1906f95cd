"""One account of every edition of every plugin beside the gateway, opened as a clients file would, over no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.configuration import probing
from gateway.vendor.network import Network
from tests.plugins.sandbox.asking import ALL

SERVER = {"base_url": "http://emr.test", "zone": "Europe/Stockholm"}
SETTINGS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("fhir", "standard"): SERVER,
    ("fhir", "server-slots"): {**SERVER, "marks_slots": False},
    ("fhir", "millennium"): {**SERVER, "dialect": "millennium", "services": "serviceType"},
    ("fhir", "canvas"): {**SERVER, "dialect": "canvas"},
    ("fhir", "medplum"): {**SERVER, "dialect": "medplum"},
    ("cliniko", "standard"): {
        **SERVER,
        "subdomain": "practice",
        "api_key": "open-sesame-eu1",
        "contact": "test@example.org",
    },
    ("athenahealth", "standard"): {
        **SERVER,
        "practice_id": "195900",
        "client_id": "gateway",
        "client_secret": "open-sesame",
        "confirmed_id": "1",
    },
    ("drchrono", "standard"): {
        **SERVER,
        "client_id": "gateway",
        "client_secret": "open-sesame",
        "practice_group": "4711",
    },
    **{
        ("nexhealth", edition): {
            **SERVER,
            "subdomain": "practice",
            "location_id": "7",
            "api_key": "open-sesame",
            "system": system,
        }
        for edition, system in {"standard": "open-dental", "others": "other"}.items()
    },
    ("opendental", "standard"): {
        **SERVER,
        "office": "practice",
        "developer_key": "open",
        "customer_key": "sesame",
        "confirmed": [21],
    },
    ("gnuhealth", "standard"): {**SERVER, "database": "his", "username": "gateway", "password": "open-sesame"},
    **{("sandbox", name): {"clinic": "clinic", "api_key": "clinic-key", "personality": name} for name in ALL},
}
"""By plugin and edition: settings that make an account of it."""

CLIENT = """\
demo = true

[[clients]]
id = "all"
secret = "plain:all-secret"
"""
CREDENTIALS = {"x-leyr-client-id": "all", "x-leyr-client-secret": "all-secret"}


def key_of(plugin: str, edition: str) -> str:
    return f"{plugin}_{edition}"


def write_config(folder: Path, editions: Iterable[tuple[str, str]]) -> Path:
    told = [CLIENT]
    for plugin, edition in editions:
        # A JSON value of these kinds is a TOML value, too.
        given = ", ".join(f"{name} = {json.dumps(value)}" for name, value in SETTINGS[plugin, edition].items())
        key = key_of(plugin, edition)
        told.append(f'\n[clients.emrs.{key}]\nplugin = "{plugin}"\nsettings = {{ {given} }}\n')
    (folder / "clients.toml").write_text("".join(told))
    (folder / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n')
    return folder / "gateway.toml"


def nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("there is nobody", request=request)


@contextmanager
def reaching(answer: Callable[[httpx.Request], httpx.Response]) -> Iterator[None]:
    """Every EMR answers so; where that is nothing, nobody waits for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "route", lambda *_: httpx.MockTransport(answer))
        if answer is nobody:
            patch.setattr(probing, "PATIENCE_S", 0.0)
        yield
