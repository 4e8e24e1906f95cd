"""The GNU Health plugin keeps the contract, whether the server compares versions exactly or to the second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.testing import EmrContract, World
from gateway.testing.matrix import Opens
from gateway.vendor.in_process import InProcessTransport
from plugins.gnuhealth import emr_vendor
from tests.plugins.gnuhealth.conftest import opened, practising
from tests.plugins.gnuhealth.samples import BEYOND, HALF_HOUR, Practice, at, half_hour


def world_of(practice: Practice) -> World:
    transport = InProcessTransport(practice.fake.app)
    return World(
        vendor=emr_vendor(),
        emr=opened(practice, transport),
        other=opened(Practice(database="elsewhere")),
        patient_id=str(practice.kim),
        resource_ids=(str(practice.anna), str(practice.bo)),
        healthcare_service_id=str(practice.service),
        care_unit_id=str(practice.unit),
        openings=tuple(half_hour(at(10) + n * HALF_HOUR) for n in range(4)),
        unknown_id="999999",
        transport=transport,
        open_over=lambda broken: opened(practice, broken),
        beyond_clock_change=half_hour(BEYOND),
    )


@asynccontextmanager
async def worlds(_: Path) -> AsyncIterator[Mapping[str, Opens]]:
    @asynccontextmanager
    async def opened_world(*, coarse: bool) -> AsyncIterator[World]:
        with practising() as practice:
            practice.fake.coarse = coarse
            yield world_of(practice)

    yield {
        "TestOnPostgresql": partial(opened_world, coarse=False),
        "TestOnSqlite": partial(opened_world, coarse=True),
    }


class TestOnPostgresql(EmrContract):
    @pytest.fixture
    def world(self, practice: Practice) -> World:
        return world_of(practice)


class TestOnSqlite(EmrContract):
    @pytest.fixture
    def world(self, practice: Practice) -> World:
        practice.fake.coarse = True
        return world_of(practice)
