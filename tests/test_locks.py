"""Critical sections: one holder per key, first come first served, and nothing is lost or left behind."""

import asyncio
import selectors

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import Busy
from gateway.locks import AlreadyHeld, Locks


class Leaping(selectors.DefaultSelector):
    """Does not sleep: time leaps to the next timer. With nothing left to happen it says so instead of hanging."""

    now = 0.0

    def select(self, timeout=None):
        events = super().select(0)
        if not events:
            if timeout is None:
                raise AssertionError("everybody waits, nothing can happen any more")
            self.now += max(timeout, 0)
        return events


def in_leaping_time(main):
    """Run `main(loop)` in a loop whose clock costs no time."""
    selector = Leaping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))


async def settle():
    """Let everything run that can run now."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_free_is_taken_at_once_and_forgotten_after_release():
    locks = Locks()
    held = locks.session(0)
    await held.take("b", "a")
    await held.take("c", "a")
    assert held.keys == {"a", "b", "c"}
    assert len(locks) == 3
    held.release()
    held.release()
    assert len(locks) == 0


async def test_without_patience_a_taken_key_is_busy_at_once():
    locks = Locks()
    await locks.session(0).take("a")
    with pytest.raises(Busy) as busy:
        await locks.session(0).take("a")
    assert busy.value.retry_after == 1.0
    assert len(locks) == 1


async def test_a_session_as_context_manager_releases_whatever_happens():
    locks = Locks()

    async def work():
        with locks.session(0) as held:
            await held.take("a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert len(locks) == 0


async def test_who_came_first_is_served_first_and_no_newcomer_slips_in_between():
    locks, order = Locks(), []
    first = locks.session(0)
    await first.take("a")

    async def work(name):
        with locks.session(5) as held:
            await held.take("a")
            order.append(name)

    waiting = []
    for name in "bcde":
        waiting.append(asyncio.create_task(work(name)))
        await settle()
    first.release()
    with pytest.raises(Busy):  # the key went from hand to hand: it was never free
        await locks.session(0).take("a")
    await asyncio.gather(*waiting)
    assert order == list("bcde")
    assert len(locks) == 0


async def test_a_cancelled_waiter_leaves_no_trace_and_the_next_one_is_served():
    locks = Locks()
    first, second, third = locks.session(0), locks.session(5), locks.session(5)
    await first.take("a")
    cancelled = asyncio.create_task(second.take("a"))
    patient = asyncio.create_task(third.take("a"))
    await settle()
    cancelled.cancel()
    await settle()
    first.release()
    await patient
    assert cancelled.cancelled()
    assert (second.keys, third.keys) == (set(), {"a"})


async def test_who_is_cancelled_in_the_moment_of_its_turn_passes_it_on():
    locks = Locks()
    first, second, third = locks.session(0), locks.session(5), locks.session(5)
    await first.take("a")
    cancelled = asyncio.create_task(second.take("a"))
    patient = asyncio.create_task(third.take("a"))
    await settle()
    first.release()  # it is the second's now, but its task has not run yet
    cancelled.cancel()
    await patient
    assert cancelled.cancelled()
    assert (second.keys, third.keys) == (set(), {"a"})
    third.release()
    assert len(locks) == 0


async def test_the_last_waiter_cancelled_in_the_moment_of_its_turn_leaves_the_key_free():
    locks = Locks()
    first = locks.session(0)
    await first.take("a")
    cancelled = asyncio.create_task(locks.session(5).take("a"))
    await settle()
    first.release()
    cancelled.cancel()
    await settle()
    assert len(locks) == 0


def test_a_timed_out_waiter_leaves_no_trace_and_gives_back_what_that_call_took():
    async def main(loop):
        locks = Locks()
        owner, waiter = locks.session(0), locks.session(3)
        await owner.take("b")
        await waiter.take("0")
        with pytest.raises(Busy):
            await waiter.take("a", "b", "c")
        assert loop.time() == 3
        assert waiter.keys == {"0"}
        owner.release()
        assert len(locks) == 1
        waiter.release()
        assert len(locks) == 0

    in_leaping_time(main)


def test_patience_is_counted_over_all_waits_but_not_while_working():
    async def main(loop):
        locks = Locks()
        one, two, waiter = locks.session(0), locks.session(0), locks.session(3)
        await one.take("a")
        await two.take("b")
        loop.call_later(2, one.release)
        await waiter.take("a")
        await asyncio.sleep(100)
        with pytest.raises(Busy):
            await waiter.take("b")
        assert loop.time() == 103

    in_leaping_time(main)


async def test_two_tasks_of_one_command_share_its_locks():
    locks = Locks()
    other, held = locks.session(0), locks.session(5)
    await other.take("a")
    both = [asyncio.create_task(held.take("a", "b")), asyncio.create_task(held.take("b", "a"))]
    await settle()
    other.release()
    await settle()
    assert all(task.done() for task in both)
    assert held.keys == {"a", "b"}
    held.release()
    assert len(locks) == 0


def test_a_key_that_is_held_for_long_does_not_collect_those_who_gave_up():
    async def main(loop):
        locks = Locks()
        await locks.session(0).take("a")
        for _ in range(3):
            with pytest.raises(Busy):
                await locks.session(1).take("a")
        return [len(line) for line in locks._waiting.values()]

    assert in_leaping_time(main) == [0]


async def test_who_was_served_leaves_no_timer_behind(monkeypatch):
    loop, timers = asyncio.get_running_loop(), []
    monkeypatch.setattr(loop, "call_later", lambda *args: timers.append(loop.call_at(1e9, *args[1:])) or timers[-1])
    locks = Locks()
    first = locks.session(0)
    await first.take("a")
    waiting = asyncio.create_task(locks.session(5).take("a"))
    await settle()
    first.release()
    await waiting
    assert [timer.cancelled() for timer in timers] == [True]


async def test_a_key_that_arrives_after_release_is_given_back():
    locks = Locks()
    first, second = locks.session(0), locks.session(5)
    await first.take("a")
    waiting = asyncio.create_task(second.take("a"))
    await settle()
    second.release()
    first.release()
    with pytest.raises(RuntimeError, match="released"):
        await waiting
    with pytest.raises(RuntimeError, match="released"):
        await second.take("b")
    assert len(locks) == 0


async def test_recovery_takes_at_once_and_newcomers_wait_for_it():
    locks = Locks()
    recovered = locks.take_now(["b", "a"])
    newcomer = asyncio.create_task(locks.session(5).take("a"))
    await settle()
    assert not newcomer.done()
    recovered.release()
    await newcomer
    assert len(locks) == 1


def test_recovery_refuses_keys_that_somebody_holds_and_takes_none():
    locks = Locks()
    recovered = locks.take_now(["a"])
    with pytest.raises(AlreadyHeld):
        locks.take_now(["b", "a"])
    assert len(locks) == 1
    recovered.release()
    assert len(locks) == 0


KEYS = st.sets(st.sampled_from("abcd"), min_size=1)
COMMANDS = st.lists(
    st.fixed_dictionaries(
        {
            "starts": st.integers(0, 6),
            "takes": st.lists(KEYS, min_size=1, max_size=3),
            "works": st.integers(0, 4),
            "patience": st.sampled_from([0, 0.5, 2, 9]),
            "cancelled": st.none() | st.sampled_from([0, 1, 2, 2.5, 3, 5]),
        }
    ),
    max_size=8,
)


class Witness:
    """Sees who holds what, from the holders' own point of view."""

    def __init__(self):
        self.holders = {}

    def enter(self, keys, me):
        for key in keys:
            assert self.holders.setdefault(key, me) is me, "two holders of one key"

    def leave(self, me):
        self.holders = {key: holder for key, holder in self.holders.items() if holder is not me}


