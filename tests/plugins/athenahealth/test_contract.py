"""The athenahealth plugin keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.plugin import Span
from gateway.testing import EmrContract, World
from gateway.testing.matrix import Opens
from gateway.vendor.in_process import InProcessTransport
from plugins.athenahealth import emr_vendor
from tests.plugins.athenahealth.conftest import Practice


def world_of(practice: Practice) -> World:
    transport = InProcessTransport(practice.fake.app)

    async def waiting(span: Span, resource_id: str) -> str:
        return practice.staff_books(span, resource_id)

    return World(
        vendor=emr_vendor(),
        emr=practice.opened(transport),
        other=Practice("888", first_id=2_000_000).opened(),
        patient_id=practice.kim,
        resource_ids=(practice.anna, practice.bo),
        healthcare_service_id=practice.service,
        care_unit_id=practice.here,
        openings=tuple(practice.half_hour(n) for n in range(4)),
        unknown_id="999999",
        transport=transport,
        open_over=practice.opened,
        beyond_clock_change=practice.half_hour(beyond=True),
        make_unconfirmed=waiting,
    )


@asynccontextmanager
async def worlds(_: Path) -> AsyncIterator[Mapping[str, Opens]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[World]:
        yield world_of(Practice())

    yield {"TestAthena": opened}


class TestAthena(EmrContract):
    @pytest.fixture
    def world(self, practice: Practice) -> World:
        return world_of(practice)
