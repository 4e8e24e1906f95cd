"""Exactly what is written to Open Dental, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.plugin import (
    Cancel,
    Change,
    Confirm,
    Create,
    MaybeDone,
    Receipt,
    Refused,
    Span,
)
from tests.plugins.opendental.asking import NINE, ONE, at, body, booked, opened
from tests.plugins.opendental.samples import BOOKED, HYGIENE, PROSE, URL

# -- writes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"span": Span(at(13), at(13, 30))}, {"AptDateTime": "2027-03-02 13:00:00"}),
        (
            {"span": Span(at(9), at(9, 45))},
            {"AptDateTime": "2027-03-02 09:00:00", "Pattern": "//XXXXX//", "PatternSecondary": "/////////"},
        ),
        (
            {"span": Span(at(9), at(9, 20))},
            {"AptDateTime": "2027-03-02 09:00:00", "Pattern": "////", "PatternSecondary": "////"},
        ),
        ({"resource_id": "4-13"}, {"Op": 4, "ProvNum": 13}),
        ({"comment": "new"}, {"Note": "new"}),
        ({"comment": ""}, {"Note": ""}),
        ({"resource_id": "4-13", "comment": "å"}, {"Op": 4, "ProvNum": 13, "Note": "å"}),
    ],
)
async def test_a_change_says_what_changes(vendor, emr, fields, said):
    vendor.put(ONE).respond(json={**BOOKED, "DateTStamp": "0001-01-01 00:00:00"})
    assert await emr.change(Change(chain="x", before=booked(), **fields)) == Receipt(id="1001")
    assert body(vendor) == said


async def test_a_change_of_a_version_that_knows_no_second_pattern_says_none(vendor, emr):
    row = {name: value for name, value in BOOKED.items() if name != "PatternSecondary"}
    vendor.put(ONE).respond(200)
    await emr.change(Change(chain="x", before=booked(row), span=Span(at(9), at(9, 45))))
    assert body(vendor) == {"AptDateTime": "2027-03-02 09:00:00", "Pattern": "//XXXXX//"}


async def test_a_step_back_says_the_very_pattern_that_was_there(vendor, emr):
    vendor.put(ONE).respond(200)
    short = booked({**BOOKED, "Pattern": "////", "PatternSecondary": "////"})
    await emr.change(Change(chain="x", before=short, span=NINE, restores=booked()))
    assert body(vendor) == {
        "AptDateTime": "2027-03-02 09:00:00", "Pattern": "//XX//", "PatternSecondary": "//////",
    }  # fmt: skip


async def test_what_is_the_hygienists_stays_a_hygienists(vendor, emr):
    vendor.put(ONE).respond(200)
    await emr.change(Change(chain="x", before=booked(HYGIENE), resource_id="4-14"))
    assert body(vendor) == {"Op": 4, "ProvHyg": 14}
    vendor.post(f"{URL}/appointments").respond(201, json=HYGIENE)
    await emr.create(Create(chain="x", span=NINE, patient_id="41", resource_id="3-12", like=booked(HYGIENE)))
    assert body(vendor) == {
        "PatNum": 41, "ProvNum": 11, "IsHygiene": "true", "Op": 3, "ProvHyg": 12,
        "AptDateTime": "2027-03-02 09:00:00", "Pattern": "//XX//",
    }  # fmt: skip


async def test_an_answer_about_another_one_is_not_believed(vendor, emr):
    vendor.put(ONE).respond(json={**BOOKED, "AptNum": 1002})
    with pytest.raises(MaybeDone):
        await emr.change(Change(chain="x", before=booked(), comment="new"))


async def test_a_booking_says_all_of_it(vendor, emr):
    vendor.post(f"{URL}/appointments").respond(201, json=BOOKED)
    step = Create(chain="x", span=NINE, patient_id="41", resource_id="3-11", healthcare_service_id="31",
                  care_unit_id="21", comment="bring the form")  # fmt: skip
    assert await emr.create(step) == Receipt(id="1001")
    assert body(vendor) == {
        "PatNum": 41,
        "Op": 3,
        "ProvNum": 11,
        "AptDateTime": "2027-03-02 09:00:00",
        "Pattern": "XXXXXX",
        "ClinicNum": 21,
        "AppointmentTypeNum": 31,
        "Note": "bring the form",
    }


async def test_what_can_be_no_id_and_what_is_too_long_is_not_sent(emr):
    step = Create(chain="x", span=NINE, patient_id="41", resource_id="3-11")
    long = Span(at(8), at(17, 5))
    for one in (replace(step, patient_id="x"), replace(step, resource_id="3"), replace(step, span=long)):
        with pytest.raises(Refused) as no:
            await emr.create(one)
        assert no.value.reason == "invalid"
    with pytest.raises(Refused):
        await emr.change(Change(chain="x", before=booked(), span=long))


@pytest.mark.parametrize(
    ("reason", "more", "said"),
    [
        (None, {}, {"sendToUnscheduledList": "true"}),
        ("Cancelled", {"unscheduled_list": False}, {"sendToUnscheduledList": "false", "breakType": "Cancelled"}),
    ],
)
async def test_a_cancellation_is_a_break(vendor, reason, more, said):
    vendor.put(f"{ONE}/Break").respond(200)
    assert await opened(vendor, reason, **more).cancel(Cancel(chain="x", before=booked())) == Receipt(id="1001")
    assert body(vendor) == said


async def test_a_confirmation_sets_the_first_of_the_definitions(vendor, emr):
    vendor.put(f"{ONE}/Confirm").respond(200)
    assert await emr.confirm(Confirm(chain="x", before=booked())) == Receipt(id="1001")
    assert body(vendor) == {"defNum": 21}


async def test_without_definitions_nothing_can_be_confirmed(vendor):
    emr = opened(vendor, confirmed=[])
    assert (emr.capabilities.confirm, emr.capabilities.confirmed_flag) == ("none", False)
    with pytest.raises(Refused) as no:
        await emr.confirm(Confirm(chain="x", before=booked()))
    assert no.value.reason == "unsupported"


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "reason"), [(404, "not_found"), (401, "credentials"), (410, "unsupported")])
async def test_what_refusals_mean(vendor, emr, status, reason):
    vendor.put(ONE).respond(status, text=PROSE)
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="x", before=booked(), comment="new"))
    assert no.value.reason == reason
    assert "prose" not in str(no.value)


@pytest.mark.parametrize("status", [400, 504])
async def test_an_office_that_may_not_have_been_reached_in_time_leaves_it_unknown(vendor, emr, status):
    """It explains by one and the same status what it did not accept, and what it got no answer to."""
    vendor.put(ONE).respond(status, text=PROSE)
    with pytest.raises(MaybeDone) as unknown:
        await emr.change(Change(chain="x", before=booked(), comment="new"))
    assert "prose" not in str(unknown.value)


@pytest.mark.parametrize(("status", "is_done"), [("Broken", True), ("UnschedList", True), ("Scheduled", False)])
async def test_a_cancellation_that_is_explained_stands_if_it_is_cancelled(vendor, emr, status, is_done):
    vendor.put(f"{ONE}/Break").respond(400, text=PROSE)
    vendor.get(ONE).respond(json={**BOOKED, "AptStatus": status})
    step = Cancel(chain="x", before=booked())
    if is_done:
        assert await emr.cancel(step) == Receipt(id="1001")
    else:
        with pytest.raises(MaybeDone):
            await emr.cancel(step)


async def test_a_cancellation_stays_unknown_where_it_can_not_be_read(vendor, emr):
    vendor.put(f"{ONE}/Break").respond(400, text=PROSE)
    vendor.get(ONE).respond(401)
    with pytest.raises(MaybeDone):
        await emr.cancel(Cancel(chain="x", before=booked()))


# -- pace -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "interval_s"),
    [(URL, 1.0), ("https://API.opendental.com./api/v1", 1.0), ("http://10.0.0.7:30223/api/v1", 0.0)],
)
def test_the_vendors_own_servers_are_asked_once_a_second(vendor, base_url, interval_s):
    can = opened(vendor, base_url=base_url).capabilities
    assert (can.min_interval_s, can.concurrency, can.local_zone) == (interval_s, 1, "America/New_York")
