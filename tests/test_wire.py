import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.capabilities import Capabilities, Support
from gateway.domain.commands import Book, Cancel, Confirm, Reschedule, Update
from gateway.domain.errors import BadRequest, Busy, EmrFailed, Problem, Unauthorized
from gateway.domain.model import Kind, Span, Status
from gateway.domain.outcome import Outcome, Shown
from gateway.ledger import Answer, State, StepRow, StepState
from gateway.wire import (
    abilities,
    booking,
    fingerprint,
    patch_many,
    patch_one,
    render_command,
    render_error,
    render_outcome,
    typed_id,
)
from gateway.wire.values import Unreadable, instant, opaque_id, sendable
from tests.stub_gateway import appointment, command_row

NINE, TEN = "2031-03-03T09:00:00+01:00", "2031-03-03T10:00:00+01:00"
HOUR = Span(datetime(2031, 3, 3, 8, tzinfo=UTC), datetime(2031, 3, 3, 9, tzinfo=UTC))
CANARY = "Kanarie-Fågelsson"


def body(**fields) -> bytes:
    return json.dumps(fields).encode()


def refusal(read, *arguments) -> list[tuple[str, str | None]]:
    """(error_code, path) of every entry of a BadRequest's errors[]."""
    with pytest.raises(BadRequest) as caught:
        read(*arguments)
    return [(problem.error_code, problem.path) for problem in caught.value.problems]


# -- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2031-03-03T09:00:00+01:00", datetime(2031, 3, 3, 8, tzinfo=UTC)),
        ("2031-03-03T09:00:00Z", datetime(2031, 3, 3, 9, tzinfo=UTC)),
        ("2031-03-03t09:00:00z", datetime(2031, 3, 3, 9, tzinfo=UTC)),
        ("2031-03-03T09:00:00-00:00", datetime(2031, 3, 3, 9, tzinfo=UTC)),
        ("2031-03-03T09:00:00.5-03:30", datetime(2031, 3, 3, 12, 30, 0, 500_000, tzinfo=UTC)),
        ("2031-03-03T09:00:00.123456789Z", datetime(2031, 3, 3, 9, 0, 0, 123_456, tzinfo=UTC)),
        ("1970-01-01T00:00:00+14:00", datetime(1969, 12, 31, 10, tzinfo=UTC)),
        ("2200-12-31T23:59:59-12:00", datetime(2201, 1, 1, 11, 59, 59, tzinfo=UTC)),
        ("2032-02-29T00:00:00Z", datetime(2032, 2, 29, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_as_rfc_3339_says(text, expected):
    assert instant(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2031-03-03",
        "2031-03-03T09:00:00",
        "2031-03-03 09:00:00Z",
        "2031-03-03T09:00Z",
        "2031-03-03T09:00:60Z",
        "2031-03-03T24:00:00Z",
        "2031-02-29T09:00:00Z",
        "2031-13-01T09:00:00Z",
        "1969-12-31T23:59:59Z",
        "2201-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2031-03-03T09:00:00+24:00",
        "2031-03-03T09:00:00+01:60",
        "2031-03-03T09:00:00+0100",
        "2031-03-03T09:00:00.Z",
        "2031-03-03T09:00:00Z\n",
        "٢٠٣١-03-03T09:00:00Z",
        "20310303T090000Z",
        "1925000000",
    ],
)
def test_what_is_not_an_instant_is_unreadable(text):
    with pytest.raises(Unreadable):
        instant(text)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 12, 30)), st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_any_instant_is_read_back_from_its_iso_form(wall, minutes):
    aware = wall.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert instant(aware.isoformat()) == aware


def test_only_the_five_types_are_prefixes_of_an_id():
    assert typed_id("hsa_id:SE-1") == ("hsa_id", "SE-1")
    assert typed_id("emr_id:X") == typed_id("X") == ("emr_id", "X")
    assert typed_id("urn:uuid:1") == ("emr_id", "urn:uuid:1")
    assert typed_id("HSA_ID:1") == ("emr_id", "HSA_ID:1")
    assert typed_id("emr_id") == ("emr_id", "emr_id")


