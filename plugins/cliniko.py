"""Cliniko, over its REST API: changed in place, double bookings looked for after the write, as it refuses none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, Field, SecretStr

import gateway.plugin as gw
from gateway.plugin import Kind, Status, given

REASONS = frozenset({"10", "20", "30", "31", "40", "50", "60"})
OTHER = "50"
LONGEST_S = 35.0
"""It gives up by itself after 30 seconds, and then says so."""


def shard(key: SecretStr) -> str:
    """The end of a key names it; a key without one is of the first."""
    found = re.fullmatch(r"[^-]+|.*-([a-z]{2}\d{1,2})", key.get_secret_value())
    if found is None:
        raise ValueError("api_key does not end in the name of a shard (such as -uk1)")
    return found[1] or "au1"


class Settings(gw.AccountSettings):
    """One user of one Cliniko account: the API key has that user's rights."""

    subdomain: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """What the practice's own address at Cliniko begins with: whoever has the same one shares appointments."""
    api_key: Annotated[SecretStr, AfterValidator(lambda key: shard(key) and key)]
    contact: str = Field(pattern=r"^[^\s@()]+@[^\s@()]+$")
    """An e-mail address that Cliniko is told with every request, as it asks for."""
    zone: gw.Zone
    """Of the practice: times are answered with its offset, and its days are what free time is asked by."""
    business_id: str | None = Field(default=None, pattern=r"^\d+$")
    """Which business is meant where a request names no care unit."""
    base_url: gw.BaseUrl | None = None
    """Only to go another way than the key's own shard says."""

    @property
    def address(self) -> str:
        return self.base_url or f"https://api.{shard(self.api_key)}.cliniko.com/v1"


FULL = gw.Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    free_time_by=frozenset({Kind.RESOURCE, Kind.SERVICE, Kind.CARE_UNIT}),
    move="in_place",
    reassign="in_place",
    refuses_overlap=False,
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    cancel_reasons=REASONS,
    comment=True,
    answers_with="nothing",
    late_write_s=30.0,
    concurrency=4,
    quota=200,
    quota_window_s=60.0,
)


