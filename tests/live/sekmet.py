"""A real FHIR R4 server (SEKMET) on loopback, and a small clinic of invented people in any such server."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from tests.live.processes import free_port, stop, wait_until_ready

ZONE = ZoneInfo("Europe/Stockholm")
DAY = datetime(2027, 3, 1, tzinfo=ZONE)
"""A Monday."""
HALF_HOUR = timedelta(minutes=30)
STANDING = {"proposed", "pending", "booked", "arrived", "checked-in", "fulfilled"}

_clinics = itertools.count(1)


@contextmanager
def running(venv: Path, folder: Path, **more: Any) -> Iterator[str]:
    """Start the server with an empty database in `folder`; → its base URL. Stopped, by force if need be, at the end.

    `more` are further settings of the server's.
    """
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    settings = {
        "base_url": base,
        "host": "127.0.0.1",
        "port": port,
        "data_dir": str(folder / "data"),
        "simulator": {"enabled": False},
        "log_inbound": False,
        **more,
    }
    config = folder / "settings.yaml"
    config.write_text(json.dumps(settings))  # JSON is YAML
    log = (folder / "server.log").open("wb")
    command = [str(venv / "bin" / "sekmet"), "serve", "-c", str(config), "--host", "127.0.0.1", "--port", str(port)]
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_ready(f"{base}/metadata", server)
        yield base
    finally:
        stop(server)
        log.close()


class Clinic:
    """One care unit of its own with two practitioners, a service, two patients, and half-hour slots 08:00–16:00."""

    def __init__(self, base: str, auth: tuple[str, str] | None = None) -> None:
        self.base = base
        self.http = httpx.Client(base_url=base, timeout=20, auth=auth)
        self.prefix = f"c{next(_clinics)}"
        self.unit, self.service = f"{self.prefix}-unit", f"{self.prefix}-visit"
        self.anna, self.bo = f"Practitioner/{self.prefix}-anna", f"Practitioner/{self.prefix}-bo"
        self.patient, self.other_patient = f"{self.prefix}-pat1", f"{self.prefix}-pat2"
        self._put(*self._people(), *self._slots())

    def close(self) -> None:
        self.http.close()

    # -- what there is -----------------------------------------------------------------------------------------

    def _people(self) -> Iterator[dict[str, Any]]:
        yield {"resourceType": "Location", "id": self.unit, "status": "active", "name": f"Unit {self.prefix}"}
        yield {"resourceType": "HealthcareService", "id": self.service, "active": True, "name": f"Visit {self.prefix}"}
        for id in (self.patient, self.other_patient):
            yield {"resourceType": "Patient", "id": id, "name": [{"family": f"Testperson {id}", "given": ["Test"]}]}
        for reference in (self.anna, self.bo):
            id = reference.split("/")[1]
            yield {"resourceType": "Practitioner", "id": id, "name": [{"family": f"Testdoctor {id}"}]}
            actors = [{"reference": reference}, {"reference": f"Location/{self.unit}"}]
            yield {"resourceType": "Schedule", "id": id, "active": True, "actor": actors}

    def _slots(self) -> Iterator[dict[str, Any]]:
        for reference in (self.anna, self.bo):
            for n in range(16):
                start = at(8) + n * HALF_HOUR
                yield {
                    "resourceType": "Slot",
                    "id": slot_id(reference, start),
                    "schedule": {"reference": f"Schedule/{reference.split('/')[1]}"},
                    "status": "free",
                    "start": start.isoformat(),
                    "end": (start + HALF_HOUR).isoformat(),
                }

    def book(self, who: str, start: datetime, end: datetime, **more: Any) -> str:
        """An appointment with its slots busy, as another client of the server would book it; → its id."""
        slots = [slot_id(who, start + n * HALF_HOUR) for n in range(int((end - start) / HALF_HOUR))]
        self._put(*({**self.read("Slot", id), "status": "busy"} for id in slots))
        status = more.pop("participation", "accepted")
        actors = [f"Patient/{self.patient}", who, f"Location/{self.unit}", f"HealthcareService/{self.service}"]
        body = {
            "resourceType": "Appointment",
            "status": "booked",
            "start": start.isoformat(),
            "end": end.isoformat(),
            "slot": [{"reference": f"Slot/{id}"} for id in slots],
            "participant": [{"actor": {"reference": r}, "status": status} for r in actors],
            **more,
        }
        answer = self.http.post("/Appointment", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    # -- what became of it -------------------------------------------------------------------------------------

    def read(self, kind: str, id: str) -> dict[str, Any]:
        answer = self.http.get(f"/{kind}/{id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def versions(self, kind: str, id: str) -> int:
        """How often it was written."""
        return len(self.read(kind, f"{id}/_history")["entry"])

    def all(self, kind: str, **params: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/{kind}", params={"_count": "500", **params})
        assert answer.status_code == 200, answer.text
        return [e["resource"] for e in answer.json().get("entry", ())]

    def busy(self, who: str) -> list[str]:
        """The local times of a practitioner's busy slots."""
        schedule = who.split("/")[1]
        taken = [s for s in self.all("Slot", schedule=f"Schedule/{schedule}") if s["status"] == "busy"]
        return sorted(datetime.fromisoformat(s["start"]).astimezone(ZONE).strftime("%H:%M") for s in taken)

    def disagreements(self) -> list[str]:
        """Where slots and standing appointments say different things; empty is right."""
        found = []
        for who in (self.anna, self.bo):
            held = self._held(who, found)
            for slot in self.all("Slot", schedule=f"Schedule/{who.split('/')[1]}"):
                holders = held.pop(slot["id"], [])
                if (slot["status"] == "busy") != (len(holders) == 1):
                    found.append(f"{slot['id']} is {slot['status']} and held by {len(holders)}")
            found += [f"{id} does not exist" for id in held]
        return found

    def _held(self, who: str, found: list[str]) -> dict[str, list[str]]:
        """Slot ids by the standing appointments of `who`, whose slots must also cover their times exactly."""
        held: dict[str, list[str]] = {}
        for one in self.all("Appointment", actor=who):
            if one["status"] in STANDING:
                ids = [s["reference"].split("/")[1] for s in one.get("slot", ())]
                start, end = (datetime.fromisoformat(one[edge]) for edge in ("start", "end"))
                wanted = [slot_id(who, start + n * HALF_HOUR) for n in range(int((end - start) / HALF_HOUR))]
                if sorted(ids) != sorted(wanted):
                    found.append(f"{one['id']} holds other slots than its time")
                for id in ids:
                    held.setdefault(id, []).append(one["id"])
        return held

    def _put(self, *resources: dict[str, Any]) -> None:
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
        ]
        answer = self.http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text


def at(hour: int, minute: int = 0) -> datetime:
    """A local time of the clinic's day."""
    return DAY.replace(hour=hour, minute=minute)


def slot_id(who: str, start: datetime) -> str:
    return f"{who.split('/')[1]}-{start.astimezone(ZONE):%H%M}"
