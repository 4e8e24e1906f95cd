"""How an account is configured, and where its key leads."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from plugins.cliniko import Settings

TOLD = {
    "subdomain": "test-street",
    "api_key": "invented-key-uk1",
    "contact": "test@example.org",
    "zone": "Europe/London",
}


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("invented-key-uk1", "https://api.uk1.cliniko.com/v1"),
        ("invented-key-au12", "https://api.au12.cliniko.com/v1"),
        ("inventedkey", "https://api.au1.cliniko.com/v1"),
    ],
)
def test_the_key_says_which_shard_is_called(key, address):
    assert Settings.model_validate({**TOLD, "api_key": key}).address == address


@pytest.mark.parametrize("key", ["key-evil.example/", "key-uk1.evil", "key-UK1", "key-", "key-uk123", "key-uk1\n"])
def test_a_key_can_not_lead_to_another_host(key):
    with pytest.raises(ValidationError) as wrong:
        Settings.model_validate({**TOLD, "api_key": key})
    assert "evil" not in str(wrong.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("contact", "nobody"), ("contact", "a@b (c)"), ("business_id", "x"), ("zone", "Nowhere/At"), ("subdomain", "a.b")],
)
def test_what_makes_no_sense_is_refused(field, value):
    with pytest.raises(ValidationError):
        Settings.model_validate({**TOLD, field: value})


def test_no_secret_is_shown():
    assert "invented" not in repr(Settings.model_validate(TOLD))