def test_emr_id_is_the_bare_id_and_the_other_types_stay():
    assert opaque_id("emr_id:X") == "X"
    assert opaque_id("nhs_number:999") == "nhs_number:999"
    assert opaque_id(" å/ü:\U0001f600 ") == " å/ü:\U0001f600 "
    # An EMR's own id that looks typed can still be said, and stays apart from the typed one.
    assert opaque_id("emr_id:hsa_id:1") == "emr_id:hsa_id:1"
    assert typed_id("emr_id:hsa_id:1") == ("emr_id", "hsa_id:1")


@pytest.mark.parametrize("text", ["", "emr_id:", "hsa_id:", "a\nb", "a\x00", "\x7f", "\x85", "x" * 513])
def test_an_id_has_1_to_512_characters_and_no_control_characters(text):
    with pytest.raises(Unreadable):
        opaque_id(text)


@given(st.text())
def test_the_meaning_of_an_id_is_stable(text):
    try:
        meant = opaque_id(text)
    except Unreadable:
        return
    assert opaque_id(meant) == meant
    assert typed_id(meant) == typed_id(text)


def test_half_characters_never_break_an_answer():
    assert sendable("a\ud800b") == "a?b"
    assert sendable("åäö\U0001f600") == "åäö\U0001f600"


# -- PATCH one ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "intent"),
    [
        ({"start": NINE, "end": TEN}, Update(("a",), HOUR)),
        ({"resource_id": "emr_id:r"}, Update(("a",), None, "r")),
        ({"comment": ""}, Update(("a",), None, None, "")),
        ({"comment": "two\nlines\t"}, Update(("a",), None, None, "two\nlines\t")),
        ({"start": NINE, "end": TEN, "resource_id": "r", "comment": "c"}, Update(("a",), HOUR, "r", "c")),
        ({"start": None, "end": None, "confirmation": None, "comment": "c"}, Update(("a",), comment="c")),
        ({"status": "cancelled"}, Cancel(("a",))),
        ({"status": "cancelled", "comment": "why", "start": None}, Cancel(("a",), "why")),
        ({"confirmation": {"code": "123456"}}, Confirm("a", "123456")),
        ({"confirmation": {}}, Confirm("a")),
        ({"confirmation": {"code": None}, "comment": None}, Confirm("a")),
    ],
)
def test_the_body_of_a_single_patch_decides_its_intent(fields, intent):
    assert patch_one(body(**fields), "a") == intent


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [("MISSING_REQUIRED_FIELD", "body")]),
        ({"comment": None}, [("MISSING_REQUIRED_FIELD", "body")]),
        ({"start": NINE}, [("MISSING_REQUIRED_FIELD", "body/end")]),
        ({"end": NINE, "start": None}, [("MISSING_REQUIRED_FIELD", "body/start")]),
        ({"start": TEN, "end": NINE}, [("BAD_INPUT", "body/end")]),
        ({"start": NINE, "end": NINE}, [("BAD_INPUT", "body/end")]),
        ({"start": NINE, "end": "2031-03-03T08:00:00Z"}, [("BAD_INPUT", "body/end")]),
        ({"start": NINE, "end": "2031-08-03T08:00:00Z"}, [("BAD_INPUT", "body/end")]),
        ({"start": "2031-03-03T09:00:00", "end": TEN}, [("BAD_INPUT", "body/start")]),
        ({"start": 1925000000, "end": TEN}, [("BAD_INPUT", "body/start")]),
        ({"start": [], "end": {}}, [("BAD_INPUT", "body/start"), ("BAD_INPUT", "body/end")]),
        ({"status": "booked"}, [("BAD_INPUT", "body/status")]),
        ({"status": "Cancelled"}, [("BAD_INPUT", "body/status")]),
        ({"status": 1}, [("BAD_INPUT", "body/status")]),
        ({"status": "cancelled", "start": NINE, "end": TEN}, [("BAD_INPUT", "body/start"), ("BAD_INPUT", "body/end")]),
        ({"status": "cancelled", "resource_id": "r"}, [("BAD_INPUT", "body/resource_id")]),
        ({"confirmation": {}, "comment": "c"}, [("BAD_INPUT", "body/comment")]),
        ({"confirmation": {}, "status": "cancelled"}, [("BAD_INPUT", "body/status")]),
        ({"confirmation": "123456"}, [("BAD_INPUT", "body/confirmation")]),
        ({"confirmation": {"code": 123456}}, [("BAD_INPUT", "body/confirmation/code")]),
        ({"confirmation": {"code": " "}}, [("INVALID_CONFIRMATION_CODE", "body/confirmation/code")]),
        ({"confirmation": {"code": "1" * 65}}, [("INVALID_CONFIRMATION_CODE", "body/confirmation/code")]),
        ({"confirmation": {"code": "1", CANARY: 1}}, [("BAD_INPUT", "body/confirmation/field[1]")]),
        ({"resource_id": ""}, [("INVALID_RESOURCE_ID", "body/resource_id")]),
        ({"resource_id": 7}, [("BAD_INPUT", "body/resource_id")]),
        ({"resource_id": "a\u0000"}, [("INVALID_RESOURCE_ID", "body/resource_id")]),
        ({"comment": 7}, [("BAD_INPUT", "body/comment")]),
        ({"comment": True}, [("BAD_INPUT", "body/comment")]),
        ({"comment": "a\u0000b"}, [("BAD_INPUT", "body/comment")]),
        ({"comment": "c", CANARY: "x", "more": None}, [("BAD_INPUT", "body/field[1]"), ("BAD_INPUT", "body/field[2]")]),
        ({"ids": ["a"], "comment": "c"}, [("BAD_INPUT", "body/ids")]),
        ({"patient_id": "p"}, [("BAD_INPUT", "body/patient_id")]),
    ],
)
def test_a_single_patch_is_refused_with_the_place_of_each_fault(fields, expected):
    assert refusal(patch_one, body(**fields), "a") == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  \n",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b'{"comment": "a", "comment": "a"}',
        b'{"confirmation": {"code": "1", "code": "1"}}',
        b'{"comment": NaN}',
        b'{"comment": -Infinity}',
        b'{"comment": "\\ud800"}',
        b'{"comment": "\\udc00\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"comment": "\xff"}',
        b'{"comment": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"comment": "a"}',
        '{"comment": "a"}'.encode("utf-16"),
        b'{"comment": "a\nb"}',
        b'{"comment": ' + b"9" * 6000 + b"}",
        b'{"a":' * 100_000,
        b"[" * 500_000,
        b'{"comment": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"comment": "a"} {}',
        b"start=1&end=2",
    ],
)
def test_what_is_not_one_json_object_is_refused(raw):
    assert refusal(patch_one, raw, "a") in ([("BAD_INPUT", "body")], [("BAD_INPUT", "body/comment")])


