"""athenahealth (athenaOne), over its REST API: an appointment is moved onto an open slot, whose id it then has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import httpx
from pydantic import Field, SecretStr

import gateway.plugin as gw
from gateway.plugin import Directory, Kind, Status, given
from plugins.athenahealth import words
from plugins.athenahealth.words import BEYOND_WEB, YES, Form

ID = r"[1-9][0-9]{0,17}"


class Settings(gw.AccountSettings):
    """The departments of one practice that lie in one time zone."""

    practice_id: str = Field(pattern=f"^{ID}$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    zone: gw.Zone
    """Which departments are meant: those of which athenahealth says this very name of a zone."""
    base_url: gw.BaseUrl = "https://api.platform.athenahealth.com"
    confirmed_id: str | None = Field(default=None, pattern=f"^{ID}$")
    """The confirmation status that says "confirmed". Without one, nothing can be confirmed."""
    move_reason_id: str | None = Field(default=None, pattern=f"^{ID}$")
    """The cancel reason that a moved appointment leaves behind; `None`: the practice's own."""
    beyond_web: bool = False
    """Also offer and book what the practice does not open to scheduling over the web."""
    calls_per_day: int | None = Field(default=None, ge=1)
    calls_per_second: float | None = Field(default=None, gt=0)
    page_size: int = Field(default=1000, ge=2, le=5000)


