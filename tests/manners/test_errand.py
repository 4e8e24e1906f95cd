"""Whose patience counts, and from when on none does."""

import asyncio

import pytest

from gateway import clock
from gateway.manners.errand import LEAST_S, Errand, current_errand, errand


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic", lambda: 1000.0)


def test_a_client_waits_until_its_time_is_over():
    with errand(50, 20) as who:
        assert (who.lasts(1000), who.lasts(1049), who.waits(1049)) == (1050, 1050, 1020)
    with errand(50) as who:
        assert who.waits(1000) == 1050


def test_what_has_begun_to_write_is_given_all_its_time_and_never_less_than_it_takes():
    who = Errand(1050, 1020)
    who.written += 1
    assert who.committed
    assert who.waits(1000) == who.lasts(1000) == 1050
    assert who.lasts(1045) == 1045 + LEAST_S
    who.written -= 1
    assert (who.waits(1045), who.lasts(1045)) == (1020, 1050)


async def test_tasks_that_are_started_inside_are_on_the_same_errand():
    async def whose() -> Errand | None:
        return current_errand()

    assert current_errand() is None
    with errand(50) as outer:
        task = asyncio.create_task(whose())
        with errand(900, written=1) as inner:
            assert current_errand() is inner
            assert inner.committed
        assert current_errand() is outer
    assert await task is outer
    assert current_errand() is None
