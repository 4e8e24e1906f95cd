"""The whole gateway, over HTTP, on sandbox EMRs of every personality: black box, by the contract alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from gateway.app import metrics_registry, running
from gateway.configuration.settings import load

ZONE = ZoneInfo("Europe/Stockholm")
PERSONALITIES = (
    "in-place",
    "new-id",
    "no-move",
    "windows",
    "windows-new-id",
    "starts",
    "slot-records",
    "no-content",
    "async",
    "no-refusal",
)

CLIENT = """
[[clients]]
id = "{id}"
secret = "plain:{id}-secret"
"""
ACCOUNT = """
[clients.emrs.{key}]
plugin = "sandbox"
name = "A sandbox"
settings = {{ clinic = "{clinic}", api_key = "{clinic}-key", personality = "{personality}" }}
"""


def write_config(folder: Path, personalities: Sequence[str] = PERSONALITIES) -> Path:
    clients = ["demo = true\n"]
    for id in ("one", "two"):
        clients.append(CLIENT.format(id=id))
        clients += [ACCOUNT.format(key=p, clinic=f"clinic-{id}", personality=p) for p in personalities]
    (folder / "clients.toml").write_text("".join(clients))
    (folder / "gateway.toml").write_text(f'state_dir = "{folder / "state"}"\nclients = "clients.toml"\n')
    return folder / "gateway.toml"


@dataclass
class Api:
    """One client's view of one EMR account."""

    http: httpx.AsyncClient
    emr: str = "in-place"
    id: str = "one"
    seen: list[httpx.Response] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"x-leyr-client-id": self.id, "x-leyr-client-secret": f"{self.id}-secret"}

    async def call(
        self, method: str, path: str, json: Any = None, headers: Any = None, **params: Any
    ) -> httpx.Response:
        url = path if path.startswith("/") else f"/api/emrs/{self.emr}/{path}"
        answer = await self.http.request(
            method, url, json=json, params=params or None, headers={**self.headers, **(headers or {})}
        )
        assert answer.headers["x-request-id"]
        if answer.status_code >= 400:
            told = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert told["status"] == answer.status_code
            assert isinstance(told["errors"], list)
        return answer

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.call("GET", path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def patch(self, id: str, status: int = 200, headers: Any = None, params: Any = None, **body: Any) -> Any:
        path = f"appointments/{id}" if id else "appointments"
        answer = await self.call("PATCH", path, body, headers, **(params or {}))
        assert answer.status_code == status, answer.text
        self.seen.append(answer)
        return answer.json()

    async def many(self, ids: list[str], status: int = 200, **other: Any) -> Any:
        return await self.patch("", status, ids=ids, **other)

    async def book(self, slot: dict[str, Any], status: int = 201, **other: Any) -> Any:
        body = {
            "start": slot["start"],
            "end": slot["end"],
            "resource_id": slot["resource_id"],
            "patient_id": "P4",
            "healthcare_service_id": "K1",
            **other,
        }
        answer = await self.call("POST", "appointments", body)
        assert answer.status_code == status, answer.text
        self.seen.append(answer)
        return answer.json()

    async def read(self, id: str) -> Any:
        return await self.get(f"appointments/{id}")

    async def everything(self) -> list[Any]:
        """All appointments of the coming weeks, as a client sees them."""
        start = datetime.now(ZONE) - timedelta(days=10)
        return await self.get("appointments", start=start.isoformat(), end=(start + timedelta(days=80)).isoformat())

    async def free(self, resource: str = "D1", day: int = 10, **other: Any) -> list[Any]:
        start = working_day(day)
        return await self.get(
            "timeslots",
            start=start.isoformat(),
            end=(start + timedelta(days=1)).isoformat(),
            resource_id=resource,
            healthcare_service_id=other.get("service", "K1"),
        )

    async def booked(self, count: int, resource: str = "D1", day: int = 10, minutes: int = 30) -> list[Any]:
        """`count` adjoining appointments of one patient, on a day on which nothing else is booked."""
        start = working_day(day).replace(hour=9)
        step = timedelta(minutes=minutes)
        return [await self.book(span(start + n * step, start + (n + 1) * step, resource)) for n in range(count)]


def span(start: datetime, end: datetime, resource: str | None = None) -> dict[str, Any]:
    told = {"start": start.isoformat(), "end": end.isoformat()}
    return told if resource is None else {**told, "resource_id": resource}


def working_day(number: int) -> datetime:
    """Midnight, in the clinic, of the n-th weekday from today on."""
    day = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    while number:
        day = (day.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=ZONE)
        number -= day.weekday() < 5
    return day


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return working_day(day).replace(hour=hour, minute=minute)


Start = Callable[[], Any]


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """With accounts of every personality, where the test does not say which one it is about."""
    only = getattr(request.node, "callspec", None) and request.node.callspec.params.get("each")
    return write_config(tmp_path, (only,) if only else PERSONALITIES)


@asynccontextmanager
async def started(config: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(load({}, config=config), metrics_registry()) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway.test") as http,
    ):
        yield http


@pytest.fixture
async def http(config: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(config) as client:
        yield client


@pytest.fixture
def api(http: httpx.AsyncClient) -> Api:
    return Api(http)


@pytest.fixture(params=PERSONALITIES)
def each(http: httpx.AsyncClient, request: pytest.FixtureRequest) -> Api:
    """The same on an EMR of every personality."""
    return Api(http, request.param)