def test_escaped_pairs_of_surrogates_are_characters():
    assert patch_one(b'{"comment": "\\ud83d\\ude00"}', "a") == Update(("a",), comment="\U0001f600")


def test_a_body_full_of_faults_names_a_hundred_of_them():
    fields = {f"x{n}": 1 for n in range(5000)}
    assert len(refusal(patch_one, body(**fields), "a")) == 100


# -- PATCH many -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "intent"),
    [
        ({"status": "cancelled"}, Cancel(("a", "b"))),
        ({"status": "cancelled", "comment": "c"}, Cancel(("a", "b"), "c")),
        ({"resource_id": "r"}, Update(("a", "b"), None, "r")),
        ({"comment": "", "start": None}, Update(("a", "b"), None, None, "")),
        ({"start": NINE, "end": TEN}, Reschedule(("a", "b"), HOUR)),
        ({"start": NINE, "end": TEN, "resource_id": "r", "comment": "c"}, Reschedule(("a", "b"), HOUR, "r", "c")),
    ],
)
def test_the_body_of_a_bulk_patch_decides_its_intent(fields, intent):
    assert patch_many(body(ids=["a", "emr_id:b"], **fields), 100) == intent


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"comment": "c"}, [("MISSING_REQUIRED_FIELD", "body/ids")]),
        ({"ids": None, "comment": "c"}, [("MISSING_REQUIRED_FIELD", "body/ids")]),
        ({"ids": [], "comment": "c"}, [("BAD_INPUT", "body/ids")]),
        ({"ids": "a", "comment": "c"}, [("BAD_INPUT", "body/ids")]),
        ({"ids": ["a"]}, [("MISSING_REQUIRED_FIELD", "body")]),
        ({"ids": ["a", "b", "a"], "comment": "c"}, [("BAD_INPUT", "ids/2")]),
        ({"ids": ["a", "emr_id:a", "a"], "comment": "c"}, [("BAD_INPUT", "ids/1"), ("BAD_INPUT", "ids/2")]),
        ({"ids": ["a", 1, None], "comment": "c"}, [("BAD_INPUT", "ids/1"), ("BAD_INPUT", "ids/2")]),
        ({"ids": ["a", ""], "comment": "c"}, [("INVALID_APPOINTMENT_ID", "ids/1")]),
        ({"ids": ["a", "b", "c", "d"], "comment": "c"}, [("MAX_ITEMS_EXCEEDED", "body/ids")]),
        ({"ids": ["a"], "confirmation": {}}, [("BAD_INPUT", "body/confirmation")]),
        ({"ids": ["a"], "confirmation": {"code": "1"}, "status": "cancelled"}, [("BAD_INPUT", "body/confirmation")]),
        ({"ids": ["a"], "status": "cancelled", "resource_id": "r"}, [("BAD_INPUT", "body/resource_id")]),
        ({"ids": ["a"], "start": NINE}, [("MISSING_REQUIRED_FIELD", "body/end")]),
        ({"ids": ["a"], "start": NINE, "end": "2031-04-03T09:00:01+01:00"}, [("BAD_INPUT", "body/end")]),
        ({"ids": ["a"], CANARY: 1, "comment": "c"}, [("BAD_INPUT", "body/field[1]")]),
    ],
)
def test_a_bulk_patch_is_refused_with_the_place_of_each_fault(fields, expected):
    assert refusal(patch_many, body(**fields), 3) == expected


