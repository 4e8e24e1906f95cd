"""How an account is configured."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from plugins.opendental import Settings

TOLD = {"office": "test", "developer_key": "devkey", "customer_key": "custkey", "zone": "America/New_York"}


def test_no_secret_is_shown():
    settings = Settings.model_validate(TOLD)
    assert not any(key in repr(settings) for key in ("devkey", "custkey"))


@pytest.mark.parametrize("key", ["", "a/b", "a b", "a\n", "kéy"])
def test_a_key_can_not_say_more_than_a_key(key):
    with pytest.raises(ValidationError) as wrong:
        Settings.model_validate({**TOLD, "customer_key": key or None})
    assert "input_value" not in str(wrong.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("office", ""), ("zone", "Nowhere/At"), ("base_url", "ftp://x"), ("confirmed", ["x"]), ("late_write_s", -1)],
)
def test_what_makes_no_sense_is_refused(field, value):
    with pytest.raises(ValidationError):
        Settings.model_validate({**TOLD, field: value})
