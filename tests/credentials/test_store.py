"""The store of credentials: it opens with the gateway's key and the client's secret together, and with nothing less."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.credentials import CantOpen, sealing
from gateway.credentials.store import Account, Store
from gateway.keys import Altered, Keys

KEYS = Keys(bytes(32))
NORTH, SOUTH = Account("app", "north"), Account("app", "south")
TEXTS = st.text(min_size=1, max_size=40)
VALUE = "the-emr's-password"


@pytest.fixture
def store(tmp_path: Path):
    store = Store(tmp_path / "credentials.sqlite", KEYS)
    yield store
    store.close()


def filled(store: Store, secret: str = "s1", *, chosen: bool = False) -> bytes:
    data_key = sealing.new_data_key()
    store.begin(NORTH, data_key, secret, chosen=chosen)
    store.put(NORTH, data_key, "token", VALUE)
    return data_key


# -- the inner seal ----------------------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.text(), st.text(), st.binary(), st.binary())
def test_a_data_key_opens_with_its_secret_in_its_place_and_with_nothing_else(data_key, secret, other, place, elsewhere):
    sealed = sealing.for_secret(data_key, secret, place, chosen=False)
    assert data_key not in sealed
    assert sealing.by_secret(sealed, secret, place) == data_key
    assert sealing.by_secret(sealed, other, place) == (data_key if other == secret else None)
    assert sealing.by_secret(sealed, secret, elsewhere) == (data_key if elsewhere == place else None)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.binary(), st.binary(), st.data())
def test_a_credential_opens_with_its_data_key_and_is_never_altered_unseen(data_key, other, plain, place, data):
    sealed = sealing.seal(data_key, plain, place)
    assert sealing.opened(data_key, sealed, place) == plain
    at = data.draw(st.integers(0, len(sealed) - 1))
    for wrong in (sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], sealed[:at]):
        with pytest.raises(Altered):
            sealing.opened(data_key, wrong, place)
    if other != data_key:
        with pytest.raises(Altered):
            sealing.opened(other, sealed, place)


def test_what_is_sealed_for_a_secret_that_a_person_chose_takes_long_to_guess_at():
    data_key = sealing.new_data_key()
    sealed = sealing.for_secret(data_key, "chosen by me", b"", chosen=True)
    assert sealing.by_secret(sealed, "chosen by me", b"") == data_key
    fast = sealed[:1] + bytes([1]) + sealed[2:]
    assert sealing.by_secret(fast, "chosen by me", b"") is None


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" * 80, b"\x01\x03" + bytes(80)])
def test_what_is_no_sealed_data_key_is_said(sealed):
    with pytest.raises(Altered):
        sealing.by_secret(sealed, "s", b"")


# -- the store ---------------------------------------------------------------------------------------------------------


def test_a_credential_is_had_with_the_clients_secret(store):
    data_key = filled(store)
    assert store.data_key(NORTH, "s1") == data_key
    assert store.data_key(NORTH, "s2") is None
    assert store.data_key(SOUTH, "s1") is None
    assert store.credentials(NORTH, data_key) == {"token": VALUE}


def test_without_the_gateways_key_it_is_not_had_whatever_the_secret_and_that_is_said(store, tmp_path):
    data_key = filled(store)
    other = Store(tmp_path / "credentials.sqlite", Keys(bytes([1]) * 32))
    for ask in (lambda: other.data_key(NORTH, "s1"), lambda: other.credentials(NORTH, data_key)):
        with pytest.raises(CantOpen, match=r"another gateway key .* If that key is lost, so is the credential"):
            ask()
    assert [(found.name, found.lost) for found in other.listed()] == [("token", True)]
    other.close()


def test_nothing_in_the_file_opens_it(store, tmp_path):
    data_key = filled(store)
    written = (tmp_path / "credentials.sqlite").read_bytes()
    assert VALUE.encode() not in written
    assert data_key not in written
    assert (tmp_path / "credentials.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_sealed_credential_opens_in_no_other_place(store, tmp_path):
    data_key = filled(store)
    store.put(NORTH, data_key, "other", "x")
    with sqlite3.connect(tmp_path / "credentials.sqlite") as db:
        (sealed,) = db.execute("SELECT sealed FROM credentials WHERE name = 'token'").fetchone()
        db.execute("UPDATE credentials SET sealed = ? WHERE name = 'other'", (sealed,))
    db.close()
    with pytest.raises(CantOpen, match="damaged or does not belong"):
        store.credentials(NORTH, data_key)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    st.lists(TEXTS, min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["client", "only", "gateway"]), max_size=4),
)
def test_whichever_keys_are_changed_in_whichever_order_the_credentials_stay(tmp_path_factory, values, secrets, changes):
    """Laws: the same credentials open by every present secret, by no former one, and under no former gateway's key."""
    path = tmp_path_factory.mktemp("laws") / "credentials.sqlite"
    keys, store = KEYS, Store(path, KEYS)
    data_key, present, former = sealing.new_data_key(), [secrets[0]], set[str]()
    store.begin(NORTH, data_key, secrets[0], chosen=False)
    for name, value in values.items():
        store.put(NORTH, data_key, name, value)
    for number, change in enumerate(changes):
        fresh = f"{secrets[-1]}{number}"
        match change:
            case "client":
                store.open_to(NORTH, data_key, fresh, chosen=False)
                present.append(fresh)
            case "only":
                store.renew(NORTH, data_key, fresh, chosen=False)
                former |= {*present}
                present = [fresh]
            case "gateway":
                old, keys = keys, Keys(bytes([number + 1]) * 32).after(keys)
                store.close()
                store = Store(path, keys)
                assert store.seal_anew() == len(values)
                with pytest.raises(CantOpen):
                    Store(path, old).data_key(NORTH, present[0])
        for secret in present:
            data_key = store.data_key(NORTH, secret) or b""
            assert store.credentials(NORTH, data_key) == values
        assert all(store.data_key(NORTH, secret) is None for secret in former - {*present})
    # What was sealed anew needs nothing of the former keys.
    alone = Store(path, Keys(bytes([len(changes)]) * 32)) if changes[-1:] == ["gateway"] else store
    assert alone.data_key(NORTH, present[0]) is not None
    alone.close()
    store.close()


