"""A harness that can't fail proves nothing: what it says of gateways that break a promise each."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign
from tests.faults.scenarios import SCENARIOS

pytestmark = pytest.mark.faults

ROUNDS = 4
CASES = [
    ("intent after the call", "move", "in-place", "untrue"),
    ("intent after the call", "book", "no-content", "untrue"),
    ("blind recovery", "book", "in-place", "doubled"),
    ("blind recovery", "reschedule, creating", "no-move", "lost"),
    ("key after the work", "book", "in-place", "doubled"),
]


@pytest.mark.parametrize(("planted", "scenario", "personality", "kind"), CASES)
async def test_a_planted_bug_is_found(sandbox, http, planted, scenario, personality, kind):
    """Which writes of the ledger share a commit, and so where the boundaries are, is another matter in each round."""
    campaign = Campaign(sandbox, http, SCENARIOS[scenario], personality, planted)
    for _ in range(ROUNDS):
        await campaign.once(10)
        if campaign.tally[kind]:
            break
    assert campaign.tally[kind], campaign.tally
