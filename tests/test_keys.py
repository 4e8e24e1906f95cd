"""Derived keys: hashes that can't be confused, seals that open in one place only, a key file that appears whole."""

import base64
import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys import Altered, BadKey, Keys, WrongKey

MASTER = bytes(range(32))
PARTS = st.lists(st.text() | st.text(st.characters(codec=None)) | st.binary(), max_size=4)


@pytest.fixture
def keys():
    return Keys(MASTER)


def test_a_hash_is_64_hex_digits_and_the_same_in_every_process(keys):
    assert keys.hmac("idempotency", "demo", "k1") == Keys(MASTER).hmac("idempotency", b"demo", b"k1")
    assert len(bytes.fromhex(keys.hmac("idempotency", "demo", "k1"))) == 32


def test_hash_and_derivation_never_change_or_every_stored_hash_would_be_lost(keys):
    assert keys.hmac("purpose", "part") == "227ffa02f13ce48fefa170cac770bde5e5aa0ff2839d32b60df71660fd57096a"


@given(PARTS, PARTS)
def test_where_one_part_ends_and_the_next_begins_counts(a, b):
    def bare(parts):
        return [p.encode("utf-8", "surrogatepass") if isinstance(p, str) else p for p in parts]

    keys = Keys(MASTER)
    assert (keys.hmac("p", *a) == keys.hmac("p", *b)) == (bare(a) == bare(b))


def test_moving_a_border_between_parts_gives_another_hash(keys):
    assert keys.hmac("p", "a", "bc") != keys.hmac("p", "ab", "c") != keys.hmac("p", "abc")
    assert keys.hmac("p") != keys.hmac("p", "")


def test_purposes_and_masters_have_nothing_in_common(keys):
    assert keys.hmac("p", "x") != keys.hmac("q", "x")
    assert keys.hmac("p", "x") != Keys(bytes(32)).hmac("p", "x")


def test_an_id_of_lone_surrogates_is_still_hashed(keys):
    assert keys.hmac("p", "\ud800") != keys.hmac("p", "\ud801")


@given(st.binary(), st.binary())
def test_what_was_sealed_opens_again(plain, place):
    keys = Keys(MASTER)
    assert keys.open("p", keys.seal("p", plain, place), place) == plain


def test_sealing_twice_gives_two_texts_and_neither_shows_the_plain_one(keys):
    one, two = keys.seal("p", b"Tuva Testsson", b"row"), keys.seal("p", b"Tuva Testsson", b"row")
    assert one != two
    assert b"Tuva" not in one + two


def test_another_master_key_is_named_as_the_cause(keys):
    sealed = keys.seal("p", b"text", b"row")
    with pytest.raises(WrongKey, match=r"sealed with another master key"):
        Keys(bytes(32)).open("p", sealed, b"row")


def test_a_seal_opens_only_in_its_place_and_for_its_purpose(keys):
    sealed = keys.seal("p", b"text", b"row 1")
    for purpose, place in (("p", b"row 2"), ("q", b"row 1")):
        with pytest.raises(Altered):
            keys.open(purpose, sealed, place)


@given(st.data())
def test_one_flipped_bit_or_a_cut_end_is_noticed(data):
    keys = Keys(MASTER)
    sealed = keys.seal("p", b"text", b"row")
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for broken in (bytes(flipped), cut):
        with pytest.raises((Altered, WrongKey)):
            keys.open("p", broken, b"row")


def test_comparison_takes_text_and_bytes(keys):
    assert keys.same("åäö", "åäö")
    assert keys.same(b"a", "a")
    assert not keys.same("a", "b")


def test_a_key_never_shows_itself(keys):
    shown = repr(keys) + str(keys)
    assert shown == "<Keys><Keys>"


def test_a_master_key_of_another_length_is_refused():
    with pytest.raises(BadKey, match="32 bytes"):
        Keys(b"short")


@pytest.mark.parametrize(
    "text",
    [
        MASTER.hex(),
        MASTER.hex().upper() + "\n",
        base64.urlsafe_b64encode(MASTER).decode(),
        base64.urlsafe_b64encode(MASTER).decode().rstrip("="),
        f"  {base64.urlsafe_b64encode(MASTER).decode()}\n",
    ],
)
def test_a_key_is_read_as_hex_or_base64url(tmp_path, monkeypatch, keys, text):
    (tmp_path / "key").write_text(text)
    monkeypatch.setenv("TEST_GATEWAY_KEY", text)
    for read in (
        Keys.from_file(tmp_path / "key"),
        Keys.load(f"file:{tmp_path / 'key'}"),
        Keys.load("env:TEST_GATEWAY_KEY"),
    ):
        assert read.hmac("p", "x") == keys.hmac("p", "x")


def test_a_key_with_high_bytes_is_read_as_base64url(monkeypatch):
    master = b"\xfb\xff" * 16
    monkeypatch.setenv("TEST_GATEWAY_KEY", base64.urlsafe_b64encode(master).decode())
    assert Keys.load("env:TEST_GATEWAY_KEY").hmac("p") == Keys(master).hmac("p")


@pytest.mark.parametrize("text", ["", "secret-canary", "zz" * 32, MASTER.hex()[:-2], MASTER.hex() + "00", "ö" * 32])
def test_anything_else_is_refused_without_being_shown(tmp_path, text):
    (tmp_path / "key").write_text(text)
    with pytest.raises(BadKey) as refusal:
        Keys.from_file(tmp_path / "key")
    assert not text or text not in str(refusal.value)


@pytest.mark.parametrize("reference", ["", "env:", "file:", "TEST", "vault:x", "env:TEST_GATEWAY_NO_SUCH_NAME"])
def test_a_reference_to_nothing_is_refused(reference):
    with pytest.raises(BadKey):
        Keys.load(reference)


def test_a_key_that_is_only_referred_to_is_not_made(tmp_path):
    with pytest.raises(BadKey):
        Keys.load(f"file:{tmp_path / 'key'}")
    with pytest.raises(BadKey):
        Keys.from_file(tmp_path / "key", create=False)
    assert not list(tmp_path.iterdir())


def test_a_new_key_file_is_ours_alone_and_is_read_the_next_time(tmp_path):
    before = os.umask(0)
    try:
        made = Keys.from_file(tmp_path / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert Keys.from_file(tmp_path / "key").hmac("p") == made.hmac("p")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_two_new_keys_are_different(tmp_path):
    assert Keys.from_file(tmp_path / "one").hmac("p") != Keys.from_file(tmp_path / "two").hmac("p")


def test_a_place_that_takes_no_file_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(BadKey, match="can't be created"):
        Keys.from_file(tmp_path / "missing" / "key")


def test_many_who_make_the_same_key_file_all_get_the_same_key(tmp_path):
    gate, found = threading.Barrier(8), []

    def make():
        gate.wait(5)
        found.append(Keys.from_file(tmp_path / "key").hmac("p"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert len(set(found)) == 1
