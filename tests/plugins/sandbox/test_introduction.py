"""The plugin introduces itself, and opens accounts of every personality."""

from __future__ import annotations

import pytest

from gateway.plugin import (
    Capabilities,
)
from plugins.sandbox import Settings, emr_vendor
from plugins.sandbox.declared import DECLARED
from plugins.sandbox.emr.personality import PERSONALITIES
from tests.plugins.sandbox.asking import ALL, refusal


def test_what_the_plugin_declares_is_what_the_emr_is():
    assert set(ALL) == set(DECLARED) == set(PERSONALITIES)
    moves = {"in_place": "in_place", "new_id": "new_id", "never": "none"}
    for name, kind in PERSONALITIES.items():
        can = DECLARED[name]
        assert (can.move, can.reassign) == (moves[kind.moves],) * 2
        assert can.free_time == ("windows" if kind.offers == "windows" else "slots")
        assert can.refuses_overlap == kind.refuses_overlap
        assert can.slot_records == kind.slot_records
        assert can.answers_with == ("appointment" if kind.answers == "booking" else "nothing")
        assert (can.settles_within_s > 0) == (kind.answers == "ticket")


def test_the_vendor_promises_no_more_than_its_accounts_hold():
    vendor = emr_vendor()
    assert vendor.key == "sandbox"
    assert {e.name: e.capabilities for e in vendor.editions} == DECLARED
    for can in DECLARED.values():
        assert can.directories <= vendor.capabilities.directories
        assert not (can.slot_records and not vendor.capabilities.slot_records)


def test_an_account_is_named_by_its_place(opened):
    assert opened("windows", "south").tenant == "sandbox:http://sandbox.invalid/windows/south"
    assert opened("windows").tenant != opened("in-place").tenant


@pytest.mark.parametrize(
    "wrong",
    [{"personality": "moody"}, {"clinic": "no/rth"}, {"clinic": None}, {"base_url": "ftp://x"}, {"colour": "red"}],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    told = {"clinic": "north", "api_key": "north-key"} | wrong
    with pytest.raises(ValueError):
        Settings.model_validate(told)


@pytest.mark.parametrize("personality", ALL)
async def test_an_account_can_be_probed(opened, personality):
    found = await opened(personality).probe()
    assert isinstance(found, Capabilities)
    assert found == DECLARED[personality]


async def test_a_wrong_key_is_told_as_such(opened):
    assert await refusal(opened(api_key="south-key").probe()) == "credentials"