class ClinikoEmr(gw.RestEmr):
    path = "/individual_appointments"
    ids = r"[0-9]{1,19}"
    always = (("q[]", "cancelled_at:*"),)
    """Otherwise what is cancelled is hidden."""
    places = {
        Kind.CARE_UNIT: gw.Directory("/businesses", ("business_name",)),
        Kind.RESOURCE: gw.Directory("/practitioners", ("display_name",)),
        Kind.SERVICE: gw.Directory("/appointment_types"),
        Kind.PATIENT: gw.Directory("/patients", ("first_name", "last_name")),
    }

    def __init__(self, http: gw.VendorHttp, settings: Settings, reason: str) -> None:
        by = FULL.free_time_by if settings.business_id is None else FULL.free_time_by - {Kind.CARE_UNIT}
        can = replace(FULL, late_write_s=settings.late_write_s, free_time_by=by)
        super().__init__(http, can, f"{settings.address} {settings.subdomain}", zone=settings.zone)
        self._business, self._reason = settings.business_id, reason

    # -- theirs into ours ------------------------------------------------------------------------------------------

    def read(self, row: gw.Row) -> gw.Appointment | None:
        """`None`: it was archived or deleted, which is how one is withdrawn."""
        if row["archived_at"] is not None or row["deleted_at"] is not None:
            return None
        end, cancelled = gw.instant(row["ends_at"], self.zone), row["cancelled_at"] is not None
        return gw.Appointment(
            id=gw.id_of(row["id"]),
            start=gw.instant(row["starts_at"], self.zone),
            end=end,
            status=Status.CANCELLED if cancelled else _status(row, end),
            patient_id=_linked(row["patient"]),
            resource_id=_linked(row["practitioner"]),
            healthcare_service_id=_linked(row["appointment_type"]),
            care_unit_id=_linked(row["business"]),
            comment=(cancelled and row["cancellation_note"]) or row["notes"] or None,
            version=row["updated_at"],
        )

    async def rows(self, path: str, query: gw.Query = (), *, by: str = "id") -> list[gw.Row]:
        """What comes while records are listed comes at the end."""
        order = [("sort", "created_at:asc")] if by == "id" else []

        def page(answer: httpx.Response) -> gw.Page[gw.Row]:
            body = answer.json()
            found = [(row[by], row) for row in body[path.rpartition("/")[2]]]
            return gw.Page(found, next=body["links"].get("next"), total=body["total_entries"])

        return await gw.by_link(self.http, path, page, params=[*query, *order, ("per_page", "100")])

    # -- reads -----------------------------------------------------------------------------------------------------

    def query(self, wanted: gw.ReadCalendar) -> gw.Query:
        ids = {
            "practitioner_id": wanted.resource_id,
            "patient_id": wanted.patient_id,
            "business_id": wanted.care_unit_id,
        }
        times = {"starts_at": f"<{_said(wanted.span.end)}", "ends_at": f">{_said(wanted.span.start)}"}
        asked = times | {name: f"={id}" for name, id in given(ids).items()}
        return [("q[]", f"{name}:{value}") for name, value in asked.items()]

    def days(self, first: date, last: date) -> gw.Query:
        return [("from", str(first)), ("to", str(last))]

    async def free_time(self, wanted: gw.FindFreeTime) -> gw.FreeTime:
        """Only starts are told, a week at most; how long it is, the appointment type says."""
        wanted = replace(wanted, care_unit_id=wanted.care_unit_id or self._business)
        who, what, where = wanted.resource_id, wanted.healthcare_service_id, wanted.care_unit_id
        if not self.are_possible(wanted) or what is None:
            return gw.FreeTime("slots")
        minutes = await self.about(Kind.SERVICE, what, lambda row: row["duration_in_minutes"])
        if minutes is None:
            return gw.FreeTime("slots")

        def slot(row: gw.Row) -> gw.Slot:
            start = gw.instant(row["appointment_start"], self.zone)
            return gw.Slot(start, gw.minutes_after(start, minutes), who, what, where)

        path = f"/businesses/{where}/practitioners/{who}/appointment_types/{what}/available_times"
        by = "appointment_start"
        listed = self.on_days(path, slot, wanted.span, most=7, earliest=gw.today(self.zone), by=by)
        return gw.FreeTime("slots", tuple(await gw.if_there(listed) or ()))

    async def conflicts(self, appointment: gw.Appointment, ignoring: Sequence[str] = ()) -> bool:
        """With group appointments and blocked time, too. It does not tell whose it is: where one is to be ignored, the
        calendar says who else is there."""
        if ignoring:
            return await super().conflicts(appointment, ignoring)
        path = f"{self.path}/{appointment.id}/conflicts"
        return await self.http.read(path, lambda answer: gw.flag(answer.json()["conflicts"]["exist"]))

    async def probe(self) -> gw.Capabilities:
        await self.http.read("/businesses", lambda answer: answer.json()["businesses"], params=[("per_page", "1")])
        return self.capabilities

    # -- writes ----------------------------------------------------------------------------------------------------

    async def change(self, step: gw.Change) -> gw.Receipt:
        notes: dict[str, Any] = {} if step.comment is None else {"notes": step.comment or None}
        body = {**given({"practitioner_id": step.resource_id}), **_times(step.span), **notes}
        return await self.http.write("PATCH", self.at(step), self.shown, json=body)

    async def create(self, step: gw.Create) -> gw.Receipt:
        business = step.care_unit_id or (step.like and step.like.care_unit_id) or self._business
        if business is None or step.healthcare_service_id is None:
            raise gw.Refused("invalid", "a booking needs a business and an appointment type")
        who = {"patient_id": step.patient_id, "practitioner_id": step.resource_id}
        what = {"appointment_type_id": step.healthcare_service_id, "business_id": business}
        booking = who | what | _times(step.span) | given({"notes": step.comment})
        return await self.http.write("POST", self.path, self.shown, json=booking)

    async def cancel(self, step: gw.Cancel) -> gw.Receipt:
        """Of this one, never of the series that it may belong to."""
        why = {"cancellation_reason": int(self._reason), **given({"cancellation_note": step.comment})}
        return await self.over("PATCH", step, "/cancel", json={**why, "apply_to_repeats": False})

    async def discard(self, step: gw.Discard) -> gw.Receipt:
        return await self.over("POST", step, "/archive")


def _status(row: gw.Row, end: datetime) -> Status:
    """It has no status of its own: whoever has arrived is with the practitioner until it is over."""
    if row["did_not_arrive"]:
        return Status.NO_SHOW
    arrived = Status.COMPLETED if gw.is_past(end) else Status.OTHER
    return arrived if row["patient_arrived"] else Status.BOOKED


def _linked(related: gw.Row | None) -> str | None:
    """Others are named by links only; their id is the last of the path."""
    return gw.id_of(related["links"]["self"].rpartition("/")[2]) if related else None


def _said(instant: datetime) -> str:
    return gw.in_utc(instant.replace(microsecond=0))


def _times(span: gw.Span | None) -> dict[str, str]:
    """Both: a start alone would have the end set anew, to the appointment type's length."""
    return {"starts_at": _said(span.start), "ends_at": _said(span.end)} if span else {}


# -- introduction ------------------------------------------------------------------------------------------------------

EDITION = gw.Edition(title="Cliniko", capabilities=FULL, against="the vendor's OpenAPI document of 2024")


@gw.hookimpl
def emr_vendor() -> gw.Vendor:
    return gw.Vendor(
        key="cliniko", name="Cliniko", settings=Settings, emr=ClinikoEmr, capabilities=FULL, editions=(EDITION,)
    )


@gw.hookimpl
def emr_open(account: gw.Account) -> gw.Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    headers = {"Accept": "application/json", "User-Agent": f"emr-gateway ({settings.contact})"}
    login = gw.Basic(settings.api_key.get_secret_value(), SecretStr(""))
    http = account.door.http(base_url=settings.address, auth=login, headers=headers, timeout_s=LONGEST_S)
    return ClinikoEmr(http, settings, account.cancel_reason or OTHER)
