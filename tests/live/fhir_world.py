"""All that is in a FHIR server, and what of it has changed without being asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx

from tests.live.fhir_clinic import Auth, actor
from tests.live.fhir_seeds import Json
from tests.live.witness import Place, Said

KINDS = (
    *("Appointment", "AppointmentResponse", "Slot", "Schedule"),
    *("Patient", "Practitioner", "Location", "HealthcareService"),
)
PAGE = 1000
MARKER = "urn:emr-gateway:booking"
MOVED = {"start", "end", "minutesDuration", "slot", "status", "comment", "cancelationReason", "participant", "meta"}
"""What the gateway may write of an appointment; of its participants the resource, and whether they have accepted."""

Resources = Mapping[str, Json]


class FhirWorld:
    """`acts`: the server itself books what is proposed, and answers for the practitioner."""

    def __init__(self, base: str, auth: Auth = None, *, acts: bool = False) -> None:
        self._base, self._auth, self._acts = base, auth, acts

    def look(self) -> Resources:
        with httpx.Client(base_url=self._base, auth=self._auth, timeout=30, verify=False) as http:
            return {f"{kind}/{one['id']}": one for kind in KINDS for one in _all(http, kind)}

    def unasked(self, before: Resources, after: Resources, said: Said) -> list[str]:
        changes = Changes(before, after, said, acts=self._acts)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        return [key for key in sorted(changed) if not changes.explained(key)]


class Changes:
    def __init__(self, before: Resources, after: Resources, said: Said, *, acts: bool) -> None:
        self._before, self._after, self._said, self._acts = before, after, said, acts
        self._ids, self._places = said.ids, said.places(self._stood)
        self._answered = _answers(after) - _answers(before) if acts else Counter()
        self._booked = {slot["reference"] for one in self._answered for slot in after[one]["slot"]}

    def _stood(self, id: str) -> Iterator[Place]:
        key = f"Appointment/{id}"
        return (_place(state[key]) for state in (self._before, self._after) if key in state)

    def explained(self, key: str) -> bool:
        kind, _, id = key.partition("/")
        old, new = self._before.get(key), self._after.get(key)
        if new is None:
            return False
        match kind:
            case "Appointment" if id in self._said.theirs:
                return True
            case "Appointment" if id in self._ids:
                return old is None or _fixed(old) == _fixed(new)
            case "Appointment" if old is None:
                return _withdrawn(new) and self._asked_for(_place(new))
            case "Appointment":
                return self._acts and _by_itself(old, new, self._answered[key])
            case "AppointmentResponse":
                return self._acts and old is None
            case "Slot" if old is not None and _state(old) == _state(new):
                # The server takes slots for what it books itself.
                its_own = key in self._booked and new["status"] == "busy"
                return its_own or self._asked_for(_slot_place(new, self._after))
            case _:
                return False

    def _asked_for(self, place: Place) -> bool:
        return any(place.meets(one) for one in self._places)


def _all(http: httpx.Client, kind: str) -> Iterator[Json]:
    offset, total = 0, 1
    while offset < total:
        page = http.get(f"/{kind}", params={"_count": PAGE, "_offset": offset, "_sort": "_id", "_total": "accurate"})
        found = page.raise_for_status().json()
        total, offset = found["total"], offset + PAGE
        yield from (entry["resource"] for entry in found.get("entry", ()))


def _fixed(one: Json) -> Any:
    kept = {name: value for name, value in one.items() if name not in MOVED}
    parties = [p["actor"] for p in one["participant"] if not p["actor"]["reference"].startswith("Practitioner/")]
    return kept, parties


def _withdrawn(one: Json) -> bool:
    """The gateway's own booking, undone."""
    ours = any(identifier["system"] == MARKER for identifier in one.get("identifier", ()))
    return ours and one["status"] == "entered-in-error"


def _state(slot: Json) -> Json:
    """A slot but for how it stands."""
    return {name: value for name, value in slot.items() if name not in ("meta", "status")}


# -- where ------------------------------------------------------------------------------------------------------------


def _place(one: Json) -> Place:
    edges = (datetime.fromisoformat(one[edge]) for edge in ("start", "end"))
    return Place(actor(one, "Practitioner"), actor(one, "Location"), *edges)


def _slot_place(slot: Json, all: Resources) -> Place:
    who, unit = (one["reference"] for one in all[slot["schedule"]["reference"]]["actor"])
    return Place(who, unit, *(datetime.fromisoformat(slot[edge]) for edge in ("start", "end")))


# -- what the server does by itself -----------------------------------------------------------------------------------


def _answers(state: Resources) -> Counter[str]:
    """How often the practitioner has answered, by appointment."""
    return Counter(one["appointment"]["reference"] for key, one in state.items() if key.startswith("AppointmentResp"))


def _by_itself(old: Json, new: Json, answers: int) -> bool:
    """Booked, once for each answer, and nothing else."""
    written = int(new["meta"]["versionId"]) - int(old["meta"]["versionId"])
    accepted = [{**p, "status": "accepted"} for p in old["participant"]]
    booked = {**old, "status": "booked", "participant": accepted, "meta": new["meta"]}
    return written == answers and new == booked
