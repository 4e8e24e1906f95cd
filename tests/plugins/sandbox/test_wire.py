"""The sandbox EMR's words into ours and ours into its: pure functions on samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plugins.sandbox as wire
from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Create,
    FindFreeTime,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    Span,
    Status,
    repeated,
    wall,
)
from plugins.sandbox.emr import words

STOCKHOLM = ZoneInfo("Europe/Stockholm")
BOOKING = {
    "ref": "B1",
    "rev": "7",
    "begins": "2026-07-01T09:30",
    "ends": "2026-07-01T10:00",
    "who": "P1",
    "with": "D1",
    "kind": "K1",
    "place": "U1",
    "memo": "hello",
    "stage": "PLANNED",
    "agreed": None,
    "annul_asks_code": False,
    "moved_to": None,
    "slots": [],
}
SPAN = Span(datetime(2026, 7, 1, 8, 0, tzinfo=UTC), datetime(2026, 7, 1, 9, 0, tzinfo=UTC))
BEFORE = Appointment(id="B1", start=SPAN.start, end=SPAN.end, status=Status.BOOKED, version="7")


def test_a_booking_in_our_words():
    assert wire.appointment(BOOKING) == Appointment(
        id="B1",
        start=datetime(2026, 7, 1, 9, 30, tzinfo=STOCKHOLM),
        end=datetime(2026, 7, 1, 10, 0, tzinfo=STOCKHOLM),
        status=Status.BOOKED,
        patient_id="P1",
        resource_id="D1",
        healthcare_service_id="K1",
        care_unit_id="U1",
        comment="hello",
        confirmed=None,
        version="7",
    )
    assert wire.appointment(BOOKING).start.isoformat() == "2026-07-01T09:30:00+02:00"


@pytest.mark.parametrize(
    ("stage", "status"),
    [
        (words.PLANNED, Status.BOOKED),
        (words.UNCONFIRMED, Status.AWAITING),
        (words.AWAITING_CODE, Status.AWAITING),
        (words.DONE, Status.COMPLETED),
        (words.ANNULLED, Status.CANCELLED),
        (words.MOVED, Status.CANCELLED),
        (words.ABSENT, Status.NO_SHOW),
        (words.ARRIVED, Status.OTHER),
        ("planned", Status.OTHER),
        ("", Status.OTHER),
    ],
)
def test_a_stage_is_a_status_and_an_unknown_one_is_other(stage, status):
    assert wire.appointment(BOOKING | {"stage": stage}).status is status


def test_a_request_names_the_booking_that_it_is_about():
    request = wire.appointment(BOOKING | {"ref": "R2", "about": "B1", "stage": "AWAITING_CODE"})
    assert (request.id, request.confirms, request.status) == ("R2", "B1", Status.AWAITING)


def test_what_is_particular_to_a_booking():
    seen = wire.appointment(
        BOOKING | {"memo": "", "agreed": True, "annul_asks_code": True, "moved_to": "B9", "slots": ["S1", "S2"]}
    )
    assert (seen.comment, seen.confirmed, seen.code_to_cancel, seen.slot_ids) == (None, True, True, ("S1", "S2"))
    assert seen.native == {"moved_to": "B9"}
    assert wire.appointment(BOOKING).native == {}


@pytest.mark.parametrize("missing", sorted(BOOKING))
def test_a_booking_that_lacks_something_makes_no_sense(missing):
    with pytest.raises(LookupError):
        wire.appointment({name: value for name, value in BOOKING.items() if name != missing})


def test_what_an_answer_to_a_write_proves():
    assert wire.receipt(httpx.Response(204)) == Receipt()
    assert wire.receipt(httpx.Response(202, json={"ticket": "accepted"})) == Receipt()
    assert wire.receipt(httpx.Response(200, json=BOOKING)) == Receipt(appointment=wire.appointment(BOOKING))


def test_an_entry_of_a_register():
    entry = wire.entry({"ref": "D1", "title": "Dr. Sand", "site": "U1"})
    assert (entry.id, entry.name, entry.care_unit_id) == ("D1", "Dr. Sand", "U1")


# -- free time ------------------------------------------------------------------------------------


def _offer(begins: str, ends: str | None = None, **more: str) -> dict[str, str]:
    ends_at = {} if ends is None else {"ends": f"2026-07-01T{ends}"}
    return {"begins": f"2026-07-01T{begins}", "with": "D1", "place": "U1"} | ends_at | more


def _times(slots) -> list[tuple[str, str]]:
    return [(f"{s.start:%H:%M}", f"{s.end:%H:%M}") for s in slots]


WANTED = FindFreeTime(SPAN, "D1", "K1")
"""10:00 to 11:00 in Stockholm."""


def test_slots_that_lie_within_the_span():
    found = [
        _offer("09:30", "10:00"),
        _offer("09:45", "10:15"),
        _offer("10:00", "10:30", ref="S", rev="3", state="free"),
    ]
    free = wire.free_time({"slots": found}, WANTED)
    assert (free.shape, _times(free.slots)) == ("slots", [("10:00", "10:30")])
    (slot,) = free.slots
    assert (slot.id, slot.version, slot.healthcare_service_id, slot.care_unit_id) == ("S", "3", "K1", "U1")


def test_windows_as_far_as_they_lie_within_the_span():
    found = [_offer("08:00", "10:00"), _offer("09:00", "10:15"), _offer("10:45", "16:00")]
    free = wire.free_time({"windows": found}, WANTED)
    assert (free.shape, _times(free.slots)) == ("windows", [("10:00", "10:15"), ("10:45", "11:00")])
    assert {s.start.tzinfo for s in free.slots} == {STOCKHOLM}


def test_starts_are_as_long_as_the_service_and_end_within_the_span():
    starts = [_offer("10:00"), _offer("10:30")]
    kinds = [{"ref": "K1", "title": "Visit", "minutes": 45}, {"ref": "K2", "title": "Call", "minutes": 20}]
    assert _times(wire.from_starts(starts, kinds, WANTED).slots) == [("10:00", "10:45")]
    any_service = FindFreeTime(SPAN, "D1")
    assert _times(wire.from_starts(starts, kinds, any_service).slots) == [("10:00", "10:20"), ("10:30", "10:50")]
    assert wire.from_starts(starts, kinds, FindFreeTime(SPAN, "D1", "K9")).slots == ()


# -- ours into theirs ------------------------------------------------------------------------------------


def test_a_new_booking_in_their_words():
    step = Create(
        chain="new/0",
        span=SPAN,
        patient_id="P1",
        resource_id="D1",
        healthcare_service_id="K1",
        comment="hi",
        marker="m",
    )
    assert wire.new_booking(step) == {
        "who": "P1",
        "with": "D1",
        "kind": "K1",
        "memo": "hi",
        "mark": "m",
        "begins": "2026-07-01T10:00",
        "ends": "2026-07-01T11:00",
    }


def test_what_is_not_given_is_not_said():
    assert wire.changed(Change(chain="x", before=BEFORE, comment="")) == {"memo": "", "if_rev": "7"}
    assert wire.changed(Change(chain="x", before=BEFORE, resource_id="D2")) == {"with": "D2", "if_rev": "7"}
    plain = (Slot(SPAN.start, SPAN.end, "D1"),)
    assert wire.changed(Change(chain="x", before=BEFORE, span=SPAN, slots=plain)) == {
        "begins": "2026-07-01T10:00",
        "ends": "2026-07-01T11:00",
        "if_rev": "7",
    }
    records = (Slot(SPAN.start, SPAN.end, "D1", id="S1"),)
    assert wire.changed(Change(chain="x", before=BEFORE, resource_id="D1", slots=records))["slots"] == ["S1"]
    assert wire.over(Cancel(chain="x", before=BEFORE), {"memo": None}) == {"if_rev": "7"}


def test_questions_in_their_words():
    assert wire.question(ReadCalendar(SPAN, resource_id="D1", patient_id="P1", care_unit_id="U1")) == {
        "from": "2026-07-01T10:00",
        "until": "2026-07-01T11:00",
        "with": "D1",
        "site": "U1",
        "who": "P1",
    }
    assert wire.question(FindFreeTime(SPAN, "D1", "K1", ignoring=(BEFORE,))) == {
        "from": "2026-07-01T10:00",
        "until": "2026-07-01T11:00",
        "with": "D1",
        "kind": "K1",
        "ignoring": ["B1"],
    }


REPEATED = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("instant", REPEATED)
def test_the_repeated_hour_is_never_written(instant):
    for span in (Span(instant, instant + timedelta(hours=3)), Span(instant - timedelta(hours=3), instant)):
        with pytest.raises(Refused) as refused:
            wire.changed(Change(chain="x", before=BEFORE, span=span))
        assert refused.value.reason == "invalid"


@pytest.mark.parametrize("instant", REPEATED)
def test_a_question_up_to_the_repeated_hour_reaches_beyond_it(instant):
    asked = wire.question(ReadCalendar(Span(instant - timedelta(days=1), instant)))
    assert asked["until"] == "2026-10-25T03:30"


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@given(MOMENTS)
def test_a_time_comes_back_as_the_instant_that_was_said(instant):
    span = Span(instant, instant + timedelta(minutes=30))
    if repeated(span.start, STOCKHOLM) or repeated(span.end, STOCKHOLM):
        return
    said = wire.changed(Change(chain="x", before=BEFORE, span=span))
    back = Span(*(wall(words.wall(said[name]), STOCKHOLM) for name in ("begins", "ends")))
    assert back.same(span)
    assert words.wall(said["begins"]) == said["begins"]


@given(MOMENTS, MOMENTS)
def test_their_texts_sort_as_times_do(one, other):
    first, second = (words.shortest(t.replace(tzinfo=None)) for t in (one, other))
    assert (first < second) == (one < other)


# -- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("TIME_TAKEN", "taken"),
        ("NOT_OFFERED", "taken"),
        ("STALE", "stale"),
        ("UNKNOWN_REF", "not_found"),
        ("WRONG_CODE", "wrong_code"),
        ("EXPIRED_CODE", "expired_code"),
        ("WRONG_STAGE", "state"),
        ("ALREADY", "state"),
        ("BAD_VALUE", "invalid"),
        ("NOT_POSSIBLE", "unsupported"),
        ("RULE_REFUSED", "rule"),
        ("RULE_NOT_YOURS", "rule"),
    ],
)
def test_a_fault_says_why(word, reason):
    error = wire.problem(httpx.Response(409, json={"fault": word}))
    assert isinstance(error, Refused)
    assert (error.reason, error.emr_code) == (reason, word)


@pytest.mark.parametrize("word", ["BROKEN", "TOO_SLOW", "BUSY", "BAD_KEY", "Rule broken by Test Testsson", ""])
def test_what_a_status_says_by_itself_is_left_to_it(word):
    assert wire.problem(httpx.Response(500, json={"fault": word})) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"fault": null}'])
def test_an_error_page_is_left_to_its_status(body):
    with pytest.raises((ValueError, LookupError, TypeError)):
        wire.problem(httpx.Response(502, content=body))
