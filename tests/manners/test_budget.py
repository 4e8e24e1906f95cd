"""What may still be spent: no call comes back too early, and what was kept for somebody is there."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.manners.budget import Budget
from gateway.manners.errand import Errand

ANYBODY = Errand(math.inf)


def budget(quota: int | None = 100, window_s: float = 60.0) -> Budget:
    made = Budget()
    made.declare(quota, window_s)
    return made


def spent(made: Budget, calls: int, at: float) -> None:
    for _ in range(calls):
        made.begin(ANYBODY)
        made.end(1, at)


def test_without_a_quota_nothing_is_counted():
    made = budget(None)
    spent(made, 1000, 0)
    assert made.left(ANYBODY, 0) == math.inf
    assert made.frees(ANYBODY, 10**6, 5) == 5


def test_a_twentieth_is_for_those_who_have_begun_to_write():
    made, begun = budget(100), Errand(0, written=1)
    spent(made, 90, 0)
    assert (made.left(ANYBODY, 0), made.left(begun, 0)) == (5, 10)
    small = budget(3)
    assert (small.left(ANYBODY, 0), small.left(begun, 0)) == (2, 3)
    assert budget(1).left(ANYBODY, 0) == 1


def test_calls_under_way_count_and_those_that_never_left_do_not():
    made = budget(100)
    made.begin(ANYBODY)
    assert made.left(ANYBODY, 0) == 94
    made.end(0, 1)
    assert made.left(ANYBODY, 1) == 95
    made.begin(ANYBODY)
    made.end(2, 1)  # a token was refused in between
    assert made.left(ANYBODY, 1) == 93


def test_what_comes_back_is_foreseen():
    made = budget(100, 60)
    spent(made, 50, 0.5)
    spent(made, 45, 20.5)
    assert made.left(ANYBODY, 21) == 0
    assert made.frees(ANYBODY, 1, 21) == made.frees(ANYBODY, 50, 21) == 61
    assert made.frees(ANYBODY, 51, 21) == 81
    assert made.frees(ANYBODY, 96, 21) == 81  # never: a window from now
    assert made.left(ANYBODY, 61) == 50


def test_what_is_kept_for_one_is_not_for_others_until_it_is_given_back():
    made, one, other = budget(100), Errand(math.inf), Errand(math.inf)
    made.keep(one, 90)
    assert (made.left(one, 0), made.left(other, 0)) == (95, 5)
    made.begin(one)
    assert (made.left(one, 0), made.left(other, 0)) == (94, 5)
    made.give_back(one)
    assert (made.left(one, 0), made.left(other, 0)) == (94, 94)


def test_what_the_emr_says_holds_until_its_reset():
    made = budget(None)
    made.hear(3, 50)
    assert made.left(ANYBODY, 10) == 3
    made.begin(ANYBODY)
    assert made.left(ANYBODY, 10) == 2
    made.end(1, 11)
    made.hear(0, 50)
    assert (made.left(ANYBODY, 11), made.frees(ANYBODY, 1, 11)) == (0, 50)
    assert made.left(ANYBODY, 50) == math.inf


def test_calls_under_way_may_not_be_in_the_emrs_count_yet_but_hope_is_allowed():
    made = budget(None)
    for _ in range(5):
        made.begin(ANYBODY)
    made.end(1, 1)
    made.hear(3, 50)
    assert made.left(ANYBODY, 1) == -1
    assert made.frees(ANYBODY, 1, 1) == 1  # their answers will tell
    made.hear(0, 50)
    assert made.frees(ANYBODY, 1, 1) == 50


def test_the_narrower_of_quota_and_word_counts():
    made = budget(100)
    made.hear(10, 50)
    assert made.left(ANYBODY, 0) == 10
    made.hear(1000, 50)
    assert made.left(ANYBODY, 0) == 95


Call = st.tuples(st.floats(0, 10), st.floats(0, 30))


@given(quota=st.integers(1, 30), window_s=st.floats(0.5, 100), calls=st.lists(Call, max_size=80))
def test_law_whenever_a_call_counts_for_the_emr_no_window_has_more_than_the_quota(quota, window_s, calls):
    made, at, begun = budget(quota, window_s), 0.0, []
    for pause, lasting in calls:
        at += pause
        if made.left(ANYBODY, at) >= 1:
            made.begin(ANYBODY)
            made.end(1, at + lasting)
            begun.append((at, at + lasting))
            at += lasting
    for begin, _ in begun:
        # The EMR may count each at its beginning, its end or in between.
        together = [e for b, e in begun if b <= begin and e + window_s > begin]
        assert len(together) <= quota


@given(quota=st.integers(2, 50), spending=st.lists(st.tuples(st.floats(0, 20), st.integers(0, 9)), max_size=30))
def test_law_what_is_foreseen_comes(quota, spending):
    made, at = budget(quota, 60), 0.0
    for pause, calls in spending:
        at += pause
        spent(made, calls, at)
    for calls in range(1, quota):
        moment = made.frees(ANYBODY, calls, at)
        assert at <= moment <= at + 61
        if calls <= quota - max(1, quota // 20):
            assert made.left(ANYBODY, moment) >= calls
            assert moment == at or made.left(ANYBODY, moment - 1.5) < calls


@pytest.mark.parametrize("calls", [500_000])
def test_a_large_quota_takes_no_more_room_than_a_small_one(calls):
    made = budget(calls, 86_400)
    for second in range(0, 86_400, 10):
        made.begin(ANYBODY)
        made.end(57, second)
    assert len(made._spent) <= 61
