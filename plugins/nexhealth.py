"""NexHealth, over its API v3.0.0: a copy of what a practice has in its own system, which is written minutes later.

So no answer to a write proves it: an appointment is `pending` until the practice's system has been read again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Literal

import httpx
from pydantic import Field, SecretStr

import gateway.plugin as gw
from gateway.plugin import Kind, Status, given

VERSION = {"Nex-Api-Version": "v3.0.0"}
TOKEN_LIFE_S = 3600.0
"""In production; of a sandbox it is a day."""
LONGEST = timedelta(days=1)
"""A list is of what begins in a range: what has begun before it is asked for, too."""
QUARTER = 15
"""Minutes of a slot where nothing else says how long it should be."""
ASLEEP_S = 60.0
"""When to ask again for a practice that can't be written to, in seconds."""
FLAGS = {"cancelled": Status.CANCELLED, "patient_missed": Status.NO_SHOW, "checked_out": Status.COMPLETED}
"""The first that is set says what has become of it."""
ROOM = gw.Besides("operatory_id")


class Settings(gw.AccountSettings):
    """One location of one practice."""

    subdomain: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Names the practice at NexHealth: whoever has the same one shares appointments."""
    location_id: str = Field(pattern=r"^[1-9][0-9]{0,8}$")
    """The only care unit of the account: what belongs to another location is not there."""
    api_key: SecretStr = Field(min_length=1)
    zone: gw.Zone
    """Of the location: times are answered with its offset, and its days are what free time is asked by."""
    system: Literal["dentrix", "dentrix-enterprise", "eaglesoft", "open-dental", "other"]
    """What the practice itself runs, as it decides what NexHealth can have written there."""
    written: Literal["there", "copy"] = "there"
    """When a change counts as written: as the practice's system is read again, or as NexHealth's copy has it."""
    settles_within_s: float = Field(default=300.0, ge=0, le=450)
    """How long an accepted write may take to be written in the practice's system (`late_write_s`: in NexHealth's)."""
    only_awake: bool = True
    """Nothing is written while NexHealth says that it can't write to the practice's system, or can't read it."""
    slack_s: float = Field(default=1.0, ge=0)
    """How much later than its reading NexHealth may stamp what it has read, in seconds."""
    min_interval_s: float = Field(default=0.1, ge=0)
    """Between two calls at least, in seconds: appointments may be listed ten times a second."""
    base_url: gw.BaseUrl = "https://nexhealth.info"


FULL = gw.Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    free_time_by=frozenset({Kind.RESOURCE}),
    move="in_place",
    refuses_overlap=False,
    create=True,
    cancel=True,
    cancel_comment="with",
    comment=True,
    comment_max=128,
    confirm="flag",
    confirmed_flag=True,
    answers_with="nothing",
    settles_within_s=300.0,
    late_write_s=30.0,
    min_interval_s=0.1,
    quota=1000,
    quota_window_s=60.0,
)
COPY = replace(FULL, move="none", comment=False, cancel_comment="none", comment_max=None)
"""A change of times or note stays in NexHealth's copy, until it is written over."""
DOCUMENT = "the vendor's OpenAPI document of v3.0.0"
STANDARD = gw.Edition(title="Dentrix, Dentrix Enterprise, Eaglesoft, Open Dental", capabilities=FULL, against=DOCUMENT)
OTHERS = gw.Edition(name="others", title="any other system", capabilities=COPY, against=DOCUMENT)


