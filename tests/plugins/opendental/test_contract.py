"""The Open Dental plugin keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.plugin import Span
from gateway.testing import EmrContract, World
from gateway.testing.matrix import Opens
from gateway.vendor.in_process import InProcessTransport
from plugins.opendental import emr_vendor
from tests.plugins.opendental.conftest import Office


def world_of(office: Office) -> World:
    transport = InProcessTransport(office.fake.app)

    async def staff_books(span: Span, resource_id: str) -> str:
        chair, _, provider = resource_id.partition("-")
        return str(office.staff_books(span, Op=int(chair), ProvNum=int(provider)))

    return World(
        vendor=emr_vendor(),
        emr=office.open(transport),
        other=Office(keys="devkey/another").open(office="elsewhere"),
        patient_id=str(office.kim),
        resource_ids=office.resources,
        healthcare_service_id=str(office.service),
        care_unit_id=str(office.clinic),
        openings=tuple(office.half_hour(n) for n in range(4)),
        unknown_id="999999",
        transport=transport,
        open_over=office.open,
        beyond_clock_change=office.half_hour(beyond=True),
        make_unconfirmed=staff_books,
    )


@asynccontextmanager
async def worlds(_: Path) -> AsyncIterator[Mapping[str, Opens]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[World]:
        yield world_of(Office())

    yield {"TestOpenDental": opened}


class TestOpenDental(EmrContract):
    @pytest.fixture
    def world(self, office: Office) -> World:
        return world_of(office)
