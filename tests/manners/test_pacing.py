"""When calls may begin: laws over many of them in virtual time, and what each rule does."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.capabilities import Capabilities
from gateway.manners.errand import Errand
from gateway.manners.pacing import FIRST_PAUSE_S, LONGEST_HOLD_S, LONGEST_PAUSE_S, MARGIN_S, Pace, TurnedAway
from tests.virtual import in_virtual_time, now


def pace(**limits) -> Pace:
    return Pace(Capabilities(**limits), clock=now)


def patient() -> Errand:
    return Errand(math.inf)


async def until(moment: float) -> None:
    await asyncio.sleep(moment - now())


@dataclass
class Emr:
    """What an EMR sees of the calls that are let through to it."""

    pace: Pace
    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    flying: int = 0
    most: int = 0

    async def call(self, who: Errand, lasting: float = 0.0) -> float:
        await self.pace.enter(who)
        self.begun.append(now())
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await asyncio.sleep(lasting)
        finally:
            self.flying -= 1
            self.ended.append(now())
            self.pace.leave(1)
        return self.begun[-1]


# -- laws -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """One call: when it comes, whose it is, how long it takes, and after how long its caller gives up."""

    comes: float
    whose: int
    lasting: float
    patience: float | None


WANTED = st.builds(
    Wanted,
    st.sampled_from([0.0, 0.0, 0.1, 1.0, 7.3]),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.2, 1.0, 5.0]),
    st.none() | st.sampled_from([0.0, 0.05, 0.5, 3.0]),
)
LIMITS = st.fixed_dictionaries(
    {
        "concurrency": st.integers(1, 4),
        "min_interval_s": st.sampled_from([0.0, 0.3, 2.0]),
        "quota": st.none() | st.integers(2, 12),
        "quota_window_s": st.sampled_from([3.0, 60.0]),
    }
)


@settings(max_examples=150)
@given(limits=LIMITS, calls=st.lists(WANTED, max_size=40))
@in_virtual_time
async def test_law_no_limit_is_ever_passed_nobody_starves_and_errands_take_turns(limits, calls):
    paced = pace(**limits)
    errands = [patient() for _ in range(4)]
    begun: list[tuple[float, int, int]] = []
    spans: list[tuple[float, float]] = []
    came: dict[int, float] = {}
    flying = 0

    async def one(n: int, wanted: Wanted) -> None:
        nonlocal flying
        came[n] = now()
        await paced.enter(errands[wanted.whose])
        begun.append((now(), wanted.whose, n))
        flying += 1
        assert flying <= limits["concurrency"]
        began = now()
        try:
            await asyncio.sleep(wanted.lasting)
        finally:
            flying -= 1
            spans.append((began, now()))
            paced.leave(1)

    async def impatient(n: int, wanted: Wanted) -> None:
        try:
            async with asyncio.timeout(wanted.patience):
                await one(n, wanted)
        except TimeoutError:
            came.pop(n)

    tasks = []
    for n, wanted in enumerate(calls):
        await asyncio.sleep(wanted.comes)
        tasks.append(asyncio.create_task(impatient(n, wanted)))
    # Nobody who waits long enough waits for ever: in virtual time a standstill would never end.
    await asyncio.wait_for(asyncio.gather(*tasks), 10_000)
    assert {n for _, _, n in begun} >= set(came)

    moments = [moment for moment, _, _ in begun]
    gap = limits["min_interval_s"]
    assert all(later - earlier >= gap - 1e-6 for earlier, later in pairwise(moments))
    if limits["quota"] is not None:
        for begin, _ in spans:
            together = [e for b, e in spans if b <= begin and e + limits["quota_window_s"] > begin]
            assert len(together) <= limits["quota"]
    # One that gives up in the very moment of its turn has used up its errand's.
    fair = len(came) == len(calls)
    _in_order([(moment, whose, n) for moment, whose, n in begun if n in came], came, fair=fair)
    assert paced.takes(0) == 0


def _in_order(begun, came, *, fair):
    """Each errand's calls in the order in which they came; none twice in a row while another one waits all the time."""
    for place, (first, whose, n) in enumerate(begun):
        following = [(k, m) for k, (m, w, _) in enumerate(begun) if k > place and w == whose]
        assert all(came[n] <= came[begun[k][2]] for k, _ in following)
        if following and fair:
            again, _ = following[0]
            between = {other for _, other, _ in begun[place:again]}
            assert {other for _, other, waited in begun[again:] if came[waited] < first} <= between


