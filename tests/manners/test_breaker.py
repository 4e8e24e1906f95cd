"""The circuit, held against a model of what is promised of it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.manners.breaker import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker
from gateway.manners.pacing import TurnedAway


class Circuit(RuleBasedStateMachine):
    """Calls begin and end in any order, and time goes by. The model is told nothing but what calls are told."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.turns: list[str] = []
        self.breaker = Breaker(clock=lambda: self.time, changed=self.turns.append)
        self.flying: list[bool] = []
        """The calls under way: is it the one that finds out?"""
        self.failed = 0
        self.until: float | None = None
        self.pause = FIRST_PAUSE_S

    @property
    def may_begin(self) -> bool:
        return self.until is None or (self.time >= self.until and not any(self.flying))

    @rule(seconds=st.sampled_from([0.001, 1.0, FIRST_PAUSE_S, LONGEST_PAUSE_S]))
    def time_goes_by(self, seconds):
        self.time += seconds

    @rule()
    def a_call_comes(self):
        if self.may_begin:
            self.breaker.refuse()
            self.flying.append(self.breaker.admit())
            assert self.flying[-1] is (self.until is not None)
            return
        for ask in (self.breaker.refuse, self.breaker.admit):
            with pytest.raises(TurnedAway) as told:
                ask()
            left = (self.until or 0.0) - self.time
            assert told.value.retry_after == max(left, 1.0)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), answered=st.sampled_from([True, False, None]))
    def a_call_ends(self, data, answered):
        probe = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.breaker.note(answered, probe=probe)
        if answered:
            self.failed, self.until, self.pause = 0, None, FIRST_PAUSE_S
        elif answered is False and self.until is None:
            self.failed += 1
            if self.failed == FAILURES:
                self.until = self.time + self.pause
        elif answered is False and probe:
            self.pause = min(2 * self.pause, LONGEST_PAUSE_S)
            self.until = self.time + self.pause

    @invariant()
    def it_says_how_it_stands(self):
        probing = "probing" if any(self.flying) else "open"
        assert self.breaker.circuit == ("closed" if self.until is None else probing)
        assert sum(self.flying) <= 1 or self.until is None

    @invariant()
    def every_turn_is_told_once(self):
        assert all(one != other or one == "open" for one, other in zip(self.turns, self.turns[1:], strict=False))
        assert (self.turns[-1:] == ["open"]) is (self.until is not None)


TestCircuit = Circuit.TestCase
TestCircuit.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def failing(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.note(False, probe=breaker.admit())


def test_a_few_silences_in_a_row_open_it_and_an_answer_in_between_does_not():
    breaker = Breaker(clock=lambda: 0.0)
    failing(breaker, FAILURES - 1)
    breaker.note(True, probe=False)
    failing(breaker, FAILURES - 1)
    assert breaker.circuit == "closed"
    failing(breaker, 1)
    assert breaker.circuit == "open"


def test_what_says_nothing_leaves_the_finding_out_to_the_next():
    time = 0.0
    breaker = Breaker(clock=lambda: time)
    failing(breaker, FAILURES)
    time = FIRST_PAUSE_S
    assert breaker.admit()
    breaker.note(None, probe=True)
    assert breaker.circuit == "open"
    assert breaker.admit()
    breaker.note(True, probe=True)
    assert breaker.circuit == "closed"


def test_the_answer_of_a_call_that_was_under_way_closes_it_too():
    breaker = Breaker(clock=lambda: 0.0)
    under_way = breaker.admit()
    failing(breaker, FAILURES)
    breaker.note(True, probe=under_way)
    assert breaker.circuit == "closed"
