"""A Canvas in memory, written from its documents: a PUT that merges, over a date; slots without ids; empty answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.plugins.fhir.fake import STATEMENT, FakeFhir, Refusal
from tests.plugins.fhir.samples import BEYOND, at, participants
from tests.plugins.fhir.searching import Resource

NEEDED = ("id", "status", "supportingInformation", "start", "end", "participant")
QUARTER = timedelta(minutes=15)
GONE = ("cancelled", "entered-in-error")


class FakeCanvas(FakeFhir):
    """Open 08:00-12:00, its clock a minute further with each write. Without `double_booking` taken time is refused."""

    double_booking = True
    now = datetime(2027, 3, 1, 8, tzinfo=UTC)

    def put(self, resource: Resource) -> Resource:
        self.now += timedelta(minutes=1)
        stored = super().put(resource)
        stored["meta"]["lastUpdated"] = self.now.isoformat()
        return stored

    def _dispatch(self, request: Request, raw: bytes) -> Response:
        path = request.path_params["path"].split("/")
        if request.method in ("PATCH", "DELETE"):
            raise Refusal(405, "not-supported")
        if request.method == "PUT":
            return self._update(request, path[1], json.loads(raw))
        if path == ["metadata"]:
            return self._shown(CAN)
        return super()._dispatch(request, raw)

    def _update(self, request: Request, id: str, body: Resource) -> Response:
        current = self._current("Appointment", id)
        if any(name not in body for name in NEEDED) or any(p["status"] != "accepted" for p in body["participant"]):
            raise Refusal(422, "business-rule", "Unprocessable entity")
        unless, changed_at = request.headers.get("if-unmodified-since"), current["meta"]["lastUpdated"]
        if unless is not None and datetime.fromisoformat(changed_at) > parsedate_to_datetime(unless):
            raise Refusal(412, "conflict", "Resource updated since If-Unmodified-Since date")
        if current["status"] == "cancelled" and body["status"] != "cancelled":
            raise Refusal(422, "business-rule", "Unprocessable entity")
        changed = {**current, **body}
        if not self.double_booking and changed["status"] not in GONE and any(self._met(changed)):
            raise Refusal(422, "business-rule", "This appointment time is no longer available.")
        self.put(changed)
        return Response("null", 200, media_type="application/json")

    def _met(self, one: Resource) -> Iterator[Resource]:
        """The practitioner's other appointments at that time."""
        span, who = _span(one), _practitioner(one)
        for other in self.store.get("Appointment", {}).values():
            there = other["id"] != one.get("id") and other["status"] not in GONE and _practitioner(other) == who
            if there and _span(other)[0] < span[1] and span[0] < _span(other)[1]:
                yield other

    # -- searches ----------------------------------------------------------------------------------------------

    def _search(self, kind: str, request: Request) -> Response:
        if kind != "Slot":
            return super()._search(kind, request)
        told = dict(request.query_params)
        schedule = told.get("schedule", "")
        if schedule not in self.store.get("Schedule", {}):
            raise Refusal(400, "invalid", "Bad request")
        start, end = (datetime.fromisoformat(told[edge]) for edge in ("start", "end"))
        free = self._free(schedule, int(told.get("duration", "20")))
        entries = [{"resource": slot} for slot in free if _within(slot, start, end)]
        return self._shown({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries})

    def _free(self, schedule: str, minutes: int) -> Iterator[Resource]:
        """Every quarter of an hour at which a visit of that length fits."""
        who = self.get("Schedule", schedule)["actor"]
        for opens, closes in ((at(8), at(12)), (BEYOND, BEYOND + 2 * QUARTER)):
            start = opens
            while start + timedelta(minutes=minutes) <= closes:
                slot = _slot(schedule, start, minutes)
                if not any(self._met({**slot, "participant": [{"actor": who[0]}]})):
                    yield slot
                start += QUARTER

    # -- the staff ---------------------------------------------------------------------------------------------

    async def books(self, span: Any, resource_id: str, status: str = "booked") -> str:
        """→ the appointment's id."""
        self.last_id += 1
        people = participants("accepted", (resource_id, "Patient/p1"))
        told = {"start": span.start.isoformat(), "end": span.end.isoformat(), "participant": people, "status": status}
        return str(self.put(appointment(id=str(self.last_id), **told))["id"])

    async def books_unconfirmed(self, span: Any, resource_id: str) -> str:
        return await self.books(span, resource_id, "proposed")


def _practitioner(body: Resource) -> str:
    named = [p["actor"]["reference"] for p in body["participant"]]
    return next(str(reference) for reference in named if reference.startswith("Practitioner/"))


def _span(body: Resource) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(body["start"]), datetime.fromisoformat(body["end"])


def _within(slot: Resource, start: datetime, end: datetime) -> bool:
    begins, ends = _span(slot)
    return start <= begins and ends <= end


def _slot(schedule: str, start: datetime, minutes: int) -> Resource:
    return {
        "resourceType": "Slot",
        "schedule": {"reference": f"Schedule/{schedule}", "type": "Schedule"},
        "status": "free",
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=minutes)).isoformat(),
    }


def appointment(**more: object) -> Resource:
    return {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "appointmentType": {"coding": [{"system": "http://snomed.info/sct", "code": "448337001"}]},
        "supportingInformation": [{"reference": "Location/u1", "type": "Location"}],
        "start": at(9).isoformat(),
        "end": at(9, 30).isoformat(),
        "participant": participants("accepted", ("Practitioner/d1", "Patient/p1")),
        **more,
    }


def clinic() -> list[Resource]:
    """Two practitioners in one place."""
    return [
        {"resourceType": "Location", "id": "u1", "name": "Testunit"},
        {"resourceType": "Patient", "id": "p1", "name": [{"text": "Ett Testperson"}]},
        *(
            resource
            for who in ("d1", "d2")
            for resource in (
                {"resourceType": "Practitioner", "id": who, "name": [{"family": "Testdoctor", "given": [who]}]},
                {
                    "resourceType": "Schedule",
                    "id": f"Location.u1-Staff.{who}",
                    "actor": [{"reference": f"Practitioner/{who}", "type": "Practitioner"}],
                    "comment": f"Schedule for {who} at Testunit",
                },
            )
        ),
    ]


CAN: Resource = {
    **{name: value for name, value in STATEMENT.items() if name != "patchFormat"},
    "rest": [
        {
            "mode": "server",
            "resource": [
                {
                    "type": "Appointment",
                    "interaction": [{"code": code} for code in ("create", "read", "update", "search-type")],
                },
                {"type": "Slot", "interaction": [{"code": "search-type"}]},
                {"type": "Schedule", "interaction": [{"code": "search-type"}]},
            ],
        }
    ],
}
