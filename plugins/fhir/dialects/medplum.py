"""Medplum's scheduling operations: free time is computed, and moves keep slots and appointment together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

import httpx

from gateway.plugin import (
    Cancel,
    Change,
    Confirm,
    Create,
    FindFreeTime,
    FreeTime,
    Refused,
    Slot,
    Span,
)
from plugins.fhir import patches, words
from plugins.fhir.dialects.standard import Params, Reason, Sending, Standard, Written, patching
from plugins.fhir.problems import resource
from plugins.fhir.search import search
from plugins.fhir.words import Json

LONGEST = timedelta(days=31)
"""Of one `$find`."""


class Medplum(Standard):
    differences: ClassVar[Mapping[str, Any]] = {
        "slot_records": False,
        "slots_per_appointment": "one",
        "refuses_overlap": True,
        "combines": False,
        "discard": False,
        "cancel_comment": "before",
        "cancel_reasons": "none",
        "version_check": False,
    }

    # -- reads -------------------------------------------------------------------------------------------------

    async def free(self, wanted: FindFreeTime) -> FreeTime:
        """What `$find` proposes on the resource's schedules, the ignored appointments' time included."""
        if wanted.healthcare_service_id is None or wanted.resource_id is None:
            raise Refused("unsupported", "free time is asked for by a service and a resource")
        schedules = await self._schedules(wanted.resource_id)
        asked = [self._find(wanted, schedule, span) for schedule in schedules for span in _parts(wanted.span)]
        found = [slot for some in await asyncio.gather(*asked) for slot in some]
        return FreeTime("slots", tuple(sorted(found, key=lambda slot: slot.span.key)))

    async def _find(self, wanted: FindFreeTime, schedule: str, span: Span) -> list[Slot]:
        params: Params = [
            ("start", words.said(span.start)),
            ("end", words.said(span.end)),
            ("service-type-reference", f"HealthcareService/{wanted.healthcare_service_id}"),
            ("schedule", schedule),
            *(("ignore-appointment", f"Appointment/{a.id}") for a in wanted.ignoring),
            ("_count", "1000"),
        ]
        bundle = await self.http.read("/Appointment/$find", proposals, params=params)
        return [self._slot(entry["resource"], wanted) for entry in bundle.get("entry") or ()]

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

    async def _schedules(self, resource_id: str) -> list[str]:
        found = await search(self.http, self.settings.base_url, "Schedule", [("actor", resource_id)])
        own = [b for b in found.of("Schedule") if resource_id in words.actors(b, self.settings, "actor")]
        return [f"Schedule/{body['id']}" for body in own if body.get("active", True)]

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
        """Operations call a value wrong, or a conflict, what is a time that is taken or a status that forbids it."""
        if no.reason not in ("invalid", "taken") or (isinstance(step, Change) and not step.slots):
            return None
        return "state" if isinstance(step, Cancel | Confirm) else "taken"

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Sending:
        """`$reschedule` for time and resource; a comment is an ordinary patch."""
        if step.span is None and step.resource_id is None:
            return patching(step.before, patches.comment(step.comment or "", step.before.native))
        span = step.span or step.before.span
        if span.length != step.before.span.length:
            raise Refused("unsupported", "the service decides how long an appointment is")
        schedules = await self._schedules(str(step.resource_id or step.before.resource_id))
        if not schedules:
            raise Refused("invalid", "the resource has no schedule")
        start = {"name": "start", "valueDateTime": span.start.isoformat()}
        where = {"name": "schedule", "valueReference": {"reference": schedules[0]}}
        return _operation(f"/Appointment/{step.before.id}/$reschedule", start, where)

    async def cancel(self, step: Cancel) -> Sending:
        return _operation(f"/Appointment/{step.before.id}/$cancel")

    async def confirm(self, step: Confirm) -> Sending:
        return _operation(f"/Appointment/{step.before.id}/$confirm")

    async def create(self, step: Create) -> Sending:
        """A proposal of `$find`, with the patient and what is ours."""
        proposal = step.slots[0].native.get("proposal") if len(step.slots) == 1 else None
        if not isinstance(proposal, dict) or not words.is_id(step.patient_id):
            raise Refused("invalid", "not a proposal of $find, or not a FHIR id")
        patient = {"actor": {"reference": f"Patient/{step.patient_id}"}, "status": "accepted"}
        body = {**proposal, "participant": [patient, *proposal.get("participant", ())]}
        if step.marker:
            body["identifier"] = [{"system": self.settings.marker_system, "value": step.marker}]
        if step.comment and step.comment.strip():
            body["comment"] = step.comment
        return _operation("/Appointment/$book", {"name": "appointment", "resource": body})


def _operation(path: str, *parameters: Json) -> Sending:
    body = {"resourceType": "Parameters", "parameter": list(parameters)} if parameters else None
    return Sending(method="POST", path=path, body=body)


def proposals(response: httpx.Response) -> Json:
    """A Bundle, bare or as the parameter `return`."""
    body = resource(response) or {}
    if body.get("resourceType") == "Parameters":
        body = next(p["resource"] for p in body["parameter"] if p.get("name") == "return")
    words.expect(body, "Bundle")
    return body


def _parts(span: Span) -> Iterator[Span]:
    """Stretches that one `$find` takes."""
    start = span.start
    while start.timestamp() < span.end.timestamp():
        end = min(start + LONGEST, span.end, key=lambda moment: moment.timestamp())
        yield Span(start, end)
        start = end
