"""What a person types, and is told: never a secret."""

from __future__ import annotations

import re

import pytest

from gateway.__main__ import main
from tests.credentials.conftest import API_KEY, NEW, OLD, Desk

FHIR = """
[clients.emrs.north]
plugin = "fhir"
[clients.emrs.north.settings]
base_url = "https://emr.example"
auth = "smart_backend"
client_id = "c"
scope = "s"
private_key = "store:pem"
"""


PUT = "put it there: python -m gateway credentials put app north key"


def told(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert not any(secret in out + err for secret in (API_KEY, NEW, OLD))
    return out + err


def test_what_is_stored_is_listed_by_name(desk, capsys):
    desk("list")
    assert told(capsys) == ""
    desk.put()
    assert told(capsys) == "Stored. It is used from the client's next call on.\n"
    desk("list")
    assert re.fullmatch(r"app north key: since 2\S+Z, opened by 1 secret\(s\)\n", told(capsys))


@pytest.mark.parametrize(
    ("arguments", "typed", "sentence"),
    [
        (("put", "app", "north", "key"), f"{NEW}\n{API_KEY}", "This is no secret of that client's."),
        (("put", "app", "north", "key"), f"{OLD}\n", "Wanted are, a line each: Secret of client app, Credential key."),
        (("put", "app", "north", "other"), f"{OLD}\n{API_KEY}", "refers to no store:other in EMR north of client app"),
        (("put", "app", "west", "key"), f"{OLD}\n{API_KEY}", "refers to no store:key in EMR west of client app"),
        (("put", "who", "north", "key"), f"{OLD}\n{API_KEY}", "refers to no store:key in EMR north of client who"),
        (("erase", "app", "north"), "", "There is no such credential."),
        (("reseal", "who"), f"{OLD}\n{NEW}", "The clients file has no such client."),
        (("reseal", "app"), f"{OLD}\n{NEW}", "This is no secret of that client's."),
    ],
)
def test_what_cant_be_is_said_and_nothing_is_stored(desk, capsys, arguments, typed, sentence):
    desk(*arguments, told=typed, status=1)
    assert sentence in told(capsys)
    desk("list")
    assert told(capsys) == ""


def test_a_credential_that_the_plugin_refuses_is_not_stored(desk, capsys):
    desk.configure(desk.hashed(OLD), accounts=FHIR)
    desk("put", "app", "north", "pem", told=f"{OLD}\n-----BEGIN NOTHING-----\nAAAA\n", status=1)
    assert "client app: emrs.north.settings" in told(capsys)
    desk("list")
    assert told(capsys) == ""


def test_a_credential_of_an_unknown_secret_is_not_overwritten_unless_it_is_given_up(desk, capsys):
    desk.put()
    desk.configure(desk.hashed(NEW))
    desk.put(NEW, status=1)
    assert "What is there was sealed for another secret of this client" in told(capsys)
    desk.put(NEW, API_KEY, "key", "--anew")
    desk("list")
    assert told(capsys).count("app north key") == 1


def check(desk: Desk, status: int = 0) -> None:
    assert main(["check", "--config", str(desk.config)]) == status


def test_check_says_of_each_stored_credential_how_it_stands(desk, capsys):
    place = f"{desk.folder}/clients.toml: client app: emrs.north: store:key"
    right = "The configuration is right: 1 clients, 1 EMR accounts.\n"
    (desk.state / "gateway.key").rename(desk.folder / "kept")
    check(desk)
    assert told(capsys) == f"{right}{place} is not stored yet; {PUT}\n"
    (desk.folder / "kept").rename(desk.state / "gateway.key")
    desk.put()
    told(capsys)
    check(desk)
    assert told(capsys) == f"{right}{place} is stored, and opens with the client's secret alone: it was not tried\n"
    (desk.state / "gateway.key").unlink()
    check(desk)
    sentence = "was sealed with another gateway key than the present one; if that is lost, put it --anew"
    assert told(capsys) == f"{right}{place} {sentence}\n"


def test_check_finds_what_is_wrong_with_a_locked_account_whatever_its_credential_is(desk, capsys):
    wrong = FHIR.replace('scope = "s"', 'scope = "s"\npage_size = 0\nprivat_key = "x"')
    desk.configure(desk.hashed(OLD), accounts=wrong)
    check(desk, 1)
    assert [line.partition("emrs.north")[2] for line in told(capsys).splitlines()] == [
        ".settings: page_size should be greater than or equal to 1",
        ".settings: privat_key is not known here; did you mean private_key?",
    ]


def test_the_key_is_not_replaced_under_a_running_gateway(desk, capsys):
    from gateway.state_dir import claim

    with claim(desk.state):
        desk("rotate-key", status=1)
    assert "is used by another gateway process" in told(capsys)
