"""Errors as RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from gateway.domain.errors import GatewayError, Problem, Unauthorized
from gateway.ledger import Answer
from gateway.wire import answers
from gateway.wire.values import sendable

PROBLEM = "application/problem+json"


def problem_details(error: GatewayError, instance: str, base_url: str) -> Answer:
    """What a client is told. `instance` is a UUID; `base_url` is where the page about the code is served."""
    told = answers.ErrorAnswer(
        code=error.code,
        type=f"{base_url}/errors/{error.code}",
        title=error.title,
        status=error.status,
        detail=sendable(error.detail),
        instance=instance,
        errors=[
            answers.ErrorItem(
                error_code=problem.error_code,
                details=sendable(problem.details),
                emr_error=None if problem.emr_error is None else sendable(problem.emr_error),
                path=None if problem.path is None else sendable(problem.path),
            )
            for problem in error.problems
        ],
    )
    return Answer(error.status, told.model_dump_json().encode(), (("content-type", PROBLEM), *further_headers(error)))


def read_problem(body: Any) -> tuple[str, Sequence[Problem]]:
    """What `problem_details` has told. Raises LookupError, TypeError for anything else."""
    told = [Problem(e["error_code"], e["details"], e["path"], e["emr_error"]) for e in body["errors"]]
    return str(body["code"]), told


def further_headers(error: GatewayError) -> tuple[tuple[str, str], ...]:
    """What an error's answer says in its headers, in any standard."""
    headers = []
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(0, ceil(error.retry_after)))))
    if isinstance(error, Unauthorized):
        headers.append(("www-authenticate", 'LeyrClient realm="emr-gateway"'))
    return tuple(headers)
