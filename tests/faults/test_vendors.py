"""The same for every vendor's EMR; and answers to its writes that are lost, or are none.

Where a run is bounded, one scenario of each vendor is tried, another one for another `SEED`.
"""

from __future__ import annotations

import os
from random import Random

import pytest

from tests.faults.campaign import Campaign
from tests.faults.scenarios import OF_VENDORS, SCENARIOS
from tests.faults.vendor import VENDORS

pytestmark = pytest.mark.faults

ALL = [
    (scenario, vendor) for vendor in VENDORS for scenario in OF_VENDORS if (scenario, vendor) != ("confirm", "cliniko")
]
"""Nothing can be confirmed at Cliniko."""


def cases() -> list[tuple[str, str]]:
    if not os.environ.get("BOUND"):
        return ALL
    dice = Random(os.environ.get("SEED", "0"))
    return [dice.choice([case for case in ALL if case[1] == vendor]) for vendor in VENDORS]


@pytest.mark.parametrize(("scenario", "vendor"), cases())
async def test_a_gateway_that_is_killed_or_lied_to_leaves_all_or_nothing_or_says_what(
    at_vendor, bound, record_property, scenario, vendor
):
    campaign = Campaign(at_vendor(vendor), SCENARIOS[scenario])
    await campaign.once(bound)
    await campaign.lied_to(bound)
    campaign.tell(record_property)
    assert not campaign.wrong, "\n".join(campaign.wrong)
    assert campaign.tally["killed"]
    assert campaign.tally["lied to"]
