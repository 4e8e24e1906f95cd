"""An account whose credential is in the store: open from its client's first call on, and for nobody before."""

from __future__ import annotations

import gc
import logging
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
from argon2 import PasswordHasher

from gateway.api import Principal
from gateway.app import metrics_registry, opened, running
from gateway.configuration.settings import examine, load
from gateway.credentials.store import Account, Store
from tests.credentials.conftest import ACCOUNT, API_KEY, NEW, OLD, OTHER, Desk

NORTH = Account("app", "north")


@asynccontextmanager
async def started(desk: Desk):
    settings = load({"SOUTH_KEY": "clinic-two-key"}, config=desk.config)
    async with (
        running(settings, metrics_registry()) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway.test") as http,
    ):
        yield http


async def read(http: httpx.AsyncClient, secret: str | bytes = OLD, emr: str = "north") -> httpx.Response:
    sent = secret if isinstance(secret, bytes) else secret.encode()
    headers = [(b"x-leyr-client-id", b"app"), (b"x-leyr-client-secret", sent)]
    return await http.get(f"/api/emrs/{emr}/appointments", headers=headers)


async def listed(http: httpx.AsyncClient, secret: str = OLD) -> dict[str, str]:
    headers = {"x-leyr-client-id": "app", "x-leyr-client-secret": secret}
    return {emr["key"]: emr["standing"] for emr in (await http.get("/api/emrs", headers=headers)).json()}


async def test_the_clients_secret_opens_its_account(desk, caplog):
    desk.put()
    async with started(desk) as http:
        assert (await read(http, "wrong")).status_code == 401
        answer = await read(http)
        assert (answer.status_code, len(answer.json()) > 0) == (200, True)
        assert await listed(http) == {"north": "reachable"}
    assert API_KEY not in caplog.text


async def test_without_a_credential_the_emr_is_unavailable_and_the_others_are_served(desk, caplog):
    desk.configure(desk.hashed(OLD), accounts=ACCOUNT + OTHER)
    async with started(desk) as http:
        for _ in range(2):
            answer = await read(http)
            assert (answer.status_code, answer.json()["code"]) == (503, "EMR_UNAVAILABLE")
        assert (await read(http, emr="south")).status_code == 200
        assert (await read(http, emr="west")).status_code == 404
        assert await listed(http) == {"north": "unreachable", "south": "reachable"}
        told = [record.message for record in caplog.records if record.name == "gateway.credentials"]
        put = "put it there: python -m gateway credentials put app north key."
        assert told == [f"EMR north of client app can't be opened: The store has nothing for it; {put}"]


def sentences(caplog) -> str:
    return "\n".join(record.message for record in caplog.records if record.name == "gateway.credentials")


async def test_what_is_put_or_erased_counts_from_the_next_call_on_without_a_restart(desk, caplog):
    async with started(desk) as http:
        assert (await read(http)).status_code == 503
        desk.put()
        assert (await read(http)).status_code == 200
        desk.put(value="no-key-of-this-clinic")
        assert (await read(http)).status_code in (502, 503)
        desk.put()
        assert (await read(http)).status_code == 200
        desk("erase", "app", "north")
        assert (await read(http)).status_code == 503
    assert "The store has nothing for it" in sentences(caplog)


async def test_one_of_several_that_is_erased_locks_the_account(desk, caplog):
    store = Store(desk.state / "credentials.sqlite", desk.keys)
    desk.put()
    async with started(desk) as http:
        assert (await read(http)).status_code == 200
        store.put(NORTH, store.data_key(NORTH, OLD), "other", "x")
        desk("erase", "app", "north", "key")
        assert (await read(http)).status_code == 503
    store.close()
    assert "Its credential key is not in the store; put it there" in sentences(caplog)


async def test_nothing_that_holds_a_secret_shows_it(desk):
    desk.put()
    async with opened(load({}, config=desk.config)) as service:
        await service.authenticate("app", OLD, "")
        found = [one for one in gc.get_objects() if str(type(one).__module__).startswith(("gateway.", "plugins."))]
        store = Store(desk.state / "credentials.sqlite", desk.keys)
        data_key = store.data_key(NORTH, OLD)
        store.close()
        assert any(type(one).__name__ == "_Known" for one in found)
        shown = [repr(one) for one in found]
    for secret in (API_KEY, OLD, repr(data_key)):
        assert not any(secret in text for text in shown)


