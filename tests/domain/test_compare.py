"""When a write stands: what it wrote is there, as far as the EMR can tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.compare import deviations
from gateway.domain.model import Status
from gateway.domain.steps import Confirm
from tests.model import CAN, booked

ONE = booked("a", 0, 30)


@pytest.mark.parametrize(
    ("now", "stands"),
    [
        (replace(ONE, confirmed=True), True),
        (replace(ONE, confirmed=None), True),
        (replace(ONE, confirmed=False), False),
        (replace(ONE, status=Status.AWAITING, confirmed=True), False),
        (replace(ONE, status=Status.CANCELLED), False),
    ],
)
def test_a_confirmation_stands_once_it_is_booked_and_not_said_to_be_unconfirmed(now, stands):
    """Some EMRs book first, and ask the patient afterwards."""
    step = Confirm(chain="a", before=replace(ONE, confirmed=False))
    assert (deviations(step, now, CAN) == ()) is stands


@pytest.mark.parametrize(("status", "stands"), [(Status.CANCELLED, True), (Status.AWAITING, False)])
def test_a_confirmed_cancellation_is_cancelled(status, stands):
    asked = replace(ONE, id="r", status=Status.AWAITING, confirms="a")
    assert (deviations(Confirm(chain="r", before=asked), replace(asked, status=status), CAN) == ()) is stands