FULL = gw.Capabilities(
    directories=frozenset(Kind) - {Kind.PATIENT},
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


class AthenaEmr(gw.RestEmr):
    key = "appointmentid"
    ids = ID
    places = {
        Kind.CARE_UNIT: Directory("/departments", id="departmentid", query=(("showalldepartments", YES),), one=False),
        Kind.RESOURCE: Directory("/providers", ("displayname",), "providerid"),
        Kind.SERVICE: Directory("/appointmenttypes", id="appointmenttypeid", query=(("hidenonpatient", "false"),)),
    }

    def __init__(self, http: gw.VendorHttp, account: gw.Account, settings: Settings, tenant: str) -> None:
        can = replace(
            FULL if settings.confirmed_id else replace(FULL, confirm="none", confirmed_flag=False),
            local_zone=settings.zone.key,
            late_write_s=settings.late_write_s,
            min_interval_s=1 / settings.calls_per_second if settings.calls_per_second else 0.0,
            quota=settings.calls_per_day,
            quota_window_s=86_400.0,
        )
        super().__init__(http, can, tenant, zone=settings.zone)
        self._account, self._settings = account, settings
        self._beyond = BEYOND_WEB if settings.beyond_web else {}
        self._zones: Mapping[str, str] = {}
        """Of each department, by its id."""

    # -- answers ---------------------------------------------------------------------------------------------------

    def read(self, row: gw.Row) -> gw.Appointment:
        return words.appointment(row, self.zone, self._settings.confirmed_id)

    def body(self, answer: httpx.Response) -> gw.Row:
        """One is told as a list of one."""
        (row,) = gw.records(answer.json())
        return row

    async def rows(self, path: str, query: gw.Query = (), *, by: str = key) -> list[gw.Row]:
        name = path.split("/")[1]

        def page(answer: httpx.Response) -> gw.Page[gw.Row]:
            body = answer.json()
            return gw.Page([(row[by], row) for row in gw.records(body[name])], total=body["totalcount"])

        names, size = ("offset", "limit"), self._settings.page_size
        return await gw.by_limit(self.http, path, page, names, size=size, params=query)

    # -- reads -----------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> gw.Appointment | None:
        return (await self.appointments([id]))[id]

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, gw.Appointment | None]:
        """By itself one shows too little: they are read where lists show them, a provider's day at a time."""
        records = await asyncio.gather(*(self._record(id) for id in ids))
        taken = [record for record in records if record is not None and not record.native["is_slot"]]
        ours = await self._ours(record.care_unit_id for record in taken) if taken else []
        there = {record.id: record for record in taken if record.care_unit_id in ours}
        days = dict.fromkeys((one.start.date(), one.care_unit_id, one.resource_id) for one in there.values())
        listed = await asyncio.gather(*(self._booked(day, day, *place) for day, *place in days))
        found = {one.id: one for day in listed for one in day}
        if not there.keys() <= found.keys():
            raise gw.MaybeDone("an appointment is in no list")
        shown = await asyncio.gather(*(self._with_hidden_notes(found[id]) for id in there))
        return {**dict.fromkeys(ids), **{one.id: one for one in shown}}

    _record = gw.RestEmr.appointment
    """An appointment or a slot, whatever has become of it, as far as it is shown by itself."""

    async def _with_hidden_notes(self, found: gw.Appointment) -> gw.Appointment:
        """The notes of one that was cancelled are hidden; those of one that was moved went along."""
        if found.status not in (Status.CANCELLED, Status.NO_SHOW) or found.native["moved_to"]:
            return found
        path, parse = f"{self.path}/{found.id}/notes", partial(words.with_notes, found)
        return await self.http.read(path, parse, params={"showdeleted": YES})

    async def listed(self, wanted: gw.ReadCalendar) -> list[gw.Appointment]:
        """From the day before, too, from which something may reach into the span."""
        if not self.are_possible(wanted):
            return []
        first, last = gw.local_days(wanted.span, self.zone)
        place = (wanted.care_unit_id, wanted.resource_id, wanted.patient_id)
        found = await self._booked(first - timedelta(days=1), last, *place)
        ours = await self._ours(one.care_unit_id for one in found)
        return [one for one in found if one.care_unit_id in ours]

    async def _booked(self, first: date, last: date, *place: str | None) -> list[gw.Appointment]:
        return await self.each(f"{self.path}/booked", self.read, words.booked(first, last, *place), by=self.key)

    async def free_time(self, wanted: gw.FindFreeTime) -> gw.FreeTime:
        found = await self._open(wanted, beyond=self._settings.beyond_web)
        return gw.FreeTime("slots", tuple(slot for slot in found if slot.span.overlaps(wanted.span)))

    async def _open(self, wanted: gw.FindFreeTime, *, beyond: bool) -> list[gw.Slot]:
        """Of the named department, or of all that are the account's."""
        unit = wanted.care_unit_id
        ours = await self._ours([] if unit is None else [unit]) if self.are_possible(wanted) else []
        units = [id for id in ours if unit in (None, id)]
        if not units:
            return []
        query = words.to_be_booked(wanted, units, self.zone, beyond=beyond)
        parse = partial(words.slot, zone=self.zone, service=wanted.healthcare_service_id)
        found = await self.each(f"{self.path}/open", parse, query, by=self.key)
        return [slot for slot in found if wanted.resource_id in (None, slot.resource_id)]

    async def directory(self, kind: Kind) -> Sequence[gw.Entry]:
        """Patients are searched for there, and not listed."""
        found = await super().directory(kind)
        if kind is not Kind.CARE_UNIT:
            return found
        ours = await self._ours(entry.id for entry in found)
        return [entry for entry in found if entry.id in ours]

    async def _ours(self, units: Iterable[str | None] = ()) -> list[str]:
        """All departments in the account's zone. They are asked for if one of `units` is new."""
        if not self._zones or not set(units) <= self._zones.keys():
            place = self.places[Kind.CARE_UNIT]
            self._zones = dict(await self.each(place.path, words.zone, place.query, by=place.id))
        return [id for id, zone in self._zones.items() if zone == self.zone.key]

    async def find_own(self, step: gw.Create | gw.Change) -> gw.Appointment | None:
        """A moved one names its successor. A booking is the slot that it was to take, if it is the patient's."""
        if isinstance(step, gw.Change):
            record = await self._record(step.before.id)
            moved_to = record.native["moved_to"] if record else None
            return await self.appointment(str(moved_to)) if moved_to else None
        if not step.slots:
            return await super().find_own(step)
        found = await self.appointment(step.slots[0].id or "")
        return found if found is not None and found.patient_id == step.patient_id else None

    def is_made_by(self, one: gw.Appointment, step: gw.Create) -> bool:
        """Whose, and when: the slot says what it is for, and a comment comes later."""
        return (one.patient_id, one.status) == (step.patient_id, Status.BOOKED) and one.span.same(step.span)

    async def probe(self) -> gw.Capabilities:
        self._zones = {}
        if not await self._ours():
            raise gw.Refused("invalid", "no department of the practice says that it is in the account's zone")
        return self.capabilities

    # -- writes ----------------------------------------------------------------------------------------------------

    async def create(self, step: gw.Create) -> gw.Receipt:
        slot = await self._slot(step)
        form = words.booking(step, slot, is_quiet=self._account.tells(step) is False)
        return await self._placed(f"{self.path}/{slot.id}", {**form, **self._beyond}, step, slot)

    async def change(self, step: gw.Change) -> gw.Receipt:
        if step.span is None and step.resource_id is None:
            return await self._note(step)
        slot = await self._slot(step)
        form = {
            "newappointmentid": slot.id,
            "patientid": step.before.patient_id,
            "appointmentcancelreasonid": self._settings.move_reason_id,
            **(BEYOND_WEB if step.restores else self._beyond),
        }
        return await self._placed(self.at(step, "/reschedule"), form, step, slot)

    async def _placed(self, path: str, form: Form, step: gw.Create | gw.Change, slot: gw.Slot) -> gw.Receipt:
        parse = partial(words.placed, step.after, slot.id, self.zone)
        return await self._explained(self.http.write("PUT", path, parse, data=given(form)), step.after.id, slot.id)

    async def cancel(self, step: gw.Cancel) -> gw.Receipt:
        form = {"patientid": step.before.patient_id, "appointmentcancelreasonid": self._account.cancel_reason}
        return await self._done("PUT", step, "/cancel", {**form, **self._beyond})

    async def confirm(self, step: gw.Confirm) -> gw.Receipt:
        if self._settings.confirmed_id is None:
            raise gw.Refused("unsupported")
        form = {"appointmentconfirmationid": self._settings.confirmed_id}
        return await self._done("PUT", step, "/confirmationstatus", form)

    async def _note(self, step: gw.Change) -> gw.Receipt:
        """The comment is the newest note."""
        note = step.before.native.get("note")
        if step.comment:
            method, below = ("POST", "/notes") if note is None else ("PUT", f"/notes/{note}")
            return await self._done(method, step, below, {"notetext": step.comment})
        if step.before.native.get("below"):
            raise gw.Refused("rule", "an older note would become the comment", emr_code="OLDER_NOTES")
        return await self._done("DELETE", step, f"/notes/{note}", {}) if note else gw.Receipt(id=step.before.id)

    async def _done(self, method: str, step: gw.Change | gw.Cancel | gw.Confirm, below: str, form: Form) -> gw.Receipt:
        writing = self.over(method, step, below, parse=words.done, data=given(form) or None)
        return await self._explained(writing, step.before.id)

    async def _explained(self, writing: Awaitable[gw.Receipt], id: str, slot_id: str | None = None) -> gw.Receipt:
        """Of its refusals only prose is known: what they were about tells more. A booking is about a slot alone."""

        async def look(no: gw.Refused) -> gw.Refused:
            if id:
                record = await self._record(id)
                if record is None or record.status is not Status.BOOKED:
                    return gw.Refused("not_found" if record is None else "state")
            if slot_id is not None:
                slot = await self._record(slot_id)
                return no if slot is not None and slot.native["is_slot"] else gw.Refused("taken")
            # The appointment is there: what is not is the note that was read.
            return gw.Refused("stale") if no.reason == "not_found" else no

        return await gw.explained(writing, look)

    # -- the slot to be taken --------------------------------------------------------------------------------------

    async def _slot(self, step: gw.Create | gw.Change) -> gw.Slot:
        """The open slot to book or to move onto: the one that was listed, or the one at that very time.

        On the way back of an undo the record that the appointment was has become another one with the same time or, for
        some reasons of cancelling, none. Then it is made anew, so that the appointment can go back to its own time.
        """
        wanted, back = step.after, step.restores if isinstance(step, gw.Change) else None
        for end in (wanted.start, wanted.end):
            # No time is ever said by itself: but which of two is meant must be certain all the same.
            gw.to_wall(end, self.zone)
        if back is None and step.slots and step.slots[0].id:
            return step.slots[0]
        like = back or wanted
        place = (wanted.resource_id, like.healthcare_service_id, like.care_unit_id)
        free = await gw.beforehand(self._open(gw.FindFreeTime(wanted.span, *place), beyond=True))
        found = next((slot for slot in free if slot.span.same(wanted.span)), None)
        if found is None and (back is None or await gw.beforehand(self.conflicts(wanted))):
            raise gw.Refused("taken")
        return found or await self._made_anew(gw.Slot(wanted.start, wanted.end, *place))

    async def _made_anew(self, slot: gw.Slot) -> gw.Slot:
        """A free slot is nobody's loss: if the move does not come about, the next try finds it."""
        form = words.new_slot(slot, self.zone)
        id = await self.http.write("POST", f"{self.path}/open", words.opened, data=given(form))
        return replace(slot, id=id)


# -- introduction ------------------------------------------------------------------------------------------------------

EDITIONS = (gw.Edition(title="athenaOne", capabilities=FULL, against="athenahealth's REST API (v1)"),)
SCOPE = "athena/service/Athenanet.MDP.*"


@gw.hookimpl
def emr_vendor() -> gw.Vendor:
    return gw.Vendor(
        key="athenahealth", name="athenahealth", settings=Settings, emr=AthenaEmr, capabilities=FULL, editions=EDITIONS
    )


@gw.hookimpl
def emr_open(account: gw.Account) -> gw.Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    token, base = f"{settings.base_url}/oauth2/v1/token", f"{settings.base_url}/v1/{settings.practice_id}"
    login = gw.ClientCredentials(token, settings.client_id, settings.client_secret, SCOPE)
    http = account.door.http(base_url=base, auth=login, headers={"Accept": "application/json"})
    return AthenaEmr(http, account, settings, tenant=base)
