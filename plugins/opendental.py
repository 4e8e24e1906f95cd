"""Open Dental, over its REST API: changed in place, slowly, and read back after every write.

A resource is a chair (operatory) with whom works there (provider): `{OperatoryNum}-{ProvNum}`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Annotated

import httpx
from pydantic import Field, SecretStr

import gateway.plugin as gw
from gateway.plugin import Entry, Kind, Status, given

REMOTE = "api.opendental.com"
UNIT_S = 300
LONGEST_UNITS = 108
"""Nine hours: what is longer is cut by it."""
SEAT = f"{gw.RestEmr.ids}-{gw.RestEmr.ids}"
PATTERNS = ("Pattern", "PatternSecondary")
YES = {"true": True, "false": False}
STATUSES = {
    "Scheduled": Status.BOOKED,
    "Complete": Status.COMPLETED,
    "Broken": Status.CANCELLED,
    "UnschedList": Status.CANCELLED,
}
Key = Annotated[SecretStr, gw.of_form(r"[!-.0-~]+", "a key has neither white space nor a slash in it")]


class Settings(gw.AccountSettings):
    """One office, as one developer may reach it."""

    office: str = Field(min_length=1)
    """A name of your own for the office: accounts with the same one share its appointments."""
    developer_key: Key
    customer_key: Key
    """Open Dental gives one for each pair of developer and office."""
    zone: gw.Zone
    """Of the office: Open Dental speaks its local time, without an offset."""
    confirmed: tuple[int, ...] = ()
    """The numbers (`DefNum`) of the definitions that mean "confirmed" in this office; the first is what a confirmation
    writes. Without any there is nothing to confirm."""
    unscheduled_list: bool = True
    """A cancelled appointment goes to the Unscheduled List; otherwise it stays in the book, as broken."""
    base_url: gw.BaseUrl = f"https://{REMOTE}/api/v1"
    """Or that of the office's own API service."""
    late_write_s: float = Field(default=60.0, ge=0)


FULL = gw.Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="windows",
    free_time_by=frozenset({Kind.RESOURCE}),
    move="in_place",
    reassign="in_place",
    refuses_overlap=False,
    create=True,
    cancel=True,
    cancel_comment="before",
    cancel_reasons=frozenset({"Missed", "Cancelled"}),
    comment=True,
    confirm="flag",
    confirmed_flag=True,
    answers_with="nothing",
    late_write_s=60.0,
    joins_lines=True,
    length_unit_s=UNIT_S,
    concurrency=1,
    min_interval_s=1.0,
)


class Explained(gw.MaybeDone):
    """400, with prose: a value that it did not accept, or the office that could not be reached in time."""


def problem(answer: httpx.Response) -> gw.EmrError | None:
    is_page = "html" in answer.headers.get("content-type", "") or answer.text.lstrip().startswith("<")
    if answer.status_code == 400 and not is_page:
        return Explained("it answered 400")
    # No record is gone by it: the whole of a resource is.
    return gw.Refused("unsupported", "it answered 410") if answer.status_code == 410 else None


def _seats(row: gw.Row, guest: str | None = None) -> list[Entry]:
    """A chair with its own dentist, with its own hygienist, and with a guest."""
    chair, name, unit = gw.id_of(row["OperatoryNum"]), gw.text(row["OpName"]), gw.id_or_none(row["ClinicNum"])
    dentist, hygienist = (gw.id_or_none(row[who]) for who in ("ProvDentist", "ProvHygienist"))
    seats = [(dentist, name), (None if hygienist == dentist else hygienist, f"{name} (hygienist)"), (guest, name)]
    return [Entry(f"{chair}-{who}", as_, unit) for who, as_ in seats if who]


def _is_shown(row: gw.Row) -> bool:
    """What is only planned holds no time. Neither patients nor free time can be hidden."""
    return row.get("AptStatus") != "Planned" if {"PatNum", "OpNum"} & row.keys() else not YES[row["IsHidden"]]


