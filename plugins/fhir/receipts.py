"""What an answer proves of a write: the appointment or slot as it now is, or at least its id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import httpx

from gateway.plugin import Appointment, MarkSlot, Receipt, Slot, Step
from plugins.fhir import words
from plugins.fhir.problems import appointment_in, resource
from plugins.fhir.settings import Settings
from plugins.fhir.transactions import entries
from plugins.fhir.words import Json


class Receipts:
    """`read` is how an account's dialect reads an appointment."""

    def __init__(self, settings: Settings, read: Callable[[Json], Appointment | None]) -> None:
        self._settings, self._read = settings, read

    def of_appointment(self, response: httpx.Response) -> Receipt:
        """The appointment where the server answers with it, else only its id (and for a booking at least that)."""
        body = resource(response)
        if body is None:
            return _named(response.headers)
        return self._shown(appointment_in(body))

    def of_slot(self, step: MarkSlot, response: httpx.Response) -> Receipt:
        return Receipt(slot=self._marked(step, resource(response), response.headers.get("etag", "")), id=step.slot.id)

    def of_transaction(self, steps: Sequence[Step], response: httpx.Response) -> Sequence[Receipt]:
        told = entries(response, len(steps))
        return [self._of_entry(step, entry) for step, entry in zip(steps, told, strict=True)]

    def _of_entry(self, step: Step, entry: Json) -> Receipt:
        """Servers may leave the resources out, or tell in their place how it went."""
        body, told = entry.get("resource") or {}, entry["response"]
        if isinstance(step, MarkSlot):
            shown = body if body.get("resourceType") == "Slot" else None
            return Receipt(slot=self._marked(step, shown, told.get("etag", "")), id=step.slot.id)
        if body.get("resourceType") == "Appointment":
            return self._shown(body)
        return _named(told)

    def _shown(self, body: Json) -> Receipt:
        return Receipt(appointment=self._read(body), id=words.text(body["id"]))

    def _marked(self, step: MarkSlot, body: Json | None, etag: str) -> Slot:
        """Without a body the slot that was written, with the answer's version."""
        if body is None:
            return replace(step.slot, version=_version(etag), native={"status": step.state})
        read = words.slot(body, self._settings)
        return replace(step.slot, version=read.version, native=read.native)


def _named(told: Mapping[str, str]) -> Receipt:
    """What is left to be known where nothing is shown."""
    return Receipt(id=_located(told.get("location", "")), version=_version(told.get("etag", "")))


def _version(etag: str) -> str | None:
    return etag.removeprefix("W/").strip('"') or None


def _located(location: str) -> str | None:
    """The id of the appointment in a location: `[base]/Appointment/[id]/_history/[version]`."""
    kind, _, id = location.split("/_history/", 1)[0].rpartition("/")
    return id if kind.endswith("Appointment") and words.is_id(id) else None