def test_a_continuous_reschedule_may_span_31_days():
    intent = patch_many(body(ids=["a"], start=NINE, end="2031-04-03T09:00:00+01:00"), 100)
    assert isinstance(intent, Reschedule)
    assert intent.span.start.tzinfo is intent.span.end.tzinfo is UTC


def test_a_range_of_31_days_is_one_also_where_the_clock_goes_back():
    start, end = "2031-10-01T00:00:00+02:00", "2031-11-01T00:00:00+01:00"
    assert isinstance(patch_many(body(ids=["a"], start=start, end=end), 100), Reschedule)
    for longer in ("2031-11-01T00:00:01+01:00", "2031-10-31T12:00:00-13:00", "2031-11-01T01:00:00+02:00"):
        assert refusal(patch_many, body(ids=["a"], start=start, end=longer), 100) == [("BAD_INPUT", "body/end")]


# -- POST -----------------------------------------------------------------------------------------------------------

BOOKING = {"start": NINE, "end": TEN, "patient_id": "p", "resource_id": "r", "healthcare_service_id": "s"}


def test_a_booking_is_read():
    assert booking(body(**BOOKING)) == Book(HOUR, "p", "r", "s")
    assert booking(body(**BOOKING, comment="c")) == Book(HOUR, "p", "r", "s", "c")
    typed = body(**(BOOKING | {"patient_id": "se_personal_number:0"}))
    assert booking(typed).patient_id == "se_personal_number:0"


@pytest.mark.parametrize("name", sorted(BOOKING))
def test_a_booking_needs_every_field_but_the_comment(name):
    missing = [("MISSING_REQUIRED_FIELD", f"body/{name}")]
    assert refusal(booking, body(**{k: v for k, v in BOOKING.items() if k != name})) == missing
    assert refusal(booking, body(**(BOOKING | {name: None}))) == missing


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"patient_id": ""}, [("INVALID_PATIENT_ID", "body/patient_id")]),
        ({"healthcare_service_id": "\n"}, [("INVALID_HEALTHCARE_SERVICE_ID", "body/healthcare_service_id")]),
        ({"resource_id": "emr_id:"}, [("INVALID_RESOURCE_ID", "body/resource_id")]),
        ({"status": "cancelled"}, [("BAD_INPUT", "body/status")]),
        ({"end": NINE}, [("BAD_INPUT", "body/end")]),
    ],
)
def test_a_booking_is_refused_with_the_place_of_each_fault(fields, expected):
    assert refusal(booking, body(**(BOOKING | fields))) == expected


