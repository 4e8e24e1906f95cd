"""The Cliniko plugin keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.testing import EmrContract, World
from gateway.testing.matrix import Opens
from gateway.vendor.in_process import InProcessTransport
from plugins.cliniko import emr_vendor
from tests.plugins.cliniko.conftest import Practice


def world_of(practice: Practice) -> World:
    transport = InProcessTransport(practice.fake.app)
    return World(
        vendor=emr_vendor(),
        emr=practice.open(transport),
        other=Practice(key="another-key-au2").open(subdomain="elsewhere"),
        patient_id=practice.kim,
        resource_ids=(practice.anna, practice.bo),
        healthcare_service_id=practice.service,
        care_unit_id=practice.business,
        openings=tuple(practice.half_hour(n) for n in range(4)),
        unknown_id="999999",
        transport=transport,
        open_over=practice.open,
        beyond_clock_change=practice.half_hour(beyond=True),
    )


@asynccontextmanager
async def worlds(_: Path) -> AsyncIterator[Mapping[str, Opens]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[World]:
        yield world_of(Practice())

    yield {"TestCliniko": opened}


class TestCliniko(EmrContract):
    @pytest.fixture
    def world(self, practice: Practice) -> World:
        return world_of(practice)