# -- the client's secret is replaced -----------------------------------------------------------------------------------


async def test_while_both_secrets_are_good_the_new_one_comes_to_open_it_by_being_used(desk, caplog):
    caplog.set_level(logging.INFO)
    desk.put()
    desk.configure(desk.hashed(OLD), desk.hashed(NEW))
    async with started(desk) as http:
        assert (await read(http, OLD)).status_code == 200
        assert (await read(http, NEW)).status_code == 200
    assert "its credentials open with the new secret, too" in sentences(caplog)
    desk.configure(desk.hashed(NEW))
    async with started(desk) as http:
        assert (await read(http, OLD)).status_code == 401
        assert (await read(http, NEW)).status_code == 200


async def test_a_new_secret_that_opens_nothing_is_said_and_the_old_one_goes_on(desk, caplog):
    desk.put()
    desk.configure(desk.hashed(OLD), desk.hashed(NEW))
    async with started(desk) as http:
        assert (await read(http, NEW)).status_code == 503
        assert "It was sealed for another secret of this client" in sentences(caplog)
        assert (await read(http, OLD)).status_code == 200
        assert (await read(http, NEW)).status_code == 200


async def test_a_secret_can_be_replaced_by_hand_and_the_old_one_be_shut_out(desk, capsys):
    desk.put()
    desk.configure(desk.hashed(OLD), desk.hashed(NEW))
    desk("reseal", "app", told=f"{OLD}\n{NEW}\n")
    store = Store(desk.state / "credentials.sqlite", desk.keys)
    data_key = store.data_key(NORTH, NEW)
    assert store.data_key(NORTH, OLD) == data_key is not None
    desk("reseal", "app", "--only", told=f"{NEW}\n{NEW}\n")
    assert store.data_key(NORTH, OLD) is None
    assert store.data_key(NORTH, NEW) not in (None, data_key)
    desk("reseal", "app", told=f"{OLD}\n{NEW}\n", status=1)
    assert capsys.readouterr().err == "The first secret does not open the credentials of EMR north.\n"
    store.close()
    async with started(desk) as http:
        assert (await read(http, NEW)).status_code == 200


async def test_what_a_running_gateway_has_open_goes_on_when_it_is_sealed_anew_and_opens_again_by_the_new_secret(desk):
    desk.put()
    desk.configure(desk.hashed(OLD), desk.hashed(NEW))
    async with started(desk) as http:
        assert (await read(http, OLD)).status_code == 200
        desk("reseal", "app", "--only", told=f"{OLD}\n{NEW}\n")
        assert (await read(http, NEW)).status_code == 200
        assert (await read(http, OLD)).status_code == 200
        store = Store(desk.state / "credentials.sqlite", desk.keys)
        assert store.data_key(NORTH, NEW) is not None
        store.close()


async def test_a_secret_that_a_person_chose_is_stretched(desk):
    desk.configure(f"argon2:{PasswordHasher(1, 8, 1).hash('chosen by me')}")
    desk.put("chosen by me")
    async with started(desk) as http:
        assert (await read(http, "chosen by me")).status_code == 200


async def test_a_secret_beyond_ascii_opens_it_as_it_comes_in_a_header(desk):
    desk.configure(f"argon2:{PasswordHasher(1, 8, 1).hash('välvald hemlighet')}")
    desk.put("välvald hemlighet")
    async with started(desk) as http:
        assert (await read(http, "välvald hemlighet".encode())).status_code == 200


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_the_gateways_key_is_replaced_without_any_client(desk, capsys):
    desk.put()
    before = (desk.state / "gateway.key").read_text()
    desk("rotate-key")
    assert (desk.state / "gateway.key").read_text() != before
    assert "1 credentials are sealed with it" in capsys.readouterr().out
    async with started(desk) as http:
        assert (await read(http)).status_code == 200
    desk("rotate-key")
    async with started(desk) as http:
        assert (await read(http)).status_code == 200


