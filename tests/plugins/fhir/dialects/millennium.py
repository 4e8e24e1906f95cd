"""A Millennium in memory, written from Oracle's documents: few patches, slots that decide, empty answers."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.plugins.fhir.fake import FakeFhir, Refusal, etag
from tests.plugins.fhir.samples import BEYOND, at, participants, schedule, slot
from tests.plugins.fhir.searching import Resource

PLACE = "https://fhir-ehr.cerner.com/r4/StructureDefinition/scheduling-location"
STANDARD = {"system": "http://snomed.info/sct", "code": "394576009"}
SERVICE = {"system": "https://fhir.cerner.com/test/codeSet/14249", "code": "4047611"}
ACTORS = ("patient", "practitioner", "location")
SETTABLE = ("arrived", "checked-in", "cancelled", "booked", "fulfilled")
ALLOWED = {
    frozenset({("replace", "/status")}),
    frozenset({("replace", "/status"), ("add", "/slot")}),
    frozenset({("replace", "/status"), ("add", "/cancelationReason")}),
    frozenset({("replace", "/status"), ("add", "/cancelationReason"), ("replace", "/extension")}),
    frozenset({("replace", "/slot")}),
    frozenset({("replace", "/slot"), ("replace", "/comment")}),
    frozenset({("replace", "/patient-status")}),
}
"""The operations that may stand together."""


class FakeMillennium(FakeFhir):
    async def asks_patient(self, span: Any, resource_id: str) -> str:
        """The staff books, and the patient has yet to answer. → the appointment's id."""
        who = resource_id.removeprefix("Practitioner/")
        taken = self.get("Slot", f"{who}-{span.start:%H%M}")
        patient = participants("tentative", ("Patient/p1",))
        made: Resource = {"resourceType": "Appointment", "status": "booked", "participant": patient}
        self._hold(made, [{"reference": f"Slot/{taken['id']}"}])
        self.last_id += 1
        return str(self.put({**made, "id": str(self.last_id)})["id"])

    def _dispatch(self, request: Request, raw: bytes) -> Response:
        if request.method in ("PUT", "DELETE"):
            raise Refusal(405, "not-supported")
        return super()._dispatch(request, raw)

    # -- searches ----------------------------------------------------------------------------------------------

    def _search(self, kind: str, request: Request) -> Response:
        params = request.query_params.multi_items()
        names = [name for name, _ in params]
        starts = sorted(value[:2] for name, value in params if name == {"Slot": "start"}.get(kind, "date"))
        if kind == "Slot":
            fine = names.count("_id") == 1 or (names.count("service-type") == 1 and starts == ["ge", "lt"])
        elif kind == "Appointment":
            asked = [name for name in names if name in ("_id", *ACTORS)]
            fine = len(asked) == 1 and (asked == ["_id"] or starts == ["ge", "lt"])
        elif kind == "Schedule":
            fine = names.count("_id") == 1
        else:
            raise Refusal(403, "forbidden")
        if not fine:
            raise Refusal(400, "required")
        return super()._search(kind, request)

    def _page(self, kind: str, found: list[Resource], params: list[tuple[str, str]]) -> Resource:
        told = dict(params)
        if kind == "Slot" and "_id" not in told:
            found = [s for s in found if s["status"] == "free"]
            found = [s for s in found if told.get("-location") in (None, self._place(s, "Location").get("id"))]
        return super()._page(kind, found, params)

    def _place(self, slot: Resource, kind: str) -> dict[str, str]:
        """A schedule is of one resource; the slot itself says where it is."""
        (actor,) = self.get("Schedule", slot["schedule"]["reference"].split("/")[1])["actor"]
        (place,) = slot["extension"]
        reference = {"Practitioner": actor, "Location": place["valueReference"]}[kind]["reference"]
        return {"id": reference.split("/")[1], "reference": reference}

    # -- writes ------------------------------------------------------------------------------------------------

    def _patch(self, kind: str, id: str, raw: bytes, request: Request) -> Response:
        current = self._current(kind, id)
        wanted = request.headers.get("if-match")
        if wanted is None:
            raise Refusal(412, "required")
        if wanted != etag(current):
            raise Refusal(409, "conflict")
        if kind != "Appointment" or request.headers["content-type"] != "application/json-patch+json":
            raise Refusal(422, "not-supported")
        ops = {op["path"]: op for op in json.loads(raw)}
        if frozenset((op["op"], path) for path, op in ops.items()) not in ALLOWED:
            raise Refusal(422, "business-rule")
        changed = self._changed(dict(current), {path: op["value"] for path, op in ops.items()})
        return Response(status_code=200, headers={"ETag": etag(self.put(changed))})

    def _changed(self, body: Resource, values: dict[str, Any]) -> Resource:
        if "/patient-status" in values:
            self._confirm(body, values["/patient-status"])
        if "/slot" in values:
            if body["status"] not in ("proposed", "booked"):
                raise Refusal(422, "business-rule")
            self._hold(body, values["/slot"])
        if "/status" in values:
            self._become(body, values["/status"], values)
        for name in ("comment", "cancelationReason", "extension"):
            if f"/{name}" in values:
                body[name] = values[f"/{name}"]
        return body

    def _confirm(self, body: Resource, value: str) -> None:
        patient = next(p for p in body["participant"] if p["actor"]["reference"].startswith("Patient/"))
        if value != "accepted" or body["status"] != "booked" or patient["status"] != "tentative":
            raise Refusal(422, "business-rule")
        rest = [p for p in body["participant"] if p is not patient]
        body["participant"] = [{**patient, "status": "accepted"}, *rest]

    def _become(self, body: Resource, status: str, values: dict[str, Any]) -> None:
        if status not in SETTABLE or body["status"] == "cancelled" or (status == "booked" and "/slot" not in values):
            raise Refusal(422, "business-rule")
        if len(values.get("/cancelationReason", {}).get("coding", [1])) != 1:
            raise Refusal(422, "business-rule")
        if status == "cancelled":
            self._release(body)
        body["status"] = status

    def _release(self, body: Resource) -> None:
        for reference in body.get("slot", ()):
            self.put({**self.get("Slot", reference["reference"].split("/")[1]), "status": "free"})

    def _hold(self, body: Resource, references: list[Resource]) -> None:
        """The slot decides when, with whom and where."""
        if len(references) != 1:
            raise Refusal(422, "business-rule")
        taken = self._current("Slot", references[0]["reference"].split("/")[1])
        if taken["status"] != "free":
            raise Refusal(422, "business-rule")
        self._release(body)
        self.put({**taken, "status": "busy"})
        people = [p for p in body["participant"] if p["actor"]["reference"].startswith("Patient/")]
        there = tuple(self._place(taken, kind)["reference"] for kind in ("Practitioner", "Location"))
        body |= {"slot": references, "start": taken["start"], "end": taken["end"]}
        body |= {"serviceType": taken["serviceType"], "participant": [*people, *participants("accepted", there)]}

    def _create(self, kind: str, body: Resource, request: Request) -> Response:
        (patient,) = body["participant"]
        if kind != "Appointment" or body["status"] != "booked" or patient["status"] != "accepted":
            raise Refusal(422, "business-rule")
        if set(body) - {"resourceType", "status", "slot", "participant", "reasonCode"}:
            raise Refusal(422, "not-supported")
        made: Resource = {**body, "slot": []}
        self._hold(made, body["slot"])
        self.last_id += 1
        new = self.put({**made, "id": str(self.last_id)})
        where = {"Location": f"{self.base}/Appointment/{new['id']}", "ETag": etag(new)}
        return Response(status_code=201, headers=where)


def clinic() -> list[Resource]:
    """Two practitioners with half hours 08:00-12:00 and one later; d1 has the appointment a1 from 9:00."""
    typed = {"serviceType": [{"coding": [SERVICE, STANDARD]}]}
    placed = {**typed, "extension": [{"url": PLACE, "valueReference": {"reference": "Location/u1"}}]}
    half_hours = [at(hour, minute) for hour in range(8, 12) for minute in (0, 30)]
    first = at(9)
    return [
        *(schedule(who, actor=[{"reference": f"Practitioner/{who}"}]) for who in ("d1", "d2")),
        *(slot(who, when, **placed) for who in ("d1", "d2") for when in half_hours if (who, when) != ("d1", first)),
        slot("d1", first, "busy", **placed),
        {**slot("d1", BEYOND, **placed), "id": "d1-beyond"},
        {
            "resourceType": "Appointment",
            "id": "a1",
            "status": "booked",
            "start": first.isoformat(),
            "end": at(9, 30).isoformat(),
            "slot": [{"reference": "Slot/d1-0900"}],
            "participant": participants("accepted", ("Patient/p1", "Practitioner/d1", "Location/u1")),
            **typed,
        },
    ]
