"""What an account may be configured with."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.plugin import Cancel
from plugins.gnuhealth import Settings
from tests.plugins.gnuhealth.conftest import opened
from tests.plugins.gnuhealth.samples import at

TOLD = {
    "base_url": "https://his.example.org/",
    "database": "health",
    "username": "frontdesk",
    "password": "sesame",
    "zone": "Europe/Stockholm",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "his.example.org"},
        {"base_url": "https://his.example.org/?x"},
        {"database": ""},
        {"username": ""},
        {"zone": "Europe/Nowhere"},
        {"default_minutes": 0},
        {"late_write_s": -1},
        {"page_size": 0},
        {"page_size": 1001},
        {"token": "x"},
    ],
)
def test_an_account_that_can_not_work_is_refused_at_once(wrong):
    with pytest.raises(ValidationError):
        Settings.model_validate({**TOLD, **wrong})


@pytest.mark.parametrize("name", sorted(TOLD))
def test_nothing_that_is_needed_may_be_left_out(name):
    with pytest.raises(ValidationError):
        Settings.model_validate({key: value for key, value in TOLD.items() if key != name})


@pytest.mark.parametrize(
    ("by", "state"), [(None, "user_cancelled"), ("patient", "user_cancelled"), ("centre", "center_cancelled")]
)
async def test_a_cancellation_is_noted_as_being_by_whom_the_account_says(practice, by, state):
    emr, id = opened(practice, cancel_reason=by), practice.book(practice.anna, at(10))
    await emr.cancel(Cancel(chain="a", before=await emr.appointment(str(id))))
    assert practice.fake.rows(id=id)[0]["state"] == state


def test_two_databases_of_one_server_are_two_tenants(practice):
    one, other = opened(practice), opened(practice, database="another")
    assert one.tenant != other.tenant
    assert opened(practice, username="somebody", base_url="http://his.test/").tenant == one.tenant
