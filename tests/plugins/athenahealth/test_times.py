"""Local times: what the clock shows is what is read and said, and what it shows twice or never is not offered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.plugin import Change, Create, Emr, Refused, Span
from plugins.athenahealth import Settings, words
from tests.plugins.athenahealth.samples import BOOKED, SLOT

ZONE = ZoneInfo("America/New_York")
walls = st.datetimes(datetime(2026, 1, 1), datetime(2029, 12, 31)).map(lambda w: w.replace(second=0, microsecond=0))
lengths = st.integers(5, 480)


def told(wall: datetime, minutes: int = 30) -> dict[str, object]:
    return {"date": f"{wall:%m/%d/%Y}", "starttime": f"{wall:%H:%M}", "duration": minutes}


@given(walls, lengths)
def test_what_is_offered_begins_when_the_clock_shows_it_and_lasts_as_long_as_is_said(wall, minutes):
    slot = words.slot({**SLOT, **told(wall, minutes)}, ZONE, None)
    if slot is not None:
        assert slot.start.replace(tzinfo=None, fold=0) == wall
        assert slot.span.length == timedelta(minutes=minutes)
        said = words.new_slot(slot, ZONE)
        assert (said["appointmentdate"], said["appointmenttime"]) == (f"{wall:%m/%d/%Y}", f"{wall:%H:%M}")


@pytest.mark.parametrize(
    ("wall", "minutes", "is_offered"),
    [
        (datetime(2027, 3, 14, 1, 30), 30, True),
        (datetime(2027, 3, 14, 2, 30), 30, False),  # the clock skips it
        (datetime(2027, 3, 14, 3), 30, True),
        (datetime(2027, 11, 7, 0, 30), 29, True),
        (datetime(2027, 11, 7, 0, 45), 30, False),  # it ends in the hour that comes twice
        (datetime(2027, 11, 7, 1), 30, False),
        (datetime(2027, 11, 7, 1, 59), 5, False),
        (datetime(2027, 11, 7, 2), 30, True),
    ],
)
def test_what_the_clock_shows_twice_or_never_is_not_offered(wall, minutes, is_offered):
    assert (words.slot({**SLOT, **told(wall, minutes)}, ZONE, None) is not None) is is_offered


def test_an_appointment_over_a_clock_change_lasts_as_long_as_is_said():
    read = words.appointment({**BOOKED, **told(datetime(2027, 3, 14, 1, 45), 30)}, ZONE, None)
    assert (read.end.hour, read.end.minute) == (3, 15)
    assert read.span.length == timedelta(minutes=30)


async def test_nothing_is_written_into_the_repeated_hour(emr: Emr):
    before = words.appointment(BOOKED, ZONE, None)
    start = datetime(2027, 11, 7, 5, 30, tzinfo=UTC)
    span = Span(start, start + timedelta(hours=2))
    for step in (
        emr.change(Change(chain="x", before=before, span=span, new_id=True)),
        emr.create(Create(chain="x", span=span, patient_id="7968", resource_id="528")),
    ):
        with pytest.raises(Refused) as no:
            await step
        assert no.value.reason == "invalid"


# -- settings ---------------------------------------------------------------------------------------------------------

TOLD = {"practice_id": "195900", "client_id": "an-app", "client_secret": "invented", "zone": "America/New_York"}


@pytest.mark.parametrize(
    "wrong",
    [{"practice_id": "../1"}, {"practice_id": ""}, {"zone": "EST5EDT9"}, {"confirmed_id": "yes"}, {"calls_per_day": 0}],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError) as no:
        Settings.model_validate({**TOLD, **wrong})
    assert "invented" not in str(no.value)


def test_an_account_is_called_as_often_as_its_contract_allows(practice):
    can = practice.opened(calls_per_second=4, calls_per_day=5000).capabilities
    assert (can.min_interval_s, can.quota, can.quota_window_s) == (0.25, 5000, 86_400)
    assert practice.opened().capabilities.quota is None
    assert practice.opened().capabilities.local_zone == "America/New_York"
    assert "invented" not in repr(Settings.model_validate(TOLD))
