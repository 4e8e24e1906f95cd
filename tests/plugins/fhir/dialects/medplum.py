"""Medplum's scheduling operations in memory, written from its documents: slots are virtual, moves carry them along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.plugins.fhir.fake import FakeFhir, Refusal
from tests.plugins.fhir.samples import BEYOND, at, participants
from tests.plugins.fhir.searching import Resource

HALF_HOUR = timedelta(minutes=30)
REFERENCE = "https://medplum.com/fhir/service-type-reference"
SERVICE = "HealthcareService/h1"
OPEN = ("booked", "pending")


class FakeMedplum(FakeFhir):
    """The half hours 08:00-12:00 of each schedule; `wrapped` puts what operations answer with into a parameter."""

    wrapped = False
    versions = "00000000-0000-4000-8000-{:012}"

    def _dispatch(self, request: Request, raw: bytes) -> Response:
        match (request.method, *request.path_params["path"].split("/")):
            case ("GET", "Appointment", "$find"):
                return self._find(request)
            case ("POST", "Appointment", "$book" | "$hold" as operation):
                (given,) = json.loads(raw)["parameter"]
                return self._book(given["resource"], tentative=operation == "$hold")
            case ("POST", "Appointment", id, operation):
                told = json.loads(raw)["parameter"] if raw else []
                return self._operate(dict(self._current("Appointment", id)), operation, told)
            case ("GET", "Appointment", id) if id.startswith("$"):
                raise Refusal(404, "not-found")
            case _:
                return super()._dispatch(request, raw)

    # -- operations --------------------------------------------------------------------------------------------

    def _find(self, request: Request) -> Response:
        told, ignored = dict(request.query_params), request.query_params.getlist("ignore-appointment")
        start, end = (datetime.fromisoformat(told[edge]) for edge in ("start", "end"))
        if not start < end <= start + timedelta(days=31) or len(ignored) > 1:
            raise Refusal(400, "invalid", "Invalid search time range")
        self._open_for(told["schedule"], told["service-type-reference"])
        own = [s for one in ignored for s in self._held(self._current("Appointment", one.split("/")[1]))]
        free = [s for s in _starts() if start <= s <= end and self._is_free(told["schedule"], s, own)]
        entries = [{"resource": self._proposal(told["schedule"], s)} for s in free[: int(told.get("_count", "20"))]]
        return self._returned({"resourceType": "Bundle", "type": "searchset", "entry": entries}, 200)

    def _book(self, proposal: Resource, *, tentative: bool) -> Response:
        (slot,) = proposal["contained"]
        (service,) = _services(proposal)
        if "slot" in proposal or slot["status"] != "busy" or slot["start"] != proposal["start"]:
            raise Refusal(400, "invalid", "Mismatched slot start times")
        self.last_id += 1
        body = {key: value for key, value in proposal.items() if key != "contained"}
        body |= {"id": str(self.last_id), "status": "pending" if tentative else "booked"}
        made = self._take(body, slot["schedule"]["reference"], service, datetime.fromisoformat(body["start"]), [])
        return self._done(body, [made], 201)

    def _operate(self, body: Resource, operation: str, told: list[Resource]) -> Response:
        match operation:
            case "$confirm":
                return self._confirm(body)
            case "$cancel":
                return self._cancel(body)
            case "$reschedule":
                return self._reschedule(body, told)
        raise Refusal(404, "not-found")

    def _confirm(self, body: Resource) -> Response:
        if body["status"] not in ("pending", "proposed"):
            raise Refusal(409, "conflict", "Appointment cannot be confirmed")
        slots = [self.put({**self._slot(s), "status": "busy"}) for s in self._held(body)]
        return self._done({**body, "status": "booked"}, slots, 200)

    def _cancel(self, body: Resource) -> Response:
        if body["status"] not in OPEN:
            raise Refusal(400, "invalid", "Appointment cannot be canceled")
        self._release(body)
        return self._returned(self.put({**body, "status": "cancelled"}), 200)

    def _reschedule(self, body: Resource, told: list[Resource]) -> Response:
        """Slots are released first, so that an appointment is never in its own way; or all stays as it was."""
        if body["status"] not in OPEN:
            raise Refusal(400, "invalid", "Appointment cannot be rescheduled")
        named = list(_services(body))
        if len(named) != 1:
            raise Refusal(400, "invalid", "Appointment has no service reference")
        (start,) = [datetime.fromisoformat(p["valueDateTime"]) for p in told if p["name"] == "start"]
        (schedule,) = [p["valueReference"]["reference"] for p in told if p["name"] == "schedule"]
        old = self._held(body)
        body = self._with_actors(body, old, schedule)
        made = self._take(body, schedule, named[0], start, old)
        for reference in old:
            del self.store["Slot"][reference.split("/")[1]]
        return self._done(body, [made], 200)

    def _with_actors(self, body: Resource, old: list[str], schedule: str) -> Resource:
        """The actors of the schedules that it leaves are swapped for the new one's; everybody else stays."""
        left = {self._actor(self._slot(s)["schedule"]["reference"]) for s in old}
        new = self._actor(schedule)
        stay = [p for p in body["participant"] if p["actor"]["reference"] not in left - {new}]
        if new not in [p["actor"]["reference"] for p in stay]:
            stay = [*stay, _asked(new)]
        return {**body, "participant": stay}

    # -- slots -------------------------------------------------------------------------------------------------

    def _take(self, body: Resource, schedule: str, service: str, start: datetime, own: list[str]) -> Resource:
        self._open_for(schedule, service)
        if start not in _starts():
            raise Refusal(400, "invalid", "Start time is not aligned to the scheduling grid")
        if not self._is_free(schedule, start, own):
            raise Refusal(400, "invalid", "Requested time slot is not available")
        self.last_id += 1
        status = "busy-tentative" if body["status"] == "pending" else "busy"
        made = self.put({**_slot(str(self.last_id), schedule, start), "status": status})
        body |= {"start": start.isoformat(), "end": (start + HALF_HOUR).isoformat()}
        body |= {"slot": [{"reference": f"Slot/{made['id']}"}]}
        return made

    def _release(self, body: Resource) -> None:
        for reference in self._held(body):
            del self.store["Slot"][reference.split("/")[1]]

    def _held(self, body: Resource) -> list[str]:
        held = [str(one["reference"]) for one in body.get("slot", ())]
        if any(reference.split("/")[1] not in self.store.get("Slot", {}) for reference in held):
            if body["status"] in OPEN:
                raise Refusal(400, "invalid", "Loading slots failed")
            return []
        return held

    def _slot(self, reference: str) -> Resource:
        return self.get("Slot", reference.split("/")[1])

    def _is_free(self, schedule: str, start: datetime, own: list[str]) -> bool:
        return not any(
            s["schedule"]["reference"] == schedule and datetime.fromisoformat(s["start"]) == start
            for s in self.store.get("Slot", {}).values()
            if f"Slot/{s['id']}" not in own
        )

    def _open_for(self, schedule: str, service: str) -> None:
        if service not in _services(self._current("Schedule", schedule.split("/")[1])):
            raise Refusal(400, "invalid", "Schedule is not schedulable for requested service type")

    def _actor(self, schedule: str) -> str:
        (actor,) = self.get("Schedule", schedule.split("/")[1])["actor"]
        return str(actor["reference"])

    def _proposal(self, schedule: str, start: datetime) -> Resource:
        virtual = _slot("", schedule, start)
        del virtual["id"]
        return {
            "resourceType": "Appointment",
            "status": "proposed",
            "start": virtual["start"],
            "end": virtual["end"],
            "serviceType": SERVICE_TYPE,
            "contained": [{**virtual, "serviceType": SERVICE_TYPE}],
            "participant": [_asked(self._actor(schedule))],
        }

    def _done(self, body: Resource, slots: list[Resource], status: int) -> Response:
        entries = [{"resource": one} for one in (self.put(body), *slots)]
        return self._returned({"resourceType": "Bundle", "type": "transaction-response", "entry": entries}, status)

    def _returned(self, body: Resource, status: int) -> Response:
        wrapped = {"resourceType": "Parameters", "parameter": [{"name": "return", "resource": body}]}
        return self._shown(wrapped if self.wrapped else body, status)

    # -- the staff ---------------------------------------------------------------------------------------------

    async def asks_patient(self, span: Any, resource_id: str) -> str:
        """The staff holds a time until the patient agrees. → the appointment's id."""
        proposal = self._proposal(f"Schedule/s-{resource_id.removeprefix('Practitioner/')}", span.start)
        patient, id = participants("accepted", ("Patient/p1",)), str(self.last_id + 1)
        self._book({**proposal, "participant": [*patient, *proposal["participant"]]}, tentative=True)
        return id


