"""Letting the gateway in, and what it does with that: by processes and real sockets, on a server that takes a refresh
token that comes again for a thief's."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from gateway.__main__ import main
from gateway.credentials import CantOpen
from gateway.credentials.grants import Granted
from gateway.credentials.store import Account, Store
from gateway.serving import bound
from gateway.terminal.connecting import Connecting
from gateway.vendor.consent import Consent
from tests.credentials.conftest import OLD, Desk
from tests.credentials.oauth import CLIENT, CLIENT_SECRET, OAuth
from tests.credentials.test_unlocking import listed, sentences, started
from tests.e2e.processes import ROOT
from tests.loopback import loopback

KNOWN = SecretStr(CLIENT_SECRET)
NORTH = Account("app", "north")
FHIR = """
[clients.emrs.north]
plugin = "fhir"

[clients.emrs.north.settings]
base_url = "{url}/fhir"
auth = "authorization_code"
authorize_url = "{url}/authorize"
token_url = "{url}/token"
client_id = "{client}"
client_secret = "store:secret"
scope = "offline_access user/*.rs"
"""


@pytest.fixture
async def oauth() -> AsyncIterator[OAuth]:
    oauth = OAuth()
    async with loopback(oauth) as oauth.server:
        yield oauth


@pytest.fixture
def connectable(desk: Desk, oauth: OAuth) -> Desk:
    desk.configure(desk.hashed(OLD), accounts=FHIR.format(url=oauth.server.url, client=CLIENT))
    desk.put(OLD, CLIENT_SECRET, "secret")
    return desk


@asynccontextmanager
async def connecting(desk: Desk, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The command as a person types it; and the address that it shows."""
    environ = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "gateway", "connect", "north", "--config", str(desk.config), *arguments]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    running = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, **pipes)
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(f"{OLD}\n".encode())
    running.stdin.close()
    try:
        async with asyncio.timeout(30):
            assert b"browser" in await running.stdout.readline()
            yield running, (await running.stdout.readline()).decode().strip()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def connect(desk: Desk, oauth: OAuth) -> None:
    async with connecting(desk) as (running, address), httpx.AsyncClient() as browser:
        assert (await browser.get(oauth.consent(address))).status_code == 200
        out, err = await running.communicate()
    assert (running.returncode, err) == (0, b"")
    assert out == b"Connected. It is used from the client's next call on.\n"


async def patients(http: httpx.AsyncClient) -> httpx.Response:
    headers = {"x-leyr-client-id": "app", "x-leyr-client-secret": OLD}
    return await http.get("/api/emrs/north/patients", headers=headers)


@asynccontextmanager
async def attempt(oauth: OAuth) -> AsyncIterator[tuple[asyncio.Task[str], str]]:
    """The same in this process: what it ends with, and the address that it shows."""
    url, lines = oauth.server.url, asyncio.Queue[str]()
    consent = Consent(
        authorize_url=f"{url}/a", token_url=f"{url}/token", client_id=CLIENT, client_secret=KNOWN, scope="a b"
    )
    async with httpx.AsyncHTTPTransport() as transport:
        connecting = Connecting(consent, transport.handle_async_request, lines.put_nowait)
        task = asyncio.create_task(connecting.refresh_token(bound("127.0.0.1", 0)))
        try:
            await lines.get()
            yield task, await lines.get()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def grant(desk: Desk, stored: Granted) -> None:
    """Where `connect` would put it."""
    store = Store(desk.state / "credentials.sqlite", desk.keys)
    data_key = store.data_key(NORTH, OLD)
    assert data_key is not None
    store.put(NORTH, data_key, "grant", stored.dump())
    store.close()


def granted(desk: Desk) -> Granted:
    store = Store(desk.state / "credentials.sqlite", desk.keys)
    data_key = store.data_key(NORTH, OLD)
    assert data_key is not None
    found = Granted.load(store.credentials(NORTH, data_key)["grant"])
    store.close()
    return found


# -- connect -----------------------------------------------------------------------------------------------------------


