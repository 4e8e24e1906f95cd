"""Medplum's scheduling operations: free time is computed, and moves keep slots and appointment together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Confirm,
    Create,
    FindFreeTime,
    FreeTime,
    Kind,
    Refused,
    Slot,
    Span,
    sense,
)
from plugins.fhir import patches, words
from plugins.fhir.dialects.standard import Params, Reason, Sending, Standard, Written, patching
from plugins.fhir.problems import resource, returned
from plugins.fhir.search import search
from plugins.fhir.words import Json

SERVICE = "https://medplum.com/fhir/service-type-reference"
"""The extension of a service type that names the very HealthcareService."""
LONGEST = timedelta(days=31)
"""Of one `$find`."""
OPEN: Mapping[type[Written], tuple[str, ...]] = {
    Change: ("booked", "pending"),
    Cancel: ("booked", "pending"),
    Confirm: ("pending", "proposed"),
}
"""The statuses in which an operation is possible."""


class Medplum(Standard):
    differences: ClassVar[Mapping[str, Any]] = {
        "free_time_by": frozenset({Kind.RESOURCE, Kind.SERVICE}),
        "slot_records": False,
        "slots_per_appointment": "one",
        "refuses_overlap": True,
        "combines": False,
        "discard": False,
        "cancel_comment": "before",
        "cancel_reasons": "none",
        "version_check": False,
    }
    transacts = False

    # -- reads -------------------------------------------------------------------------------------------------

    def read(self, body: Json) -> Appointment | None:
        """Its service is named by the extension; as a participant it is no service of Medplum's."""
        read = super().read(body)
        service = next(self._services(body), None)
        return replace(read, healthcare_service_id=service) if read is not None and service is not None else read

    def _services(self, body: Json) -> Iterator[str]:
        """The services that an appointment is for, or that a schedule is open for."""
        for concept in body.get("serviceType") or ():
            for extension in words.extensions(concept):
                if extension.get("url") == SERVICE:
                    yield words.bare(words.referred(extension.get("valueReference"), self.settings.base_url))

    async def free(self, wanted: FindFreeTime) -> FreeTime:
        """What `$find` proposes on the resource's schedules, the ignored appointments' time included."""
        service, resource_id = wanted.healthcare_service_id, wanted.resource_id
        if service is None or resource_id is None:
            raise Refused("unsupported", "free time is asked for by a service and a resource")
        asked = [
            self._find(wanted, schedule, span, ignored)
            for schedule in await self._schedules(resource_id, service)
            for span in _parts(wanted.span)
            for ignored in _ignored(wanted)
        ]
        found = {slot.span.key: slot for some in await asyncio.gather(*asked) for slot in some}
        return FreeTime("slots", tuple(found[key] for key in sorted(found)))

    async def _find(self, wanted: FindFreeTime, schedule: str, span: Span, ignored: str | None) -> list[Slot]:
        params: Params = [
            ("start", words.said(span.start)),
            ("end", words.said(span.end)),
            ("service-type-reference", f"HealthcareService/{wanted.healthcare_service_id}"),
            ("schedule", schedule),
            *([("ignore-appointment", f"Appointment/{ignored}")] if ignored is not None else ()),
            ("_count", "1000"),
        ]
        offered = await self.http.read("/Appointment/$find", partial(self._proposed, wanted=wanted), params=params)
        # The end of the search is part of it.
        return [slot for slot in offered if slot.span.overlaps(span)]

    def _proposed(self, response: httpx.Response, wanted: FindFreeTime) -> list[Slot]:
        """A Bundle, bare or as the parameter `return`."""
        body = returned(resource(response) or {})
        words.expect(body, "Bundle")
        return [self._slot(entry["resource"], wanted) for entry in body.get("entry") or ()]

    def _slot(self, body: Json, wanted: FindFreeTime) -> Slot:
        words.expect(body, "Appointment")
        start, end = (words.instant(body[edge], self.settings) for edge in ("start", "end"))
        return Slot(
            start,
            end,
            wanted.resource_id,
            wanted.healthcare_service_id,
            wanted.care_unit_id,
            native={"proposal": dict(body)},
        )

    async def _schedules(self, resource_id: str, service: str | None) -> list[str]:
        """The resource's schedules that are open for the service; one that names no service is open for each."""
        found = await search(self.http, self.settings.base_url, "Schedule", [("actor", resource_id)])
        return sense(
            lambda listed: [f"Schedule/{b['id']}" for b in listed if self._fits(b, resource_id, service)],
            [*found.of("Schedule")],
        )

    def _fits(self, schedule: Json, resource_id: str, service: str | None) -> bool:
        offered = [*self._services(schedule)]
        there = resource_id in words.actors(schedule, self.settings, "actor") and schedule.get("active", True)
        return bool(there) and (service is None or not offered or service in offered)

    def own(self, step: Create) -> Params:
        return [("patient", f"Patient/{step.patient_id}"), *words.looking_back(step.span, self.settings)]

    def is_own(self, body: Json, step: Create) -> bool:
        """By the identifier; a server that drops it still has this patient, then and there, only once."""
        read = self.read(body)
        if read is None or body["status"] == "cancelled":
            return False
        there = (read.patient_id, read.resource_id) == (step.patient_id, step.resource_id)
        return super().is_own(body, step) or (there and read.span.same(step.span))

    async def retold(self, no: Refused, step: Written) -> Reason | None:
        """Operations say the same of a time that is taken, of a status that forbids it and of losing a race."""
        if no.reason not in ("invalid", "taken") or (isinstance(step, Change) and _is_text(step)):
            return None
        if isinstance(step, Create):
            return "taken"
        now = await self.http.read(f"/Appointment/{step.before.id}", _status)
        if now not in OPEN[type(step)]:
            return "state"
        if isinstance(step, Change):
            return "taken"
        return "stale" if no.reason == "taken" else None

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Sending:
        """`$reschedule` for time and resource; a comment is an ordinary patch."""
        if _is_text(step):
            return patching(step.before, patches.comment(step.comment or "", step.before.native))
        span = step.after.span
        if span.length != step.before.span.length:
            raise Refused("unsupported", "the service decides how long an appointment is")
        await self._on_one_schedule(step.before)
        start = {"name": "start", "valueDateTime": span.start.isoformat()}
        where = {"name": "schedule", "valueReference": {"reference": await self._schedule(step)}}
        return _operation(f"/Appointment/{step.before.id}/$reschedule", start, where)

    async def _schedule(self, step: Change) -> str:
        """That of the proposal which was chosen; back to where an appointment was, the resource's."""
        proposed = next((_proposed(slot) for slot in step.slots), None)
        if proposed is not None:
            return proposed
        resource_id = str(step.after.resource_id)
        schedules = await self._schedules(resource_id, step.before.healthcare_service_id)
        if not schedules:
            raise Refused("invalid", "the resource has no schedule")
        return schedules[0]

    async def _on_one_schedule(self, before: Appointment) -> None:
        """A move names all the schedules on which the appointment then is: any other would be lost."""
        if len(before.slot_ids) > 1:
            wanted = [("_id", ",".join(before.slot_ids))]
            found = await search(self.http, self.settings.base_url, "Slot", wanted)
            schedules = sense(
                lambda slots: {words.referred(slot["schedule"], "") for slot in slots}, [*found.of("Slot")]
            )
            if len(schedules) > 1:
                raise Refused("unsupported", "an appointment on several schedules")

    async def cancel(self, step: Cancel) -> Sending:
        return _operation(f"/Appointment/{step.before.id}/$cancel")

    async def confirm(self, step: Confirm) -> Sending:
        return _operation(f"/Appointment/{step.before.id}/$confirm")

    async def create(self, step: Create) -> Sending:
        """A proposal of `$find`, with the patient and what is ours: booked, or held until it is confirmed."""
        proposal = step.slots[0].native.get("proposal") if len(step.slots) == 1 else None
        if not isinstance(proposal, dict) or not words.is_id(step.patient_id):
            raise Refused("invalid", "not a proposal of $find, or not a FHIR id")
        patient = {"actor": {"reference": f"Patient/{step.patient_id}"}, "status": "accepted"}
        body = {**proposal, "participant": [patient, *proposal.get("participant", ())]}
        if step.marker:
            body["identifier"] = [{"system": self.settings.marker_system, "value": step.marker}]
        if step.comment and step.comment.strip():
            body["comment"] = step.comment
        operation = "$hold" if self.settings.holds else "$book"
        return _operation(f"/Appointment/{operation}", {"name": "appointment", "resource": body})


def _status(response: httpx.Response) -> str:
    body = resource(response) or {}
    words.expect(body, "Appointment")
    return words.status_of(body)


def _is_text(step: Change) -> bool:
    return step.span is None and step.resource_id is None


def _ignored(wanted: FindFreeTime) -> list[str | None]:
    """Whom to ignore, one search at a time: each names one appointment at most."""
    own = [a.id for a in wanted.ignoring if a.resource_id == wanted.resource_id and a.span.overlaps(wanted.span)]
    return [*own] or [None]


def _proposed(slot: Slot) -> str | None:
    """The schedule of a proposal of `$find`."""
    proposal: Any = slot.native.get("proposal") or {}
    return next((str(held["schedule"]["reference"]) for held in proposal.get("contained") or ()), None)


def _operation(path: str, *parameters: Json) -> Sending:
    body = {"resourceType": "Parameters", "parameter": list(parameters)} if parameters else None
    return Sending(method="POST", path=path, body=body)


def _parts(span: Span) -> Iterator[Span]:
    """Stretches that one `$find` takes."""
    start = span.start
    while start.timestamp() < span.end.timestamp():
        end = min(start + LONGEST, span.end, key=lambda moment: moment.timestamp())
        yield Span(start, end)
        start = end
