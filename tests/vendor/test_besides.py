"""What is taken besides a resource."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.plugin import Appointment, Besides, Change, FindFreeTime, Refused, Slot, Status

ROOM = Besides("room")
NINE, HOUR = datetime(2027, 3, 2, 9, tzinfo=UTC), timedelta(hours=1)
THERE = Appointment("7", NINE, NINE + HOUR, Status.BOOKED, native={"room": 4})
NOWHERE = replace(THERE, native={})


def slot(room: str | None, hours: int = 0) -> Slot:
    start = NINE + hours * HOUR
    return Slot(start, start + HOUR, "1", native={} if room is None else {"room": room})


def test_two_are_in_the_same_room_if_both_tell_it():
    assert ROOM.both(THERE, replace(THERE, id="8", native={"room": "4"}))
    assert not ROOM.both(THERE, replace(THERE, native={"room": "5"}))
    assert not ROOM.both(NOWHERE, NOWHERE)


def test_an_appointment_is_in_one_room():
    assert ROOM.of_all((slot("5"), slot("5", 1)), THERE) == "5"
    assert ROOM.of_all((slot("4"), slot(None, 1)), THERE) == "4"
    assert (ROOM.of_all((), THERE), ROOM.of_all(())) == ("4", None)
    for taken in ((slot("5"), slot("6", 1)), (slot("5"), slot(None, 1))):
        with pytest.raises(Refused) as no:
            ROOM.of_all(taken, THERE)
        assert no.value.reason == "taken"


@pytest.mark.parametrize(
    ("before", "slots", "restores", "said"),
    [
        (THERE, (), None, None),
        (THERE, (slot("4", 1),), None, None),
        (THERE, (slot("5", 1),), None, "5"),
        (THERE, (slot(None, 1),), None, None),
        (NOWHERE, (slot("5", 1),), None, "5"),
        (THERE, (slot("4", 1),), replace(THERE, native={"room": "6"}), "6"),
        (THERE, (), NOWHERE, None),
    ],
)
def test_a_change_names_a_room_only_where_it_is_another_and_an_undo_the_one_before(before, slots, restores, said):
    assert ROOM.changed(Change(chain="x", before=before, slots=slots, restores=restores)) == said


def test_of_several_rooms_its_own_is_offered_and_else_the_first():
    shown = [slot("3", 1), *(slot(room) for room in ("3", "4", "5"))]
    wanted = FindFreeTime(THERE.span, "1")
    assert [ROOM.of(one) for one in ROOM.best(shown, wanted)] == ["3", "3"]
    assert ROOM.best(shown, wanted) == [shown[1], shown[0]]
    assert [ROOM.of(one) for one in ROOM.best(shown, replace(wanted, ignoring=(THERE,)))] == ["4", "3"]
    assert [ROOM.of(one) for one in ROOM.best(shown, replace(wanted, ignoring=(NOWHERE,)))] == ["3", "3"]
