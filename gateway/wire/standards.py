"""The languages that answers are told in, by the name that a client asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from gateway.domain.errors import GatewayError, Problem
from gateway.domain.model import Appointment, Entry, Kind, Slot
from gateway.domain.outcome import Outcome
from gateway.ledger import Answer
from gateway.wire import fhir
from gateway.wire.problems import problem_details, read_problem
from gateway.wire.render import render_entries, render_outcome, render_slots

LEYR = "leyr"
STANDARDS = (LEYR, "fhir")


class Standard(Protocol):
    """How the answers about one EMR account are told."""

    def outcome(self, outcome: Outcome, etag: Callable[[Appointment], str], *, dry_run: bool = False) -> Answer:
        """The answer to a read or a write, with `ETag` where it is one appointment that really is so."""
        ...

    def slots(self, slots: Sequence[Slot]) -> Answer: ...

    def entries(self, kind: Kind, entries: Sequence[Entry]) -> Answer: ...


class Leyr:
    def outcome(self, outcome: Outcome, etag: Callable[[Appointment], str], *, dry_run: bool = False) -> Answer:
        return render_outcome(outcome, etag, dry_run=dry_run)

    def slots(self, slots: Sequence[Slot]) -> Answer:
        return render_slots(slots)

    def entries(self, kind: Kind, entries: Sequence[Entry]) -> Answer:  # noqa: ARG002  they look alike here
        return render_entries(entries)


def speaking(standard: str, base_url: str, emr: str) -> Standard:
    """The standard of this name (one of STANDARDS), for the account `emr` of a gateway that stands at `base_url`."""
    return fhir.Fhir(base_url, emr) if standard == "fhir" else Leyr()


def read_error(answer: Answer) -> tuple[str, Sequence[Problem]] | None:
    """The code and the problems that an error's answer has told, in whichever standard; `None` for another answer."""
    try:
        body = json.loads(answer.body)
        return fhir.read_outcome(body) if "issue" in body else read_problem(body)
    except (ValueError, LookupError, TypeError):
        return None


def render_error(error: GatewayError, instance: str, base_url: str, standard: str = LEYR) -> Answer:
    """What a client is told. `instance` is a UUID; `base_url` is where the page about the code is served."""
    told = (fhir.operation_outcome if standard == "fhir" else problem_details)(error, instance, base_url)
    return replace(told, codes=(error.code, *(problem.error_code for problem in error.problems)))
