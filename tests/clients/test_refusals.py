"""Who was not let in is in the audit, however often they try, and fills no disk with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.audit import Event
from gateway.clients.refusals import LONGEST_S, SHORTEST_S, Refusals
from gateway.ledger import LedgerDown

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Clock:
    """Goes on by sleeping, and only as far as it is let."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.until = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        if self.seconds + seconds > self.until:
            await asyncio.Event().wait()
        self.slept.append(seconds)
        self.seconds += seconds


class Book:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.down = False

    async def note(self, event: Event, now: datetime) -> None:
        if self.down:
            raise LedgerDown("It is down.")
        self.events.append(event)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def refusals(book, clock):
    return Refusals(book, now=clock.now, sleep=clock.sleep)


async def test_many_refusals_are_one_entry_of_whom_and_from_where(refusals, book):
    for n in range(5000):
        refusals.noted("app", f"10.0.0.{n % 7}", throttled=n >= 100)
    refusals.noted(None, "2001:db8::1", throttled=False)
    assert await refusals.tell()
    assert not await refusals.tell()
    (event,) = book.events
    assert (event.kind, event.by) == ("authentication.refused", "gateway")
    assert event.facts == {
        "since": NOON.isoformat(),
        "refused": 101,
        "throttled": 4900,
        "unknown_client": 1,
        "clients": ["app"],
        "networks": [*(f"10.0.0.{n}" for n in range(7)), "2001:db8::/64"],
    }


async def test_an_entry_is_no_larger_however_many_clients_and_networks_there_are(refusals, book):
    for n in range(3000):
        refusals.noted(f"client-{n:04}", f"10.0.{n // 250}.{n % 250}", throttled=False)
    await refusals.tell()
    (event,) = book.events
    assert [len(event.facts[name]) for name in ("clients", "networks")] == [20, 20]
    assert event.facts["refused"] == 3000


async def test_who_goes_on_for_a_year_gets_some_thousand_entries(book, clock):
    class Attacked(Clock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            refusals.noted("app", "10.0.0.1", throttled=True)

    attacked = Attacked()
    attacked.until = timedelta(days=365).total_seconds()
    refusals = Refusals(book, now=attacked.now, sleep=attacked.sleep)
    refusals.noted("app", "10.0.0.1", throttled=True)
    async with refusals.telling():
        while attacked.seconds + LONGEST_S < attacked.until:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert 8760 <= len(book.events) <= 8770
    assert attacked.slept[:4] == [SHORTEST_S, 2 * SHORTEST_S, 4 * SHORTEST_S, 8 * SHORTEST_S]
    assert max(attacked.slept) == LONGEST_S


async def test_after_a_quiet_stretch_they_are_told_soon_again_and_the_last_at_the_end(refusals, book, clock):
    clock.until = 5 * SHORTEST_S
    refusals.noted("app", "10.0.0.1", throttled=False)
    async with refusals.telling():
        while len(clock.slept) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0)
        refusals.noted(None, "", throttled=False)
    assert clock.slept == [SHORTEST_S, 2 * SHORTEST_S, SHORTEST_S, SHORTEST_S]
    assert [event.facts["refused"] for event in book.events] == [1, 1]


async def test_what_a_store_that_is_down_does_not_take_is_told_later(refusals, book):
    refusals.noted("app", "10.0.0.1", throttled=False)
    book.down = True
    await refusals.tell()
    refusals.noted("other", "10.0.0.2", throttled=True)
    await refusals.tell()
    book.down = False
    await refusals.tell()
    (event,) = book.events
    assert (event.facts["refused"], event.facts["throttled"], event.facts["clients"]) == (1, 1, ["app", "other"])
