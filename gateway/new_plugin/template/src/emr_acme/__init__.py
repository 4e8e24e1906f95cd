"""Acme, over its REST API: changed in place, slots asked for beforehand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import httpx
from pydantic import Field, SecretStr

import gateway.plugin as gw
from gateway.plugin import Kind, Status, given

# -- what an account is configured with --------------------------------------------------------------------------------


class Settings(gw.AccountSettings):
    """One practice."""

    base_url: gw.BaseUrl
    """Of the practice's own server: whoever has the same one shares appointments."""
    api_key: SecretStr = Field(min_length=1)
    zone: gw.Zone
    """Of the practice: times are answered with its offset."""


# -- what it can do ----------------------------------------------------------------------------------------------------

FULL = gw.Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    free_time_by=frozenset({Kind.RESOURCE}),
    move="in_place",
    reassign="in_place",
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    comment=True,
    version_check=True,
    concurrency=4,
    late_write_s=30.0,
)
STATES = {
    "planned": Status.BOOKED,
    "done": Status.COMPLETED,
    "void": Status.CANCELLED,
    "missed": Status.NO_SHOW,
}
"""What is not here is news, and `other`."""


class AcmeEmr(gw.RestEmr):
    path = "/visits"
    ids = r"[a-z]{1,3}-[0-9]{1,12}"
    places = {
        Kind.CARE_UNIT: gw.Directory("/sites"),
        Kind.RESOURCE: gw.Directory("/clinicians"),
        Kind.SERVICE: gw.Directory("/visit-types"),
        Kind.PATIENT: gw.Directory("/patients"),
    }

    def __init__(self, http: gw.VendorHttp, settings: Settings) -> None:
        super().__init__(http, replace(FULL, late_write_s=settings.late_write_s), tenant=settings.base_url)
        self._zone = settings.zone

    # -- reads -----------------------------------------------------------------------------------------------------

    def read(self, row: gw.Row) -> gw.Appointment:
        return gw.Appointment(
            id=row["id"],
            start=gw.instant(row["starts"], self._zone),
            end=gw.instant(row["ends"], self._zone),
            status=STATES.get(row["state"], Status.OTHER),
            patient_id=row["patient"],
            resource_id=row["clinician"],
            healthcare_service_id=row["visit_type"],
            care_unit_id=row["site"],
            comment=row["note"] or None,
            version=str(gw.number(row["revision"])),
        )

    async def rows(self, path: str, query: gw.Query = (), *, by: str = "id") -> list[gw.Row]:
        """All pages, or an error."""

        def page(answer: httpx.Response) -> gw.Page[gw.Row]:
            body = answer.json()
            return gw.Page([(row[by], row) for row in body["items"]], next=body["next"], total=body["total"])

        async def ask(cursor: str | None) -> gw.Page[gw.Row]:
            return await self.http.read(path, page, params=[*query, *given({"cursor": cursor}).items()])

        return await gw.by_cursor(ask)

    def query(self, wanted: gw.ReadCalendar) -> gw.Query:
        whose = {"clinician": wanted.resource_id, "patient": wanted.patient_id, "site": wanted.care_unit_id}
        return [*_range(wanted.span).items(), *given(whose).items()]

    async def free_time(self, wanted: gw.FindFreeTime) -> gw.FreeTime:
        if wanted.resource_id is None:
            raise gw.Refused("unsupported", "free time is of one clinician")
        place = (wanted.resource_id, wanted.healthcare_service_id, wanted.care_unit_id)
        asked = _range(wanted.span) | given(dict(zip(("clinician", "visit_type", "site"), place, strict=True)))

        def slot(row: gw.Row) -> gw.Slot:
            if row["clinician"] != wanted.resource_id:
                raise ValueError("free time of another clinician")
            return gw.Slot(gw.instant(row["starts"], self._zone), gw.instant(row["ends"], self._zone), *place)

        def slots(answer: httpx.Response) -> gw.FreeTime:
            return gw.FreeTime("slots", tuple(slot(row) for row in answer.json()["openings"]))

        return await self.http.read("/openings", slots, params=asked)

    async def find_own(self, step: gw.Create | gw.Change) -> gw.Appointment | None:
        """A booking bears its marker, so that it is known again after a lost answer."""
        if not isinstance(step, gw.Create):
            raise gw.Refused("unsupported")
        found = await self.rows(self.path, [("reference", step.marker)])
        return gw.sense(self.read, found[0]) if found else None

    async def probe(self) -> gw.Capabilities:
        await self.http.read("/sites", lambda answer: answer.json()["items"])
        return self.capabilities

    # -- writes: each is one request -------------------------------------------------------------------------------

    async def change(self, step: gw.Change) -> gw.Receipt:
        body = {**_times(step.span), **given({"clinician": step.resource_id, "note": step.comment})}
        return await self.http.write("PATCH", self.at(step), self.shown, json=body, headers=_over(step.before))

    async def create(self, step: gw.Create) -> gw.Receipt:
        who = {"patient": step.patient_id, "clinician": step.resource_id, "visit_type": step.healthcare_service_id}
        what = {"site": step.care_unit_id, "note": step.comment, "reference": step.marker}
        return await self.http.write("POST", self.path, self.shown, json=_times(step.span) | given(who | what))

    async def cancel(self, step: gw.Cancel) -> gw.Receipt:
        body, path = given({"note": step.comment}), self.at(step, "/void")
        return await self.http.write("POST", path, self.shown, json=body, headers=_over(step.before))

    async def discard(self, step: gw.Discard) -> gw.Receipt:
        return await self.over("DELETE", step, headers=_over(step.before))


def _times(span: gw.Span | None) -> dict[str, str]:
    return {"starts": _said(span.start), "ends": _said(span.end)} if span else {}


def _range(span: gw.Span) -> dict[str, str]:
    return {"from": _said(span.start), "to": _said(span.end)}


def _said(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _over(before: gw.Appointment) -> dict[str, str]:
    """The revision that a write goes over: an older one is refused."""
    return given({"If-Match": before.version})


# -- the introduction, by two hooks ------------------------------------------------------------------------------------

MEANS: dict[str, gw.Reason] = {"time_taken": "taken", "closed": "state", "too_late": "rule"}
"""Its own error codes, where a status does not say it. Its prose is never passed on."""
EDITION = gw.Edition(title="Acme", capabilities=FULL, against="a fake that was made up with this plugin")


def problem(answer: httpx.Response) -> gw.EmrError | None:
    code = answer.json()["error"]
    return gw.Refused(MEANS[code], emr_code=code) if code in MEANS else None


@gw.hookimpl
def emr_vendor() -> gw.Vendor:
    return gw.Vendor(key="acme", name="Acme", settings=Settings, emr=AcmeEmr, capabilities=FULL, editions=(EDITION,))


@gw.hookimpl
def emr_open(account: gw.Account) -> gw.Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    http = account.door.http(
        base_url=settings.base_url,
        auth=gw.ApiKey("X-Api-Key", settings.api_key),
        headers={"Accept": "application/json"},
        problem=problem,
    )
    return AcmeEmr(http, settings)
