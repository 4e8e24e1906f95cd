"""A harness that can't fail proves nothing: what it says of gateways that break a promise each."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign
from tests.faults.scenarios import SCENARIOS

pytestmark = pytest.mark.faults

CASES = [
    ("intent after the call", "move", "in-place", "untrue"),
    ("intent after the call", "book", "no-content", "untrue"),
    ("blind recovery", "book", "in-place", "doubled"),
    ("blind recovery", "reschedule, creating", "no-move", "lost"),
    ("key after the work", "book", "in-place", "doubled"),
]


@pytest.mark.parametrize(("planted", "scenario", "personality", "kind"), CASES)
async def test_a_planted_bug_is_found(sandbox, http, planted, scenario, personality, kind):
    campaign = Campaign(sandbox, http, SCENARIOS[scenario], personality, planted)
    await campaign.once(10)
    assert campaign.tally[kind], campaign.tally
