"""Before a vendor's EMR, where a move makes a new appointment, the gateway is killed once more while it recovers."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign
from tests.faults.scenarios import SCENARIOS

pytestmark = pytest.mark.faults


async def test_a_gateway_that_is_killed_again_while_it_recovers_does_so_too(at_vendor, bound, record_property):
    campaign = Campaign(at_vendor("athenahealth"), SCENARIOS["reschedule, cancelling"])
    await campaign.twice(bound)
    campaign.tell(record_property)
    assert not campaign.wrong, "\n".join(campaign.wrong)
    assert campaign.tally["killed"]
