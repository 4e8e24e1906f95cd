"""A harness that can't fail proves nothing: what it says of gateways that break a promise each."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign
from tests.faults.scenarios import SCENARIOS
from tests.faults.vendor import VENDORS

pytestmark = pytest.mark.faults

ROUNDS = 4
CASES = [
    ("intent after the call", "move", "in-place", "untrue"),
    ("intent after the call", "book", "no-content", "untrue"),
    ("blind recovery", "book", "in-place", "doubled"),
    ("blind recovery", "reschedule, creating", "no-move", "lost"),
    ("key after the work", "book", "in-place", "doubled"),
    ("blind recovery", "book", "cliniko", "doubled"),
]


@pytest.mark.parametrize(("planted", "scenario", "emr", "kind"), CASES)
async def test_a_planted_bug_is_found(at_sandbox, at_vendor, planted, scenario, emr, kind):
    """Which writes of the ledger share a commit, and so where the boundaries are, is another matter in each round."""
    place = (at_vendor if emr in VENDORS else at_sandbox)(emr)
    campaign = Campaign(place, SCENARIOS[scenario], planted)
    for _ in range(ROUNDS):
        await campaign.once(10)
        if campaign.tally[kind]:
            break
    assert campaign.tally[kind], campaign.tally


async def test_a_planted_bug_is_found_by_lies(at_vendor):
    campaign = Campaign(at_vendor("cliniko"), SCENARIOS["book"], "lost is not sent")
    await campaign.lied_to(None)
    assert campaign.tally["doubled"], campaign.tally
