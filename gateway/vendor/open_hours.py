"""An EMR that tells no free time, but when people work, what stands and what is blocked: free time is worked out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.domain.availability import open_time
from gateway.domain.capabilities import Capabilities
from gateway.domain.model import Appointment, FreeTime, Kind, Span
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.port import Refused
from gateway.vendor.hours import Week, worked
from gateway.vendor.http import VendorHttp
from gateway.vendor.rest import RestEmr


class OpenHoursEmr(RestEmr):
    """`free_time="windows"`, with `own_time_shown`. `week` and `blocked` are the plugin's to say.

    What the list of appointments holds is in the way, whatever its care unit, breaks included (`is_shown`).
    """

    def __init__(
        self, http: VendorHttp, capabilities: Capabilities, tenant: str, *, care_unit_id: str | None = None, **how: Any
    ) -> None:
        """`care_unit_id`: the one that is meant where a question names none, so that it need not be asked by.
        `how`: as `RestEmr` takes it."""
        by = capabilities.free_time_by - ({Kind.CARE_UNIT} if care_unit_id is not None else set())
        super().__init__(http, replace(capabilities, free_time_by=by), tenant, **how)
        self.care_unit_id = care_unit_id

    async def week(self, resource_id: str, care_unit_id: str) -> Week:
        """When a resource works at a care unit; empty where either is not there. Both can be."""
        raise NotImplementedError

    async def blocked(self, resource_id: str, span: Span) -> Sequence[Span]:  # noqa: ARG002
        """What of `span` is in the way of a resource and no appointment: lunch, meetings, holidays."""
        return ()

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        who, where = wanted.resource_id, wanted.care_unit_id or self.care_unit_id
        if who is None or where is None:
            raise Refused("unsupported", "free time is of a resource and a care unit")
        wanted = replace(wanted, care_unit_id=where)
        hours = worked(await self.week(who, where), wanted.span, self.zone) if self.are_possible(wanted) else []
        if not (hours or wanted.own):
            return FreeTime("windows")
        standing = await self.listed(ReadCalendar(wanted.span, resource_id=who))
        return open_time(wanted, hours, standing, await self.blocked(who, wanted.span))

    async def conflicts(self, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
        """With breaks and blocked time, too."""
        who = appointment.resource_id
        stands = await super().conflicts(appointment, ignoring)
        return stands or (who is not None and bool(await self.blocked(who, appointment.span)))