async def test_somebody_lets_the_gateway_in_and_it_goes_on_by_itself(connectable, oauth, caplog, capsys):
    capsys.readouterr()
    async with started(connectable) as http:
        assert (await patients(http)).status_code == 503
        assert "let its owner grant it: python -m gateway connect north --client app" in sentences(caplog)
        await connect(connectable, oauth)
        answer = await patients(http)
        assert (answer.status_code, answer.json()) == (200, [])
        assert await listed(http) == {"north": "reachable"}
        for _ in range(3):
            oauth.expire()
            assert (await patients(http)).status_code == 200
    assert oauth.stolen == []
    async with started(connectable) as http:
        assert (await patients(http)).status_code == 200
    kept = [path.read_bytes() for path in connectable.folder.rglob("*") if path.is_file()]
    assert not any(secret.encode() in found for secret in oauth.given for found in kept)
    assert not any(secret in caplog.text for secret in oauth.given)


async def test_the_owner_is_asked_with_all_that_the_standards_want(oauth):
    async with attempt(oauth) as (_, address), attempt(oauth) as (_, other):
        told, again = (parse_qs(urlsplit(one).query) for one in (address, other))
    assert address.startswith(f"{oauth.server.url}/a?")
    assert told["scope"] == ["a b"]
    assert len(told["state"][0]) >= 32
    assert len(told["code_challenge"][0]) == 43
    assert all(told[name] != again[name] for name in ("state", "code_challenge"))
    assert quote_plus(CLIENT_SECRET) not in address


async def test_what_is_no_answer_to_the_question_is_not_heard(oauth):
    async with attempt(oauth) as (task, address), httpx.AsyncClient() as browser:
        right = oauth.consent(address)
        code = parse_qs(urlsplit(right).query)["code"][0]
        callback = right.partition("?")[0]
        for forged in ({"code": "another"}, {"code": "another", "state": "guessed"}, {"error": "x", "state": ""}):
            assert (await browser.get(f"{callback}?{urlencode(forged)}")).status_code == 400
        assert (await browser.get(callback.replace("/callback", "/other"))).status_code == 404
        assert (await browser.get(right)).status_code == 200
        assert await task in oauth.current.values()
    assert [form["code"] for form in oauth.forms] == [code]


@pytest.mark.parametrize(("error", "told"), [("access_denied", "access_denied"), ("<b>Look here</b>", "no reason")])
async def test_who_does_not_consent_is_believed(oauth, error, told):
    async with attempt(oauth) as (task, address), httpx.AsyncClient() as browser:
        assert (await browser.get(oauth.consent(address, error=error))).status_code == 200
        with pytest.raises(CantOpen, match=rf"The gateway was not let in \({told}\)\."):
            await task


async def test_an_answer_without_a_refresh_token_is_of_no_use(oauth, monkeypatch):
    monkeypatch.setattr(oauth, "_tokens", lambda _: {"access_token": "short"})
    async with attempt(oauth) as (task, address), httpx.AsyncClient() as browser:
        await browser.get(oauth.consent(address))
        with pytest.raises(CantOpen, match="No refresh token was given"):
            await task


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("before", "The code could not be redeemed (ReadError). Try again."),
        ("after", "The code could not be redeemed (ReadError). Try again."),
        ("500", "The code was not taken: it was answered with 500. Try again."),
        ("200", "The code could not be redeemed (KeyError). Try again."),
    ],
)
async def test_a_code_that_can_t_be_redeemed_is_said(oauth, fault, sentence):
    oauth.lose = [fault]
    async with attempt(oauth) as (task, address), httpx.AsyncClient() as browser:
        await browser.get(oauth.consent(address))
        with pytest.raises(CantOpen) as refused:
            await task
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["north"], "First, put it there: python -m gateway credentials put app north secret."),
        (["south"], "The clients file has no EMR south that is to be connected."),
        (["north", "--client", "who"], "The clients file has no EMR north that is to be connected."),
    ],
)
def test_what_cant_be_connected_is_said(desk, capsys, monkeypatch, arguments, sentence):
    desk.configure(desk.hashed(OLD), accounts=FHIR.format(url="http://127.0.0.1:1", client=CLIENT))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{OLD}\n"))
    assert main(["connect", *arguments, "--config", str(desk.config)]) == 1
    assert capsys.readouterr().err == f"{sentence}\n"


# -- the one who refreshes ---------------------------------------------------------------------------------------------


