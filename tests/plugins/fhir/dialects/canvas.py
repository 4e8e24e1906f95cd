"""A Canvas in memory, written from its documents: a PUT that merges, over a date; slots without ids; empty answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import Response

from tests.plugins.fhir.fake import FakeFhir, Refusal
from tests.plugins.fhir.samples import at, participants
from tests.plugins.fhir.searching import Resource

NEEDED = ("id", "status", "supportingInformation", "start", "end", "participant")


class FakeCanvas(FakeFhir):
    """`full` are starts at which double booking is switched off; the clock goes on by a minute with each write."""

    full: tuple[str, ...] = ()
    now = datetime(2027, 3, 1, 8, tzinfo=UTC)

    def put(self, resource: Resource) -> Resource:
        self.now += timedelta(minutes=1)
        stored = super().put(resource)
        stored["meta"]["lastUpdated"] = self.now.isoformat()
        return stored

    def _dispatch(self, request: Request, raw: bytes) -> Response:
        if request.method in ("PATCH", "DELETE"):
            raise Refusal(405, "not-supported")
        if request.method == "PUT":
            return self._update(request, json.loads(raw))
        return super()._dispatch(request, raw)

    def _update(self, request: Request, body: Resource) -> Response:
        current = self._current("Appointment", request.path_params["path"].split("/")[1])
        if any(name not in body for name in NEEDED) or any(p["status"] != "accepted" for p in body["participant"]):
            raise Refusal(422, "required")
        unless = request.headers.get("if-unmodified-since")
        changed = datetime.fromisoformat(current["meta"]["lastUpdated"])
        if unless is not None and changed > parsedate_to_datetime(unless):
            raise Refusal(412, "conflict")
        if current["status"] == "cancelled" and body["status"] != "cancelled":
            raise Refusal(422, "business-rule")
        if body["start"] in self.full and body["start"] != current["start"]:
            raise Refusal(422, "processing", "This appointment time is no longer available.")
        self.put({**current, **body})
        return Response("null", 200, media_type="application/json")

    def _search(self, kind: str, request: Request) -> Response:
        if kind != "Slot":
            return super()._search(kind, request)
        told = dict(request.query_params)
        if not told.get("schedule", "").startswith("Location.u1-Staff."):
            raise Refusal(400, "required")
        starts = [at(hour, minute) for hour in range(8, 12) for minute in (0, 30)]
        free = [s for s in starts if datetime.fromisoformat(told["start"]) <= s < datetime.fromisoformat(told["end"])]
        entries = [{"resource": _slot(told["schedule"], start)} for start in free]
        return self._shown({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries})


def _slot(schedule: str, start: datetime) -> Resource:
    return {
        "resourceType": "Slot",
        "schedule": {"reference": f"Schedule/{schedule}"},
        "status": "free",
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=30)).isoformat(),
    }


def appointment(**more: object) -> Resource:
    return {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "appointmentType": {"coding": [{"system": "http://snomed.info/sct", "code": "448337001"}]},
        "supportingInformation": [{"reference": "Location/u1"}],
        "start": at(9).isoformat(),
        "end": at(9, 30).isoformat(),
        "participant": participants("accepted", ("Practitioner/d1", "Patient/p1")),
        **more,
    }
