"""An account on a fake GNU Health server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.plugin import Account, Door, Emr
from gateway.vendor.in_process import InProcessTransport
from plugins.gnuhealth import Settings, emr_open
from plugins.gnuhealth import emr as port
from tests.plugins.gnuhealth.samples import Practice

BASE = "http://his.test"


def opened(
    practice: Practice,
    transport: httpx.AsyncBaseTransport | None = None,
    cancel_reason: str | None = None,
    **more: Any,
) -> Emr:
    fake = practice.fake
    told = {
        "base_url": BASE, "database": fake.database, "username": fake.user, "password": fake.password,
        "zone": "Europe/Stockholm", "page_size": 3, **more,
    }  # fmt: skip
    door = Door(transport or InProcessTransport(fake.app))
    return emr_open(Account("clinic", Settings.model_validate(told), door, cancel_reason=cancel_reason))


@contextmanager
def practising() -> Iterator[Practice]:
    """Its clock goes on while the account waits, and nobody waits in truth."""
    practice = Practice()

    async def wait(seconds: float) -> None:
        practice.fake.now += timedelta(seconds=seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(port, "_sleep", wait)
        yield practice


@pytest.fixture
def practice() -> Iterator[Practice]:
    with practising() as practice:
        yield practice


@pytest.fixture
def emr(practice: Practice) -> Emr:
    return opened(practice)
