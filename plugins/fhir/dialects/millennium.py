"""Oracle Health Millennium: the slot decides time, practitioner and place; a few patches are allowed, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    ReadCalendar,
    Refused,
    Slot,
)
from plugins.fhir import slots, words
from plugins.fhir.dialects.standard import Params, Reason, Sending, Standard, Written, patching
from plugins.fhir.patches import instead, put, references
from plugins.fhir.problems import resource
from plugins.fhir.words import Json

ACTION_COMMENT = "https://fhir-ehr.cerner.com/r4/StructureDefinition/action-comment"
ACTORS = {"Practitioner": "practitioner", "Location": "location"}


class Millennium(Standard):
    differences: ClassVar[Mapping[str, Any]] = {
        "directories": frozenset(),
        "free_time_by": frozenset({Kind.SERVICE}),
        "slot_records": False,
        "slots_per_appointment": "one",
        "refuses_overlap": True,
        "moves_awaiting": False,
        "comment": False,
        "discard": False,
        "answers_with": "nothing",
    }
    tries_lock = False
    transacts = False
    proof: ClassVar[tuple[str, Params]] = ("/Slot", [("_id", "0")])

    # -- reads -------------------------------------------------------------------------------------------------

    def read(self, body: Json) -> Appointment | None:
        """A cancelled appointment's comment is that of the action."""
        read = super().read(body)
        said = next((e.get("valueString") for e in words.extensions(body) if e.get("url") == ACTION_COMMENT), None)
        return replace(read, comment=said) if read is not None and said and body["status"] == "cancelled" else read

    def calendar(self, wanted: ReadCalendar) -> Params | None:
        """By exactly one of patient, practitioner and location."""
        dates = words.looking_back(wanted.span, self.settings)
        if wanted.patient_id is not None:
            return [("patient", wanted.patient_id), *dates] if words.is_id(wanted.patient_id) else None
        place = words.split(wanted.resource_id or "", ACTORS)
        if place is not None:
            return [(ACTORS[place[0]], place[1]), *dates]
        if wanted.resource_id is not None:
            return None
        if wanted.care_unit_id is not None:
            return [("location", wanted.care_unit_id), *dates]
        raise Refused("unsupported", "appointments are listed by patient, resource or care unit")

    async def free(self, wanted: FindFreeTime) -> FreeTime:
        if wanted.healthcare_service_id is None:
            raise Refused("unsupported", "slots are looked for by a service type")
        params: Params = [
            ("service-type", wanted.healthcare_service_id),
            ("start", f"ge{words.said(wanted.span.start)}"),
            ("start", f"lt{words.said(wanted.span.end)}"),
        ]
        if wanted.resource_id is not None:
            params.append(("schedule.actor", wanted.resource_id))
        if wanted.care_unit_id is not None:
            params.append(("-location", wanted.care_unit_id))
        offered = slots.with_schedules(self.http, self.settings, params)
        return await slots.free(self.http, self.settings, wanted, self.listed, offered)

    def own(self, step: Create) -> Params:
        day = words.looking_back(step.span, self.settings)
        return [("patient", step.patient_id), *day]

    def is_own(self, body: Json, step: Create) -> bool:
        """A booking bears no identifier of ours; its slot can only be held by one."""
        wanted, held = references(step.slots), body.get("slot") or ()
        return body.get("status") == "booked" and bool(wanted) and all(slot in held for slot in wanted)

    async def retold(self, no: Refused, step: Written) -> Reason | None:
        """A slot that was taken meanwhile is told as a rule: it is looked at."""
        if no.reason != "rule" or not isinstance(step, Change | Create):
            return None
        shown = await self.http.read(f"/Slot/{_only(step.slots).id}", _status)
        return None if shown == "free" else "taken"

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Sending:
        """The slot alone: it decides all else."""
        if step.comment is not None:
            raise Refused("unsupported", "a comment can't be written by itself")
        return patching(step.before, [instead("/slot", references([_only(step.slots)]))])

    async def cancel(self, step: Cancel) -> Sending:
        ops = [instead("/status", "cancelled"), put("/cancelationReason", self.reason)]
        if step.comment and step.comment.strip():
            ops.append(instead("/extension", [{"url": ACTION_COMMENT, "valueString": step.comment}]))
        return patching(step.before, ops)

    async def confirm(self, step: Confirm) -> Sending:
        if step.before.native.get("status") != "booked" or step.before.confirmed:
            raise Refused("state", "only what is booked and not confirmed can be confirmed")
        return patching(step.before, [instead("/patient-status", "accepted")])

    async def create(self, step: Create) -> Sending:
        """Patient and slot; all else is the slot's."""
        if not words.is_id(step.patient_id):
            raise Refused("invalid", "not a FHIR id")
        body = {
            "resourceType": "Appointment",
            "status": "booked",
            "slot": references([_only(step.slots)]),
            "participant": [{"actor": {"reference": f"Patient/{step.patient_id}"}, "status": "accepted"}],
        }
        if step.comment and step.comment.strip():
            raise Refused("unsupported", "a booking takes no comment")
        return Sending(method="POST", path="/Appointment", body=body)


def _status(response: httpx.Response) -> str:
    body = resource(response) or {}
    words.expect(body, "Slot")
    return words.status_of(body)


def _only(held: Sequence[Slot]) -> Slot:
    if len(held) != 1 or held[0].id is None:
        raise Refused("invalid", "an appointment holds exactly one slot")
    return held[0]