class OpenDental(gw.RestEmr):
    key = "AptNum"
    places = {
        Kind.CARE_UNIT: gw.Directory("/clinics", ("Description",), "ClinicNum", one=False),
        Kind.RESOURCE: gw.Directory("/operatories", id="OperatoryNum", one=False, ids=SEAT, several=_seats),
        Kind.SERVICE: gw.Directory("/appointmenttypes", ("AppointmentTypeName",), "AppointmentTypeNum", one=False),
        Kind.PATIENT: gw.Directory("/patients/Simple", ("FName", "LName"), "PatNum", one="/patients"),
    }

    def __init__(self, http: gw.VendorHttp, settings: Settings, reason: str | None) -> None:
        can = replace(FULL, local_zone=settings.zone.key, late_write_s=settings.late_write_s)
        # The vendor's own servers count requests; an office's own service does not.
        is_remote = httpx.URL(settings.base_url).host.rstrip(".") == REMOTE
        can = can if is_remote else replace(can, min_interval_s=0.0)
        can = can if settings.confirmed else replace(can, confirm="none", confirmed_flag=False)
        super().__init__(http, can, f"opendental {settings.office}", zone=settings.zone)
        self._settings, self._reason = settings, reason

    def in_one_place(self, one: gw.Appointment, other: gw.Appointment) -> bool:
        """In one chair, whoever works there: a provider goes to and fro between several."""
        return _chair(one.resource_id) == _chair(other.resource_id)

    # -- theirs into ours ------------------------------------------------------------------------------------------

    def read(self, row: gw.Row) -> gw.Appointment | None:
        """`None`: it has no time, as what is only planned may have none."""
        if gw.text(row["AptDateTime"]).startswith("0001-"):
            return None
        start, chair = gw.wall(row["AptDateTime"], self.zone), gw.id_or_none(row["Op"])
        by = "ProvHyg" if YES[row["IsHygiene"]] and gw.id_or_none(row["ProvHyg"]) else "ProvNum"
        patterns = {name: gw.text(row[name], r"[X/]+") for name in PATTERNS if name in row}
        return gw.Appointment(
            id=gw.id_of(row["AptNum"]),
            start=start,
            end=gw.minutes_after(start, len(patterns["Pattern"]) * UNIT_S // 60),
            status=STATUSES.get(gw.text(row["AptStatus"]), Status.OTHER),
            patient_id=gw.id_or_none(row["PatNum"]),
            resource_id=chair and f"{chair}-{gw.id_of(row[by])}",
            healthcare_service_id=gw.id_or_none(row["AppointmentTypeNum"]),
            care_unit_id=gw.id_or_none(row["ClinicNum"]),
            comment=gw.text(row["Note"]) or None,
            confirmed=gw.number(row["Confirmed"]) in self._settings.confirmed if self._settings.confirmed else None,
            version=gw.text(row["DateTStamp"]),
            native={**patterns, "by": by, "ProvNum": gw.number(row["ProvNum"])},
        )

    async def rows(self, path: str, query: gw.Query = (), *, by: str = "id") -> list[gw.Row]:
        """What is shown; `by`: one field or several."""

        def page(answer: httpx.Response) -> gw.Page[gw.Row]:
            return gw.Page([(tuple(row[name] for name in by.split()), row) for row in gw.records(answer.json())])

        found = await gw.by_limit(self.http, path, page, ("Offset", "Limit"), size=100, params=query)
        return [row for row in found if gw.sense(_is_shown, row)]

    # -- reads -----------------------------------------------------------------------------------------------------

    def query(self, wanted: gw.ReadCalendar) -> gw.Query:
        """By the day on which they begin: what began up to nine hours before may still go on. Not by provider: a chair
        is held by whoever works there."""
        first, last = gw.local_days(gw.Span(wanted.span.start - timedelta(hours=9), wanted.span.end), self.zone)
        ids = {"Op": _chair(wanted.resource_id), "PatNum": wanted.patient_id, "ClinicNum": wanted.care_unit_id}
        return [*self.days(first, last), *given(ids).items()]

    def days(self, first: date, last: date) -> gw.Query:
        return [("dateStart", str(first)), ("dateEnd", str(last))]

    async def free_time(self, wanted: gw.FindFreeTime) -> gw.FreeTime:
        """For a fortnight at a time, which is what it shows if it is asked for no days."""
        if not self.are_possible(wanted):
            return gw.FreeTime("windows")
        chair, _, who = (wanted.resource_id or "").partition("-")

        def window(row: gw.Row) -> gw.Slot:
            start, end = (gw.wall(row[name], self.zone) for name in ("DateTimeStart", "DateTimeEnd"))
            return gw.Slot(start, end, f"{gw.id_of(row['OpNum'])}-{gw.id_of(row['ProvNum'])}")

        asked, by = [("OpNum", chair), ("ProvNum", who)], "DateTimeStart OpNum ProvNum"
        path, first = f"{self.path}/Slots", gw.today(self.zone)
        found = await self.on_days(path, window, wanted.span, asked, most=14, earliest=first, by=by)
        return gw.FreeTime("windows", tuple(slot for slot in found if slot.resource_id == wanted.resource_id))

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        """Whosever chair it is: all providers may work in it."""
        if kind is not Kind.RESOURCE or not self.can_be(kind, id):
            return await super().look_up(kind, id)
        who = id.partition("-")[2]
        chairs = await self.each("/operatories", lambda row: _seats(row, who), by="OperatoryNum")
        found = [one for seats in chairs for one in seats if one.id == id]
        if len(found) == 1 and who not in await self.each("/providers", lambda row: str(row["ProvNum"]), by="ProvNum"):
            return None
        return found[0] if found else None

    async def probe(self) -> gw.Capabilities:
        await self.http.read("/operatories", lambda answer: gw.records(answer.json()), params={"Limit": "1"})
        return self.capabilities

    # -- writes ----------------------------------------------------------------------------------------------------

    async def change(self, step: gw.Change) -> gw.Receipt:
        """By some of its documents it is answered with the appointment, by others with nothing. What it shows is not
        believed: the stamp in it is none."""
        where = {} if step.resource_id is None else _placed(step.resource_id, step.before.native["by"])
        body = {**where, **self._times(step), **given({"Note": step.comment})}
        return await self.over("PUT", step, parse=lambda a: self.named(a) if a.content else None, json=body)

    async def create(self, step: gw.Create) -> gw.Receipt:
        """As the one that it stands beside, where there is one: of a hygienist, and with its pattern."""
        native = step.like.native if step.like else {"by": "ProvNum", "Pattern": "X"}
        hygiene = {"ProvNum": native["ProvNum"], "IsHygiene": "true"} if native["by"] == "ProvHyg" else {}
        ids = given({"ClinicNum": step.care_unit_id, "AppointmentTypeNum": step.healthcare_service_id})
        booking = {
            "PatNum": gw.as_number(step.patient_id),
            **{name: gw.as_number(id) for name, id in ids.items()},
            **hygiene,
            **_placed(step.resource_id, native["by"]),
            "AptDateTime": str(gw.to_wall(step.span.start, self.zone, each_s=1)),
            "Pattern": _resized(str(native["Pattern"]), gw.units(step.span, each_s=UNIT_S, most=LONGEST_UNITS)),
            **given({"Note": step.comment}),
        }
        return await self.http.write("POST", self.path, self.named, json=booking)

    async def cancel(self, step: gw.Cancel) -> gw.Receipt:
        """What is cancelled already it refuses to cancel, by the same 400 that says nothing else."""
        is_listed = str(self._settings.unscheduled_list).lower()
        body = {"sendToUnscheduledList": is_listed, **given({"breakType": self._reason})}
        try:
            return await self.over("PUT", step, "/Break", json=body)
        except Explained:
            found = await gw.if_known(self.appointment(step.before.id))
            if found is None or found.status is not Status.CANCELLED:
                raise
            return gw.Receipt(id=step.before.id)

    async def confirm(self, step: gw.Confirm) -> gw.Receipt:
        if not self._settings.confirmed:
            raise gw.Refused("unsupported")
        return await self.over("PUT", step, "/Confirm", json={"defNum": self._settings.confirmed[0]})

    def _times(self, step: gw.Change) -> dict[str, str]:
        """No length where it stays. On the way back it gets the very pattern that it had."""
        if step.span is None:
            return {}
        count = gw.units(step.span, each_s=UNIT_S, most=LONGEST_UNITS)
        now, like = step.before.native, (step.restores or step.before).native
        resized = {name: _resized(str(like.get(name, now[name])), count) for name in PATTERNS if name in now}
        said = {"AptDateTime": str(gw.to_wall(step.span.start, self.zone, each_s=1))}
        return said if all(resized[name] == now[name] for name in resized) else said | resized


def _chair(resource_id: str | None) -> str | None:
    return resource_id and resource_id.partition("-")[0]


def _placed(resource_id: str, by: object) -> dict[str, int]:
    return {"Op": gw.as_number(_chair(resource_id)), str(by): gw.as_number(resource_id.partition("-")[2])}


def _resized(pattern: str, count: int) -> str:
    """Longer or shorter in the middle: how it begins and ends is the assistant's, as a rule."""
    head = (min(len(pattern), count) + 1) // 2
    tail = min(len(pattern), count) - head
    return pattern[:head] + pattern[head - 1] * (count - head - tail) + pattern[len(pattern) - tail :]


# -- introduction ------------------------------------------------------------------------------------------------------

EDITION = gw.Edition(title="Open Dental", capabilities=FULL, against="the vendor's API pages of 2025")


@gw.hookimpl
def emr_vendor() -> gw.Vendor:
    return gw.Vendor(
        key="opendental", name="Open Dental", settings=Settings, emr=OpenDental, capabilities=FULL, editions=(EDITION,)
    )


@gw.hookimpl
def emr_open(account: gw.Account) -> gw.Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    keys = f"{settings.developer_key.get_secret_value()}/{settings.customer_key.get_secret_value()}"
    login, headers = gw.ApiKey("Authorization", SecretStr(f"ODFHIR {keys}")), {"Content-Type": "application/json"}
    # It gives up by itself after 60 seconds, and then says so.
    http = account.door.http(base_url=settings.base_url, auth=login, headers=headers, problem=problem, timeout_s=65)
    return OpenDental(http, settings, account.cancel_reason)
