"""The FHIR plugin keeps the contract, on a server that has no rules about double booking, as most have none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import httpx
import pytest

from gateway.plugin import Account, Door, Emr, Span
from gateway.testing import EmrContract, World
from gateway.testing.matrix import Opens, plainly
from gateway.vendor.in_process import InProcessTransport
from plugins.fhir import Settings, emr_open, emr_vendor
from tests.plugins.fhir.fake import FakeFhir
from tests.plugins.fhir.samples import BEYOND, ZONE, appointment, clinic, participants, slot

OPENINGS = tuple(
    Span(start, start + timedelta(minutes=30))
    for start in (datetime(2027, 3, 2, hour, minute, tzinfo=ZONE) for hour in (10, 11) for minute in (0, 30))
)


class Practice:
    """A server, and its staff, who write to it past the gateway."""

    def __init__(self, base_url: str) -> None:
        self.base_url, self.fake, self.ids = base_url, FakeFhir(base=base_url), count(1)
        for resource in (*clinic(), {**slot("d1", BEYOND), "id": "d1-beyond"}):
            self.fake.put(resource)
        self.transport = InProcessTransport(self.fake.app)

    def opened(self, transport: httpx.AsyncBaseTransport) -> Emr:
        told = {"base_url": self.base_url, "zone": "Europe/Stockholm", "marks_slots": not self.fake.keeps_slots}
        return emr_open(Account("fhir", Settings.model_validate(told), Door(transport)))

    async def unconfirmed(self, span: Span, resource_id: str) -> str:
        """Proposed, over the slot that begins then."""
        who, id = resource_id.removeprefix("Practitioner/"), f"staff-{next(self.ids)}"
        self.fake.put(slot(who, span.start, "busy"))
        people = ("Patient/p1", resource_id, "Location/u1", "HealthcareService/h1")
        body = appointment(
            id,
            status="pending",
            start=span.start.isoformat(),
            end=span.end.isoformat(),
            minutesDuration=30,
            slot=[{"reference": f"Slot/{who}-{span.start:%H%M}"}],
            participant=participants("needs-action", people),
        )
        self.fake.put(body)
        return id


async def probed_world(**odd: object) -> World:
    """After the account has been probed, which is when it is known what its server proves."""
    world = fhir_world(**odd)
    can = world.emr.capabilities = await world.emr.probe()

    def opened(broken: httpx.AsyncBaseTransport) -> Emr:
        emr = world.open_over(broken)
        emr.capabilities = can
        return emr

    return replace(world, open_over=opened)


def fhir_world(**odd: object) -> World:
    """A practice whose server differs from the standard's letter as told."""
    here, there = Practice("http://fhir.test/r4"), Practice("http://other.test/r4")
    for practice in (here, there):
        for name, value in odd.items():
            setattr(practice.fake, name, value)
    return World(
        vendor=emr_vendor(),
        emr=here.opened(here.transport),
        other=there.opened(there.transport),
        patient_id="p1",
        resource_ids=("Practitioner/d1", "Practitioner/d2"),
        healthcare_service_id="h1",
        care_unit_id="u1",
        openings=OPENINGS,
        unknown_id="no-such",
        transport=here.transport,
        open_over=lambda broken: here.opened(broken),
        beyond_clock_change=Span(BEYOND, BEYOND + timedelta(minutes=30)),
        make_unconfirmed=here.unconfirmed,
    )


@asynccontextmanager
async def worlds(_: Path) -> AsyncIterator[Mapping[str, Opens]]:
    yield {
        "TestFhir": plainly(fhir_world),
        "TestServerThatSays409ToOldVersions": plainly(partial(fhir_world, **SAYS_409)),
        "TestServerWithTransactions": _probed,
        "TestServerThatHeedsNoVersions": plainly(partial(fhir_world, **HEEDS_NO_VERSIONS)),
        "TestServerThatKeepsItsSlots": plainly(partial(fhir_world, keeps_slots=True)),
    }


@asynccontextmanager
async def _probed() -> AsyncIterator[World]:
    yield await probed_world(transactions="whole")


SAYS_409 = {"stale": 409}
HEEDS_NO_VERSIONS = {"honours_if_match": False, "chains": "empty", "includes": False, "links": False}


class TestFhir(EmrContract):
    @pytest.fixture
    async def world(self) -> World:
        return fhir_world()


class TestServerThatSays409ToOldVersions(EmrContract):
    """As HAPI and Aidbox do."""

    @pytest.fixture
    async def world(self) -> World:
        return fhir_world(**SAYS_409)


class TestServerWithTransactions(EmrContract):
    @pytest.fixture
    async def world(self) -> World:
        return await probed_world(transactions="whole")


class TestServerThatHeedsNoVersions(EmrContract):
    """And follows no chains, includes nothing and gives no links: as Medplum's router does."""

    @pytest.fixture
    async def world(self) -> World:
        return fhir_world(**HEEDS_NO_VERSIONS)


class TestServerThatKeepsItsSlots(EmrContract):
    """And is not told to: `marks_slots = false`."""

    @pytest.fixture
    async def world(self) -> World:
        return fhir_world(keeps_slots=True)
