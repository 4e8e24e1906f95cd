"""Canvas Medical: updates by a PUT that merges, over a date instead of a version; slots without ids; no comment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from math import ceil
from typing import Any, ClassVar

import httpx

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Confirm,
    FindFreeTime,
    FreeTime,
    Kind,
    ReadCalendar,
    Refused,
    Slot,
)
from plugins.fhir import words
from plugins.fhir.dialects.standard import Params, Reason, Sending, Standard, Written
from plugins.fhir.patches import checked, minutes
from plugins.fhir.search import bundle_in
from plugins.fhir.words import Json


class Canvas(Standard):
    differences: ClassVar[Mapping[str, Any]] = {
        "directories": frozenset({Kind.PATIENT, Kind.CARE_UNIT, Kind.RESOURCE}),
        "free_time_by": frozenset({Kind.RESOURCE, Kind.CARE_UNIT}),
        "own_time_shown": False,
        "slot_records": False,
        "create": False,
        "discard": False,
        "comment": False,
        "cancel_comment": "none",
        "cancel_reasons": "none",
        "answers_with": "nothing",
        "version_check": False,
    }
    tries_lock = False
    changes_by = "update"
    transacts = False
    proof: ClassVar[tuple[str, Params]] = ("/Appointment", [("_count", "1")])

    # -- reads -------------------------------------------------------------------------------------------------

    def read(self, body: Json) -> Appointment | None:
        read = super().read(body)
        if read is None:
            return None
        places = [words.referred(one, self.settings.base_url) for one in _supporting(body)]
        kept = {key: body[key] for key in ("start", "end", "supportingInformation", "contained") if key in body}
        return replace(
            read,
            comment=None,
            version=_changed_at(body),
            care_unit_id=words.unit_of(places, self.settings),
            native={**read.native, **kept},
        )

    def calendar(self, wanted: ReadCalendar) -> Params | None:
        params = super().calendar(replace(wanted, resource_id=None))
        place = words.split(wanted.resource_id or "", ("Practitioner",))
        if params is None or (wanted.resource_id is not None and place is None):
            return None
        return [*params, ("practitioner", str(wanted.resource_id))] if place is not None else params

    async def free(self, wanted: FindFreeTime) -> FreeTime:
        """The slots of the schedule that bears the names of the place and the practitioner."""
        place = words.split(wanted.resource_id or "", ("Practitioner",))
        if place is None or wanted.care_unit_id is None:
            raise Refused("unsupported", "slots are looked for by a practitioner and a care unit")
        schedule = f"Location.{wanted.care_unit_id}-Staff.{place[1]}"
        asked = (self._of_length(wanted, schedule, minutes) for minutes in self._lengths(wanted))
        found = {slot.span.key: slot for some in await asyncio.gather(*asked) for slot in some}
        return FreeTime("slots", tuple(found[key] for key in sorted(found)))

    def _lengths(self, wanted: FindFreeTime) -> list[int]:
        """Of the slots, in minutes: as long as what is to be placed, or as the account says."""
        placing = [a.span for a in wanted.ignoring]
        if placing and wanted.span.length <= timedelta(hours=self.settings.longest_h):
            placing.append(wanted.span)
        return sorted({minutes(span) for span in placing}) or [self.settings.slot_minutes]

    async def _of_length(self, wanted: FindFreeTime, schedule: str, length: int) -> list[Slot]:
        params: Params = [
            ("schedule", schedule),
            ("start", words.said(wanted.span.start)),
            ("end", words.said(wanted.span.end)),
            ("duration", length),
        ]
        found = await self.http.read("/Slot", partial(self._slots, wanted=wanted), params=params)
        return [slot for slot in found if slot.span.overlaps(wanted.span)]

    def _slots(self, response: httpx.Response, wanted: FindFreeTime) -> list[Slot]:
        return [self._slot(entry["resource"], wanted) for entry in bundle_in(response).get("entry") or ()]

    def _slot(self, body: Json, wanted: FindFreeTime) -> Slot:
        words.expect(body, "Slot")
        start, end = (words.instant(body[edge], self.settings) for edge in ("start", "end"))
        return Slot(start, end, wanted.resource_id, wanted.healthcare_service_id, wanted.care_unit_id)

    async def retold(self, no: Refused, step: Written) -> Reason | None:
        """A time that is taken is told as a rule like any other: it is looked at."""
        if no.reason not in ("rule", "invalid") or not isinstance(step, Change):
            return None
        there = await self.listed(ReadCalendar(step.after.span, resource_id=step.after.resource_id))
        return "taken" if any(a.id != step.before.id and words.standing(a) for a in there) else None

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Sending:
        if step.comment is not None:
            raise Refused("unsupported", "an appointment has no comment")
        told: dict[str, Any] = {}
        if step.span is not None:
            told = {"start": step.span.start.isoformat(), "end": step.span.end.isoformat()}
        if step.resource_id is not None:
            told["participant"] = self._with(step.before, step.resource_id)
        return _putting(step.before, told)

    async def cancel(self, step: Cancel) -> Sending:
        return _putting(step.before, {"status": "cancelled"})

    async def confirm(self, step: Confirm) -> Sending:
        return _putting(step.before, {"status": "booked"})

    def _with(self, before: Appointment, resource_id: str) -> list[Json]:
        """The participants, with another practitioner in the place of the one there was."""
        new: Json = {"actor": {"reference": checked(resource_id, self.settings)}, "status": "accepted"}
        people: list[Json] = [dict(p) for p in _participants(before)]
        named = words.actors({"participant": people}, self.settings)
        changed = [new if name == before.resource_id else p for name, p in zip(named, people, strict=True)]
        return changed if before.resource_id in named else [*changed, new]


def _putting(before: Appointment, told: Mapping[str, Any]) -> Sending:
    """What an update can't do without, and what it changes; what is left out keeps its value."""
    kept = {key: before.native[key] for key in ("status", "start", "end")} | _surroundings(before.native)
    named = [words.referred(p.get("actor"), "") for p in _participants(before)]
    people = [{"actor": {"reference": one}, "status": "accepted"} for one in named if one]
    body = {"resourceType": "Appointment", "id": before.id, **kept, "participant": people, **told}
    condition = {}
    if before.version is not None:
        # Of a part of a second nothing can be said: rounded down, it would be before the change itself.
        changed = datetime.fromtimestamp(ceil(datetime.fromisoformat(before.version).timestamp()), UTC)
        condition = {"If-Unmodified-Since": format_datetime(changed, usegmt=True)}
    return Sending(method="PUT", path=f"/Appointment/{before.id}", body=body, headers=condition)


def _changed_at(body: Json) -> str | None:
    """A date without an offset names no moment over which anything could be written."""
    told = (body.get("meta") or {}).get("lastUpdated")
    return None if told is None or datetime.fromisoformat(told).tzinfo is None else str(told)


def _surroundings(native: Json) -> dict[str, Any]:
    """The place, and the link to a video meeting, which would be another one if it were left out. What else an
    appointment refers to can't be written."""
    references = [words.referred(one, "") for one in _supporting(native)]
    written = [r for r in references if r.startswith(("Location/", "#"))]
    told: dict[str, Any] = {"supportingInformation": [{"reference": r} for r in written]}
    if any(r.startswith("#") for r in written) and "contained" in native:
        told["contained"] = native["contained"]
    return told


def _participants(before: Appointment) -> Sequence[Json]:
    listed: Any = before.native.get("participant", ())
    return tuple(listed)


def _supporting(body: Json) -> Sequence[Json]:
    return tuple(body.get("supportingInformation", ()))
