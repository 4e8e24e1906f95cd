"""A small clinic of invented people in a FHIR R4 server, and what its staff do and see there."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx

from tests.live import fhir_seeds as seeds
from tests.live.clinics import HALF_HOUR, ZONE, Facts, lo_comes
from tests.live.fhir_seeds import Json, at, half_hours, schedule_id, slot_id
from tests.live.witness import State

STATUS = {
    "proposed": "awaiting_confirmation",
    "pending": "awaiting_confirmation",
    "booked": "booked",
    "fulfilled": "completed",
    "cancelled": "cancelled",
}
STANDING = {"proposed", "pending", "booked", "arrived", "checked-in", "fulfilled"}

Auth = tuple[str, str] | None

_clinics = itertools.count(1)


class Clinic:
    """One care unit of its own with two practitioners, a service, two patients, and half-hour slots 08:00–16:00.

    With `neighbours` the other patient is there too, and both practitioners also work in an annexe, another care unit:
    somebody has an appointment there, and time that is free in both is free twice.
    """

    def __init__(
        self, base: str, auth: Auth = None, *, neighbours: bool = False, hours: tuple[int, int] = (8, 16)
    ) -> None:
        self.base = base
        self.http = httpx.Client(base_url=base, timeout=20, auth=auth, verify=False)
        self.prefix = f"c{next(_clinics)}"
        self.unit, self.annexe, self.service = (f"{self.prefix}-{word}" for word in ("unit", "annexe", "visit"))
        self.anna, self.bo = f"Practitioner/{self.prefix}-anna", f"Practitioner/{self.prefix}-bo"
        self.patient, self.other_patient = f"{self.prefix}-pat1", f"{self.prefix}-pat2"
        self.theirs = set[str]()
        self.seen: State | None = None
        self.resources = [self.anna, self.bo]
        self._lo = {who: [at(*time) for time in lo_comes(hours)] if neighbours else [] for who in self.resources}
        self._put(*self._people(), *(one for who in self.resources for one in self._works(who, hours)))
        if neighbours:
            self._put(*(one for who in self.resources for one in self._works_elsewhere(who)))

    def close(self) -> None:
        self.http.close()

    at = staticmethod(lambda hour, minute=0: at(hour, minute))

    # -- who there is -------------------------------------------------------------------------------------------------

    def _people(self) -> Iterator[Json]:
        yield from (seeds.unit(id) for id in (self.unit, self.annexe))
        yield from (seeds.patient(id) for id in (self.patient, self.other_patient))
        yield seeds.service(self.service)

    def _works(self, who: str, hours: tuple[int, int]) -> Iterator[Json]:
        """With the other patient, who has come already."""
        lo, id = self._lo.get(who, []), schedule_id(who)
        yield seeds.practitioner(who)
        yield from seeds.schedule(who, self.unit, id, half_hours(*hours), lo)
        for n, start in enumerate(lo):
            actors = self._actors(who, self.other_patient, self.unit)
            yield {"id": f"{id}-lo{n}", **seeds.appointment(actors, [slot_id(who, start)], start)}

    def _works_elsewhere(self, who: str) -> Iterator[Json]:
        id, late = f"{schedule_id(who)}-annexe", at(16)
        yield from seeds.schedule(who, self.annexe, id, [at(13), at(13, 30), late], [late])
        actors = self._actors(who, self.other_patient, self.annexe)
        yield {"id": f"{id}-lo", **seeds.appointment(actors, [f"{id}-{late:%H%M}"], late)}

    def _actors(self, who: str, patient: str, unit: str) -> list[str]:
        return [f"Patient/{patient}", who, f"Location/{unit}", f"HealthcareService/{self.service}"]

    def book(self, who: str, start: datetime, end: datetime, **more: Any) -> str:
        """An appointment with its slots busy, as another client of the server would book it; → its id."""
        slots = [slot_id(who, start + n * HALF_HOUR) for n in range(int((end - start) / HALF_HOUR))]
        self._put(*({**self.read("Slot", id), "status": "busy"} for id in slots))
        return self._make(self._actors(who, self.patient, self.unit), slots, start, **more)

    def booked(self, *hours: int) -> list[str]:
        return [self.book(self.anna, at(hour), at(hour, 30)) for hour in hours]

    def colleague(self, *starts: datetime) -> tuple[str, list[str]]:
        who = f"Practitioner/{self.prefix}-c{len(self.resources)}"
        self.resources.append(who)
        self._put(*self._works(who, (9, 11)))
        return who, [self.book(who, start, start + HALF_HOUR) for start in starts]

    def _make(self, actors: list[str], slots: list[str], start: datetime, **more: Any) -> str:
        answer = self.http.post("/Appointment", json=seeds.appointment(actors, slots, start, **more))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    # -- what the staff do --------------------------------------------------------------------------------------------

    def note(self, id: str, text: str) -> None:
        self._patch(id, {"op": "add", "path": "/comment", "value": text})

    def cancel(self, id: str) -> None:
        """And its slots are free again."""
        self._patch(id, {"op": "replace", "path": "/status", "value": "cancelled"})
        for slot in self.read("Appointment", id)["slot"]:
            self._mark(slot["reference"], "free")

    def finish(self, id: str) -> None:
        self._patch(id, {"op": "replace", "path": "/status", "value": "fulfilled"})

    def take(self, who: str, start: datetime) -> str | None:
        slot = slot_id(who, start)
        if not self._mark(f"Slot/{slot}", "busy"):
            return None
        id = self._make(self._actors(who, self.other_patient, self.unit), [slot], start)
        self.theirs.add(id)
        return id

    def _patch(self, id: str, op: Json) -> None:
        self.theirs.add(id)
        assert self._over(self.read("Appointment", id), op), "somebody wrote to it at the same moment"

    def _mark(self, reference: str, state: str) -> bool:
        """Unless it is so already, or somebody else writes to it at the same moment."""
        now = self.read(*reference.split("/"))
        return now["status"] != state and self._over(now, {"op": "replace", "path": "/status", "value": state})

    def _over(self, now: Json, op: Json) -> bool:
        """A patch over this very version, which one of the servers heeds by its header and the other by a test."""
        version = now["meta"]["versionId"]
        headers = {"Content-Type": "application/json-patch+json", "If-Match": f'W/"{version}"'}
        ops = [{"op": "test", "path": "/meta/versionId", "value": version}, op]
        return self.http.request("PATCH", f"/{now['resourceType']}/{now['id']}", json=ops, headers=headers).is_success

    # -- what is to be seen -------------------------------------------------------------------------------------------

    def read(self, kind: str, id: str) -> Json:
        answer = self.http.get(f"/{kind}/{id}")
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    def versions(self, kind: str, id: str) -> int:
        """How often it was written."""
        return len(self.read(kind, f"{id}/_history")["entry"])

    def all(self, kind: str, **params: str) -> list[Json]:
        answer = self.http.get(f"/{kind}", params={"_count": "500", **params})
        assert answer.status_code == 200, answer.text
        return [e["resource"] for e in answer.json().get("entry", ())]

    def facts(self, id: str) -> Facts | None:
        if self.seen is not None:
            return facts(self.seen[f"Appointment/{id}"]) if f"Appointment/{id}" in self.seen else None
        answer = self.http.get(f"/Appointment/{id}")
        return facts(answer.json()) if answer.status_code == 200 else None

    def _appointments(self, who: str) -> list[Json]:
        if self.seen is None:
            return self.all("Appointment", actor=who)
        return [one for key, one in self.seen.items() if key.startswith("Appointment/") and actor(one) == who]

    def _slots(self, schedule: str) -> list[Json]:
        if self.seen is None:
            return self.all("Slot", schedule=schedule)
        return [s for key, s in self.seen.items() if key.startswith("Slot/") and s["schedule"]["reference"] == schedule]

    def standing(self) -> Mapping[str, Facts]:
        shown = {one["id"]: one for who in self.resources for one in self._appointments(who)}
        there = {id: facts(one) for id, one in shown.items() if one["status"] in STANDING}
        known = {id: one for id, one in there.items() if one is not None}
        return {id: one for id, one in known.items() if one.patient_id == self.patient or id in self.theirs}

    def busy(self, who: str) -> list[str]:
        """The local times of a practitioner's busy slots, but for the other patient's."""
        lo = [slot_id(who, start) for start in self._lo[who]]
        taken = [s for s in self._slots(f"Schedule/{schedule_id(who)}") if s["status"] == "busy" and s["id"] not in lo]
        return sorted(f"{datetime.fromisoformat(s['start']).astimezone(ZONE):%H:%M}" for s in taken)

    def disagreements(self) -> list[str]:
        """A slot is busy just where one standing appointment holds it, and an appointment's slots are its time."""
        found = []
        for who in self.resources:
            ids = (schedule_id(who), f"{schedule_id(who)}-annexe")
            slots = {slot["id"]: slot for id in ids for slot in self._slots(f"Schedule/{id}")}
            held = Counter[str]()
            for one in self._appointments(who):
                if one["status"] in STANDING:
                    ids = [slot["reference"].split("/")[1] for slot in one.get("slot", ())]
                    held.update(ids)
                    found += [] if _tiled(one, [slots.get(id) for id in ids]) else [f"{one['id']} is not on its slots"]
            wrong = [id for id, slot in slots.items() if (slot["status"] == "busy") != (held[id] == 1)]
            found += [f"{id} is {slots[id]['status']} and held by {held[id]}" for id in wrong]
        return found

    def _put(self, *resources: Json) -> None:
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
        ]
        answer = self.http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text


def actor(one: Json, kind: str = "Practitioner") -> str:
    """The reference of the participant that is a `kind`."""
    return next(p["actor"]["reference"] for p in one["participant"] if p["actor"]["reference"].startswith(f"{kind}/"))


def facts(one: Json) -> Facts | None:
    """`None`: it should never have been."""
    if one["status"] == "entered-in-error":
        return None
    edges = (datetime.fromisoformat(one[edge]) for edge in ("start", "end"))
    status, patient = STATUS.get(one["status"], "other"), actor(one, "Patient").removeprefix("Patient/")
    return Facts(actor(one), *edges, status, one.get("comment", ""), patient)


def _tiled(one: Json, slots: list[Json | None]) -> bool:
    there = [slot for slot in slots if slot is not None]
    begins = [datetime.fromisoformat(place["start"]) for place in (*there, {"start": one["end"]})]
    ends = [datetime.fromisoformat(place["end"]) for place in ({"end": one["start"]}, *there)]
    return len(there) == len(slots) > 0 and begins == ends
