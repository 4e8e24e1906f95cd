"""What operators do is recorded: before it is done, how it ended, and no secret of it."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway.__main__ import main
from gateway.audit import acting
from gateway.audit.fhir import audit_event
from gateway.audit.reading import Record, Wanted
from gateway.configuration.settings import load_without_clients
from gateway.held import keys_of
from gateway.ledger import LedgerDown
from tests.credentials.conftest import API_KEY, NEW, OLD, Desk, desk  # noqa: F401  a fixture

SECRETS = (API_KEY, NEW, OLD)


def entries(desk: Desk) -> list[dict]:  # noqa: F811
    """As exported; held against the chain, searched for secrets, and each a valid AuditEvent."""
    settings = load_without_clients(os.environ, config=desk.config)
    record = Record(desk.state / "ledger.sqlite", keys_of(settings, create=False))
    record.verify()
    found = list(record.entries(Wanted()))
    for entry in found:
        get_fhir_model_class("AuditEvent").model_validate(audit_event(entry))
        assert not any(secret in json.dumps([entry.told, audit_event(entry)]) for secret in SECRETS)
    return [entry.told for entry in found]


def ends(desk: Desk) -> list[tuple[str, str]]:  # noqa: F811
    return [(told["kind"], told["state"]) for told in entries(desk)]


def done(kind: str) -> list[tuple[str, str]]:
    return [(kind, "begun"), (kind, "done")]


def failed(kind: str) -> list[tuple[str, str]]:
    return [(kind, "begun"), (kind, "failed")]


def test_each_act_on_a_credential_is_recorded_with_who_did_it_and_for_whom(desk):  # noqa: F811
    desk.put()
    desk.configure(desk.hashed(OLD), desk.hashed(NEW))
    desk("reseal", "app", "--only", told=f"{OLD}\n{NEW}\n")
    desk("list")
    desk("rotate-key")
    desk("erase", "app", "north", "key")
    kinds = ["credentials.put", "credentials.reseal", "key.rotate", "credentials.erase"]
    assert ends(desk) == [end for kind in kinds for end in done(kind)]
    found = entries(desk)
    assert {told["by"] for told in found} == {acting.who()}
    assert {told["version"] for told in found} == {2}
    acts = [told["act"] for told in found]
    assert acts[::2] == acts[1::2]
    assert len(set(acts)) == 4
    about = [{name: told.get(name) for name in ("client", "emr", "name", "only")} for told in found[::2]]
    none = dict.fromkeys(("client", "emr", "name", "only"))
    assert about == [
        none | {"client": "app", "emr": "north", "name": "key"},
        none | {"client": "app", "only": True},
        none,
        none | {"client": "app", "emr": "north", "name": "key"},
    ]


def test_an_act_that_fails_is_recorded_with_its_end_and_without_what_was_typed_in_the_wrong_place(desk):  # noqa: F811
    desk("put", "app", "north", API_KEY, told=f"{OLD}\nx", status=1)
    desk("put", API_KEY, "north", "key", told=f"{OLD}\nx", status=1)
    desk.put(NEW, status=1)
    desk("rotate-key", "--to", "env:NO_SUCH", status=1)
    assert ends(desk) == [*failed("credentials.put") * 3, *failed("key.rotate")]
    found = entries(desk)
    assert [told["error"] for told in found[1::2]] == ["CantOpen"] * 3 + ["BadKey"]
    assert [(told.get("client"), told.get("name")) for told in found[::2]] == [
        ("app", None),
        (None, None),
        ("app", "key"),
        (None, None),
    ]


def test_who_stops_an_act_half_way_is_recorded(desk, monkeypatch):  # noqa: F811
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.credentials.terminal.Terminal.put", stopped)
    with pytest.raises(KeyboardInterrupt):
        desk.put()
    assert [told.get("error") for told in entries(desk)] == [None, "KeyboardInterrupt"]


def test_a_secret_is_recorded_when_it_is_made_and_when_it_takes_another_ones_place(desk, capsys, monkeypatch):  # noqa: F811
    desk.configure()
    made = []
    for more in ((), ("--overlap-days", "2"), ("--argon2",)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{NEW}\n"))
        assert main(["secret", "app", *more, "--config", str(desk.config)]) == 0
        made.append(capsys.readouterr().out)
        desk.configure(made[0].rpartition('"')[0].rpartition('"')[2])
    assert ends(desk) == done("secret.make") * 3
    found = entries(desk)
    assert [(t["client"], t["how"], t["beside"], t["overlap_days"]) for t in found[::2]] == [
        ("app", "generated", 0, "7.0"),
        ("app", "generated", 1, "2.0"),
        ("app", "chosen", 1, "7.0"),
    ]
    shown = [line.rpartition(" ")[2] for text in made for line in text.splitlines() if line.startswith("# for")]
    assert len(shown) == 2
    assert not any(secret in json.dumps(found) for secret in shown)


def test_what_cant_be_recorded_is_not_done(desk, capsys):  # noqa: F811
    (desk.state / "ledger.sqlite").mkdir()
    desk.put(status=1)
    assert main(["secret", "app", "--config", str(desk.config)]) == 1
    told = capsys.readouterr()
    assert "The ledger can't be" in told.err
    assert told.out == ""
    desk("rotate-key", status=1)
    desk("list")
    assert capsys.readouterr().out == ""
    assert not (desk.state / "former-keys.json").exists()


def test_a_record_of_another_key_is_not_gone_on_with(desk, capsys):  # noqa: F811
    desk.put()
    (desk.state / "gateway.key").write_text(bytes(32).hex())
    before = (desk.state / "ledger.sqlite").read_bytes()
    assert main(["secret", "app", "--config", str(desk.config)]) == 1
    assert "another master key" in capsys.readouterr().err
    assert (desk.state / "ledger.sqlite").read_bytes() == before


def test_an_act_whose_end_cant_be_recorded_is_said_to_be_done():
    class Once:
        told: list[str] = []

        def note(self, event, now):
            if self.told:
                raise LedgerDown("The ledger can't be read or written (SQLITE_FULL).")
            self.told.append(event.facts["state"])

    said = r"^It is done; that it is could not be recorded\. The ledger can't be"
    with pytest.raises(LedgerDown, match=said), acting.acting(Once(), "tried", "anna", {}):
        pass


@pytest.mark.parametrize(("login", "name"), [("0\n", "root"), ("4294967295", None), ("nobody", None), (None, None)])
def test_who_logged_in_counts_whoever_they_have_become(tmp_path: Path, monkeypatch, login, name):
    if login is not None:
        (tmp_path / "loginuid").write_text(login)
    monkeypatch.setattr(acting, "_LOGIN", tmp_path / "loginuid")
    monkeypatch.setattr(acting.os, "getuid", lambda: 54321)
    assert acting.who() == (name or "uid 54321")
