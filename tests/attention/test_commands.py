"""`python -m gateway commands`, as an operator has it: beside a gateway that runs, and without one."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import app
from gateway.__main__ import main
from gateway.attention import control
from gateway.configuration.settings import load
from gateway.keys import Keys
from gateway.ledger.sqlite import SqliteLedger
from gateway.logs import JsonLines
from gateway.state_dir import claim
from tests.test_cli import PATIENCE_S, ROOT, line, url

DEMO = {"x-leyr-client-id": "demo", "x-leyr-client-secret": "demo-secret", "idempotency-key": "once"}
NONE = "0" * 32


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("HOST", "GATEWAY_CONFIG", "GATEWAY_DEMO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PORT", "0")
    monkeypatch.chdir(ROOT)
    root = logging.getLogger()
    for ours in [handler for handler in root.handlers if isinstance(handler.formatter, JsonLines)]:
        root.removeHandler(ours)  # an earlier test has served in this process
    return tmp_path / "state"


@contextmanager
def gateway() -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "gateway", "serve", "--demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as started:
        patience = threading.Timer(PATIENCE_S, started.kill)
        patience.start()
        try:
            yield started, url(line(started))
        finally:
            patience.cancel()
            started.kill()


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    """What it prints; as JSON, if it was asked for that."""
    assert main(["commands", *arguments]) == status
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert bool(told.err) == bool(status)
    return json.loads(told.out) if "--json" in arguments and not status else told.out + told.err


def needs_a_person(base: str, key: str = "once") -> tuple[httpx.Response, list[str]]:
    """Three are cancelled, of which the EMR writes another comment into one: there is no way back."""
    emr = f"{base}/api/emrs/sandbox/appointments"
    listed = httpx.get(emr, headers=DEMO).json()
    ids = [a["id"] for a in listed if a["status"] == "booked" and a["healthcare_service_id"] == "K1"][:3]
    body = {"ids": ids, "status": "cancelled", "comment": "!other@2"}
    answer = httpx.patch(emr, json=body, headers=DEMO | {"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (502, "PARTIALLY_APPLIED")
    return answer, ids


def test_beside_a_gateway_that_runs_it_asks_that_one(state, capsys):
    with gateway() as (running, base):
        answer, ids = needs_a_person(base)
        id = answer.headers["x-command-id"]

        (listed,) = said(capsys, "list", "--json")
        assert {name: listed[name] for name in ("id", "client", "emr", "operation", "state", "left")} == {
            "id": id,
            "client": "demo",
            "emr": "sandbox",
            "operation": "bulk_cancel",
            "state": "needs_attention",
            "left": 3,
        }
        head, row = said(capsys, "list").splitlines()
        assert head.split() == ["ID", "CLIENT", "EMR", "OPERATION", "STATE", "SINCE", "LEFT"]
        assert row.split()[:5] == [id, "demo", "sandbox", "bulk_cancel", "needs_attention"]
        assert not any(appointment in row for appointment in ids)
        assert said(capsys, "list", "--client", "demo2", "--json") == []
        assert said(capsys, "list", "--emr", "elsewhere") == "There is none.\n"

        shown = said(capsys, "show", id, "--json")
        assert [a["appointment_id"] for a in shown["appointments"]] == ids
        assert {a["after"]["status"] for a in shown["appointments"]} == {"cancelled"}
        text = said(capsys, "show", id)
        assert all(appointment in text for appointment in ids)
        assert "EMR_DEVIATION" in text
        assert "!other" not in text + json.dumps(shown)

        assert "could not be brought to an end" in said(capsys, "retry", id, status=1)
        assert said(capsys, "settle", id, "--as", "done", "--note", "Ett ord till Anna.") == f"{id}: done\n"
        assert "It is done" in said(capsys, "settle", id, "--as", "undone", "--note", "again", status=1)
        assert "It is done already" in said(capsys, "retry", id, status=1)
        assert said(capsys, "list", "--json") == []
        assert [c["state"] for c in said(capsys, "list", "--all", "--emr", "sandbox", "--json")] == ["done"]
        (remark,) = said(capsys, "show", id, "--json")["remarks"]
        assert remark["text"] == "Ett ord till Anna."

        body = {"ids": ids, "status": "cancelled", "comment": "!other@2"}
        again = httpx.patch(f"{base}/api/emrs/sandbox/appointments", json=body, headers=DEMO)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
        assert [(a["id"], a["status"]) for a in again.json()] == [(appointment, "cancelled") for appointment in ids]
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0
    assert not (state / control.NAME).exists()


def test_without_one_it_works_on_the_state_directory_itself_also_after_a_crash(state, capsys):
    with gateway() as (running, base):
        answer, ids = needs_a_person(base)
        running.kill()
    assert (state / control.NAME).is_socket()
    id = answer.headers["x-command-id"]
    assert [c["id"] for c in said(capsys, "list", "--json")] == [id]
    assert [a["appointment_id"] for a in said(capsys, "show", id, "--json")["appointments"]] == ids
    assert "could not be brought to an end" in said(capsys, "retry", id, "--demo", status=1)
    assert said(capsys, "settle", id, "--as", "undone", "--note", "Booked anew.", "--json")["state"] == "undone"
    with claim(state):
        pass


def left_behind() -> str:
    """The demonstration's gateway ended in the middle of a command. → its id."""

    async def main() -> str:
        async with app.running(load(os.environ, demo=True)) as application:
            transport = httpx.ASGITransport(application)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test", headers=DEMO) as http:
                listed = (await http.get("/api/emrs/sandbox/appointments")).json()
                id = next(a["id"] for a in listed if a["status"] == "booked")
                one = f"/api/emrs/sandbox/appointments/{id}"
                told = await http.patch(one, json={"comment": "!late"}, headers={"prefer": "respond-async"})
                await asyncio.sleep(0.3)  # it is sent, and looked for
        return str(told.json()["id"])

    return asyncio.run(main())


