"""When a write stands: what it wrote is there, as far as the EMR can tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.compare import deviations, proven, same_text
from gateway.domain.model import Status
from gateway.domain.steps import Confirm, Receipt
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


OTHER = replace(ONE, comment="other", version="2")
"""As it is found: not as was asked for."""


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (Receipt(), None),
        (Receipt(id="a"), None),
        (Receipt(version="1"), None),
        (Receipt(version="2"), OTHER),
        (Receipt(appointment=OTHER), OTHER),
        (Receipt(appointment=replace(ONE, version="2")), OTHER),
        (Receipt(appointment=replace(ONE, version="1")), replace(ONE, version="1")),
        (Receipt(appointment=replace(OTHER, version=None)), replace(OTHER, version=None)),
        (Receipt(appointment=replace(ONE, version=None)), None),
        (Receipt(appointment=replace(OTHER, id="b", version="1")), None),
    ],
)
def test_only_what_the_answer_shows_or_names_is_known_to_be_ours(told, left):
    assert proven(told, OTHER, CAN) == left


def test_without_any_version_only_what_is_shown_just_so_is_ours():
    found = replace(OTHER, version=None)
    assert proven(Receipt(), found, CAN) is None
    assert proven(Receipt(version=None), found, CAN) is None
    assert proven(Receipt(appointment=replace(OTHER, version="2")), found, CAN) == replace(OTHER, version="2")


@pytest.mark.parametrize(
    ("shown", "is_same"),
    [("two lines", True), (" two  lines ", True), ("two\nlines", True), ("twolines", False), ("two lines more", False)],
)
def test_where_lines_are_joined_the_words_are_the_text(shown, is_same):
    can = replace(CAN, joins_lines=True)
    assert same_text("two\r\nlines", shown, can) is is_same
    assert not same_text("two\r\nlines", "two lines", CAN)
