"""The gateway is killed at each of its boundaries, and once more while it recovers: all, or nothing, or reported."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign
from tests.faults.sandbox import PERSONALITIES
from tests.faults.scenarios import OF_SANDBOX, SCENARIOS

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("personality", PERSONALITIES)
@pytest.mark.parametrize("scenario", OF_SANDBOX)
async def test_a_killed_gateway_leaves_all_or_nothing_or_says_what(
    at_sandbox, bound, record_property, personality, scenario
):
    campaign = Campaign(at_sandbox(personality), SCENARIOS[scenario])
    await campaign.once(bound)
    campaign.tell(record_property)
    assert not campaign.wrong, "\n".join(campaign.wrong)
    assert campaign.tally["killed"]


RECOVERING = [
    ("reschedule, cancelling", "in-place"),
    ("reschedule, creating", "no-move"),
    ("reschedule, cancelling", "slot-records"),
]


@pytest.mark.parametrize(("scenario", "personality"), RECOVERING)
async def test_a_gateway_that_is_killed_again_while_it_recovers_does_so_too(
    at_sandbox, bound, record_property, personality, scenario
):
    campaign = Campaign(at_sandbox(personality), SCENARIOS[scenario])
    await campaign.twice(bound)
    campaign.tell(record_property)
    assert not campaign.wrong, "\n".join(campaign.wrong)
    assert campaign.tally["killed"]
