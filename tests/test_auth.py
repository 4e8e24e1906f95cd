"""Who is let in, and that nobody learns from a refusal why, neither by its words nor by the work that it took."""

from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from gateway.auth import Clients, client_hash
from gateway.domain.errors import RateLimited, Unauthorized
from gateway.keys import Keys

KEYS = Keys(bytes(32))
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CHOSEN = "lösenord från en människa"
SENT = CHOSEN.encode().decode("latin-1")
"""The same as it reaches us in a header, whose bytes are taken for Latin-1."""


@pytest.fixture
def clients():
    known = {
        "generated": [f"hmac:{client_hash(KEYS, 'generated', 'g-secret')}"],
        "rotating": [f"hmac:{client_hash(KEYS, 'rotating', 'old')}", f"hmac:{client_hash(KEYS, 'rotating', 'new')}"],
        "chosen": [f"argon2:{CHEAP.hash(CHOSEN)}"],
        "chosen-twice": [f"argon2:{CHEAP.hash('one of them')}", f"argon2:{CHEAP.hash('the other')}"],
        "demo": ["plain:demo-secret"],
    }
    clients = Clients(known, KEYS)
    yield clients
    clients.close()


@pytest.fixture
def verified(monkeypatch):
    """How many argon2 verifications were made, by the secret that was tried."""
    made: list[str] = []
    verify = PasswordHasher.verify

    def counting(self, hash, password):
        made.append(password)
        return verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    return made


GOOD = [
    ("generated", "g-secret"),
    ("rotating", "old"),
    ("rotating", "new"),
    ("chosen", SENT),
    ("chosen-twice", "one of them"),
    ("chosen-twice", "the other"),
    ("demo", "demo-secret"),
]
BAD = [
    ("generated", "g-secreT"),
    ("generated", "old"),
    ("rotating", "g-secret"),
    ("chosen", "wrong"),
    ("chosen-twice", CHOSEN),
    ("demo", "plain:demo-secret"),
    ("nobody", "g-secret"),
    ("Generated", "g-secret"),
    ("gene", "ratedg-secret"),
]


@pytest.mark.parametrize(("id", "secret"), GOOD)
async def test_a_client_is_let_in_by_any_of_its_secrets(clients, id, secret):
    assert (await clients.authenticate(id, secret)).client_id == id


@pytest.mark.parametrize(("id", "secret"), [*BAD, (None, "x"), ("generated", None), ("", ""), (None, None)])
async def test_everybody_else_gets_one_answer(clients, id, secret):
    with pytest.raises(Unauthorized) as refused:
        await clients.authenticate(id, secret)
    assert refused.value.detail == "The client id or the client secret is missing or wrong."
    assert refused.value.problems == ()


@pytest.mark.parametrize(("id", "secret"), BAD)
async def test_every_refusal_costs_the_same_work(clients, verified, id, secret):
    with pytest.raises(Unauthorized):
        await clients.authenticate(id, secret)
    assert verified == [secret.encode("latin-1")] * 2


@pytest.mark.parametrize(("id", "secret"), BAD)
async def test_where_all_secrets_are_generated_no_refusal_costs_more_than_a_hash(verified, id, secret):
    clients = Clients({"generated": [f"hmac:{client_hash(KEYS, 'generated', 'right')}"]}, KEYS)
    with pytest.raises(Unauthorized):
        await clients.authenticate(id, secret)
    assert verified == []


async def test_a_chosen_secret_is_verified_once(clients, verified):
    for _ in range(3):
        await clients.authenticate("chosen", SENT)
    assert len(verified) == 1


async def test_requests_at_the_same_time_share_the_first_verification(clients, verified):
    known = await asyncio.gather(*(clients.authenticate("chosen", SENT) for _ in range(50)))
    assert {principal.client_id for principal in known} == {"chosen"}
    assert len(verified) == 1


async def test_a_secret_that_no_header_could_hold_is_wrong(clients):
    with pytest.raises(Unauthorized):
        await clients.authenticate("chosen", "ключ")


async def test_the_loop_goes_on_while_a_secret_is_verified(clients, monkeypatch):
    loop_went_on = threading.Event()
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: loop_went_on.wait(10))
    asking = asyncio.create_task(clients.authenticate("chosen", "anything"))
    await asyncio.sleep(0)
    loop_went_on.set()
    assert (await asking).client_id == "chosen"


async def test_a_flood_of_guesses_is_bounded_and_does_not_keep_out_who_is_known(clients, monkeypatch):
    await clients.authenticate("chosen", SENT)
    enough = threading.Event()
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: enough.wait(10) and False)
    guesses = [asyncio.create_task(clients.authenticate("nobody", f"guess {n}")) for n in range(40)]
    await asyncio.sleep(0)
    assert (await clients.authenticate("chosen", SENT)).client_id == "chosen"
    assert (await clients.authenticate("generated", "g-secret")).client_id == "generated"
    enough.set()
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    kinds = [type(answer) for answer in answers]
    assert set(kinds) == {Unauthorized, RateLimited}
    assert kinds.count(Unauthorized) == 32
    assert next(a for a in answers if isinstance(a, RateLimited)).retry_after == 1


async def test_who_hangs_up_does_not_spoil_the_verification_for_others(clients, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: go_on.wait(10))
    first, second = (asyncio.create_task(clients.authenticate("chosen", SENT)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go_on.set()
    assert (await second).client_id == "chosen"
    assert first.cancelled()


async def test_only_so_many_secrets_are_remembered(verified):
    chosen = {f"client-{n}": [f"argon2:{CHEAP.hash(f'secret {n}')}"] for n in range(1100)}
    clients = Clients(chosen, KEYS)
    for n in range(1100):
        await clients.authenticate(f"client-{n}", f"secret {n}")
    await clients.authenticate("client-1099", "secret 1099")
    assert len(verified) == 1100
    await clients.authenticate("client-0", "secret 0")
    assert len(verified) == 1101
    clients.close()