def test_what_a_crash_left_in_the_middle_is_retried_to_its_end_in_the_foreground(capsys, monkeypatch):
    monkeypatch.setattr("gateway.service.Service.stop", stopped_at_once)
    id = left_behind()
    assert [c["state"] for c in said(capsys, "list", "--json")] == ["running"]
    assert "start the gateway, first" in said(capsys, "settle", id, "--as", "done", "--note", "x", status=1)
    assert said(capsys, "retry", id, "--demo") == f"{id}: done\n"
    assert said(capsys, "list") == "There is none.\n"


async def stopped_at_once(service: Any) -> None:
    """As a crash would: what runs is cut off."""
    await service.hand_over()


# -- sentences ---------------------------------------------------------------------------------------------------------


def ledger(state: Path) -> None:
    async def main() -> None:
        opened = SqliteLedger(state / "ledger.sqlite", Keys.from_file(state / "gateway.key"))
        await opened.open()
        await opened.close()

    state.mkdir()
    asyncio.run(main())


def test_a_state_directory_without_a_ledger_is_not_made_into_one(state, capsys):
    assert "has no ledger" in said(capsys, "list", status=1)
    assert not state.exists()


def test_an_unknown_command_is_a_sentence(state, capsys):
    ledger(state)
    for arguments in (["show", NONE], ["retry", NONE, "--demo"], ["settle", NONE, "--as", "done", "--note", "x"]):
        assert said(capsys, *arguments, status=1) == "There is no such command.\n"
    assert said(capsys, "list", "--all", "--json") == []


def test_a_gateway_that_holds_the_directory_and_does_not_answer_is_a_sentence(state, capsys):
    ledger(state)
    with claim(state):
        told = said(capsys, "list", status=1)
    assert f"pid {os.getpid()}" in told
    assert "does not answer" in told


def test_another_master_key_is_a_sentence(state, capsys):
    ledger(state)
    (state / "gateway.key").write_text("0" * 64)
    assert "another master key" in said(capsys, "list", status=1)


def test_a_key_that_is_not_there_is_not_made_anew(state, capsys):
    ledger(state)
    (state / "gateway.key").unlink()
    for arguments in (["list"], ["retry", NONE, "--demo"]):
        assert "gateway.key can't be read" in said(capsys, *arguments, status=1)
    assert not (state / "gateway.key").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["list", "--all", "--unsettled"],
        ["show"],
        ["show", "../../etc"],
        ["settle", NONE, "--as", "done"],
        ["settle", NONE, "--as", "cancelled", "--note", "x"],
        ["settle", NONE, "--as", "done", "--note", " "],
    ],
)
def test_what_can_not_be_meant_is_refused_before_anything_is_opened(state, capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(["commands", *arguments])
    assert ended.value.code == 2
    assert not state.exists()


def test_who_gives_up_waiting_is_told_that_it_goes_on(state, capsys, monkeypatch):
    ledger(state)

    def interrupted(work: Any) -> None:
        work.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupted)
    assert "goes on with it when it starts" in said(capsys, "retry", NONE, "--demo", status=1)