# -- nothing is ever repeated ---------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(CANARY),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.just(CANARY) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
WORDS = st.sampled_from(
    ["start", "end", "resource_id", "comment", "status", "confirmation", "ids", "patient_id", "healthcare_service_id"]
)


@given(st.dictionaries(WORDS | st.just(CANARY), JSON | st.sampled_from([NINE, TEN, "cancelled"]), max_size=6))
def test_no_refusal_of_any_body_repeats_what_was_sent(fields):
    raw, told = json.dumps(fields).encode(), []
    for read in (lambda: patch_one(raw, "a"), lambda: patch_many(raw, 3), lambda: booking(raw)):
        try:
            read()
        except BadRequest as no:
            told.append(repr(no.problems) + no.detail)
    assert CANARY not in "".join(told)


# -- fingerprints ---------------------------------------------------------------------------------------------------


def fingerprint_of(raw: bytes, method="PATCH", emr="clinic", standard="leyr", id="a") -> str:
    return fingerprint(method, emr, standard, patch_one(raw, id))


def test_equal_requests_have_equal_fingerprints_however_they_are_written():
    plain = fingerprint_of(b'{"start":"2031-03-03T09:00:00+01:00","end":"2031-03-03T10:00:00+01:00"}')
    odd = fingerprint_of(b'{ "end":"2031-03-03T09:00:00.0Z", "comment":null, "start":"2031-03-03t08:00:00z" }')
    assert plain == odd


def test_different_requests_have_different_fingerprints():
    cancel, comment = b'{"status":"cancelled"}', b'{"comment":"a"}'
    many = [
        fingerprint_of(cancel),
        fingerprint_of(comment),
        fingerprint_of(cancel, id="b"),
        fingerprint_of(cancel, emr="other"),
        fingerprint_of(cancel, standard="fhir"),
        fingerprint_of(b'{"comment":""}'),
        fingerprint_of(b'{"status":"cancelled","comment":""}'),
        fingerprint_of(b'{"confirmation":{}}'),
        fingerprint_of(b'{"confirmation":{"code":"1"}}'),
        fingerprint("POST", "clinic", "leyr", booking(body(**BOOKING))),
        fingerprint("PATCH", "clinic", "leyr", patch_many(body(ids=["a"], start=NINE, end=TEN), 9), single=False),
        fingerprint("PATCH", "clinic", "leyr", patch_many(body(ids=["a"], comment="a"), 9), single=False),
        fingerprint("PATCH", "clinic", "leyr", patch_many(body(ids=["a"], status="cancelled"), 9), single=False),
        fingerprint_of(body(start=NINE, end=TEN)),
    ]
    assert len(set(many)) == len(many)


# -- rendering ------------------------------------------------------------------------------------------------------


def etag(_) -> str:
    return '"tag"'


def test_one_appointment_is_an_object_with_an_etag_and_the_care_units_offset():
    shown = Shown(appointment(comment="x\ud800"), previous_ids=("a-0",))
    answer = render_outcome(Outcome((shown,), single=True), etag)
    assert answer.status == 200
    assert dict(answer.headers) == {"content-type": "application/json", "etag": '"tag"'}
    assert json.loads(answer.body) == {
        "id": "a-1",
        "emr_id": "a-1",
        "start": "2031-03-03T09:00:00+01:00",
        "end": "2031-03-03T09:30:00+01:00",
        "status": "booked",
        "confirmed": None,
        "comment": "x?",
        "patient_id": "p-1",
        "resource_id": "r-1",
        "healthcare_service_id": "s-1",
        "care_unit_id": "c-1",
        "previous_ids": ["a-0"],
    }


