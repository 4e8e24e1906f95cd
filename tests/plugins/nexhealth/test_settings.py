"""How an account is configured, and what follows from the practice's own system."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from plugins.nexhealth import Settings
from plugins.nexhealth.declared import declared, edition
from plugins.nexhealth.login import Tokens

TOLD = {
    "subdomain": "test-street",
    "location_id": "21",
    "api_key": "invented-key",
    "zone": "America/Chicago",
    "system": "dentrix",
}


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
    settings = Settings.model_validate({**TOLD, "system": system})
    can = declared(settings)
    assert (edition(settings).name, can.move, can.comment) == (name, move, move == "in_place")


def test_times_are_as_configured():
    can = declared(Settings.model_validate({**TOLD, "settles_within_s": 60, "late_write_s": 9, "min_interval_s": 1}))
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
    assert "invented" not in repr(settings) + repr(Tokens(settings.base_url, settings.api_key))
