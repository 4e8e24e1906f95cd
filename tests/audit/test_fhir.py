"""Entries as AuditEvents of FHIR R4, held against the published model."""

from __future__ import annotations

import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway.audit import Event, Touched, appointment_hash, patient_hash
from gateway.audit.fhir import audit_event
from gateway.audit.reading import Record, Wanted
from gateway.ledger import Answer, Remark, State, StepRow, StepState
from tests.audit.record import KEYS, settled
from tests.ledger.conftest import at, command

OPERATIONS = ["book", "update", "bulk_update", "reschedule", "cancel", "bulk_cancel", "confirm"]


@pytest.fixture
def events(tmp_path):
    def read():
        found = [audit_event(entry) for entry in Record(tmp_path / "ledger.db", KEYS).entries(Wanted())]
        for event in found:
            get_fhir_model_class("AuditEvent").model_validate(event)
        return found

    return read


async def test_every_operation_in_every_state_is_a_valid_audit_event(ledger, events):
    for n, operation in enumerate(OPERATIONS):
        for state in State:
            if state is not State.RUNNING:
                await ledger.begin(command(f"{n}-{state}", operation=operation, request_id="r"))
                codes = () if state is State.DONE else ("CONFLICT", "NO_TIMESLOTS_AVAILABLE")
                await ledger.settle(f"{n}-{state}", state, Answer(409, b"", codes=codes), at(n))
    found = events()
    assert len(found) == len(OPERATIONS) * 5
    assert {event["action"] for event in found} == {"C", "U", "E"}
    assert {event["outcomeDesc"] for event in found[:2]} == {"done", "refused CONFLICT NO_TIMESLOTS_AVAILABLE"}


async def test_the_client_asked_and_a_person_settled_what_is_named_by_keyed_hashes(ledger, events):
    touched = (
        Touched(appointment_id="a1", patient_id="p1", change="moved", fields=("start", "end")),
        Touched(patient_id="p1", change="created", fields=("start",)),
    )
    await ledger.begin(command(request_id="r1"))
    await ledger.plan("c1", b"plan", ["change"], ["a1"], at(1), touched=touched)
    step = StepRow(0, StepState.LEFT, "change", b'{"appointment_id": "a1"}')
    remark = Remark(at(2), "anna", "By hand.")
    await ledger.settle("c1", State.DONE, Answer(200, b""), at(2), steps=[step], remark=remark)
    (event,) = events()
    assert [(agent["requestor"], agent.get("altId")) for agent in event["agent"]] == [(True, None), (False, "anna")]
    values = [entity["what"]["identifier"]["value"] for entity in event["entity"]]
    a1, p1 = appointment_hash(KEYS, "clinic", "a1"), patient_hash(KEYS, "clinic", "p1")
    assert values == ["1", "c1", a1, p1, a1]
    details = {d["type"]: d["valueString"] for entity in event["entity"] for d in entity.get("detail", ())}
    assert (details["fields"], details["request"], details["state"]) == ("start end", "r1", "left")
    assert (event["outcome"], event["recorded"]) == ("0", at(2).isoformat())


async def test_what_is_not_a_command_is_an_activity_of_whoever_did_it(ledger, events):
    await ledger.note(Event(kind="configuration.switched", facts={"running": "01", "on_disk": None}), at(1))
    await ledger.note(Event(kind="erased", by="anna", facts={"subjects": ["01", "02"], "commands": 2}), at(2))
    await settled(ledger, "c1")
    reload, erased, _ = events()
    assert [agent["who"]["display"] for agent in (*reload["agent"], *erased["agent"])] == ["gateway", "anna"]
    assert (reload["type"]["code"], erased["subtype"][0]["code"]) == ("110100", "erased")
    details = {d["type"]: d["valueString"] for d in erased["entity"][0]["detail"]}
    assert (details["subjects"], details["commands"]) == ("01 02", "2")


async def test_what_an_operator_does_and_who_is_not_let_in_are_of_their_own_types_and_say_how_they_ended(
    ledger, events
):
    for state in ("begun", "done", "failed"):
        facts = {"client": "app", "name": "key", "state": state}
        await ledger.note(Event(kind="credentials.put", by="anna", facts=facts), at(1))
    await ledger.note(Event(kind="authentication.refused", facts={"refused": 3, "clients": ["app"]}), at(2))
    await ledger.note(Event(kind="configuration.refused", facts={"running": "01"}), at(3))
    await ledger.note(Event(kind="command.show", by="anna", facts={"command": "c1", "client": "app"}), at(4))
    begun, done, failed, login, refused, shown = events()
    assert [event["outcome"] for event in (begun, done, failed, login, refused, shown)] == [
        "0",
        "0",
        "4",
        "4",
        "4",
        "0",
    ]
    types = ["110113", "110114", "110100", "110110"]
    assert [event["type"]["code"] for event in (begun, login, refused, shown)] == types
    assert [event["action"] for event in (begun, login, shown)] == ["U", "E", "R"]
    for event in (begun, shown):  # the client has not asked for it
        assert [(agent["altId"], agent["requestor"]) for agent in event["agent"]] == [("anna", True)]
    details = {d["type"]: d["valueString"] for d in failed["entity"][0]["detail"]}
    assert (details["client"], details["name"], details["state"]) == ("app", "key", "failed")
    assert [entity["what"]["identifier"]["value"] for entity in shown["entity"]] == ["6", "c1"]