def test_many_are_a_bare_array_with_what_became_of_each():
    shown = (Shown(appointment(), "moved"), Shown(appointment("a-2", status=Status.CANCELLED), "cancelled"))
    answer = render_outcome(Outcome(shown, single=False), etag)
    told = json.loads(answer.body)
    assert [(t["id"], t["status"], t["change"]) for t in told] == [
        ("a-1", "booked", "moved"),
        ("a-2", "cancelled", "cancelled"),
    ]
    assert "etag" not in dict(answer.headers)


def test_a_list_tells_no_changes():
    answer = render_outcome(Outcome((Shown(appointment()),), single=False), etag)
    assert "change" not in json.loads(answer.body)[0]


def test_a_booking_is_201_and_a_dry_run_of_one_has_neither_id_nor_etag():
    booked = render_outcome(Outcome((Shown(appointment()),), single=True, created=True), etag)
    assert (booked.status, dict(booked.headers)["etag"]) == (201, '"tag"')
    dry = render_outcome(Outcome((Shown(appointment("")),), single=True, created=True), etag, dry_run=True)
    told = json.loads(dry.body)
    assert (told["id"], told["emr_id"], dict(dry.headers).get("etag")) == (None, None, None)


def test_a_dry_run_has_no_etag_of_a_state_that_is_not_there_yet():
    dry = render_outcome(Outcome((Shown(appointment()),), single=True), etag, dry_run=True)
    assert dict(dry.headers) == {"content-type": "application/json"}


def test_an_error_is_problem_details_with_its_errors():
    instance = str(uuid4())
    error = BadRequest("No.", [Problem("BAD_INPUT", "Must be.", "ids/2", "E17")])
    answer = render_error(error, instance, "https://g.example")
    assert (answer.status, dict(answer.headers)) == (400, {"content-type": "application/problem+json"})
    assert json.loads(answer.body) == {
        "code": "BAD_REQUEST",
        "type": "https://g.example/errors/BAD_REQUEST",
        "title": "Request validation failed",
        "status": 400,
        "detail": "No.",
        "instance": instance,
        "errors": [{"error_code": "BAD_INPUT", "details": "Must be.", "emr_error": "E17", "path": "ids/2"}],
    }


def test_errors_is_always_there_and_retry_after_rounds_up():
    answer = render_error(Busy(retry_after=0.2), str(uuid4()), "")
    assert json.loads(answer.body)["errors"] == []
    assert dict(answer.headers)["retry-after"] == "1"
    assert "retry-after" not in dict(render_error(EmrFailed(), str(uuid4()), "").headers)
    assert "www-authenticate" in dict(render_error(Unauthorized(), str(uuid4()), "").headers)


# -- commands -------------------------------------------------------------------------------------------------------


def test_a_settled_command_is_told_with_its_answer():
    assert json.loads(render_command(command_row()).body) == {
        "id": "command-1",
        "state": "done",
        "operation": "update",
        "emr": "clinic",
        "created_at": "2031-03-01T08:00:00+00:00",
        "updated_at": "2031-03-01T08:00:00+00:00",
        "answer": {"status": 200, "body": {"id": "a-1"}},
        "steps": [{"action": "change", "appointment_id": "a-1", "state": "done"}],
        "unsettled": [],
    }


def row_of(state: State, *steps: StepState):
    rows = tuple(StepRow(n, s, f"step-{n}", b"") for n, s in enumerate(steps))
    return command_row(state=state, steps=rows, answer=None)


@pytest.mark.parametrize(
    ("state", "steps", "unsettled"),
    [
        (State.RUNNING, (StepState.DONE, StepState.ATTEMPTING, StepState.PLANNED), ["step-1", "step-2"]),
        (State.REPAIRING, (StepState.DONE, StepState.ATTEMPTING), ["step-1"]),
        (State.REPAIRING, (StepState.DONE, StepState.UNDOING, StepState.UNDONE), ["step-0", "step-1"]),
        (State.NEEDS_ATTENTION, (StepState.LEFT, StepState.UNDONE), ["step-0"]),
        (State.UNDONE, (StepState.LEFT, StepState.UNDONE), []),
    ],
)
def test_unsettled_are_the_steps_that_can_still_end_either_way(state, steps, unsettled):
    told = json.loads(render_command(row_of(state, *steps)).body)
    assert [step["action"] for step in told["unsettled"]] == unsettled
    assert told["answer"] is None
    assert told["steps"][0]["appointment_id"] is None


