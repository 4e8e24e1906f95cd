"""Every way in which a call to an EMR can fail, at any call, on every kind of EMR: the invariants hold, all settles."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.histories.checker import breaches
from tests.histories.figures import SEED, share
from tests.histories.history import PERSONALITIES, Setting, run
from tests.histories.wire import KINDS, Weather

ROUNDS = share(3)
"""Runs on each kind of EMR, at each rate, with each fault."""
COLUMNS = {"done": "done", "undone": "undone", "refused": "refused", "needs_attention": "reported"}


def columns(history):
    """How the commands ended; and how many of those that were struck in a write came to a settled end."""
    ends = Counter(COLUMNS[command["state"]] for command in history.commands.values())
    struck = {call.tag for call in history.calls if call.is_write and call.fault is not None}
    settled = [tag for tag in struck if history.commands[tag]["state"] in ("done", "undone", "refused")]
    return ends + Counter({"commands": ends.total(), "calls struck": history.faults.total(), "settled": len(settled)})


@pytest.mark.faults
@pytest.mark.parametrize("personality", PERSONALITIES)
@pytest.mark.parametrize("fault", KINDS)
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_whatever_fails_the_invariants_hold_and_all_settles(rate, fault, personality, record_property):
    setting = Setting(personality=personality, weather=Weather(rate, (fault,)), mischief=0.0, deaths=0, trouble=0.0)
    sums, found = Counter(), []
    for seed in range(SEED, SEED + ROUNDS):
        history = run(seed, setting)
        found += [f"seed {seed}: {said}" for said in breaches(history)]
        sums += columns(history)
    assert not found, "\n".join(found)
    assert sums["calls struck"] or ROUNDS < 3
    record_property(f"struck: {rate:4.0%} {fault}", dict(sums))