@given(told=st.lists(st.tuples(st.floats(0, 20), st.none() | st.floats(0, 40)), min_size=1, max_size=6))
@in_virtual_time
async def test_law_nothing_begins_before_the_last_moment_that_was_told(told):
    paced, held = pace(concurrency=8), 0.0
    emr = Emr(paced)
    for pause, seconds in told:
        calls = [asyncio.create_task(emr.call(patient())) for _ in range(3)]
        await asyncio.sleep(pause)
        paced.later(seconds, now())
        held = max(held, now() + (seconds or 0.0))
        for _ in range(3):
            await asyncio.sleep(0)  # whose turn had come already is on its way
        before = len(emr.begun)
        late = asyncio.create_task(emr.call(patient()))
        await asyncio.gather(late, *calls)
        assert all(moment >= held for moment in emr.begun[before:])


# -- places -----------------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_no_more_at_a_time_than_are_allowed():
    emr = Emr(pace(concurrency=3))
    await asyncio.gather(*(emr.call(patient(), 1) for _ in range(20)))
    assert emr.most == 3
    assert now() == pytest.approx(1007)


@in_virtual_time
async def test_a_long_errand_does_not_keep_the_others():
    emr, start = Emr(pace(concurrency=1, min_interval_s=1.0)), now()
    bulk = patient()
    many = [asyncio.create_task(emr.call(bulk)) for _ in range(100)]
    await asyncio.sleep(0)
    assert await emr.call(Errand(start + 5)) - start <= 2
    assert len(emr.begun) <= 3
    await asyncio.gather(*many)
    assert now() - start == pytest.approx(100)


@in_virtual_time
async def test_waiting_ends_with_patience_and_gives_the_place_in_the_line_away():
    paced, start = pace(concurrency=1), now()
    emr = Emr(paced)
    hanging = asyncio.create_task(emr.call(patient(), 30))
    await asyncio.sleep(0)
    impatient = asyncio.create_task(emr.call(Errand(start + 5)))
    behind = asyncio.create_task(emr.call(patient()))
    with pytest.raises(TurnedAway) as told:
        await impatient
    assert (now(), told.value.retry_after) == (start + 5, None)
    await asyncio.gather(hanging, behind)
    assert emr.begun == [start, start + 30]


@in_virtual_time
async def test_who_has_no_time_left_is_turned_away_even_if_nobody_else_is_there():
    paced, who = pace(), Errand(now() + 1)
    await asyncio.sleep(2)
    with pytest.raises(TurnedAway):
        await paced.enter(who)
    who.written = 1
    assert await paced.enter(who) == now()


@in_virtual_time
async def test_a_caller_that_gives_up_in_the_moment_of_its_turn_takes_no_place_along():
    paced = pace(concurrency=1)
    for _ in range(3):
        await paced.enter(patient())
        task = asyncio.create_task(paced.enter(patient()))
        await asyncio.sleep(0)
        paced.leave(1)  # now it is its turn
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(1):
        await paced.enter(patient())


# -- pace -------------------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_calls_begin_an_interval_apart_also_the_second_request_of_one():
    paced, start = pace(min_interval_s=5.0), now()
    emr = Emr(paced)
    await paced.enter(patient())
    await paced.once_more()
    assert now() == start + 5
    paced.leave(2)
    await asyncio.gather(*(emr.call(patient()) for _ in range(3)))
    assert emr.begun == [start + 10, start + 15, start + 20]


