"""What a step is to bring about, as an appointment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.domain.model import Appointment, Span, Status
from gateway.domain.steps import Change, Create

NINE, TEN, ELEVEN = (datetime(2027, 3, 2, hour, tzinfo=UTC) for hour in (9, 10, 11))
BEFORE = Appointment("a", NINE, TEN, Status.BOOKED, "p", "r", "s", "u", "was", True, "7", ("x",), native={"n": 1})


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ({}, {}),
        ({"span": Span(TEN, ELEVEN)}, {"start": TEN, "end": ELEVEN}),
        ({"resource_id": "q"}, {"resource_id": "q"}),
        ({"comment": "new"}, {"comment": "new"}),
        ({"comment": ""}, {"comment": None}),
    ],
)
def test_a_change_leaves_what_it_does_not_name(said, changed):
    after = Change(chain="a", before=BEFORE, **said).after
    assert after == replace(BEFORE, **changed)
    assert after.native == BEFORE.native


@pytest.mark.parametrize(("comment", "kept"), [(None, None), ("", None), ("new", "new")])
def test_a_booking_has_what_it_names(comment, kept):
    step = Create(
        chain="new/0",
        span=Span(NINE, TEN),
        patient_id="p",
        resource_id="r",
        healthcare_service_id="s",
        care_unit_id="u",
        comment=comment,
    )
    assert step.after == Appointment("", NINE, TEN, Status.BOOKED, "p", "r", "s", "u", kept)
