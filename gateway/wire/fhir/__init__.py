"""Answers as FHIR R4. Requests stay as they are; what a client is told of commands and accounts does, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.domain.model import Appointment, Entry, Kind, Slot
from gateway.domain.outcome import Outcome
from gateway.ledger import Answer
from gateway.wire.fhir.appointments import appointment, full_url
from gateway.wire.fhir.issues import operation_outcome, read_outcome
from gateway.wire.fhir.listings import entry, slot
from gateway.wire.fhir.parts import FHIR, Urls, answer, bundle

__all__ = ["FHIR", "Fhir", "operation_outcome", "read_outcome"]


class Fhir:
    """The answers about one EMR account."""

    def __init__(self, base_url: str, emr: str) -> None:
        self._urls = Urls(base_url, emr)

    def outcome(self, outcome: Outcome, etag: Callable[[Appointment], str], *, dry_run: bool = False) -> Answer:
        urls = self._urls
        if not outcome.single:
            return answer(200, bundle((full_url(shown, urls), appointment(shown, urls)) for shown in outcome.shown))
        shown = replace(outcome.shown[0], change=None)  # Only of many it has to be said.
        headers = [("etag", etag(shown.appointment))] if shown.appointment.id and not dry_run else []
        return answer(201 if outcome.created else 200, appointment(shown, urls), headers)

    def slots(self, slots: Sequence[Slot]) -> Answer:
        return answer(200, bundle((None, slot(free, self._urls)) for free in slots))

    def entries(self, kind: Kind, entries: Sequence[Entry]) -> Answer:
        urls = self._urls
        return answer(200, bundle((urls.one(kind, one.id), entry(kind, one, urls)) for one in entries))
