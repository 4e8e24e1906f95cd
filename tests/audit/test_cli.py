"""`python -m gateway audit`, on a copy of a state directory and beside a gateway that runs."""

from __future__ import annotations

import json
import shutil
import sqlite3

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway.__main__ import main
from gateway.audit.acting import who
from gateway.keys import Keys
from tests.attention.test_commands import DEMO, gateway, needs_a_person, state  # noqa: F401  a fixture
from tests.audit.record import written

pytestmark = pytest.mark.usefixtures("state")


def said(capsys, *arguments, status=0):
    assert main(["audit", *arguments]) == status
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert bool(told.err) == bool(status)
    return told.out if not status else told.err


def exported(capsys, *arguments):
    return [json.loads(line) for line in said(capsys, "export", *arguments).splitlines()]


@pytest.fixture
def record(state, tmp_path):  # noqa: F811
    state.mkdir()
    (state / "gateway.key").write_text(bytes(range(32)).hex())
    return state / "ledger.sqlite"


async def test_a_whole_record_is_said_to_be_and_a_broken_one_named(record, capsys):
    head = await written(record, Keys(bytes(range(32))))
    assert said(capsys, "verify") == f"The record is whole: {head.number} entries; its head is {head}\n"
    assert "whole" in said(capsys, "verify", "--head", str(head))
    db = sqlite3.connect(record, isolation_level=None)
    for trigger in ("audit_is_never_altered", "audit_is_forgotten_from_its_anchor_on"):
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("DELETE FROM audit WHERE number = 7")
    db.close()
    assert said(capsys, "verify", status=1) == "Entry 7 is missing.\n"
    assert "whole as far as it goes" in said(capsys, "export", status=1)


async def test_a_copy_is_verified_with_the_key_and_with_no_other(record, capsys, monkeypatch, tmp_path):
    head = await written(record, Keys(bytes(range(32))), forgotten=4)
    copy = tmp_path / "copy"
    shutil.copytree(record.parent, copy)
    monkeypatch.setenv("STATE_DIR", str(copy))
    assert f"{head.number - 4} entries since entry 5; its head is {head}" in said(capsys, "verify")
    (copy / "gateway.key").write_text(bytes(32).hex())
    assert "anchor" in said(capsys, "verify", status=1)
    (copy / "gateway.key").unlink()
    assert "key" in said(capsys, "verify", status=1)
    assert not (copy / "gateway.key").exists()


async def test_entries_are_exported_by_time_and_in_both_formats(record, capsys):
    await written(record, Keys(bytes(range(32))))
    lines = exported(capsys)
    assert [line["number"] for line in lines] == list(range(1, 13))
    assert {line["kind"] for line in lines} == {"tried", "command"}
    found = exported(capsys, "--since", "2026-03-02T12:02:00Z", "--until", "2026-03-02T13:04:00+01:00")
    assert [line["number"] for line in found] == [3, 4]
    assert exported(capsys, "--since", "2026-03-03") == []
    assert [line["command"] for line in exported(capsys, "--appointment", "a-c4")] == ["c4"]
    events = exported(capsys, "--format", "fhir")
    for event in events:
        get_fhir_model_class("AuditEvent").model_validate(event)
    assert len(events) == 12


@pytest.mark.parametrize(
    "wrong", [("export", "--since", "noon"), ("export", "--until", "2026-03-02T12:02:00"), ("verify", "--head", "7")]
)
def test_what_makes_no_sense_is_refused(wrong, capsys):
    with pytest.raises(SystemExit):
        main(["audit", *wrong])
    assert "should be" in capsys.readouterr().err


