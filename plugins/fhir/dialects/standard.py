"""FHIR R4 as it is written: what is asked and what is sent. A dialect overrides what its vendor does otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from gateway.plugin import (
    Appointment,
    Cancel,
    Change,
    Confirm,
    Create,
    Discard,
    FindFreeTime,
    FreeTime,
    MarkSlot,
    ReadCalendar,
    Refused,
    VendorHttp,
)
from plugins.fhir import patches, slots, words
from plugins.fhir.declared import JSON_PATCH
from plugins.fhir.learned import Learned
from plugins.fhir.settings import Settings
from plugins.fhir.slots import Calendar
from plugins.fhir.words import Json

FHIR_JSON = "application/fhir+json"
Params = list[tuple[str, str | int | float | bool | None]]

Reason = Literal["taken", "state", "stale"]
Written = Change | Cancel | Confirm | Discard | Create


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One write, ready to be sent; `body` `None`: without one."""

    method: str
    path: str
    body: Any = None
    media: str = FHIR_JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    over: str | None = None
    """The version that it is written over, where it is a patch."""


class Standard:
    differences: ClassVar[Mapping[str, Any]] = {}
    """Of the capabilities."""
    tries_lock: ClassVar[bool] = True
    """Whether versions are heeded is not known, and can be tried."""
    changes_by: ClassVar[str] = "patch"
    """The interaction without which nothing can be changed."""
    transacts: ClassVar[bool] = True
    """Whether transactions are carried out as a whole is not known, and can be tried."""
    proof: ClassVar[tuple[str, Params]] = ("/Slot", [("status", "free"), ("_count", "50")])
    """A cheap search that the server allows."""

    def __init__(
        self, http: VendorHttp, settings: Settings, learned: Learned, listed: Calendar, cancel_reason: str
    ) -> None:
        self.http, self.settings, self.learned, self.listed = http, settings, learned, listed
        self.reason = patches.reason(cancel_reason, settings)

    # -- reads -------------------------------------------------------------------------------------------------

    def read(self, body: Json) -> Appointment | None:
        return words.appointment(body, self.settings)

    def calendar(self, wanted: ReadCalendar) -> Params | None:
        """The search; `None` where nothing can be found."""
        params = words.looking_back(wanted.span, self.settings)
        if wanted.resource_id is not None:
            if words.split(wanted.resource_id, self.settings.resources) is None:
                return None
            params.append(("actor", wanted.resource_id))
        if wanted.patient_id is not None:
            if not words.is_id(wanted.patient_id):
                return None
            params.append(("patient", f"Patient/{wanted.patient_id}"))
        return params

    async def free(self, wanted: FindFreeTime) -> FreeTime:
        offered = slots.offered(self.http, self.settings, self.learned, wanted)
        return await slots.free(self.http, self.settings, wanted, self.listed, offered)

    def own(self, step: Create) -> Params:
        """Where the appointment of a booking is looked for."""
        return [("identifier", f"{self.settings.marker_system}|{step.marker}")]

    def is_own(self, body: Json, step: Create) -> bool:
        return words.bears(body, self.settings.marker_system, step.marker)

    async def retold(self, no: Refused, step: Written) -> Reason | None:  # noqa: ARG002
        """What a refusal means where the vendor says it in other words than FHIR's; `None`: what it says."""
        return None

    # -- writes ------------------------------------------------------------------------------------------------

    async def change(self, step: Change) -> Sending:
        return patching(step.before, patches.change(step, self.settings))

    async def cancel(self, step: Cancel) -> Sending:
        return patching(step.before, patches.cancellation(step, self.reason))

    async def confirm(self, step: Confirm) -> Sending:
        return patching(step.before, patches.confirmation(step))

    async def discard(self, step: Discard) -> Sending:
        """As entered in error rather than by DELETE, which servers carry out whatever the version."""
        return patching(step.before, patches.withdrawal())

    async def create(self, step: Create) -> Sending:
        condition = {"If-None-Exist": patches.marker_query(step.marker, self.settings)} if step.marker else {}
        body = patches.booking(step, self.settings)
        return Sending(method="POST", path="/Appointment", body=body, headers=condition)


def patching(before: Appointment, ops: Sequence[patches.Op]) -> Sending:
    return patch(f"/Appointment/{before.id}", before.version, ops)


def marking(step: MarkSlot) -> Sending:
    """Raises Refused("invalid") for a slot that is no record."""
    if step.slot.id is None or not words.is_id(step.slot.id):
        raise Refused("invalid", "not a slot record")
    return patch(f"/Slot/{step.slot.id}", step.slot.version, patches.marking(step))


def patch(path: str, version: str | None, ops: Sequence[patches.Op]) -> Sending:
    """A JSON Patch over the version that was read."""
    condition = {} if version is None else {"If-Match": f'W/"{version}"'}
    return Sending(method="PATCH", path=path, body=list(ops), media=JSON_PATCH, headers=condition, over=version)