class NexHealthEmr(gw.RestEmr):
    places = {
        Kind.CARE_UNIT: gw.Directory("/locations", one=False),
        Kind.RESOURCE: gw.Directory("/providers"),
        Kind.SERVICE: gw.Directory("/appointment_types"),
        Kind.PATIENT: gw.Directory("/patients"),
    }

    def __init__(self, http: gw.VendorHttp, settings: Settings) -> None:
        edition = OTHERS if settings.system == "other" else STANDARD
        times = settings.model_dump(include={"settles_within_s", "late_write_s", "min_interval_s"})
        can, tenant = replace(edition.capabilities, **times), f"{settings.base_url} {settings.subdomain}"
        super().__init__(http, can, tenant, edition.name, zone=settings.zone)
        self._settings, self._here, self.whose = settings, settings.location_id, [("subdomain", settings.subdomain)]

    def can_be(self, kind: Kind | None, id: str) -> bool:
        """Another location than the account's has nothing. Ids are of 32 bits, but those of appointments of 64."""
        if kind is Kind.CARE_UNIT:
            return id == self._here
        return super().can_be(kind, id) and int(id) < (2**63 if kind is None else 2**31)

    # -- theirs into ours ------------------------------------------------------------------------------------------

    def body(self, answer: httpx.Response) -> Any:
        return data(answer)

    def read(self, row: gw.Row) -> gw.Appointment:
        by_us = (row.get("misc") or {}).get("is_booked_on_nexhealth") is True or row["foreign_id"] is None
        told = {"marker": row.get("referrer") or None, "by_us": by_us or None, "blocks": row["unavailable"] or None}
        return gw.Appointment(
            id=gw.number_id(row["id"]),
            start=gw.instant(row["start_time"], self.zone),
            end=gw.instant(row["end_time"], self.zone),
            status=_status(row),
            patient_id=gw.number_id_or_none(row["patient_id"]),
            resource_id=gw.number_id_or_none(row["provider_id"]),
            healthcare_service_id=gw.number_id_or_none(row["appointment_type_id"]),
            care_unit_id=gw.number_id_or_none(row["location_id"]),
            comment=row["note"] or None,
            confirmed=_is_set(row, "confirmed"),
            version=row["updated_at"],
            pending=self._is_pending(row),
            native=given({**told, ROOM.name: gw.number_id_or_none(row[ROOM.name])}),
        )

    def _is_pending(self, row: gw.Row) -> bool:
        """It has no id of the practice's system yet, or was changed after that was read for the last time."""
        if self._settings.written == "copy":
            return row["foreign_id"] is None and not row["cancelled"]
        if row["foreign_id"] is None or row["last_sync_time"] is None:
            return True
        changed, read = (gw.instant(row[name], self.zone).timestamp() for name in ("updated_at", "last_sync_time"))
        return changed - read > self._settings.slack_s

    def is_shown(self, one: gw.Appointment) -> bool:
        """What blocks time is nobody's."""
        return one.care_unit_id == self._here and "blocks" not in one.native

    def is_made_by(self, one: gw.Appointment, step: gw.Create) -> bool:
        """One without a mark must have come through NexHealth, by whomever: the practice may have made a like one."""
        return bool({"marker", "by_us"} & one.native.keys()) and self.is_shown(one) and super().is_made_by(one, step)

    async def rows(self, path: str, query: gw.Query = (), *, by: str = "id") -> list[gw.Row]:
        """By cursors, but for the one location that there is, and for appointment types, which are told all at once."""
        if path == self.places[Kind.CARE_UNIT].path:
            return [await self.http.read(f"{path}/{self._here}", self.body)]
        asked = [*self.whose, ("location_id", self._here), *query]
        if path == self.places[Kind.SERVICE].path:
            return await self.http.read(path, lambda answer: gw.records(self.body(answer)), params=asked)

        def page(answer: httpx.Response) -> gw.Page[gw.Row]:
            found, told = [(gw.number_id(row[by]), row) for row in self.body(answer)], answer.json()["page_info"]
            return gw.Page(found, next=gw.cursor_if(told["has_next_page"], told["end_cursor"]))

        return await gw.by_parameter(self.http, path, page, "end_cursor", params=[*asked, ("per_page", "300")])

    # -- reads -----------------------------------------------------------------------------------------------------

    def query(self, wanted: gw.ReadCalendar) -> gw.Query:
        times = [("start", gw.in_utc(wanted.span.start - LONGEST)), ("end", gw.in_utc(wanted.span.end))]
        return [*times, *given({"provider_ids[]": wanted.resource_id, "patient_ids[]": wanted.patient_id}).items()]

    async def free_time(self, wanted: gw.FindFreeTime) -> gw.FreeTime:
        """Of 14 days at once at most. Without an appointment type it is told how long a slot should be; it shows one
        for each operatory."""
        if not self.are_possible(wanted):
            return gw.FreeTime("slots")
        who, what = wanted.resource_id, wanted.healthcare_service_id
        lengths = {one.span.length // timedelta(minutes=1) for one in wanted.ignoring}
        length = str(lengths.pop() if len(lengths) == 1 else QUARTER)
        size = ("slot_length", length) if what is None else ("appointment_type_id", what)
        where = [("lids[]", self._here), ("pids[]", who or ""), ("overlapping_operatory_slots", "true"), size]

        def slot(row: gw.Row) -> gw.Slot:
            provider = gw.number_id_or_none(row.get("provider_id")) or gw.number_id_or_none(row.get("pid"))
            start, end = (gw.instant(row[name], self.zone) for name in ("time", "end_time"))
            room = given({ROOM.name: gw.number_id_or_none(row.get(ROOM.name))})
            return gw.Slot(start, end, provider, what, gw.number_id_or_none(row["lid"]), native=room)

        def slots(answer: httpx.Response) -> list[gw.Slot]:
            found = [slot({**group, **row}) for group in self.body(answer) for row in group["slots"]]
            return ROOM.best([one for one in found if (one.resource_id, one.care_unit_id) == (who, self._here)], wanted)

        async def ask(first: date, last: date) -> list[gw.Slot]:
            days = [("start_date", str(first)), ("days", str((last - first).days + 1))]
            return await self.http.read("/available_slots", slots, params=[*self.whose, *days, *where])

        found = await gw.by_days(ask, wanted.span, self.zone, most=14, earliest=gw.today(self.zone))
        return gw.FreeTime("slots", tuple(found))

    def near(self, one: gw.Appointment) -> gw.ReadCalendar:
        return gw.ReadCalendar(one.span)

    def in_one_place(self, one: gw.Appointment, other: gw.Appointment) -> bool:
        """With a provider or in an operatory: no double booking is known to be refused in either."""
        return super().in_one_place(one, other) or ROOM.both(one, other)

    async def probe(self) -> gw.Capabilities:
        """A location that takes no bookings keeps them in NexHealth's copy, and the practice never sees them."""
        takes = await self.http.read(f"/locations/{self._here}", lambda a: self.body(a)["insert_appt_client"])
        return self.capabilities if takes is True else replace(self.capabilities, create=False)

    # -- writes ----------------------------------------------------------------------------------------------------

    async def create(self, step: gw.Create) -> gw.Receipt:
        if step.care_unit_id not in (None, self._here):
            raise gw.Refused("invalid", "a booking at another location")
        what = {"appointment_type_id": step.healthcare_service_id, ROOM.name: ROOM.of_all(step.slots, step.like)}
        ids = given({"patient_id": step.patient_id, "provider_id": step.resource_id, **what})
        said = {name: gw.as_number(id) for name, id in ids.items()} | _times(step.span) | {"referrer": gw.mark(step)}
        body, params = {"appt": said | given({"note": step.comment})}, [*self.whose, ("location_id", self._here)]
        await self._check_awake()
        return await self.http.write("POST", self.path, self.made(step), params=params, json=body)

    async def change(self, step: gw.Change) -> gw.Receipt:
        if step.resource_id is not None or self.capabilities.move == "none":
            raise gw.Refused("unsupported", "a change that would not reach the practice")
        room = ROOM.changed(step)
        moved = {} if room is None else {ROOM.name: gw.as_number(room)}
        return await self._patch(step, {**_times(step.span), **given({"note": step.comment}), **moved})

    async def cancel(self, step: gw.Cancel) -> gw.Receipt:
        return await self._patch(step, {"cancelled": True, **given({"note": step.comment})})

    async def confirm(self, step: gw.Confirm) -> gw.Receipt:
        return await self._patch(step, {"confirmed": True})

    async def _patch(self, step: gw.Change | gw.Cancel | gw.Confirm, said: dict[str, Any]) -> gw.Receipt:
        await self._check_awake()
        return await self.over("PATCH", step, parse=self.named, params=self.whose, json={"appt": said})

    async def _check_awake(self) -> None:
        """Raises NotSent: what is accepted meanwhile would be written whenever the practice wakes up, hours later."""
        if not self._settings.only_awake:
            return

        def is_up(answer: httpx.Response) -> bool:
            return all(sync["write_status"] == sync["read_status"] == "green" for sync in self.body(answer))

        where = [*self.whose, ("location_ids[]", self._here)]
        if not await gw.beforehand(self.http.read("/sync_status", is_up, params=where)):
            raise gw.NotSent("the practice can't be written to just now", retry_after=ASLEEP_S)


def data(answer: httpx.Response) -> Any:
    """What an answer is about, which writes show one level deeper."""
    told = answer.json()
    if told["code"] is not True:
        raise ValueError("a success that says to be none")
    return told["data"]["appt"] if "appt" in told["data"] else told["data"]


def _is_set(row: gw.Row, name: str) -> bool:
    """Null is no."""
    return row[name] is not None and gw.flag(row[name])


def _status(row: gw.Row) -> Status:
    told = [status for name, status in FLAGS.items() if _is_set(row, name)]
    return told[0] if told else Status.BOOKED if row["checkin_at"] is None else Status.OTHER


def _times(span: gw.Span | None) -> dict[str, str]:
    return {"start_time": gw.in_utc(span.start), "end_time": gw.in_utc(span.end)} if span else {}


# -- introduction ------------------------------------------------------------------------------------------------------


@gw.hookimpl
def emr_vendor() -> gw.Vendor:
    both = (STANDARD, OTHERS)
    return gw.Vendor(
        key="nexhealth", name="NexHealth", settings=Settings, emr=NexHealthEmr, capabilities=FULL, editions=both
    )


@gw.hookimpl
def emr_open(account: gw.Account) -> gw.Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    url, key = f"{settings.base_url}/authenticates", {"Authorization": settings.api_key}
    login = gw.KeyForToken(url, key, lambda answer: data(answer)["token"], TOKEN_LIFE_S, headers=VERSION)
    headers = {"Accept": "application/json", **VERSION}
    return NexHealthEmr(account.door.http(base_url=settings.base_url, auth=login, headers=headers), settings)