SERVICE_TYPE: list[Resource] = [
    {"coding": [{"code": "visit"}], "extension": [{"url": REFERENCE, "valueReference": {"reference": SERVICE}}]}
]


def _services(body: Resource) -> Iterator[str]:
    for concept in body.get("serviceType", ()):
        yield from (e["valueReference"]["reference"] for e in concept.get("extension", ()) if e["url"] == REFERENCE)


def _asked(actor: str) -> Resource:
    return {"actor": {"reference": actor}, "required": "required", "status": "needs-action"}


def _starts() -> list[datetime]:
    return [*(at(hour, minute) for hour in range(8, 12) for minute in (0, 30)), BEYOND]


def _slot(id: str, schedule: str, start: datetime) -> Resource:
    end = start + HALF_HOUR
    body: Resource = {"resourceType": "Slot", "id": id, "schedule": {"reference": schedule}, "status": "busy"}
    return {**body, "start": start.isoformat(), "end": end.isoformat()}


def clinic() -> list[Resource]:
    """Two practitioners, one with a schedule of another service, too; d1 has the appointment a1 from 9:00."""
    schedules = [
        {
            "resourceType": "Schedule",
            "id": f"s-{who}",
            "actor": [{"reference": f"Practitioner/{who}"}],
            "serviceType": SERVICE_TYPE,
        }
        for who in ("d1", "d2")
    ]
    other = {"url": REFERENCE, "valueReference": {"reference": "HealthcareService/h2"}}
    return [
        {**schedules[0], "id": "s-other", "serviceType": [{"extension": [other]}]},
        *schedules,
        {"resourceType": "HealthcareService", "id": "h1", "name": "Testvisit"},
        {"resourceType": "Patient", "id": "p1", "name": [{"text": "Ett Testperson"}]},
        *(
            {"resourceType": "Practitioner", "id": who, "name": [{"family": "Testdoctor", "given": [who]}]}
            for who in ("d1", "d2")
        ),
        _slot("s1", "Schedule/s-d1", at(9)),
        {
            "resourceType": "Appointment",
            "id": "a1",
            "status": "booked",
            "start": at(9).isoformat(),
            "end": at(9, 30).isoformat(),
            "serviceType": SERVICE_TYPE,
            "slot": [{"reference": "Slot/s1"}],
            "participant": participants("accepted", ("Patient/p1", "Practitioner/d1")),
        },
    ]
