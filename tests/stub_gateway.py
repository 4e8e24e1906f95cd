"""A gateway that remembers what it was asked and answers from a script, for tests of the routes."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
from prometheus_client import CollectorRegistry, Counter

from gateway.api import AccountInfo, Configured, Principal, Reply
from gateway.domain.capabilities import Capabilities
from gateway.domain.editions import Edition
from gateway.domain.errors import NotFound, Unauthorized
from gateway.domain.model import Appointment, Entry, Kind, Slot, Status
from gateway.domain.outcome import Outcome, Shown
from gateway.ledger import Answer, CommandRow, State, StepRow, StepState
from gateway.routes import build

STOCKHOLM = ZoneInfo("Europe/Stockholm")
CREDENTIALS = {"x-leyr-client-id": "demo", "x-leyr-client-secret": "demo-secret"}
EMR = "/api/emrs/clinic"
ONE = f"{EMR}/appointments/a-1"
MANY = f"{EMR}/appointments"
EDITION = Edition(name="odd", title="An odd one", capabilities=Capabilities(), tested="own", against="itself")


def appointment(id: str = "a-1", **fields) -> Appointment:
    told = {
        "id": id,
        "start": datetime(2031, 3, 3, 9, tzinfo=STOCKHOLM),
        "end": datetime(2031, 3, 3, 9, 30, tzinfo=STOCKHOLM),
        "status": Status.BOOKED,
        "patient_id": "p-1",
        "resource_id": "r-1",
        "healthcare_service_id": "s-1",
        "care_unit_id": "c-1",
    }
    return Appointment(**(told | fields))


def command_row(**fields) -> CommandRow:
    at = datetime(2031, 3, 1, 8, tzinfo=UTC)
    told = {
        "id": "command-1",
        "client": "demo",
        "emr": "clinic",
        "tenant": "t",
        "operation": "update",
        "state": State.DONE,
        "created_at": at,
        "updated_at": at,
        "answer": Answer(200, b'{"id":"a-1"}'),
        "steps": (StepRow(0, StepState.DONE, "change", b'{"appointment_id":"a-1"}'),),
    }
    return CommandRow(**(told | fields))


class StubGateway:
    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.fails: Exception | None = None
        self.up: bool | Exception = True
        self.can = Capabilities()
        self.counted = 0
        self.answered: list[tuple[str, str | None, int]] = []
        self.configured: Configured | None = None

    def _note(self, **asked) -> None:
        self.asked.append(asked)
        if self.fails is not None:
            raise self.fails

    def admit(self, principal):
        return nullcontext()

    async def authenticate(self, client_id, client_secret, source):
        if (client_id, client_secret) != ("demo", "demo-secret"):
            raise Unauthorized("The client's id or secret is missing or wrong.")
        return Principal("demo")

    def accounts(self, principal):
        return [
            AccountInfo(key=key, plugin="sandbox", name="Sandbox", edition=EDITION, capabilities=self.can)
            for key in ("clinic", "å b/c")
        ]

    async def write(self, principal, emr, command, circumstances):
        self._note(emr=emr, command=command, circumstances=circumstances)
        headers = (("content-type", "application/json"), ("x-command-id", "command-1"), ("x-emr-calls", "2"))
        return Reply(status=200, body=b'{"written":true}', headers=headers)

    async def appointment(self, principal, emr, id, care_unit_id):
        self._note(emr=emr, id=id, care_unit_id=care_unit_id)
        return Outcome((Shown(appointment(id)),), single=True)

    async def appointments(self, principal, emr, *, span, patient_id, resource_id, care_unit_id):
        self._note(emr=emr, span=span, patient_id=patient_id, resource_id=resource_id, care_unit_id=care_unit_id)
        return Outcome((Shown(appointment()),), single=False)

    async def timeslots(self, principal, emr, *, span, resource_id, healthcare_service_id, care_unit_id):
        self._note(emr=emr, span=span, resource_id=resource_id, service=healthcare_service_id, unit=care_unit_id)
        return [Slot(appointment().start, appointment().end, "r-1", "s-1", "c-1")]

    async def directory(self, principal, emr, kind: Kind, care_unit_id):
        self._note(emr=emr, kind=kind, care_unit_id=care_unit_id)
        return [Entry("r-1", "Room 1", "c-1")]

    async def command(self, principal, id):
        self._note(command=id)
        if id != "command-1":
            raise NotFound("There is no such command.")
        return command_row()

    async def commands(self, principal, *, key, appointment, unsettled):
        self._note(key=key, appointment=appointment, unsettled=unsettled)
        return [command_row()]

    def etag(self, appointment: Appointment) -> str:
        return f'"tag-of-{appointment.start.timestamp():.0f}"'

    async def count(self) -> None:
        self.counted += 1

    def heard(self, method, route, status, seconds):
        self.answered.append((method, route, status))

    def configuration(self):
        return self.configured

    async def ready(self) -> bool:
        if isinstance(self.up, Exception):
            raise self.up
        return self.up


def client_of(gateway: StubGateway, **settings) -> httpx.AsyncClient:
    """A client with good credentials; pass `headers={}` with a request to add to them."""
    registry = CollectorRegistry()
    Counter("tried", "Counts.", registry=registry).inc()
    app = build(gateway, **({"registry": registry, "public_url": "https://gateway.example"} | settings))
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="https://gateway.example", headers=CREDENTIALS)
