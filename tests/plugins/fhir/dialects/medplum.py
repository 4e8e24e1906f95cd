"""Medplum's scheduling operations in memory, written from its documents: slots are virtual, moves carry them along."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.plugins.fhir.fake import FakeFhir, Refusal
from tests.plugins.fhir.samples import at, participants
from tests.plugins.fhir.searching import Resource

HALF_HOUR = timedelta(minutes=30)
SERVICE = "HealthcareService/h1"
OPEN = ("booked", "pending")


class FakeMedplum(FakeFhir):
    """The half hours 08:00-12:00 of each schedule; `wrapped` puts what `$find` finds into a parameter."""

    wrapped = False

    def _dispatch(self, request: Request, raw: bytes) -> Response:
        match (request.method, *request.path_params["path"].split("/")):
            case ("GET", "Appointment", "$find"):
                return self._find(request)
            case ("POST", "Appointment", "$book"):
                (given,) = json.loads(raw)["parameter"]
                return self._book(given["resource"])
            case ("POST", "Appointment", id, operation):
                told = {p["name"]: p for p in json.loads(raw)["parameter"]} if raw else {}
                return self._operate(dict(self._current("Appointment", id)), operation, told)
            case ("GET", "Appointment", id) if id.startswith("$"):
                raise Refusal(404, "not-found")
            case _:
                return super()._dispatch(request, raw)

    # -- operations --------------------------------------------------------------------------------------------

    def _find(self, request: Request) -> Response:
        told = dict(request.query_params)
        start, end = (datetime.fromisoformat(told[edge]) for edge in ("start", "end"))
        if told["service-type-reference"] != SERVICE or end - start > timedelta(days=31):
            raise Refusal(400, "invalid")
        ignored = [one.split("/")[1] for one in request.query_params.getlist("ignore-appointment")]
        starts = [s for s in _starts() if start <= s < end and self._is_free(told["schedule"], s, ignored)]
        entries = [{"resource": self._proposal(told["schedule"], s)} for s in starts]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
        wrapped = {"resourceType": "Parameters", "parameter": [{"name": "return", "resource": bundle}]}
        return self._shown(wrapped if self.wrapped else bundle)

    def _book(self, proposal: Resource) -> Response:
        (slot,) = proposal["contained"]
        if "slot" in proposal or slot["status"] != "busy":
            raise Refusal(400, "invalid")
        self.last_id += 1
        kept = {key: value for key, value in proposal.items() if key != "contained"}
        body = {**kept, "id": str(self.last_id), "status": "booked"}
        self._take(body, slot["schedule"]["reference"], datetime.fromisoformat(body["start"]))
        return self._done(body, 201)

    def _operate(self, body: Resource, operation: str, told: dict[str, Any]) -> Response:
        if operation == "$confirm":
            if body["status"] not in ("pending", "proposed"):
                raise Refusal(409, "conflict")
            return self._done({**body, "status": "booked"}, 200)
        if body["status"] not in OPEN:
            raise Refusal(400, "invalid")
        if operation == "$cancel":
            self._release(body)
            return self._shown(self.put({**body, "status": "cancelled"}))
        if operation != "$reschedule":
            raise Refusal(404, "not-found")
        start = datetime.fromisoformat(told["start"]["valueDateTime"])
        self._take(body, told["schedule"]["valueReference"]["reference"], start)
        return self._done(body, 200)

    # -- slots -------------------------------------------------------------------------------------------------

    def _take(self, body: Resource, schedule: str, start: datetime) -> None:
        if start not in _starts():
            raise Refusal(400, "invalid", "Start time is not aligned to the scheduling grid")
        if not self._is_free(schedule, start, [body["id"]]):
            raise Refusal(400, "invalid", "Requested time slot is not available")
        self._release(body)
        self.last_id += 1
        self.put(_slot(str(self.last_id), schedule, start))
        patients = [p for p in body["participant"] if p["actor"]["reference"].startswith("Patient/")]
        body |= {"start": start.isoformat(), "end": (start + HALF_HOUR).isoformat()}
        body |= {"participant": [*patients, *self._people(schedule)], "slot": [{"reference": f"Slot/{self.last_id}"}]}

    def _release(self, body: Resource) -> None:
        for reference in body.get("slot", ()):
            del self.store["Slot"][reference["reference"].split("/")[1]]

    def _is_free(self, schedule: str, start: datetime, ignored: list[str]) -> bool:
        own = [s["reference"] for id in ignored for s in self.store["Appointment"].get(id, {}).get("slot", ())]
        return not any(
            s["schedule"]["reference"] == schedule and datetime.fromisoformat(s["start"]) == start
            for s in self.store.get("Slot", {}).values()
            if f"Slot/{s['id']}" not in own
        )

    def _proposal(self, schedule: str, start: datetime) -> Resource:
        slot = _slot("virtual", schedule, start)
        return {
            "resourceType": "Appointment",
            "status": "proposed",
            "start": slot["start"],
            "end": slot["end"],
            "contained": [slot],
            "participant": self._people(schedule),
        }

    def _people(self, schedule: str) -> list[Resource]:
        return participants("accepted", (f"Practitioner/{schedule.removeprefix('Schedule/s-')}", SERVICE))

    def _done(self, body: Resource, status: int) -> Response:
        entries = [{"response": {"status": "204"}}, {"resource": self.put(body), "response": {"status": "200"}}]
        return self._shown({"resourceType": "Bundle", "type": "transaction-response", "entry": entries}, status)


def _starts() -> list[datetime]:
    return [at(hour, minute) for hour in range(8, 12) for minute in (0, 30)]


def _slot(id: str, schedule: str, start: datetime) -> Resource:
    end = start + HALF_HOUR
    body: Resource = {"resourceType": "Slot", "id": id, "schedule": {"reference": schedule}, "status": "busy"}
    return {**body, "start": start.isoformat(), "end": end.isoformat()}


def clinic() -> list[Resource]:
    """Two practitioners; d1 has the appointment a1 from 9:00."""
    schedules = [
        {"resourceType": "Schedule", "id": f"s-{who}", "actor": [{"reference": f"Practitioner/{who}"}]}
        for who in ("d1", "d2")
    ]
    return [
        *schedules,
        _slot("s1", "Schedule/s-d1", at(9)),
        {
            "resourceType": "Appointment",
            "id": "a1",
            "status": "booked",
            "start": at(9).isoformat(),
            "end": at(9, 30).isoformat(),
            "slot": [{"reference": "Slot/s1"}],
            "participant": participants("accepted", ("Patient/p1", "Practitioner/d1", SERVICE)),
        },
    ]
