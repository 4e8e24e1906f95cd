"""`check --connect` says of each account that it could not try why, and tries it where its client's secret is given."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest

from gateway.__main__ import main
from tests.audit.test_operators import entries
from tests.credentials.conftest import ACCOUNT, API_KEY, NEW, OLD, OTHER
from tests.credentials.test_connect import connectable, connected, granted, oauth, patients  # noqa: F401  fixtures
from tests.credentials.test_unlocking import started

UNTRIED = (
    "client app: emrs.north was not tried: its credentials are in the gateway's store, and open with its client's "
    "secret alone; `check --connect --client app` asks for that."
)


@pytest.fixture
def check(desk, capsys, monkeypatch):
    def typed(*clients: str, told: str = "", status: int = 0) -> list[str]:
        """What is said after the first line, which is about the files, and what is noted of the store."""
        monkeypatch.setattr(sys, "stdin", io.StringIO(told))
        capsys.readouterr()
        wanted = [word for client in clients for word in ("--client", client)]
        assert main(["check", "--connect", "--config", str(desk.config), *wanted]) == status
        out, err = capsys.readouterr()
        assert not any(secret in out + err for secret in (API_KEY, NEW, OLD))
        noted = f"{desk.folder}/clients.toml: client app: emrs.north: store:"
        return [line for line in (out + err).splitlines()[1:] if not line.startswith(noted)]

    return typed


def test_an_account_whose_credentials_are_in_the_store_is_said_not_to_be_tried_and_why(desk, check):
    desk.configure(desk.hashed(OLD), accounts=ACCOUNT + OTHER)
    desk.put()
    assert check() == [UNTRIED, "EMR accounts that answer: 1; not tried: 1."]


def test_it_is_tried_where_its_clients_secret_is_given_and_that_is_recorded(desk, check):
    desk.configure(desk.hashed(OLD), accounts=ACCOUNT + OTHER)
    desk.put()
    assert check("app", told=f"{OLD}\n") == ["Every EMR account answers."]
    told = entries(desk)[2:]
    assert [(one["kind"], one["state"], one["client"]) for one in told] == [
        ("credentials.try", "begun", "app"),
        ("credentials.try", "done", "app"),
    ]


def test_a_credential_that_the_emr_does_not_take_is_said(desk, check):
    desk.put(OLD, "wrong-key-wrong-key")
    assert check("app", told=OLD, status=1) == ["client app: emrs.north does not answer: it refuses (credentials)"]


@pytest.mark.parametrize(
    ("clients", "told", "sentence"),
    [
        (("app",), f"{NEW}\n", "This is no secret of that client's."),
        (("app",), "", "Wanted are, a line each: Secret of client app."),
        (("who",), OLD, "No EMR account of client who has its credentials in the store."),
        (("app", "app"), f"{OLD}\n", "Wanted are, a line each: Secret of client app, Secret of client app."),
    ],
)
def test_what_opens_nothing_is_said(desk, check, clients, told, sentence):
    desk.put()
    assert check(*clients, told=told, status=1) == [sentence]


def test_what_is_not_stored_or_opens_with_another_secret_is_said_with_what_mends_it(desk, check):
    place, put = "client app: emrs.north", "python -m gateway credentials put app north key"
    said = check("app", told=OLD, status=1)
    assert said == [f"{place}: store:key is not stored yet; put it there: {put}"]
    desk.put()
    desk.configure(desk.hashed(NEW))
    (said,) = check("app", told=NEW, status=1)
    assert said.startswith(f"{place}: it opens with another secret of the client's; seal it for this one: python -m")


async def test_a_grant_is_refreshed_while_no_gateway_works_and_left_to_one_that_does(connected, oauth, check):  # noqa: F811
    before = granted(connected)
    assert await asyncio.to_thread(check, "app", told=OLD) == ["Every EMR account answers."]
    after = granted(connected)
    assert after.state == "good"
    assert after.refresh_token != before.refresh_token
    async with started(connected) as http:
        assert (await patients(http)).status_code == 200
        oauth.forms.clear()
        said = await asyncio.to_thread(check, "app", told=OLD)
        assert said[0].startswith("client app: emrs.north was not tried: the gateway that runs renews its login, and")
        assert said[1:] == ["EMR accounts that answer: 0; not tried: 1."]
        assert oauth.forms == []
        assert (await patients(http)).status_code == 200
    assert oauth.stolen == []
