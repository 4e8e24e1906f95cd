"""What is counted and measured: requests, commands, calls, the store, locks; nobody is named, and labels are few."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families as families

from gateway.app import metrics_registry, running
from gateway.configuration.settings import load
from gateway.ledger import State
from tests.e2e.conftest import PERSONALITIES, Api, at, span

ROUTES = {
    "none",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/emrs",
    "/api/commands",
    "/api/commands/{command_id}",
    *(
        f"/api/emrs/{{emr}}{unit}/{what}"
        for unit in ("", "/care-units/{care_unit_id}")
        for what in ("appointments", "appointments/{appointment_id}", "timeslots", "resources", "patients")
    ),
}
VALUES = {
    "method": {"GET", "HEAD", "POST", "PATCH", "DELETE", "other"},
    "route": ROUTES,
    "status": {"200", "201", "400", "401", "404", "405", "409", "503"},
    "operation": {"update", "book", "cancel"},
    "state": set(State),
    "plugin": {"sandbox"},
    "kind": {"read", "write"},
    "outcome": {"answered", "refused", "got", "gave_up"},
    "standing": {"reachable", "waiting", "unreachable"},
    "result": {"switched", "refused", "unchanged"},
}
MOST_SERIES = 1200
DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


@asynccontextmanager
async def watched(config):
    async with (
        running(load({}, config=config), metrics_registry()) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway.test") as http,
    ):
        yield Api(http)


async def told(api: Api) -> str:
    return (await api.http.get("/metrics")).text


def of_the_gateway(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in families(text):
        for sample in family.samples:
            if sample.name.startswith("gateway_"):
                yield sample.name, sample.labels, sample.value


async def test_commands_and_calls_are_counted_without_naming_anybody(config):
    async with watched(config) as api:
        (made,) = await api.booked(1)
        await api.patch(made["id"], 409, comment="!refuse")
        text = await told(api)
    assert 'gateway_commands_total{operation="book",state="done"} 1.0' in text
    assert 'gateway_commands_total{operation="update",state="refused"} 1.0' in text
    assert 'gateway_emr_calls_total{kind="write",outcome="answered",plugin="sandbox"} 1.0' in text
    assert 'gateway_emr_calls_total{kind="write",outcome="refused",plugin="sandbox"} 1.0' in text
    assert 'gateway_emr_call_duration_seconds_count{kind="write",plugin="sandbox"} 2.0' in text
    route = "/api/emrs/{emr}/appointments"
    assert f'gateway_http_requests_total{{method="POST",route="{route}",status="201"}} 1.0' in text
    assert f'route="{route}/{{appointment_id}}",status="409"}} 1.0' in text
    assert made["id"] not in text
    assert made["patient_id"] not in text


async def test_whatever_is_asked_there_are_no_more_series_than_can_be_known_beforehand(config):
    async with watched(config) as api:
        made = await api.booked(2)
        for personality in PERSONALITIES:
            other = Api(api.http, emr=personality)
            await other.get("appointments")
            await other.call("GET", "care-units/U1/appointments")
        for number in range(30):
            await api.call("GET", f"appointments/no-{number}")
            await api.call("GET", f"/api/emrs/no-{number}/appointments")
            await api.call("GET", f"/no/{number}")
            await api.call("GET", f"/api/commands/{number:032x}")
            await api.call(f"ODD{number}", "appointments")
            await api.http.get("/api/emrs", headers={"x-leyr-client-id": f"nobody-{number}"})
        await api.call("DELETE", "appointments")
        await asyncio.gather(
            *(api.patch(a["id"], status=200, **span(at(12, 9 + n), at(12, 9 + n, 30))) for n, a in enumerate(made))
        )
        text = await told(api)
    found = list(of_the_gateway(text))
    assert {name for _, labels, _ in found for name in labels} <= {*VALUES, "le", "version", "tzdata", "python"}
    for name, labels, _ in found:
        for label, allowed in VALUES.items():
            assert labels.get(label) is None or labels[label] in allowed, (name, labels)
    assert {"route", "plugin", "operation"} <= {name for _, labels, _ in found for name in labels}, "nothing was asked"
    assert len(found) < MOST_SERIES


async def test_the_store_and_the_waits_for_locks_are_measured(config):
    async with watched(config) as api:
        (made,) = await api.booked(1)
        await asyncio.gather(*(api.patch(made["id"], comment=f"note {n}") for n in range(3)))
        values = {(name, labels.get("outcome")): value for name, labels, value in of_the_gateway(await told(api))}
    assert values["gateway_ledger_write_duration_seconds_count", None] >= 8
    assert values["gateway_ledger_failures_total", None] == 0
    assert values["gateway_lock_wait_duration_seconds_count", "got"] >= 2


async def test_it_is_told_which_gateway_and_which_time_zones_these_are(config):
    async with watched(config) as api:
        (info,) = (labels for name, labels, _ in of_the_gateway(await told(api)) if name == "gateway_info")
    assert info.keys() == {"version", "tzdata", "python"}
    assert info["tzdata"][:2] == "20"


async def test_every_name_is_documented(config):
    async with watched(config) as api:
        await api.booked(1)
        text = await told(api)
    names = {family.name for family in families(text) if family.name.startswith("gateway_")}
    assert {"gateway_http_requests", "gateway_emr_calls", "gateway_commands"} <= names
    documented = DOCUMENT.read_text()
    assert [name for name in names if f"`{name}" not in documented] == []
