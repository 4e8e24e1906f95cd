"""The NexHealth plugin keeps the contract, whatever the practice itself runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.plugin import Span
from gateway.testing import EmrContract, World
from gateway.testing.matrix import Opens
from gateway.vendor.in_process import InProcessTransport
from plugins.nexhealth import emr_vendor
from tests.plugins.nexhealth.conftest import Practice


def world_of(practice: Practice) -> World:
    transport = InProcessTransport(practice.fake.app)

    async def booked(span: Span, provider: str) -> str:
        return str(practice.staff_books(span, int(provider)))

    return World(
        vendor=emr_vendor(),
        emr=practice.open(transport),
        other=Practice().open(subdomain="elsewhere"),
        patient_id=str(practice.kim),
        resource_ids=(str(practice.anna), str(practice.bo)),
        healthcare_service_id=str(practice.service),
        care_unit_id=str(practice.location),
        openings=tuple(practice.half_hour(n) for n in range(4)),
        unknown_id="999999",
        transport=transport,
        open_over=practice.open,
        beyond_clock_change=practice.half_hour(beyond=True),
        book_directly=booked,
        make_unconfirmed=booked,
    )


@asynccontextmanager
async def opened(system: str) -> AsyncIterator[World]:
    yield world_of(Practice(system=system))


@asynccontextmanager
async def worlds(_: Path) -> AsyncIterator[Mapping[str, Opens]]:
    yield {"TestNexHealth": partial(opened, "open-dental"), "TestNexHealthElsewhere": partial(opened, "other")}


class TestNexHealth(EmrContract):
    @pytest.fixture
    def world(self, practice: Practice) -> World:
        return world_of(practice)


class TestNexHealthElsewhere(EmrContract):
    @pytest.fixture
    def world(self) -> World:
        return world_of(Practice(system="other", rooms=0))
