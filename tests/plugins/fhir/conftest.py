"""An account of the fake FHIR server, opened by the plugin's own hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from gateway.plugin import Account, Appointment, Door
from plugins.fhir import FhirEmr, Settings, emr_open
from tests.plugins.fhir.fake import BASE, FakeFhir
from tests.plugins.fhir.samples import clinic

Opened = Callable[..., FhirEmr]


@pytest.fixture
def fake() -> FakeFhir:
    fake = FakeFhir()
    for resource in clinic():
        fake.put(resource)
    return fake


@pytest.fixture
async def opened(fake: FakeFhir) -> AsyncIterator[Opened]:
    """Opens an account with the given settings, as after a probe; or one that has found out nothing yet."""
    doors = []

    def open_with(*, fresh: bool = False, **settings: object) -> FhirEmr:
        door = Door(httpx.ASGITransport(app=fake.app))
        doors.append(door)
        told = Settings.model_validate({"base_url": BASE, "zone": "Europe/Stockholm", **settings})
        emr = emr_open(Account("fhir", told, door))
        assert isinstance(emr, FhirEmr)
        emr.learned.if_match = None if fresh else True
        return emr

    yield open_with
    for door in doors:
        await door.aclose()


@pytest.fixture
def emr(opened: Opened) -> FhirEmr:
    return opened()


@pytest.fixture
def read(emr: FhirEmr) -> Callable[[str], object]:
    """Reads an appointment that must be there."""

    async def read(id: str) -> Appointment:
        found = await emr.appointment(id)
        assert found is not None
        return found

    return read