def test_what_the_emr_stored_otherwise_is_unsettled_until_somebody_has_seen_to_it():
    rows = (
        StepRow(0, StepState.DONE, "cancel", b'{"appointment_id": "a-1", "deviates": true}'),
        StepRow(1, StepState.DONE, "cancel", b'{"appointment_id": "a-2", "deviates": false}'),
    )
    told = json.loads(render_command(command_row(state=State.NEEDS_ATTENTION, steps=rows)).body)
    assert told["unsettled"] == [{"action": "cancel", "appointment_id": "a-1", "state": "done"}]


def test_an_answer_without_a_body_is_told_as_null():
    told = json.loads(render_command(command_row(answer=Answer(202, b""))).body)
    assert told["answer"] == {"status": 202, "body": None}


# -- capabilities ---------------------------------------------------------------------------------------------------


def flat(told: dict, prefix: str = "") -> dict[str, str]:
    out = {}
    for name, value in told.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


def test_an_emr_that_can_do_nothing_supports_nothing_but_being_read_and_guarded():
    told = flat(abilities(Capabilities()).model_dump(mode="json"))
    supported = {k for k, v in told.items() if v in ("native", "emulated")}
    assert supported == {
        "reads.appointment",
        "guards.dry_run",
        "guards.idempotency_key",
        "guards.if_match",
    }


def test_moving_is_native_or_emulated_by_booking_anew_and_cancelling():
    native = abilities(Capabilities(move="new_id", reassign="in_place"))
    assert (native.update.start_end, native.update.resource_id) == (Support.NATIVE, Support.NATIVE)
    assert not native.facts.ids_stable
    anew = abilities(Capabilities(create=True, cancel=True, free_time="slots"))
    assert (anew.update.start_end, anew.update.resource_id) == (Support.EMULATED, Support.EMULATED)
    assert anew.continuous_reschedule.more is Support.EMULATED
    assert abilities(Capabilities(cancel=True)).update.start_end is Support.UNSUPPORTED


def test_facts_tell_of_reason_codes_and_messages():
    silent = abilities(Capabilities()).facts
    assert (silent.cancel_reasons, silent.notifies, silent.notify) == ("none", "emr", None)
    told = abilities(Capabilities(cancel_reasons="any", notifies="switch", notify=False)).facts
    assert (told.cancel_reasons, told.notifies, told.notify) == ("coded", "switch", False)
    assert abilities(Capabilities(cancel_reasons=frozenset({"a", "b"}))).facts.cancel_reasons == "coded"


def test_a_range_can_only_be_filled_where_free_time_is_told():
    able = Capabilities(move="in_place", reassign="in_place", free_time="windows", comment=True)
    told = abilities(able).continuous_reschedule
    assert (told.start_end, told.comment, told.more, told.fewer) == (
        Support.EMULATED,
        Support.EMULATED,
        Support.UNSUPPORTED,
        Support.UNSUPPORTED,
    )
    assert abilities(Capabilities(move="in_place")).continuous_reschedule.start_end is Support.UNSUPPORTED


@pytest.mark.parametrize(
    ("place", "support"),
    [("with", Support.NATIVE), ("before", Support.EMULATED), ("none", Support.UNSUPPORTED)],
)
def test_a_cancellations_comment_has_a_place_or_not(place, support):
    assert abilities(Capabilities(cancel=True, cancel_comment=place, comment=True)).cancel.comment is support
    assert abilities(Capabilities(cancel=False, cancel_comment=place)).cancel.comment is Support.UNSUPPORTED


def test_directories_are_told_one_by_one():
    reads = abilities(Capabilities(directories=frozenset({Kind.RESOURCE}), lists=True)).reads
    assert (reads.resources, reads.patients, reads.appointments) == (
        Support.NATIVE,
        Support.UNSUPPORTED,
        Support.NATIVE,
    )
