"""The reads: one appointment, lists, free slots, directories."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from gateway.answering import earlier_ids, gives_new_ids
from gateway.domain.availability import within
from gateway.domain.errors import BadRequest, NotFound, Problem
from gateway.domain.model import Appointment, Entry, Kind, Slot, Span
from gateway.domain.outcome import Outcome, Shown
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.execute.consult import Consultation
from gateway.execute.failures import of_read
from gateway.ledger import Ledger
from gateway.port import Emr, EmrError, Refused

T = TypeVar("T")


class Reading:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def appointment(self, emr: Emr, id: str, care_unit_id: str | None) -> Outcome:
        await self._check_unit(emr, care_unit_id)
        found = (await _asked(Consultation(emr, self._ledger, None).read((id,))))[id]
        if found is None or care_unit_id not in (None, found.care_unit_id):
            raise NotFound(
                problems=[Problem("INVALID_APPOINTMENT_ID", "There is no such appointment.", "appointment_id")]
            )
        return Outcome((await self._shown(emr, found),), single=True)

    async def appointments(
        self, emr: Emr, span: Span, patient_id: str | None, resource_id: str | None, care_unit_id: str | None
    ) -> Outcome:
        """All that overlap the span, in order of start; requests that wait for a code are in no list."""
        await self._check_unit(emr, care_unit_id)
        if not emr.capabilities.lists:
            raise _not_supported("This EMR can't list appointments.")
        wanted = ReadCalendar(span, resource_id=resource_id, patient_id=patient_id, care_unit_id=care_unit_id)
        found = await _listed(emr.calendar(wanted))
        fitting = [
            a for a in found if a.confirms is None and a.span.overlaps(span) and care_unit_id in (None, a.care_unit_id)
        ]
        fitting = await self._current(emr, fitting)
        fitting.sort(key=lambda a: (a.span.key, a.id))
        return Outcome(tuple([await self._shown(emr, a) for a in fitting]), single=False)

    async def timeslots(
        self, emr: Emr, span: Span, resource_id: str | None, service_id: str | None, care_unit_id: str | None
    ) -> Sequence[Slot]:
        """Slots that lie within the span whole; open windows as far as they do."""
        await self._check_unit(emr, care_unit_id)
        if emr.capabilities.free_time == "none":
            raise _not_supported("This EMR does not tell its free time.")
        _must_name(emr, {Kind.RESOURCE: resource_id, Kind.SERVICE: service_id, Kind.CARE_UNIT: care_unit_id})
        try:
            free = await emr.free_time(FindFreeTime(span, resource_id, service_id, care_unit_id))
        except Refused as error:
            if error.reason != "not_found":
                raise of_read(error) from None
            return []
        except EmrError as error:
            raise of_read(error) from None
        return sorted(within(free, span).slots, key=lambda s: (s.span.key, s.resource_id or ""))

    async def directory(self, emr: Emr, kind: Kind, care_unit_id: str | None) -> Sequence[Entry]:
        await self._check_unit(emr, care_unit_id)
        if kind not in emr.capabilities.directories:
            raise _not_supported("This EMR can't list these.")
        entries = await _asked(emr.directory(kind))
        if kind is Kind.CARE_UNIT:
            return [e for e in entries if care_unit_id in (None, e.id)]
        return [e for e in entries if care_unit_id is None or e.care_unit_id in (None, care_unit_id)]

    async def _current(self, emr: Emr, found: list[Appointment]) -> list[Appointment]:
        """Without what an EMR still lists under an id that has a successor: it is the same appointment."""
        if gives_new_ids(emr):
            replaced = await self._ledger.successors(emr.tenant, [a.id for a in found])
            return [a for a in found if a.id not in replaced]
        return found

    async def _check_unit(self, emr: Emr, care_unit_id: str | None) -> None:
        if care_unit_id is None or Kind.CARE_UNIT not in emr.capabilities.directories:
            return
        if await _asked(emr.look_up(Kind.CARE_UNIT, care_unit_id)) is None:
            raise NotFound(problems=[Problem("INVALID_CARE_UNIT_ID", "There is no such care unit.", "care_unit_id")])

    async def _shown(self, emr: Emr, appointment: Appointment) -> Shown:
        return Shown(appointment, None, await earlier_ids(emr, self._ledger, appointment))


async def _asked(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except EmrError as error:
        raise of_read(error) from None


async def _listed(answer: Awaitable[Sequence[Appointment]]) -> Sequence[Appointment]:
    """A filter by somebody who does not exist finds nothing."""
    try:
        return await answer
    except Refused as error:
        if error.reason != "not_found":
            raise of_read(error) from None
        return []
    except EmrError as error:
        raise of_read(error) from None


NAMED = {
    Kind.RESOURCE: "query/resource_id",
    Kind.SERVICE: "query/healthcare_service_id",
    Kind.CARE_UNIT: "care_unit_id",
}


def _must_name(emr: Emr, given: Mapping[Kind, str | None]) -> None:
    problems = [
        Problem("MISSING_REQUIRED_FIELD", "This EMR tells free time only by it.", NAMED[kind])
        for kind, id in given.items()
        if id is None and kind in emr.capabilities.free_time_by
    ]
    if problems:
        raise BadRequest(problems=problems)


def _not_supported(details: str) -> BadRequest:
    return BadRequest(problems=[Problem("NOT_SUPPORTED", details, None)])
