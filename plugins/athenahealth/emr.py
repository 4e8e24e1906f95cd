"""The port of an athenahealth practice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import httpx

from gateway.plugin import (
    Account,
    Appointment,
    Cancel,
    Capabilities,
    Change,
    Confirm,
    Create,
    Emr,
    EmrError,
    Entry,
    FindFreeTime,
    FreeTime,
    Kind,
    ReadCalendar,
    Receipt,
    Refused,
    Slot,
    Span,
    Status,
    VendorHttp,
    given,
    to_wall,
)
from plugins.athenahealth import words
from plugins.athenahealth.records import Records, beyond_web
from plugins.athenahealth.settings import Settings
from plugins.athenahealth.words import YES

FULL = Capabilities(
    directories=frozenset(words.DIRECTORIES),
    lists=True,
    free_time="slots",
    move="new_id",
    reassign="new_id",
    combines=False,
    books_comment=False,
    slots_per_appointment="one",
    create=True,
    cancel=True,
    cancel_comment="before",
    cancel_reasons="any",
    comment=True,
    confirm="flag",
    confirmed_flag=True,
    answers_with="nothing",
    late_write_s=30.0,
)
A_DAY_S = 86_400.0
EXPLAINED = frozenset({"invalid", "rule", "not_found", "stale"})
"""Refusals that say nothing by their status: what they were about tells more."""

T = TypeVar("T")


def _of(settings: Settings) -> Capabilities:
    """What the account can do, and how often it may be called."""
    can = replace(FULL, local_zone=settings.zone.key, late_write_s=settings.late_write_s)
    if settings.confirmed_id is None:
        can = replace(can, confirm="none", confirmed_flag=False)
    if settings.calls_per_second is not None:
        can = replace(can, min_interval_s=1 / settings.calls_per_second)
    return replace(can, quota=settings.calls_per_day, quota_window_s=A_DAY_S)


class AthenaEmr(Emr):
    def __init__(self, http: VendorHttp, account: Account, *, tenant: str) -> None:
        settings = account.settings
        assert isinstance(settings, Settings)
        super().__init__(_of(settings), tenant)
        self._http, self._account, self._settings, self._zone = http, account, settings, settings.zone
        self._records = Records(http, settings)

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, Appointment | None]:
        records = await asyncio.gather(*(self._records.record(id) for id in ids))
        taken = [record for record in records if record is not None and record.status != words.OPEN]
        ours = await self._records.ours({record.department_id for record in taken}) if taken else []
        found = await self._records.whole([record for record in taken if record.department_id in ours])
        return {id: found.get(id) for id in ids}

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        ids = {"providerid": wanted.resource_id, "patientid": wanted.patient_id, "departmentid": wanted.care_unit_id}
        if not all(words.is_id(id) for id in ids.values() if id is not None):
            return []
        days = words.days(wanted.span, self._zone, from_before=True)
        return [one for one in await self._records.booked({**days, **given(ids)}) if wanted.takes(one)]

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        found = await self._records.open(wanted, beyond=self._settings.beyond_web)
        return FreeTime("slots", tuple(slot for slot in found if slot.span.overlaps(wanted.span)))

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        """Patients are searched for there, and not listed."""
        if kind not in words.DIRECTORIES:
            raise Refused("unsupported")
        return await self._records.directory(kind)

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        own_way = kind in words.DIRECTORIES and kind is not Kind.CARE_UNIT
        return await (self._records.entry(kind, id) if own_way else super().look_up(kind, id))

    async def find_own(self, step: Create | Change) -> Appointment | None:
        """A moved one names its successor. A booking is the slot that it was to take, if it is the patient's."""
        if isinstance(step, Change):
            record = await self._records.record(step.before.id)
            return None if record is None or record.moved_to is None else await self.appointment(record.moved_to)
        found = await self.appointment(step.slots[0].id or "") if step.slots else await self._exactly(step)
        return found if found is not None and found.patient_id == step.patient_id else None

    async def _exactly(self, step: Create) -> Appointment | None:
        wanted = ReadCalendar(step.span, resource_id=step.resource_id, patient_id=step.patient_id)
        there = [one for one in await self.calendar(wanted) if one.status is Status.BOOKED]
        return next((one for one in there if one.span.same(step.span)), None)

    async def probe(self) -> Capabilities:
        await self._records.read_zones()
        if not await self._records.ours():
            raise Refused("invalid", "no department of the practice says that it is in the account's zone")
        return self.capabilities

    # -- writes ------------------------------------------------------------------------------------------------

    async def create(self, step: Create) -> Receipt:
        self._check_said(step.span)
        slot = step.slots[0] if step.slots else await self._open_at(step.span, step)
        if slot is None or slot.id is None:
            raise Refused("taken")
        kind = step.healthcare_service_id or slot.native.get("type")
        quiet = YES if self._account.tells(step) is False else None
        form = {"patientid": step.patient_id, "appointmenttypeid": kind, "donotsendconfirmationemail": quiet}
        place = {"departmentid": step.care_unit_id or slot.care_unit_id, **beyond_web(self._settings.beyond_web)}
        wanted = Slot(step.span.start, step.span.end, step.resource_id, id=slot.id)
        parse = partial(words.placed, wanted, self._zone, None)
        return await self._write("PUT", f"/appointments/{slot.id}", parse, {**form, **place}, slot_id=slot.id)

    async def change(self, step: Change) -> Receipt:
        if step.span is None and step.resource_id is None:
            return await self._note(step)
        self._check_said(step.span or step.before.span)
        slot, is_back = await self._target(step), step.restores is not None
        form = {
            "newappointmentid": slot,
            "patientid": step.before.patient_id,
            "appointmentcancelreasonid": self._settings.move_reason_id,
            **beyond_web(is_back or self._settings.beyond_web),
        }
        path = f"{_path(step)}/reschedule"
        span, provider = step.span or step.before.span, step.resource_id or step.before.resource_id
        wanted = Slot(span.start, span.end, provider, id=slot)
        parse = partial(words.placed, wanted, self._zone, step.before.comment)
        return await self._write("PUT", path, parse, form, id=step.before.id, slot_id=slot)

    async def cancel(self, step: Cancel) -> Receipt:
        form = {"patientid": step.before.patient_id, "appointmentcancelreasonid": self._account.cancel_reason}
        return await self._done("PUT", step, "/cancel", {**form, **beyond_web(self._settings.beyond_web)})

    async def confirm(self, step: Confirm) -> Receipt:
        if self._settings.confirmed_id is None:
            raise Refused("unsupported")
        return await self._done(
            "PUT", step, "/confirmationstatus", {"appointmentconfirmationid": self._settings.confirmed_id}
        )

    async def _note(self, step: Change) -> Receipt:
        """The comment is the newest note."""
        note = step.before.native.get("note")
        if step.comment:
            path, method = ("/notes", "POST") if note is None else (f"/notes/{note}", "PUT")
            return await self._done(method, step, path, {"notetext": step.comment})
        if step.before.native.get("below"):
            raise Refused("rule", "an older note would become the comment", emr_code="OLDER_NOTES")
        if note is None:
            return Receipt(id=step.before.id)
        return await self._done("DELETE", step, f"/notes/{note}", {})

    async def _done(self, method: str, step: Change | Cancel | Confirm, path: str, form: Mapping[str, Any]) -> Receipt:
        await self._write(method, f"{_path(step)}{path}", words.done, form, id=step.before.id)
        return Receipt(id=step.before.id)

    async def _write(
        self,
        method: str,
        path: str,
        parse: Callable[[httpx.Response], T],
        form: Mapping[str, Any],
        *,
        id: str | None = None,
        slot_id: str | None = None,
    ) -> T:
        try:
            return await self._http.write(method, path, parse, data=given(form) or None)
        except Refused as no:
            raise await self._explained(no, id, slot_id) from no

    async def _explained(self, no: Refused, id: str | None, slot_id: str | None) -> Refused:
        """Why, as what it was about shows: of the refusals themselves only prose is known."""
        if no.reason not in EXPLAINED:
            return no
        try:
            if id is not None and (record := await self._records.record(id)) is None:
                return Refused("not_found")
            if id is not None and record is not None and record.status != words.FUTURE:
                return Refused("state")
            if slot_id is not None:
                free = await self._records.record(slot_id)
                return no if free is not None and free.status == words.OPEN else Refused("taken")
        except EmrError:
            return no
        # The appointment is there: what is not is the note that was read.
        return Refused("stale") if no.reason == "not_found" else no

    def _check_said(self, span: Span) -> None:
        """No time is ever said by itself: but which of two is meant must be certain all the same."""
        for end in words.span_ends(span):
            to_wall(end, self._zone)

    # -- the slot to be taken ------------------------------------------------------------------------------------

    async def _target(self, step: Change) -> str:
        """The open slot to move onto.

        A plan names a slot that was listed. On the way back of an undo the record that the appointment was has become
        another one with the same time or, for some reasons of cancelling, none. Then it is made anew, so that the
        appointment can go back to its own time.
        """
        named = step.slots[0].id if step.slots else None
        if named is not None and step.restores is None:
            return named
        span, provider = step.span or step.before.span, step.resource_id or step.before.resource_id
        like = step.restores or step.before
        target = replace(like, id=step.before.id, start=span.start, end=span.end, resource_id=provider)
        found = await self._open_at(span, target)
        if found is not None and found.id is not None:
            return found.id
        if step.restores is None:
            raise Refused("taken")
        return await self._made_anew(target)

    async def _open_at(self, span: Span, like: Appointment | Create) -> Slot | None:
        wanted = FindFreeTime(span, like.resource_id, like.healthcare_service_id, like.care_unit_id)
        found = await self._records.open(wanted, beyond=True)
        return next((slot for slot in found if slot.span.same(span)), None)

    async def _made_anew(self, target: Appointment) -> str:
        """A free slot is nobody's loss: if the move does not come about, the next try finds it."""
        there = await self.calendar(ReadCalendar(target.span, resource_id=target.resource_id))
        if any(one.id != target.id and one.status is not Status.CANCELLED for one in there):
            raise Refused("taken")
        where = (target.resource_id, target.healthcare_service_id, target.care_unit_id)
        form = words.new_slot(target.span, self._zone, *where)
        return await self._http.write("POST", "/appointments/open", words.opened, data=given(form))


def _path(step: Change | Cancel | Confirm) -> str:
    if not words.is_id(step.before.id):
        raise Refused("not_found")
    return f"/appointments/{step.before.id}"
