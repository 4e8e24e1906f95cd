"""How an account is configured, and what follows from the practice's own system."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from gateway.plugin import Account, Door, Emr
from plugins.nexhealth import Settings, emr_open

TOLD = {
    "subdomain": "test-street",
    "location_id": "21",
    "api_key": "invented-key",
    "zone": "America/Chicago",
    "system": "dentrix",
}


def opened(**more: Any) -> Emr:
    door = Door(httpx.MockTransport(lambda _: httpx.Response(500)))
    return emr_open(Account("clinic", Settings.model_validate({**TOLD, **more}), door))


@pytest.mark.parametrize(
    ("system", "name", "move"),
    [
        ("dentrix", "standard", "in_place"),
        ("dentrix-enterprise", "standard", "in_place"),
        ("eaglesoft", "standard", "in_place"),
        ("open-dental", "standard", "in_place"),
        ("other", "others", "none"),
    ],
)
def test_the_practices_system_decides_what_is_changed_in_place(system, name, move):
    emr = opened(system=system)
    assert (emr.edition, emr.capabilities.move, emr.capabilities.comment) == (name, move, move == "in_place")


def test_times_are_as_configured():
    can = opened(settles_within_s=60, late_write_s=9, min_interval_s=1).capabilities
    assert (can.settles_within_s, can.late_write_s, can.min_interval_s) == (60, 9, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subdomain", "a.b/c"),
        ("location_id", "x"),
        ("location_id", "021"),
        ("zone", "Nowhere/At"),
        ("system", "paper"),
        ("written", "perhaps"),
        ("settles_within_s", 451),
        ("api_key", ""),
    ],
)
def test_what_makes_no_sense_is_refused(field, value):
    with pytest.raises(ValidationError):
        Settings.model_validate({**TOLD, field: value})


def test_no_secret_is_shown():
    settings = Settings.model_validate(TOLD)
    with pytest.raises(ValidationError) as wrong:
        Settings.model_validate({**TOLD, "zone": "Nowhere/At"})
    assert "invented" not in repr(settings) + str(wrong.value) + repr(vars(opened()))
