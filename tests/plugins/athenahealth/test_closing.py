"""Where the slots that are given up stay closed: what is undone finds its way back all the same, whatever breaks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.testing import World, commands
from gateway.testing.practice import Practice as Place
from tests.plugins.athenahealth.conftest import STAYS_CLOSED, Practice
from tests.plugins.athenahealth.test_contract import world_of

MOVES = ("move", "another resource", "everything", "two to another resource", "one more", "one less")
STRIDE = 307
SECONDS = float(os.environ.get("FAULTS_S", "45"))


@asynccontextmanager
async def opens() -> AsyncIterator[World]:
    practice = Practice()
    practice.fake.default_reason = STAYS_CLOSED
    yield world_of(practice)


@pytest.fixture(autouse=True)
def slots_tell_nothing(monkeypatch: pytest.MonkeyPatch):
    """Here a time may well be nobody's and not be offered."""

    async def agree(_: Place) -> None:
        pass

    monkeypatch.setattr(Place, "agree", agree)


async def tried(stride: int, seconds: float) -> None:
    """Broken once, and until repair begins: for so long each."""
    cells = [cell for cell in await commands.cells(opens) if cell.name in MOVES]
    tally = await commands.of_commands(opens, cells[::stride], seconds=seconds)
    tally.add(await commands.of_commands(opens, cells[1::stride], times=None, seconds=seconds))
    assert {"done", "refused", "undone"} <= set(tally.ends), tally
    assert not tally.breaches, "\n".join(tally.breaches[:20])


async def test_a_move_is_done_or_undone_or_says_what_is_not():
    await tried(STRIDE, seconds=60)


@pytest.mark.faults
async def test_all_moves_are_done_or_undone_or_say_what_is_not():
    await tried(1, SECONDS)
