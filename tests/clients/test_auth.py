"""Who is let in, and that nobody learns from a refusal why, neither by its words nor by the work that it took."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from gateway.clients import guesses as pace
from gateway.clients.auth import Clients, client_hash
from gateway.clients.guesses import Guesses, Pace
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
    guesses = [asyncio.create_task(clients.authenticate("nobody", f"guess {n}", f"192.0.2.{n}")) for n in range(40)]
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


# -- ends -------------------------------------------------------------------------------------------------------------

NOON = datetime(2031, 3, 3, 12, tzinfo=UTC)


class At:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


async def lets_in(clients: Clients, id: str, secret: str) -> bool:
    try:
        return (await clients.authenticate(id, secret)).client_id == id
    except Unauthorized:
        return False


@pytest.mark.parametrize("kind", ["hmac", "argon2"])
async def test_a_secret_lets_in_until_its_end_and_the_other_one_for_ever(kind):
    hashed = {
        "hmac": lambda secret: f"hmac:{client_hash(KEYS, 'app', secret)}",
        "argon2": lambda secret: f"argon2:{CHEAP.hash(secret)}",
    }[kind]
    at = At()
    clients = Clients({"app": [hashed("new"), f"{hashed('old')} until 2031-03-03T14:00:00+01:00"]}, KEYS, now=at)
    assert [await lets_in(clients, "app", secret) for secret in ("new", "old")] == [True, True]
    at.now = NOON + timedelta(minutes=59, seconds=59)
    assert [await lets_in(clients, "app", secret) for secret in ("new", "old")] == [True, True]
    at.now = NOON + timedelta(hours=1)
    assert [await lets_in(clients, "app", secret) for secret in ("new", "old")] == [True, False]
    clients.close()


async def test_a_secret_that_has_ended_costs_as_much_as_a_wrong_one(verified):
    known = {"ended": [f"argon2:{CHEAP.hash('x')} until 2031-03-03T11:00:00Z"], "other": [f"argon2:{CHEAP.hash('y')}"]}
    clients = Clients(known, KEYS, now=lambda: NOON)
    assert not await lets_in(clients, "ended", "x")
    assert len(verified) == 1
    clients.close()


# -- guessing ---------------------------------------------------------------------------------------------------------


class Hour:
    """A clock that stands still but for who sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def outcome(clients: Clients, id: str, secret: str, source: str = "192.0.2.1") -> str:
    try:
        await clients.authenticate(id, secret, source)
    except (Unauthorized, RateLimited) as no:
        return no.code
    return "in"


@pytest.fixture
def hour():
    return Hour()


@pytest.fixture
def guarded(hour):
    known = {"app": [f"hmac:{client_hash(KEYS, 'app', 'right')}"], "chosen": [f"argon2:{CHEAP.hash(CHOSEN)}"]}
    clients = Clients(known, KEYS, guesses=Guesses(Pace(5, 2.0), clock=hour, sleep=hour.sleep))
    yield clients
    clients.close()


async def test_whoever_goes_on_guessing_is_answered_ever_more_slowly(guarded, hour):
    assert {await outcome(guarded, "app", f"guess {n}") for n in range(5)} == {"UNAUTHORIZED"}
    assert hour.slept == []
    for n in range(10):
        assert await outcome(guarded, "app", f"again {n}") == "UNAUTHORIZED"
    assert hour.slept == [2.0] * 10
    hour.now += 60
    assert await outcome(guarded, "app", "rested") == "UNAUTHORIZED"
    assert len(hour.slept) == 10


@pytest.mark.parametrize("id", ["app", "chosen", "nobody"])
async def test_the_pace_is_the_same_for_every_client_and_for_none(guarded, hour, id):
    for n in range(8):
        await outcome(guarded, id, f"guess {n}")
    assert hour.slept == [2.0] * 3


async def test_who_knows_its_secret_waits_for_no_guesses_not_even_from_its_own_address(guarded, hour):
    assert await outcome(guarded, "chosen", SENT) == "in"
    for n in range(20):
        await outcome(guarded, ("app", "chosen")[n % 2], f"guess {n}")
    slept = len(hour.slept)
    assert [await outcome(guarded, "app", "right"), await outcome(guarded, "chosen", SENT)] == ["in", "in"]
    assert len(hour.slept) == slept


async def test_guesses_from_elsewhere_do_not_keep_a_client_from_its_first_request(guarded, hour):
    for n in range(20):
        await outcome(guarded, "chosen", f"guess {n}", "198.51.100.7")
    slept = len(hour.slept)
    assert await outcome(guarded, "chosen", SENT, "192.0.2.1") == "in"
    assert len(hour.slept) == slept


async def test_a_line_that_is_too_long_is_refused_and_says_nothing_of_the_secret(hour, verified):
    known = {"chosen": [f"argon2:{CHEAP.hash(CHOSEN)}"]}
    held = asyncio.Event()

    async def sleep(_: float) -> None:
        await held.wait()

    clients = Clients(known, KEYS, guesses=Guesses(Pace(1, 2.0), clock=hour, sleep=sleep))
    assert await outcome(clients, "chosen", "guess") == "UNAUTHORIZED"
    waiting = [asyncio.create_task(outcome(clients, "chosen", f"waits {n}")) for n in range(2)]
    await asyncio.sleep(0)
    assert await outcome(clients, "chosen", "wrong") == await outcome(clients, "chosen", SENT) == "RATE_LIMITED"
    assert len(verified) == 1
    held.set()
    assert await asyncio.gather(*waiting) == ["UNAUTHORIZED"] * 2
    clients.close()


async def test_a_right_guess_was_none(hour):
    known = {f"c{n}": [f"argon2:{CHEAP.hash(f's{n}')}"] for n in range(10)}
    clients = Clients(known, KEYS, guesses=Guesses(Pace(2, 2.0), clock=hour, sleep=hour.sleep))
    assert [await outcome(clients, f"c{n}", f"s{n}") for n in range(10)] == ["in"] * 10
    assert hour.slept == []
    clients.close()


async def test_missing_credentials_are_no_guess(guarded, hour):
    for _ in range(50):
        with pytest.raises(Unauthorized):
            await guarded.authenticate(None, "x", "192.0.2.1")
    assert hour.slept == []


async def test_a_network_of_ipv6_is_one_source(guarded, hour):
    for n in range(6):
        await outcome(guarded, "app", f"guess {n}", f"2001:db8::{n:x}")
    assert hour.slept == [2.0]
    await outcome(guarded, "app", "guess", "2001:db8:0:1::1")
    assert hour.slept == [2.0]


async def test_only_so_many_sources_and_waiting_ones_are_kept(hour, monkeypatch):
    guesses = Guesses(Pace(1, 1.0), clock=hour, sleep=hour.sleep)
    for n in range(11_000):
        await guesses.turn(f"{n}")
    assert len(guesses._paid_until) == 10_000
    held = asyncio.Event()
    guesses = Guesses(Pace(1, 1.0), clock=hour, sleep=lambda _: held.wait())
    for n in range(256):
        await guesses.turn(f"{n}")
    waiting = [asyncio.create_task(guesses.turn(f"{n}")) for n in range(256)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await guesses.turn("0")
    held.set()
    await asyncio.gather(*waiting)


def test_where_a_person_chose_a_secret_guessing_is_slower():
    assert pace.CHOSEN.every_s > pace.GENERATED.every_s