def test_beside_a_gateway_that_runs_a_change_is_recorded_and_no_id_or_value_of_it(capsys, state):  # noqa: F811
    with gateway() as (_, base):
        emr = f"{base}/api/emrs/sandbox/appointments"
        one = next(a for a in httpx.get(emr, headers=DEMO).json() if a["status"] == "booked")
        headers = DEMO | {"x-request-id": "ab" * 16}
        answer = httpx.patch(f"{emr}/{one['id']}", json={"comment": "canary"}, headers=headers)
        assert answer.status_code == 200
        httpx.patch(f"{emr}/{one['id']}", json={"comment": "canary"}, headers=DEMO)  # the key's answer again
        preview = httpx.patch(f"{emr}/{one['id']}?dry_run=true", json={"status": "cancelled"}, headers=DEMO)
        assert preview.status_code == 200
        started, told = exported(capsys)
        assert "whole: 2 entries" in said(capsys, "verify")
    assert (started["kind"], len(started["running"])) == ("gateway.started", 16)
    assert (told["command"], told["request"]) == (answer.headers["x-command-id"], "ab" * 16)
    assert (told["client"], told["operation"], told["state"], told["status"]) == ("demo", "update", "done", 200)
    assert (told["touched"][0]["change"], told["touched"][0]["fields"]) == ("updated", ["comment"])
    assert told["steps"] == [{"action": "change", "state": "done", "appointment": told["touched"][0]["appointment"]}]
    text = json.dumps(told)
    assert not any(value in text for value in ("canary", one["id"], one["patient_id"]))
    assert exported(capsys, "--patient", one["patient_id"], "--client", "demo")[0]["command"] == told["command"]


def test_what_is_erased_answers_no_more_and_is_done_no_second_time(capsys, state):  # noqa: F811
    with gateway() as (_, base):
        emr = f"{base}/api/emrs/sandbox/appointments"
        one = next(a for a in httpx.get(emr, headers=DEMO).json() if a["status"] == "booked")
        body = {"comment": "canary"}
        id = httpx.patch(f"{emr}/{one['id']}", json=body, headers=DEMO).headers["x-command-id"]
        assert main(["erase", "--patient", one["patient_id"]]) == 0
        assert capsys.readouterr().out == "Erased; commands: 1, former ids: 0\n"
        again = httpx.patch(f"{emr}/{one['id']}", json=body, headers=DEMO)
        assert (again.status_code, again.headers["x-command-id"]) == (500, id)
        assert "has been erased" in again.json()["detail"]
        told = httpx.get(f"{base}/api/commands/{id}", headers=DEMO).json()
        assert (told["state"], told["steps"], told["answer"]["status"]) == ("done", [], 500)
        assert one["id"] not in json.dumps(told)
        # One of which the end is not known keeps all.
        stuck, _ids = needs_a_person(base, key="another")
        assert main(["erase", "--client", "demo"]) == 1
        assert stuck.headers["x-command-id"] in capsys.readouterr().err
    settle = ["commands", "settle", stuck.headers["x-command-id"], "--as", "undone", "--note", "By hand."]
    assert [main(settle), main(["erase", "--appointment", one["id"]])] == [0, 0]  # and without a gateway
    assert capsys.readouterr().out.splitlines()[-1] == "Erased; commands: 1, former ids: 0"
    assert [line["what"] for line in exported(capsys) if line["kind"] == "erased"] == ["patient", "appointment"]
    assert "whole" in said(capsys, "verify")


def test_whose_traces_has_to_be_said(capsys):
    with pytest.raises(SystemExit):
        main(["erase"])
    assert "required" in capsys.readouterr().err


def test_who_is_not_let_in_and_what_an_operator_does_beside_the_gateway_stand_in_one_record(capsys, state):  # noqa: F811
    with gateway() as (process, base):
        stuck, _ids = needs_a_person(base)
        id = stuck.headers["x-command-id"]
        assert main(["secret", "demo", "--overlap-days", "1"]) == 0
        assert main(["commands", "show", id]) == 0
        for client in ("demo", "canary"):
            wrong = {"x-leyr-client-id": client, "x-leyr-client-secret": "canary"}
            assert httpx.get(f"{base}/api/emrs", headers=wrong).status_code == 401
        assert main(["erase", "--client", "demo"]) == 1
        assert main(["commands", "settle", id, "--as", "undone", "--note", "By hand."]) == 0
        capsys.readouterr()
        process.terminate()
        process.wait(30)
    found = exported(capsys)
    mine = [(t["kind"], t.get("state")) for t in found if t["by"] == who() or t["kind"] == "authentication.refused"]
    assert mine == [
        ("secret.make", "begun"),
        ("secret.make", "done"),
        ("command.show", None),
        ("erase.refused", None),
        ("command", "undone"),
        ("authentication.refused", None),
    ]
    told = found[-1]
    assert (told["refused"], told["unknown_client"], told["clients"]) == (2, 1, ["demo"])
    assert "canary" not in json.dumps(found)
    for event in exported(capsys, "--format", "fhir"):
        get_fhir_model_class("AuditEvent").model_validate(event)
    assert "whole" in said(capsys, "verify")