async def test_a_rotation_that_was_cut_short_is_ended_by_another_one(desk, monkeypatch):
    desk.put()
    for at in ("gateway.terminal.operating.succeed", "gateway.credentials.store.Store.seal_anew"):
        with monkeypatch.context() as cut:
            cut.setattr(at, _cut_short)
            with pytest.raises(KeyboardInterrupt):
                desk("rotate-key")
        async with started(desk) as http:
            assert (await read(http)).status_code == 200
    desk("rotate-key")
    desk("rotate-key")
    async with started(desk) as http:
        assert (await read(http)).status_code == 200
    assert sorted(path.name for path in desk.state.glob("gateway.key*")) == ["gateway.key"]


def _cut_short(*_: object) -> None:
    raise KeyboardInterrupt


async def test_a_key_that_is_referred_to_is_replaced_by_one_that_is_referred_to(desk, capsys):
    desk.put()
    key = (desk.state / "gateway.key").rename(desk.folder / "master.key")
    desk.configure(desk.hashed(OLD), gateway='key = "file:master.key"\n')
    desk("rotate-key", status=1)
    assert "say with --to where the new one is" in capsys.readouterr().err
    desk("rotate-key", "--to", f"file:{desk.folder / 'newer.key'}")
    async with started(desk) as http:  # with the old key
        assert (await read(http)).status_code == 503
    desk.configure(desk.hashed(OLD), gateway='key = "file:newer.key"\n')
    key.unlink()
    async with started(desk) as http:
        assert (await read(http)).status_code == 200


async def test_a_lost_key_is_said_and_the_credential_put_anew(desk, capsys, caplog):
    desk.put()
    for lost in desk.state.glob("*"):
        if lost.name != "credentials.sqlite":
            lost.unlink()
    desk.keys = type(desk.keys).from_file(desk.state / "gateway.key")
    desk.configure(desk.hashed(OLD))
    async with started(desk) as http:
        assert (await read(http)).status_code == 503
    assert "sealed with another gateway key than the present one. If that key is lost, so is" in sentences(caplog)
    capsys.readouterr()
    desk("list")
    assert "LOST: sealed with another gateway key" in capsys.readouterr().out
    desk.put(status=1)
    desk.put(OLD, API_KEY, "key", "--anew")
    async with started(desk) as http:
        assert (await read(http)).status_code == 200


async def test_a_store_that_is_broken_is_said_and_serves_the_others(desk, caplog):
    desk.configure(desk.hashed(OLD), accounts=ACCOUNT + OTHER)
    (desk.state / "credentials.sqlite").write_bytes(b"no database, and long enough for a header" * 20)
    async with started(desk) as http:
        assert (await read(http)).status_code == 503
        assert (await read(http, emr="south")).status_code == 200
    assert "can't be read or written (SQLITE_NOTADB)" in sentences(caplog)


# -- another configuration ---------------------------------------------------------------------------------------------


async def test_another_configuration_leaves_open_what_it_does_not_change_and_locks_what_it_does(desk):
    desk.put()
    found = partial(examine, {"SOUTH_KEY": "clinic-two-key"}, config=desk.config)
    async with opened(found()[0], read=found) as service:
        assert service.reloading is not None

        async def switched(accounts: str) -> list[str]:
            """How the accounts stand after it, without any call and after one."""
            desk.configure(desk.hashed(OLD), accounts=accounts)
            service.reloading.hurry()
            await service.reloading.look()
            before = service.accounts(Principal("app"))
            await service.authenticate("app", OLD, "")
            return [account.standing for account in (*before, *service.accounts(Principal("app")))]

        await service.authenticate("app", OLD, "")
        assert await switched(ACCOUNT + OTHER) == ["reachable"] * 4
        assert await switched(ACCOUNT.replace("sandbox", 'sandbox"\nname = "North')) == ["unreachable", "reachable"]
        assert await switched(ACCOUNT.replace("store:key", "store:other")) == ["unreachable", "unreachable"]
