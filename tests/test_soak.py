"""The judge of a soak finds every kind of leak, and takes no noise for one."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace

import pytest

from soak import load
from soak.judge import MEGABYTE, Sample, complaints

IDLE = Sample(0, memory=80 * MEGABYTE, files=24, threads=4, tasks=6)
HOUR_S, SAMPLES = 3600.0, 200


def an_hour(seconds: float = HOUR_S, seed: int = 7, **a_second: float) -> list[Sample]:
    """Under an even load, in which things swing; more of something with each second. It warms up first."""
    dice = random.Random(seed)
    found = []
    for number in range(SAMPLES):
        at_s = number * seconds / SAMPLES
        warming = 12 * MEGABYTE * min(1.0, at_s / (0.15 * seconds))
        busy = replace(
            IDLE,
            at_s=at_s,
            memory=IDLE.memory + warming + dice.uniform(-1, 1) * MEGABYTE,
            files=IDLE.files + dice.randrange(16),
            tasks=IDLE.tasks + dice.randrange(20),
        )
        found.append(replace(busy, **{name: getattr(busy, name) + more * at_s for name, more in a_second.items()}))
    return found


@pytest.mark.parametrize("seconds", [120.0, HOUR_S])
def test_what_only_swings_and_warms_up_is_no_leak(seconds):
    assert list(complaints(an_hour(seconds), IDLE, replace(IDLE, memory=95 * MEGABYTE))) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_machine_that_is_busier_at_last_makes_no_leak_of_what_swings(seed):
    samples = an_hour(120.0, seed)
    dice = random.Random(seed)
    late = [replace(one, tasks=one.tasks + dice.randrange(20)) for one in samples[-60:]]
    assert list(complaints([*samples[:-60], *late], IDLE, IDLE)) == []


@pytest.mark.parametrize(
    ("a_second", "said"),
    [
        ({"memory": 5_000}, "memory grew"),
        ({"files": 0.01}, "files grew under an even load"),
        ({"threads": 0.01}, "threads grew under an even load"),
        ({"tasks": 0.01}, "tasks grew under an even load"),
    ],
)
def test_what_grows_with_the_work_is_found_within_the_hour(a_second, said):
    (sentence,) = complaints(an_hour(**a_second), IDLE, IDLE)
    assert sentence.startswith(said)


@pytest.mark.parametrize("what", ["files", "threads", "tasks"])
def test_what_is_left_behind_is_found_though_it_was_never_many(what):
    after = replace(IDLE, **{what: getattr(IDLE, what) + 2})
    (sentence,) = complaints(an_hour(120.0), IDLE, after)
    assert sentence.startswith(f"{what} were left behind")


def test_a_leak_that_two_minutes_show_is_found_in_two_minutes():
    (sentence,) = complaints(an_hour(120.0, memory=150_000), IDLE, IDLE)
    assert sentence.startswith("memory grew")


def test_too_few_samples_are_no_pass():
    assert list(complaints(an_hour()[:4], IDLE, IDLE)) == ["too few samples to tell anything"]


class Slow:
    """A clinic that can't keep the pace."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()

    async def act(self, place: int) -> None:
        self.done["asked"] += 1
        time.sleep(0.05)  # noqa: ASYNC251  as a machine that is busy with something else


async def test_a_machine_that_is_too_busy_ends_in_time_and_leaves_out_the_rest(monkeypatch):
    monkeypatch.setattr(load, "LATE_S", 0.2)
    clinic, began = Slow(), time.monotonic()
    await load.evenly(clinic, 100.0, 1.0)
    assert time.monotonic() - began < 5
    assert clinic.done["left out"] > 20
    assert clinic.done.total() == 100
