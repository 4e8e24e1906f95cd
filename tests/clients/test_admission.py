"""What one client asks for beyond its measure is refused at once, and costs nobody else anything."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from gateway.clients.admission import Admission, Allowance
from gateway.domain.errors import RateLimited

USUAL = Allowance(rate=2.0, burst=3, concurrency=2)


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def admission(clock):
    return Admission(USUAL, {"small": Allowance(rate=0.5, burst=1, concurrency=1)}, clock=clock)


def asks(admission: Admission, client: str) -> float | None:
    """One request that ends at once; how long it is told to wait."""
    try:
        with admission.request(client):
            return None
    except RateLimited as no:
        return no.retry_after


def test_after_a_burst_the_rate_holds(admission, clock):
    assert [asks(admission, "a") for _ in range(4)] == [None, None, None, 0.5]
    clock.now += 0.5
    assert [asks(admission, "a") for _ in range(2)] == [None, 0.5]
    clock.now += 3600
    assert [asks(admission, "a") for _ in range(4)] == [None, None, None, 0.5]


def test_each_client_has_its_own_measure(admission):
    assert [asks(admission, "small") for _ in range(2)] == [None, 2.0]
    assert [asks(admission, "a") for _ in range(4)] == [None, None, None, 0.5]
    assert asks(admission, "b") is None


def test_so_many_at_a_time_and_one_that_ends_badly_has_ended(admission):
    with ExitStack() as held:
        held.enter_context(admission.request("a"))
        held.enter_context(admission.request("a"))
        assert asks(admission, "a") == 1
        assert asks(admission, "b") is None
    with pytest.raises(ZeroDivisionError), admission.request("a"):
        raise ZeroDivisionError
    assert admission._under_way["a"] == 0


def test_what_is_refused_for_being_one_too_many_costs_no_turn(admission):
    with admission.request("a"), admission.request("a"):
        for _ in range(5):
            asks(admission, "a")
    assert asks(admission, "a") is None


def test_commands_that_nobody_waits_for_count_too(admission):
    admission.command("a", 1)
    with pytest.raises(RateLimited):
        admission.command("a", 2)
    with pytest.raises(RateLimited):
        admission.command("small", 1)
