"""How an account is configured."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.domain.model import Kind
from plugins.drchrono import Settings
from tests.plugins.drchrono.conftest import Practice

TOLD = {
    "client_id": "gateway",
    "client_secret": "invented-secret",
    "practice_group": "4711",
    "zone": "America/New_York",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_id", ""),
        ("client_secret", ""),
        ("practice_group", ""),
        ("zone", "Nowhere/At"),
        ("office_id", "x"),
        ("exam_room", 0),
        ("calls_per_hour", 0),
        ("calls_per_second", 0),
        ("base_url", "app.drchrono.com"),
        ("password", "x"),
    ],
)
def test_what_makes_no_sense_is_refused(field, value):
    with pytest.raises(ValidationError):
        Settings.model_validate({**TOLD, field: value})


def test_no_secret_is_shown():
    assert "invented" not in repr(Settings.model_validate(TOLD))


def test_what_the_account_is_allowed_is_kept_to(practice: Practice):
    can = practice.open(calls_per_hour=250, calls_per_second=4, office_id=None).capabilities
    assert (can.quota, can.quota_window_s, can.min_interval_s) == (250, 3600.0, 0.25)
    assert can.local_zone == practice.zone.key
    assert can.free_time_by == {Kind.RESOURCE, Kind.CARE_UNIT}
    assert practice.open().capabilities.free_time_by == {Kind.RESOURCE}
    usual = Settings.model_validate(TOLD)
    assert (usual.calls_per_hour, usual.calls_per_second) == (500, 9.0)


def test_two_accounts_of_one_practice_wait_for_each_other(practice: Practice):
    one, same, other = (practice.open(client_id=id, practice_group=g) for id, g in (("a", "1"), ("b", "1"), ("a", "2")))
    assert one.tenant == same.tenant != other.tenant
