"""Clients, staff, weather and crashes at once, a thousand times: nothing is lost, doubled, overwritten or untrue.

A run that fails is repeated, and made smaller, by `python -m tests.histories SEED`.
"""

from __future__ import annotations

import pytest

from tests.histories.checker import breaches
from tests.histories.figures import RUNS, SEED, counted
from tests.histories.history import PERSONALITIES, Setting, run
from tests.histories.wire import Weather

CHUNK = 10
"""Runs in one test: one of each personality."""


def held(seeds, setting=None):
    """The runs' figures; none of them has a breach."""
    total, found = None, []
    for seed in seeds:
        history = run(seed, setting)
        total = counted(history) if total is None else total + counted(history)
        found += [f"seed {seed} ({history.personality}): {said}" for said in breaches(history)]
    assert not found, "\n".join(found)
    return total


@pytest.mark.faults
@pytest.mark.parametrize("first", range(SEED, SEED + RUNS, CHUNK))
def test_no_history_has_a_breach(first, record_property):
    counts = held(range(first, min(first + CHUNK, SEED + RUNS)))
    record_property("histories", dict(counts) | {"breaches": 0})


def test_a_history_of_every_kind_of_emr():
    """The few that are run with everything else."""
    held(range(len(PERSONALITIES)))


def test_a_quiet_world_leaves_nothing_to_a_person():
    """No faults, no staff, no crashes: every command ends by itself. On every second kind of EMR."""
    quiet = Setting(weather=Weather(), mischief=0.0, deaths=0, trouble=0.0)
    for seed in range(0, len(PERSONALITIES), 2):
        history = run(seed, quiet)
        assert breaches(history) == []
        assert {c["state"] for c in history.commands.values()} <= {"done", "refused"}


@pytest.mark.parametrize("seed", [7, 8])
def test_a_seed_is_the_same_run_every_time(seed):
    assert run(seed).digest() == run(seed).digest()


def test_a_request_that_is_left_out_is_not_made():
    whole, less = run(1), run(1, Setting(without=(1, 2)))
    assert {told.tag // 10 for told in whole.told} - {told.tag // 10 for told in less.told} == {1, 2}
