"""OperationOutcomes into the port's errors."""

from __future__ import annotations

import json

import httpx
import pytest

from gateway.plugin import MaybeDone, Refused, Throttled
from plugins.fhir.problems import problem, resource

SECRET = "Testperson Ett, 1900-01-01"


def answer(status: int, code: str | None, /, *, if_match: bool = False, **issue: object) -> httpx.Response:
    request = httpx.Request("PATCH", "https://x/r4/Appointment/a1", headers={"If-Match": 'W/"1"'} if if_match else {})
    body = {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": "information", "code": "informational", "diagnostics": "all is well"},
            {"severity": "error", "code": code, "diagnostics": SECRET, "details": {"text": SECRET}, **issue},
        ],
    }
    return httpx.Response(status, text="" if code is None else json.dumps(body), request=request)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, "invalid", "invalid"),
        (400, "structure", "invalid"),
        (400, "business-rule", "rule"),
        (400, "conflict", "taken"),
        (400, "not-supported", "unsupported"),
        (401, "login", "credentials"),
        (403, "forbidden", "credentials"),
        (404, "not-found", "not_found"),
        (404, "not-supported", "unsupported"),
        (405, "not-supported", "unsupported"),
        (409, "duplicate", "rule"),
        (409, "business-rule", "rule"),
        (410, "deleted", "not_found"),
        (412, "conflict", "stale"),
        (412, "processing", "stale"),
        (412, "multiple-matches", "rule"),
        (415, "not-supported", "unsupported"),
        (422, "processing", "invalid"),
        (422, "conflict", "taken"),
        (422, "business-rule", "rule"),
        (424, "processing", "rule"),
    ],
)
def test_an_outcome_means_one_refusal_and_only_its_code_is_passed_on(status, code, reason):
    error = problem(answer(status, code, if_match=status == 412))
    assert isinstance(error, Refused)
    assert (error.reason, error.emr_code) == (reason, code)
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    ("if_match", "expression", "reason"),
    [(True, None, "stale"), (False, None, "taken"), (True, ["Appointment.slot[0]"], "taken")],
)
def test_a_conflict_is_about_the_version_unless_none_was_sent_or_it_points_at_the_slot(if_match, expression, reason):
    error = problem(answer(409, "conflict", if_match=if_match, expression=expression))
    assert isinstance(error, Refused)
    assert error.reason == reason


def test_a_lock_in_the_server_is_later_not_never():
    assert isinstance(problem(answer(409, "lock-error")), Throttled)


@pytest.mark.parametrize("status", [423, 429, 500, 502, 503, 504])
def test_what_fhir_says_nothing_more_about_is_left_to_http(status):
    assert problem(answer(status, "exception")) is None


def test_a_refusal_without_an_outcome_goes_by_its_status():
    error = problem(answer(412, None, if_match=True))
    assert isinstance(error, Refused)
    assert (error.reason, error.emr_code) == ("stale", None)


def test_a_condition_that_was_not_sent_was_not_stale():
    error = problem(answer(412, None))
    assert isinstance(error, Refused)
    assert error.reason == "invalid"


@pytest.mark.parametrize("code", [SECRET, 7, None, "x" * 33])
def test_a_code_that_is_none_is_not_passed_on(code):
    assert problem(answer(400, "invalid", code=code)).emr_code is None


@pytest.mark.parametrize("body", ["<html>", "[]", "7", '{"resourceType": "OperationOutcome"}', "{"])
def test_an_error_page_is_an_error_all_the_same(body):
    error = problem(httpx.Response(404, text=body, request=httpx.Request("GET", "https://x/r4/Patient/1")))
    assert isinstance(error, Refused)
    assert (error.reason, error.emr_code) == ("not_found", None)


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("not-found", Refused, "not_found"),
        ("conflict", Refused, "taken"),
        ("business-rule", Refused, "rule"),
        ("lock-error", Throttled, None),
        ("exception", MaybeDone, None),
        ("incomplete", MaybeDone, None),
    ],
)
def test_an_error_under_200_is_that_error(code, kind, reason):
    with pytest.raises(kind) as raised:
        resource(answer(200, code))
    assert getattr(raised.value, "reason", None) == reason
    assert raised.value.emr_code == code


def test_a_warning_under_200_is_no_error_and_no_resource():
    assert resource(answer(200, "processing", severity="warning")) is None


def test_an_empty_answer_is_no_resource():
    assert resource(answer(200, None)) is None


@pytest.mark.parametrize("body", ["[]", "{}", "<html>"])
def test_what_is_no_resource_makes_no_sense(body):
    with pytest.raises(ValueError):
        resource(httpx.Response(200, text=body))
