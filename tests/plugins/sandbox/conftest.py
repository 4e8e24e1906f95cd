"""Accounts of the sandbox EMR, opened by the plugin's own hooks and reached as if over a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from gateway.plugin import Account, Door
from gateway.vendor.in_process import InProcessTransport
from plugins.sandbox import SandboxEmr, Settings, emr_open
from tests.plugins.sandbox.clinics import running, sandbox

Opened = Callable[..., SandboxEmr]


@pytest.fixture
async def opened(tmp_path) -> AsyncIterator[Opened]:
    """Opens an account of a clinic with the given personality."""
    async with running(sandbox(tmp_path)) as app:
        transport = InProcessTransport(app)
        doors = []

        def open_with(personality: str = "in-place", clinic: str = "north", api_key: str = "north-key") -> SandboxEmr:
            door = Door(transport)
            doors.append(door)
            told = {"clinic": clinic, "api_key": api_key, "personality": personality}
            return emr_open(Account("sandbox", Settings.model_validate(told), door))

        yield open_with
        for door in doors:
            await door.aclose()
        await transport.aclose()


@pytest.fixture
def emr(opened: Opened) -> SandboxEmr:
    return opened()
