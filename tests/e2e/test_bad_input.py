"""Everything that can be wrong with a request, each with its error (contract §2, §3, §6); and nothing is written."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.e2e.clinic import book, failing, ids, staff_of
from tests.e2e.conftest import at, span

TIMES = span(at(12, 9), at(12, 9, 30))
START, END = TIMES["start"], TIMES["end"]
SECRET = "Personnummer-19121212"
"""What must never be told again, wherever it stood."""


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    return config


@pytest.fixture
async def untouched(api, staff):
    """One appointment; afterwards the book is as it was, and the EMR has not been written to."""
    (own,) = await api.booked(1)
    before, written = await book(api), list(staff.writes(api))
    yield own
    assert staff.writes(api) == written
    assert await book(api) == before


async def refused(api, method, path, content, status, codes, **more):
    """The refusal, held against what the contract says of each: `codes` are its `error_code`s."""
    headers = {**api.headers, "content-type": "application/json", **more.pop("headers", {})}
    url = path if path.startswith("/") else f"/api/emrs/{api.emr}/{path}"
    body = content if isinstance(content, str | bytes | None) else json.dumps(content)
    answer = await api.http.request(method, url, content=body, headers=headers, **more)
    where = f"{method} {path} {str(content)[:80]} {more}: {answer.status_code} {answer.text[:400]}"
    assert answer.status_code == status, where
    assert answer.headers["content-type"] == "application/problem+json", where
    told = answer.json()
    assert told["status"] == status, where
    assert sorted({e["error_code"] for e in told["errors"]}) == sorted(set(codes)), where
    assert SECRET not in answer.text, where
    assert set(told) == {"code", "type", "title", "status", "detail", "instance", "errors"}, where
    assert all(set(e) == {"error_code", "details", "emr_error", "path"} for e in told["errors"]), where
    return told


# -- bodies ---------------------------------------------------------------------------------------------------------

NO_OBJECT = [
    "",
    " ",
    "[]",
    "null",
    "1",
    '"x"',
    "{",
    '{"comment": "x"}}',
    "{'comment': 'x'}",
    '{"comment": "x",}',
    "\x00",
]
NO_OBJECT += ['{"comment": NaN}', '{"comment": "x", "comment": "y"}', '{"comment": "\\ud800"}', "[" * 5000, "1" * 5000]
BYTES = [b"\xff\xfe{}", b'{"comment": "\xff"}', b"\xef\xbb\xbf{", '{"comment": "x"}'.encode("utf-16")]


async def test_a_body_that_is_no_json_object(api, untouched):
    for path in (f"appointments/{untouched['id']}", "appointments"):
        for body in (*NO_OBJECT, *BYTES, None):
            await refused(api, "PATCH", path, body, 400, ["BAD_INPUT"])
            if path == "appointments":
                await refused(api, "POST", path, body, 400, ["BAD_INPUT"])


ONE = [
    # body, error codes, paths of the errors
    ({}, ["MISSING_REQUIRED_FIELD"], ["body"]),
    ({"comment": None}, ["MISSING_REQUIRED_FIELD"], ["body"]),
    ({"start": START}, ["MISSING_REQUIRED_FIELD"], ["body/end"]),
    ({"end": END, "comment": "x"}, ["MISSING_REQUIRED_FIELD"], ["body/start"]),
    ({"start": START, "end": None}, ["MISSING_REQUIRED_FIELD"], ["body/end"]),
    ({"start": END, "end": START}, ["BAD_INPUT"], ["body/end"]),
    ({"start": START, "end": START}, ["BAD_INPUT"], ["body/end"]),
    ({"start": START[:19], "end": END}, ["BAD_INPUT"], ["body/start"]),
    ({"start": START, "end": END[:19]}, ["BAD_INPUT"], ["body/end"]),
    ({"start": START[:10], "end": END}, ["BAD_INPUT"], ["body/start"]),
    ({"start": "2031-02-30T09:00:00Z", "end": "2031-03-01T09:00:00Z"}, ["BAD_INPUT"], ["body/start"]),
    ({"start": "2031-02-03T25:00:00Z", "end": "2031-03-01T09:00:00Z"}, ["BAD_INPUT"], ["body/start"]),
    ({"start": SECRET, "end": SECRET}, ["BAD_INPUT"], ["body/end", "body/start"]),
    ({"start": 1_900_000_000, "end": END}, ["BAD_INPUT"], ["body/start"]),
    ({"start": [START], "end": END}, ["BAD_INPUT"], ["body/start"]),
    ({"comment": 7}, ["BAD_INPUT"], ["body/comment"]),
    ({"comment": {"text": SECRET}}, ["BAD_INPUT"], ["body/comment"]),
    ({"comment": True}, ["BAD_INPUT"], ["body/comment"]),
    ({"comment": "x" * 1001}, ["INVALID_COMMENT_LENGTH"], ["body/comment"]),
    ({"comment": f"{SECRET} \x00"}, ["BAD_INPUT"], ["body/comment"]),
    ({"resource_id": ""}, ["INVALID_RESOURCE_ID"], ["body/resource_id"]),
    ({"resource_id": SECRET}, ["INVALID_RESOURCE_ID"], ["body/resource_id"]),
    ({"resource_id": "x" * 5000}, ["INVALID_RESOURCE_ID"], ["body/resource_id"]),
    ({"resource_id": "d1"}, ["INVALID_RESOURCE_ID"], ["body/resource_id"]),
    ({"resource_id": " D1"}, ["INVALID_RESOURCE_ID"], ["body/resource_id"]),
    ({"resource_id": f"hsa_id:{SECRET}"}, ["NOT_SUPPORTED"], ["body/resource_id"]),
    ({"resource_id": 1}, ["BAD_INPUT"], ["body/resource_id"]),
    ({**TIMES, "resource_id": "D9"}, ["INVALID_RESOURCE_ID"], ["body/resource_id"]),
    ({"status": "booked"}, ["BAD_INPUT"], ["body/status"]),
    ({"status": "CANCELLED"}, ["BAD_INPUT"], ["body/status"]),
    ({"status": SECRET}, ["BAD_INPUT"], ["body/status"]),
    ({"status": "cancelled", "resource_id": "D1"}, ["BAD_INPUT"], ["body/resource_id"]),
    ({"status": "cancelled", **TIMES}, ["BAD_INPUT"], ["body/end", "body/start"]),
    ({SECRET: "x"}, ["BAD_INPUT"], ["body/field[0]"]),
    ({"comment": "x", SECRET: "x"}, ["BAD_INPUT"], ["body/field[1]"]),
    ({"": "x"}, ["BAD_INPUT"], ["body/field[0]"]),
    ({"care_unit_id": "U1", "comment": "x"}, ["BAD_INPUT"], ["body/field[0]"]),
]


async def test_a_body_for_one_appointment(api, untouched):
    path = f"appointments/{untouched['id']}"
    more = [
        ({"confirmation": {"code": "123456"}, "comment": "x"}, ["BAD_INPUT"], ["body/comment"]),
        ({"confirmation": {"code": "123456"}, "status": "cancelled"}, ["BAD_INPUT"], ["body/status"]),
        ({"confirmation": {"code": 123456}}, ["BAD_INPUT"], ["body/confirmation/code"]),
        ({"confirmation": "123456"}, ["BAD_INPUT"], ["body/confirmation"]),
        ({"confirmation": {"code": ""}}, ["INVALID_CONFIRMATION_CODE"], ["body/confirmation/code"]),
        ({"confirmation": {SECRET: "1"}}, ["BAD_INPUT"], ["body/confirmation/field[0]"]),
        ({"ids": [untouched["id"]], "comment": "x"}, ["BAD_INPUT"], ["body/ids"]),
    ]
    for body, codes, paths in [*ONE, *more]:
        told = await refused(api, "PATCH", path, body, 400, codes)
        assert sorted(p for _, p in failing(told)) == paths, body
        told = await refused(api, "PATCH", path, body, 400, codes, params={"dry_run": "true"})
        assert sorted(p for _, p in failing(told)) == paths, body


async def test_a_body_for_many_appointments(api, untouched):
    id = untouched["id"]
    for body, codes, paths in ONE:
        told = await refused(api, "PATCH", "appointments", {"ids": [id], **body}, 400, codes)
        moved = [p.replace("field[1]", "field[2]").replace("field[0]", "field[1]") for p in paths]
        assert sorted(p for _, p in failing(told)) == moved, body
    x = {"comment": "x"}
    for body, codes, paths in [
        (x, ["MISSING_REQUIRED_FIELD"], ["body/ids"]),
        ({"ids": None, **x}, ["MISSING_REQUIRED_FIELD"], ["body/ids"]),
        ({"ids": [], **x}, ["BAD_INPUT"], ["body/ids"]),
        ({"ids": id, **x}, ["BAD_INPUT"], ["body/ids"]),
        ({"ids": {"0": id}, **x}, ["BAD_INPUT"], ["body/ids"]),
        ({"ids": [id, 7], **x}, ["BAD_INPUT"], ["ids/1"]),
        ({"ids": [None, id], **x}, ["BAD_INPUT"], ["ids/0"]),
        ({"ids": ["", id], **x}, ["INVALID_APPOINTMENT_ID"], ["ids/0"]),
        ({"ids": [id, SECRET], **x}, ["INVALID_APPOINTMENT_ID"], ["ids/1"]),
        ({"ids": [id, "\x07"], **x}, ["INVALID_APPOINTMENT_ID"], ["ids/1"]),
        ({"ids": [id, "x" * 5000], **x}, ["INVALID_APPOINTMENT_ID"], ["ids/1"]),
        ({"ids": [id, id], **x}, ["BAD_INPUT"], ["ids/1"]),
        ({"ids": [id], "confirmation": {"code": "123456"}}, ["BAD_INPUT"], ["body/confirmation"]),
        ({"ids": [f"n{n}" for n in range(101)], **x}, ["MAX_ITEMS_EXCEEDED"], ["body/ids"]),
    ]:
        told = await refused(api, "PATCH", "appointments", body, 400, codes)
        assert sorted(str(p) for _, p in failing(told)) == paths, body


async def test_a_body_for_a_booking(api, untouched):
    whole = {**TIMES, "patient_id": "P4", "resource_id": "D1", "healthcare_service_id": "K1"}
    for name in whole:
        told = await refused(
            api, "POST", "appointments", {k: v for k, v in whole.items() if k != name}, 400, ["MISSING_REQUIRED_FIELD"]
        )
        assert failing(told) == [("MISSING_REQUIRED_FIELD", f"body/{name}")]
        await refused(api, "POST", "appointments", {**whole, name: None}, 400, ["MISSING_REQUIRED_FIELD"])
        await refused(api, "POST", "appointments", {**whole, name: 7}, 400, ["BAD_INPUT"])
    for name, code in [
        ("patient_id", "INVALID_PATIENT_ID"),
        ("resource_id", "INVALID_RESOURCE_ID"),
        ("healthcare_service_id", "INVALID_HEALTHCARE_SERVICE_ID"),
    ]:
        for value in (SECRET, "", "x" * 5000):
            told = await refused(api, "POST", "appointments", {**whole, name: value}, 400, [code])
            assert failing(told) == [(code, f"body/{name}")]
    await refused(api, "POST", "appointments", {**whole, "status": "booked"}, 400, ["BAD_INPUT"])
    await refused(api, "POST", "appointments", {**whole, "comment": "x" * 1001}, 400, ["INVALID_COMMENT_LENGTH"])
    await refused(api, "POST", "appointments", {**whole, **span(at(12, 3), at(12, 4))}, 400, ["NO_TIMESLOTS_AVAILABLE"])
    past = span(at(0, 9) - timedelta(days=7), at(0, 10) - timedelta(days=7))
    await refused(api, "POST", "appointments", {**whole, **past}, 400, ["NO_TIMESLOTS_AVAILABLE"])


async def test_a_body_that_is_too_long_or_of_another_type(api, untouched):
    path = f"appointments/{untouched['id']}"
    long = json.dumps({"comment": "x" * (1024 * 1024)})
    for content, headers, status in [
        (long, {}, 413),
        ('{"comment": "x"}', {"content-type": "text/plain"}, 415),
        ('{"comment": "x"}', {"content-type": "application/xml"}, 415),
        ('{"comment": "x"}', {"content-type": "multipart/form-data; boundary=x"}, 415),
        ('{"comment": "x"}', {"content-type": SECRET}, 415),
        ('{"comment": "x"}', {"content-encoding": "gzip"}, 415),
        ('{"comment": "x"}', {"content-type": "application/json; charset=latin-1"}, 415),
    ]:
        told = await refused(api, "PATCH", path, content, status, [], headers=headers)
        assert told["code"] == {413: "PAYLOAD_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE"}[status]


# -- paths ----------------------------------------------------------------------------------------------------------


async def test_paths_that_lead_nowhere(api, untouched):
    id = untouched["id"]
    unknown = "INVALID_APPOINTMENT_ID"
    for method, path, status, codes in [
        ("PATCH", "appointments/nobody", 404, [unknown]),
        ("GET", "appointments/nobody", 404, [unknown]),
        ("PATCH", f"appointments/{SECRET}", 404, [unknown]),
        ("PATCH", f"appointments/{id.lower()}", 404, [unknown]),
        ("PATCH", f"appointments/{id}%20", 404, [unknown]),
        ("PATCH", f"appointments/{id}%00", 404, [unknown]),
        ("PATCH", "appointments/%ff%fe", 404, [unknown]),
        ("PATCH", f"appointments/{'x' * 3000}", 404, [unknown]),
        ("PATCH", f"appointments/emr_id:emr_id:{id}", 404, [unknown]),
        ("PATCH", f"care-units/U2/appointments/{id}", 404, [unknown]),
        ("PATCH", f"care-units/U9/appointments/{id}", 404, ["INVALID_CARE_UNIT_ID"]),
        ("GET", "care-units/U9/appointments", 404, ["INVALID_CARE_UNIT_ID"]),
        ("GET", "care-units/U9/timeslots", 404, ["INVALID_CARE_UNIT_ID"]),
        ("PATCH", f"/api/emrs/nowhere/appointments/{id}", 404, []),
        ("PATCH", "/api/emrs/nowhere/appointments", 404, []),
        ("GET", "/api/emrs/IN-PLACE/appointments", 404, []),
        ("GET", f"/api/commands/{SECRET}", 404, []),
        ("GET", "/api/commands/" + "0" * 32, 404, []),
        ("GET", f"/api/{SECRET}", 404, []),
        ("GET", f"appointments/{id}/{SECRET}", 404, []),
        ("PATCH", f"appointments/{id}/", 404, []),
        ("DELETE", f"appointments/{id}", 405, []),
        ("PUT", f"appointments/{id}", 405, []),
        ("POST", f"appointments/{id}", 405, []),
        ("PATCH", "timeslots", 405, []),
        ("POST", "/api/emrs", 405, []),
    ]:
        body = {"comment": "x"} if path != "/api/emrs/nowhere/appointments" else {"ids": [id], "comment": "x"}
        told = await refused(api, method, path, None if method == "GET" else body, status, codes)
        assert told["code"] == {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}[status]


# -- queries and headers --------------------------------------------------------------------------------------------


async def test_queries(api, untouched):
    id = untouched["id"]
    comment = {"comment": "x"}
    for value in ("yes", "1", "", "True", "TRUE", SECRET):
        for method, path, body in [
            ("PATCH", f"appointments/{id}", comment),
            ("PATCH", "appointments", {"ids": [id], **comment}),
            ("POST", "appointments", {**TIMES, "patient_id": "P4", "resource_id": "D1", "healthcare_service_id": "K1"}),
        ]:
            await refused(api, method, path, body, 400, ["BAD_INPUT"], params={"dry_run": value})
    long = (at(1, 0) + timedelta(days=93)).isoformat()
    for path, params, codes in [
        ("appointments", {"start": START[:19]}, ["BAD_INPUT"]),
        ("appointments", {"start": SECRET}, ["BAD_INPUT"]),
        ("appointments", {"end": SECRET}, ["BAD_INPUT"]),
        ("appointments", {"start": END, "end": START}, ["BAD_INPUT"]),
        ("appointments", {"start": START, "end": START}, ["BAD_INPUT"]),
        ("appointments", {"start": at(1, 0).isoformat(), "end": long}, ["BAD_INPUT"]),
        ("timeslots", {"start": at(1, 0).isoformat(), "end": long}, ["BAD_INPUT"]),
        ("timeslots", {"start": ""}, ["BAD_INPUT"]),
        ("appointments", {SECRET: "x"}, ["BAD_INPUT"]),
        ("appointments", {"dry_run": "true"}, ["BAD_INPUT"]),
        ("appointments", {"resource_id": ""}, ["INVALID_RESOURCE_ID"]),
        ("appointments", {"patient_id": "\x00"}, ["INVALID_PATIENT_ID"]),
        ("timeslots", {"healthcare_service_id": ""}, ["INVALID_HEALTHCARE_SERVICE_ID"]),
        ("timeslots", {"standard": SECRET}, ["BAD_INPUT"]),
        ("appointments", {"resource_id": ["D1", "D2"]}, ["BAD_INPUT"]),
        ("/api/commands", {"state": "done"}, ["BAD_INPUT"]),
        ("/api/commands", {"state": "unsettled", "appointment_id": id}, ["BAD_INPUT"]),
        ("/api/commands", {"idempotency_key": ""}, ["BAD_INPUT"]),
        ("/api/commands", {"idempotency_key": "ä"}, ["BAD_INPUT"]),
    ]:
        await refused(api, "GET", path, None, 400, codes, params=params)
    for query in ("%ff=1", "start=%ff", "&".join("a=b" for _ in range(500)), "standard=leyr&standard=leyr"):
        await refused(api, "GET", f"appointments?{query}", None, 400, ["BAD_INPUT"])


async def test_headers(api, untouched):
    id = untouched["id"]
    comment = {"comment": "x"}
    for headers, status, codes in [
        ({"x-leyr-standard": "LEYR"}, 400, ["BAD_INPUT"]),
        ({"x-leyr-standard": SECRET}, 400, ["BAD_INPUT"]),
        ({"x-leyr-standard": ""}, 400, ["BAD_INPUT"]),
        ({"idempotency-key": ""}, 400, ["BAD_INPUT"]),
        ({"idempotency-key": "x" * 256}, 400, ["BAD_INPUT"]),
        ({"idempotency-key": "tab\there"}, 400, ["BAD_INPUT"]),
        ({"idempotency-key": "å".encode()}, 400, ["BAD_INPUT"]),
        ({"if-match": SECRET}, 400, ["BAD_INPUT"]),
        ({"if-match": ""}, 400, ["BAD_INPUT"]),
        ({"if-match": f'"{SECRET}"'}, 412, []),
        ({"x-plan": SECRET}, 412, []),
        ({"x-leyr-client-secret": SECRET}, 401, []),
        ({"x-leyr-client-id": SECRET}, 401, []),
        ({"x-leyr-client-id": "two"}, 401, []),
        ({"x-leyr-client-secret": ""}, 401, []),
        ({"x-leyr-client-secret": "å".encode()}, 401, []),
    ]:
        told = await refused(api, "PATCH", f"appointments/{id}", comment, status, codes, headers=headers)
        expected = {401: "UNAUTHORIZED", 400: "BAD_REQUEST"}
        expected[412] = "PLAN_CHANGED" if "x-plan" in headers else "PRECONDITION_FAILED"
        assert told["code"] == expected[status]
    for headers, status, codes in [
        ({"if-match": "*"}, 400, ["BAD_INPUT"]),
        ({"x-plan": SECRET}, 412, []),
        ({"idempotency-key": "x" * 256}, 400, ["BAD_INPUT"]),
    ]:
        body = {"ids": [id], **comment}
        await refused(api, "PATCH", "appointments", body, status, codes, headers=headers)


# -- what the EMR's clock can't say ---------------------------------------------------------------------------------


async def test_the_hour_that_a_clock_change_repeats_is_never_written(api, untouched):
    """Half past two in the morning of 25 October 2026 is there twice in Stockholm."""
    for start, end in [
        ("2026-10-25T02:30:00+02:00", "2026-10-25T03:30:00+01:00"),
        ("2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"),
    ]:
        times = {"start": start, "end": end}
        for path, body in [
            (f"appointments/{untouched['id']}", times),
            ("appointments", {"ids": ids([untouched]), **times}),
        ]:
            await refused(api, "PATCH", path, body, 400, ["BAD_INPUT"])


# -- what is fine ---------------------------------------------------------------------------------------------------


async def test_what_looks_wrong_and_is_not(api, staff):
    """Each of these is taken, so that the refusals above do not come from being too strict."""
    (own,) = await api.booked(1)
    path = f"/api/emrs/{api.emr}/appointments/{own['id']}"
    for content, headers in [
        ('{"comment": "a"}', {}),
        ('{"comment": "b"}', {"content-type": "application/x-www-form-urlencoded"}),
        ('{"comment": "c"}', {"content-type": "application/json; charset=UTF-8"}),
        ('{"comment": "d"}', {"content-type": "application/merge-patch+json"}),
        (' \n{"comment": "e", "start": null, "end": null, "status": null}', {"content-type": "application/json"}),
        (json.dumps({"comment": "f" * 1000}), {"content-type": "application/json"}),
        ('{"comment": "å\\n\\t🙂"}', {"content-type": "application/json"}),
        ('{"comment": ""}', {"content-type": "application/json", "x-leyr-standard": "leyr"}),
    ]:
        answer = await api.http.patch(path, content=content.encode(), headers={**api.headers, **headers})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["comment"] or "") == json.loads(content)["comment"]
    assert len(staff.writes(api)) == 9
