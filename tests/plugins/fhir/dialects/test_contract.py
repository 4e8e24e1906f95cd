"""Each dialect keeps the contract, on a fake that was written from its vendor's documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.plugin import Account, Door, Emr, Span
from gateway.testing import EmrContract, World
from gateway.testing.matrix import Opens, plainly
from gateway.vendor.in_process import InProcessTransport
from plugins.fhir import Settings, emr_open, emr_vendor
from tests.plugins.fhir.dialects import canvas, medplum, millennium
from tests.plugins.fhir.fake import FakeFhir
from tests.plugins.fhir.samples import BEYOND
from tests.plugins.fhir.searching import Resource
from tests.plugins.fhir.test_contract import OPENINGS

HERE, THERE = "http://fhir.test/r4", "http://other.test/r4"


class Vendor:
    """A fake server with its clinic, and accounts of it."""

    def __init__(self, fake: FakeFhir, clinic: Sequence[Resource], **told: Any) -> None:
        self.fake, self.told = fake, {"base_url": fake.base, "zone": "Europe/Stockholm", **told}
        for resource in clinic:
            fake.put(resource)
        self.transport = InProcessTransport(fake.app)

    def opened(self, transport: httpx.AsyncBaseTransport | None = None) -> Emr:
        return emr_open(Account("fhir", Settings.model_validate(self.told), Door(transport or self.transport)))


def world(here: Vendor, there: Vendor, **more: Any) -> World:
    told: dict[str, Any] = {
        "patient_id": "p1",
        "resource_ids": ("Practitioner/d1", "Practitioner/d2"),
        "openings": OPENINGS,
        "unknown_id": "no-such",
        "beyond_clock_change": Span(BEYOND, BEYOND + timedelta(minutes=30)),
        **more,
    }
    return World(
        vendor=emr_vendor(),
        emr=here.opened(),
        other=there.opened(),
        transport=here.transport,
        open_over=here.opened,
        **told,
    )


def millennium_clinic(base: str) -> Vendor:
    fake = millennium.FakeMillennium(base=base, answers="minimal")
    return Vendor(fake, millennium.clinic(), dialect="millennium", services="serviceType")


def millennium_world() -> World:
    here, there = millennium_clinic(HERE), millennium_clinic(THERE)
    return world(
        here,
        there,
        healthcare_service_id=f"{millennium.SERVICE['system']}|{millennium.SERVICE['code']}",
        care_unit_id="u1",
        make_unconfirmed=here.fake.asks_patient,
    )


def canvas_clinic(base: str) -> Vendor:
    return Vendor(canvas.FakeCanvas(base=base), canvas.clinic(), dialect="canvas", slot_minutes=30)


def canvas_world() -> World:
    here, there = canvas_clinic(HERE), canvas_clinic(THERE)
    return world(
        here,
        there,
        healthcare_service_id="h1",
        care_unit_id="u1",
        book_directly=here.fake.books,
        make_unconfirmed=here.fake.books_unconfirmed,
    )


def medplum_clinic(base: str, **told: Any) -> Vendor:
    return Vendor(medplum.FakeMedplum(base=base), medplum.clinic(), dialect="medplum", care_units="none", **told)


def medplum_world(**told: Any) -> World:
    here, there = medplum_clinic(HERE, **told), medplum_clinic(THERE, **told)
    return world(here, there, healthcare_service_id="h1", make_unconfirmed=here.fake.asks_patient)


@asynccontextmanager
async def worlds(_: Path) -> AsyncIterator[Mapping[str, Opens]]:
    yield {
        "TestMillennium": plainly(millennium_world),
        "TestCanvas": plainly(canvas_world),
        "TestMedplum": plainly(medplum_world),
        "TestMedplumThatHolds": plainly(partial(medplum_world, holds=True)),
    }


class TestMillennium(EmrContract):
    @pytest.fixture
    async def world(self) -> World:
        return millennium_world()


class TestCanvas(EmrContract):
    @pytest.fixture
    async def world(self) -> World:
        return canvas_world()


class TestMedplum(EmrContract):
    @pytest.fixture
    async def world(self) -> World:
        return medplum_world()


class TestMedplumThatHolds(EmrContract):
    """A booking waits for its confirmation."""

    @pytest.fixture
    async def world(self) -> World:
        return medplum_world(holds=True)
