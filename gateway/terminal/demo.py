"""For a first try: three lines for a shell, made of what the demonstration's EMR holds at this moment."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from starlette.applications import Starlette

from gateway.clock import now
from gateway.configuration.settings import Settings

_DAYS = 7


@dataclass(frozen=True, slots=True)
class _Caller:
    """The first account of the first client."""

    base: str
    headers: dict[str, str]

    def curl(self, path: str, *options: str) -> str:
        named = [word for name, value in self.headers.items() for word in ("-H", f"{name}: {value}")]
        return shlex.join(["curl", "-s", *options, *named, self.base + path])


async def lines(app: Starlette, settings: Settings) -> list[str]:
    """Find a free slot, move an appointment there, see it moved; nothing where the EMR has no room for it."""
    client = settings.clients[0]
    secret = client.secrets[0].partition(":")[2]
    headers = {"x-leyr-client-id": client.id, "x-leyr-client-secret": secret}
    caller = _Caller(f"{settings.public_url}/api/emrs/{client.emrs[0].key}", headers)
    inside = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=inside, base_url=caller.base, headers=headers) as http:
        for appointment in _movable(await _rows(http, "/appointments")):
            day = datetime.fromisoformat(appointment["start"])
            start = _room(await _rows(http, _free_time(appointment, day, _DAYS)), _length(appointment))
            if start is not None:
                return _said(caller, appointment, start)
    return []


async def _rows(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    answer = await http.get(path)
    return list(answer.json()) if answer.status_code == 200 else []


def _movable(appointments: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [a for a in appointments if a["status"] == "booked" and a["resource_id"] and _is_ahead(a)]


def _is_ahead(row: dict[str, Any]) -> bool:
    return datetime.fromisoformat(row["start"]) > now()


def _free_time(appointment: dict[str, Any], day: datetime, days: int) -> str:
    """The address of the free time for an appointment, from a day on."""
    start = day.replace(hour=0, minute=0)
    query = {
        "start": start.isoformat(),
        "end": (start + timedelta(days=days)).isoformat(),
        "resource_id": appointment["resource_id"],
        "healthcare_service_id": appointment["healthcare_service_id"],
    }
    given = {name: value for name, value in query.items() if value is not None}
    return f"/timeslots?{urlencode(given, safe=':')}"


def _room(slots: Sequence[dict[str, Any]], length: timedelta) -> datetime | None:
    """Where so long an appointment has room: a slot of just that length, else the beginning of a longer stretch."""
    spans = [(datetime.fromisoformat(slot["start"]), _length(slot)) for slot in slots if _is_ahead(slot)]
    exact = (start for start, long in spans if long == length)
    longer = (start for start, long in spans if long > length)
    return next(exact, next(longer, None))


def _length(row: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(row["end"]) - datetime.fromisoformat(row["start"])


def _said(caller: _Caller, appointment: dict[str, Any], start: datetime) -> list[str]:
    body = {"start": start.isoformat(), "end": (start + _length(appointment)).isoformat()}
    path = f"/appointments/{quote(appointment['id'], safe='')}"
    as_json = ("-X", "PATCH", "-H", "content-type: application/json", "-d", json.dumps(body))
    return [
        "# find a free slot",
        caller.curl(_free_time(appointment, start, 1)),
        "# move an appointment there",
        caller.curl(path, *as_json),
        "# see it moved",
        caller.curl(path),
    ]