def test_what_one_process_writes_the_other_sees(store, tmp_path):
    data_key, before = filled(store), store.version()
    assert store.version() == before
    other = Store(tmp_path / "credentials.sqlite", KEYS)
    other.put(NORTH, data_key, "token", "newer")
    other.close()
    assert store.version() != before
    assert store.credentials(NORTH, data_key) == {"token": "newer"}


def test_a_swap_happens_only_where_nobody_was_faster(store):
    data_key = filled(store)
    assert store.swap(NORTH, data_key, "token", VALUE, "second")
    assert not store.swap(NORTH, data_key, "token", VALUE, "third")
    assert not store.swap(NORTH, data_key, "gone", VALUE, "third")
    assert store.credentials(NORTH, data_key) == {"token": "second"}


def test_what_is_erased_is_gone_with_all_that_opened_it(store):
    data_key = filled(store)
    store.put(NORTH, data_key, "other", "x")
    assert store.erase(NORTH, "token") == 1
    assert store.data_key(NORTH, "s1") == data_key
    assert store.erase(NORTH) == 1
    assert store.erase(NORTH) == 0
    assert not store.has(NORTH)
    assert store.listed() == []


def test_a_new_beginning_forgets_what_cant_be_opened_any_more(store):
    filled(store)
    data_key = sealing.new_data_key()
    store.begin(NORTH, data_key, "s2", chosen=False)
    assert store.credentials(NORTH, data_key) == {}
    assert store.data_key(NORTH, "s1") is None


def test_a_store_that_is_not_there_is_empty_and_is_not_made_by_looking(store, tmp_path):
    assert (store.version(), store.listed(), store.has(NORTH)) == ((0, 0), (), False)
    assert store.data_key(NORTH, "s1") is None
    assert store.seal_anew() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_put_back_is_the_store_from_then_on(store, tmp_path):
    data_key, path = filled(store), tmp_path / "credentials.sqlite"
    copy = path.read_bytes()
    store.put(NORTH, data_key, "token", "newer")
    before = store.version()
    (tmp_path / "copy").write_bytes(copy)
    (tmp_path / "copy").replace(path)
    assert store.version() != before
    assert store.credentials(NORTH, data_key) == {"token": VALUE}


def test_a_store_that_cant_be_used_is_said(tmp_path):
    path = tmp_path / "credentials.sqlite"
    path.write_bytes(b"something else, and long enough for a header" * 20)
    with pytest.raises(CantOpen, match=r"can't be read or written \(SQLITE_NOTADB\)"):
        Store(path, KEYS).listed()
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(CantOpen, match="newer gateway"):
        Store(path, KEYS).listed()