@in_virtual_time
async def test_a_turn_that_would_come_too_late_is_refused_at_once_and_told_when():
    emr, start = Emr(pace(min_interval_s=5.0)), now()
    calls = [asyncio.create_task(emr.call(patient())) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(TurnedAway) as told:
        await emr.pace.enter(Errand(start + 19))
    assert (now(), told.value.retry_after) == (start, 20)
    assert await emr.call(Errand(start + 20.5)) == start + 20
    await asyncio.gather(*calls)


@in_virtual_time
async def test_a_quota_is_waited_for_or_refused_at_once():
    paced = pace(quota=10, quota_window_s=60.0)
    emr, start = Emr(paced), now()
    for _ in range(9):
        await emr.call(patient())
    assert paced.is_held
    with pytest.raises(TurnedAway) as told:
        await emr.call(Errand(start + 30))
    assert now() == start
    assert 60 <= told.value.retry_after <= 61
    assert await emr.call(Errand(0, written=1)) == start, "there is a reserve for who has begun to write"
    assert 60 <= await emr.call(Errand(start + 100)) - start <= 61


@in_virtual_time
async def test_what_a_plan_needs_is_kept_for_it_and_nobody_else_blocks_it():
    paced = pace(quota=20, quota_window_s=60.0)
    emr, command, start = Emr(paced), patient(), now()
    assert paced.keep(command, 15) == 0
    assert 0 < paced.keep(patient(), 5) <= 60
    readers = [asyncio.create_task(emr.call(patient())) for _ in range(8)]
    await asyncio.sleep(0)
    for _ in range(15):
        assert await emr.call(command) == start
    assert now() == start
    assert len(emr.begun) == 19, "four were left for the others"
    paced.give_back(command)
    await asyncio.gather(*readers)
    assert 60 <= now() - start <= 61


@in_virtual_time
async def test_what_was_kept_and_not_needed_is_for_all_again():
    paced = pace(quota=20, quota_window_s=60.0)
    emr, command, start = Emr(paced), patient(), now()
    assert paced.keep(command, 19) == 0
    waiting = asyncio.create_task(emr.call(patient()))
    await asyncio.sleep(1)
    assert not waiting.done()
    paced.give_back(command)
    assert await waiting == start + 1


@in_virtual_time
async def test_how_long_calls_take_is_foreseen():
    paced = pace(min_interval_s=5.0)
    assert paced.takes(10) == 50
    paced.later(30, now())
    assert paced.takes(10) == pytest.approx(80, abs=0.1)
    assert pace().takes(1000) == 0


# -- later ------------------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_later_is_heard_by_all_and_those_who_do_not_wait_so_long_are_told_at_once():
    paced, start = pace(concurrency=1), now()
    emr = Emr(paced)
    await paced.enter(patient())
    waits = asyncio.create_task(emr.call(patient()))
    impatient = asyncio.create_task(emr.call(Errand(start + 100, start + 10)))
    await asyncio.sleep(0)
    paced.later(60, now())
    paced.leave(1)
    with pytest.raises(TurnedAway) as told:
        await impatient
    assert (now(), told.value.retry_after) == (start, pytest.approx(60 + MARGIN_S))
    with pytest.raises(TurnedAway):
        await emr.call(Errand(start + 59))
    assert await waits == start + 60 + MARGIN_S


@in_virtual_time
async def test_who_has_begun_to_write_waits_and_who_has_not_after_all_does_not():
    paced, start = pace(), now()
    emr = Emr(paced)
    begun, undone = Errand(start + 900, start + 10, written=1), Errand(start + 900, start + 10, written=1)
    paced.later(60, now())
    waiting = [asyncio.create_task(emr.call(who)) for who in (begun, undone)]
    await asyncio.sleep(1)
    undone.written = 0
    paced.later(60, now())  # that it was not executed is learned from a "later"
    with pytest.raises(TurnedAway):
        await waiting[1]
    assert now() == start + 1
    assert await waiting[0] == start + 61 + MARGIN_S


@in_virtual_time
async def test_of_two_laters_the_longer_one_counts():
    paced, start = pace(), now()
    paced.later(60, now())
    paced.later(1, now())
    paced.later(None, now())
    assert await Emr(paced).call(patient()) == pytest.approx(start + 60 + MARGIN_S)


@in_virtual_time
async def test_a_later_without_a_time_is_longer_each_time_but_not_for_those_who_were_under_way_together():
    paced = pace()
    emr, waits = Emr(paced), []
    for _ in range(9):
        began = now()
        await asyncio.sleep(0.1)
        for _ in range(5):
            paced.later(None, began)
        waits.append(await emr.call(patient()) - began - 0.1)
    assert waits[:3] == pytest.approx([FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S])
    assert waits[-1] == pytest.approx(LONGEST_PAUSE_S)
    paced.fine(now())
    paced.later(None, now())
    assert await emr.call(patient()) - now() == pytest.approx(0)
    assert emr.begun[-1] - emr.begun[-2] == pytest.approx(FIRST_PAUSE_S)


@in_virtual_time
async def test_a_senselessly_long_later_is_asked_again_once_a_day():
    paced, start = pace(), now()
    paced.later(1e12, now())
    assert await Emr(paced).call(patient()) - start == pytest.approx(LONGEST_HOLD_S + MARGIN_S)


@in_virtual_time
async def test_fewer_are_under_way_after_a_later_and_in_time_as_many_as_before():
    paced = pace(concurrency=8)

    async def most() -> int:
        emr = Emr(paced)
        await asyncio.gather(*(emr.call(patient(), 1) for _ in range(16)))
        return emr.most

    assert await most() == 8
    began = now()
    for _ in range(8):  # one wave
        paced.later(0, began)
    assert await most() == 4
    for _ in range(5):
        await asyncio.sleep(0.1)
        paced.later(0, now())
    assert await most() == 1, "but never none"
    for _ in range(100):
        paced.fine(now())
    assert await most() == 8


@in_virtual_time
async def test_what_the_emr_says_is_left_is_heeded_before_it_has_to_say_later():
    paced, start = pace(concurrency=4), now()
    emr = Emr(paced)
    await emr.call(patient())
    paced.hear(2, 30)
    calls = [asyncio.create_task(emr.call(patient(), 1)) for _ in range(5)]
    await asyncio.sleep(0.5)
    assert emr.flying == 2
    await asyncio.sleep(1)
    paced.hear(0, 28.5)
    with pytest.raises(TurnedAway) as told:
        await paced.enter(Errand(now() + 10))
    assert told.value.retry_after == pytest.approx(28.5 + MARGIN_S)
    await asyncio.gather(*calls)
    assert emr.begun[3:] == [pytest.approx(start + 30 + MARGIN_S)] * 3


@in_virtual_time
async def test_an_answer_that_shows_more_lets_the_next_ones_go():
    paced, start = pace(concurrency=4), now()
    emr = Emr(paced)
    calls = [asyncio.create_task(emr.call(patient(), 1 + n)) for n in range(4)]
    await asyncio.sleep(1.5)
    paced.hear(3, 600)  # maybe without the three that are under way
    waiting = asyncio.create_task(emr.call(patient()))
    await asyncio.sleep(1)
    assert not waiting.done()
    paced.hear(3, 600)
    assert await waiting == start + 2.5
    await asyncio.gather(*calls)


@in_virtual_time
async def test_all_can_be_turned_away():
    paced = pace(concurrency=1)
    await paced.enter(patient())
    waiting = [asyncio.create_task(paced.enter(patient())) for _ in range(3)]
    await asyncio.sleep(0)
    paced.turn_all_away(lambda: TurnedAway("closed", retry_after=7))
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [end.retry_after for end in ends] == [7, 7, 7]
    paced.leave(1)
    await paced.enter(patient())


@in_virtual_time
async def test_limits_may_be_narrowed_when_more_is_known():
    paced = pace(concurrency=8)
    paced.declare(Capabilities(concurrency=2, min_interval_s=1.0))
    emr, start = Emr(paced), now()
    await asyncio.gather(*(emr.call(patient(), 10) for _ in range(4)))
    assert emr.most == 2
    assert emr.begun == [start, start + 1, start + 10, start + 11]