async def carry_out(loop, locks, witness, command):
    me = object()
    await asyncio.sleep(command["starts"])
    with locks.session(command["patience"]) as held:
        try:
            waited = 0
            for keys in command["takes"]:
                since = loop.time()
                await held.take(*keys)
                waited += loop.time() - since
                assert waited <= command["patience"]
                witness.enter(keys, me)
                await asyncio.sleep(command["works"])
            return "done"
        except Busy:
            return "busy"
        finally:
            witness.leave(me)


async def carry_out_all(loop, commands):
    locks, witness = Locks(), Witness()
    tasks = [asyncio.create_task(carry_out(loop, locks, witness, command)) for command in commands]
    for task, command in zip(tasks, commands, strict=True):
        if command["cancelled"] is not None:
            loop.call_later(command["cancelled"], task.cancel)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result in ("done", "busy") or isinstance(result, asyncio.CancelledError) for result in results), results
    assert not witness.holders
    assert len(locks) == 0
    return results


@settings(deadline=None)
@given(COMMANDS)
def test_whoever_waits_gives_up_or_is_cancelled_there_is_one_holder_and_nothing_stays_behind(commands):
    in_leaping_time(lambda loop: carry_out_all(loop, commands))


@settings(deadline=None)
@given(COMMANDS)
def test_no_wake_up_is_lost_whoever_is_patient_and_takes_in_one_go_is_served(commands):
    """Also beside others who give up or are cancelled: nobody holds for ever, so everybody's turn comes."""
    for command in commands:
        command["takes"] = [set().union(*command["takes"])]
    patient = [index for index, command in enumerate(commands) if index % 2 == 0]
    for index in patient:
        commands[index].update(patience=1000, cancelled=None)
    results = in_leaping_time(lambda loop: carry_out_all(loop, commands))
    assert all(results[index] == "done" for index in patient)