@pytest.fixture
def connected(connectable: Desk, oauth: OAuth) -> Desk:
    grant(connectable, Granted(oauth.let_in()))
    return connectable


async def test_many_calls_at_once_share_one_refresh(connected, oauth):
    async with started(connected) as http:
        assert (await patients(http)).status_code == 200
        oauth.expire()
        oauth.forms.clear()
        answers = await asyncio.gather(*(patients(http) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(oauth.forms) == 1
    assert oauth.stolen == []


async def test_a_new_refresh_token_is_on_the_disk_before_it_is_used_and_a_killed_refresh_is_not_repeated(
    connected, oauth, caplog
):
    states: list[str] = []

    async def looks() -> None:
        states.append(granted(connected).state)

    oauth.wait = looks
    async with started(connected) as http:
        assert (await patients(http)).status_code == 200
        assert granted(connected).state == "good"
        assert granted(connected).refresh_token in oauth.current.values()
    assert states == ["refreshing"]
    grant(connected, Granted(granted(connected).refresh_token, "refreshing"))
    oauth.forms.clear()
    async with started(connected) as http:  # as after a kill in the middle
        assert (await patients(http)).status_code in (502, 503)
    assert oauth.forms == []
    assert "refuses (credentials)" in caplog.text


@pytest.mark.parametrize("fault", ["before", "after", "500", "502"])
async def test_a_refresh_whose_answer_is_lost_wants_to_be_connected_anew_and_is_never_tried_again(
    connected, oauth, caplog, fault
):
    async with started(connected) as http:
        assert (await patients(http)).status_code == 200
        oauth.expire()
        oauth.lose = [fault]
        oauth.forms.clear()
        assert (await patients(http)).status_code in (502, 503)
        assert granted(connected).state == "refreshing"
        assert (await patients(http)).status_code in (502, 503)
        assert len(oauth.forms) == 1
        assert "the answer to a refresh was lost: connect anew" in sentences(caplog)
        assert oauth.stolen == []
        grant(connected, Granted(oauth.let_in()))
        assert (await patients(http)).status_code == 200


@pytest.mark.parametrize("fault", ["429", "503", "400", "401"])
async def test_a_refresh_that_was_certainly_not_carried_out_costs_nothing(connected, oauth, fault):
    async with started(connected) as http:
        assert (await patients(http)).status_code == 200
        oauth.expire()
        oauth.lose = [fault]
        assert (await patients(http)).status_code in (200, 502, 503)
        assert granted(connected).state == "good"
        assert (await patients(http)).status_code == 200
    assert oauth.stolen == []


async def test_what_is_granted_no_more_is_said_and_not_asked_for_again(connected, oauth):
    async with started(connected) as http:
        assert (await patients(http)).status_code == 200
        oauth.current.clear()
        oauth.expire()
        oauth.forms.clear()
        for _ in range(3):
            assert (await patients(http)).status_code in (502, 503)
        assert len(oauth.forms) == 1
        assert granted(connected).state == "refused"
        grant(connected, Granted(oauth.let_in()))
        assert (await patients(http)).status_code == 200


async def test_a_client_that_hangs_up_does_not_cut_a_refresh_short(connected, oauth):
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        waiting.set()
        await go_on.wait()

    async with started(connected) as http:
        assert (await patients(http)).status_code == 200
        oauth.expire()
        oauth.wait = slow
        request = asyncio.create_task(patients(http))
        await waiting.wait()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        go_on.set()
        assert (await patients(http)).status_code == 200
    assert oauth.stolen == []
    assert granted(connected).state == "good"


async def test_who_connects_anew_while_a_refresh_is_under_way_is_not_written_over(connected, oauth):
    async def connects() -> None:
        oauth.wait = None
        grant(connected, Granted(oauth.let_in()))

    async with started(connected) as http:
        assert (await patients(http)).status_code == 200
        oauth.expire()
        oauth.wait = connects
        assert (await patients(http)).status_code == 200
    assert granted(connected).refresh_token in oauth.current.values()
    assert oauth.stolen == []


async def test_tokens_that_last_are_used_again_where_the_vendor_says_so(connected, oauth):
    oauth.rotates = False
    async with started(connected) as http:
        for _ in range(3):
            assert (await patients(http)).status_code == 200
            oauth.expire()
    assert granted(connected).state == "good"
