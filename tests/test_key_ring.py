"""A new master key in the place of another: nothing is lost, either works until the other is taken away."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.key_ring import complete, succeed
from gateway.keys import Altered, BadKey, Keys, WrongKey

MASTERS = st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=5, unique=True)


@given(MASTERS, st.binary(), st.binary())
def test_after_any_number_of_successions_all_that_was_sealed_opens_and_every_hash_is_what_it_was(masters, plain, place):
    keys = Keys(masters[0])
    told, sealed = keys.hmac("p", plain), [keys.seal("p", plain, place)]
    for master in masters[1:]:
        former, keys = keys, Keys(master).after(keys)
        again = Keys(master).with_former(keys.seal_former())
        assert again.hmac("p", plain) == keys.hmac("p", plain) == told
        sealed.append(keys.seal("p", plain, place))
        assert [again.open("p", one, place) for one in sealed] == [plain] * len(sealed)
        with pytest.raises(WrongKey):
            former.open("p", sealed[-1], place)
        with pytest.raises(WrongKey):
            Keys(master).open("p", sealed[0], place)


@given(MASTERS)
def test_a_key_never_comes_back(masters):
    keys = Keys(masters[0])
    for master in masters[1:]:
        keys = Keys(master).after(keys)
    for master in masters:
        with pytest.raises(BadKey, match="make another one"):
            Keys(master).after(keys)


@given(MASTERS)
def test_the_former_keys_open_for_their_successor_only(masters):
    sealed = Keys(masters[1]).after(Keys(masters[0])).seal_former()
    assert masters[0] not in sealed
    for other in (masters[0], *masters[2:]):
        with pytest.raises(WrongKey):
            Keys(other).with_former(sealed)
    with pytest.raises(Altered):
        Keys(masters[1]).with_former(sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_until_the_new_key_is_configured_the_old_one_works_as_before(tmp_path):
    old, new = Keys(bytes(32)), Keys(bytes([1]) * 32)
    assert complete(old, tmp_path) is old
    ready = succeed(old, new, tmp_path)
    assert ready.follows(old)
    assert complete(new, tmp_path).hmac("p", "x") == complete(old, tmp_path).hmac("p", "x")
    assert not complete(old, tmp_path).follows(new)
    assert succeed(old, new, tmp_path).id == ready.id  # once more, after a crash
    third = succeed(ready, Keys(bytes([2]) * 32), tmp_path)
    assert third.follows(old)
    assert complete(Keys(bytes([2]) * 32), tmp_path).open("p", old.seal("p", b"x", b""), b"") == b"x"


def test_the_file_is_for_its_owner_and_holds_no_key(tmp_path):
    old = bytes(range(32))
    succeed(Keys(old), Keys(bytes(32)), tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert old.hex() not in file.read_text()


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', '{"version": 2, "keys": {}}', "\udcff"])
def test_a_file_that_makes_no_sense_is_said_and_not_passed_over(tmp_path, text):
    (tmp_path / "former-keys.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadKey, match=r"former-keys\.json"):
        complete(Keys(bytes(32)), tmp_path)


def test_an_entry_that_was_altered_is_said(tmp_path):
    new = Keys(bytes(32))
    succeed(Keys(bytes([1]) * 32), new, tmp_path)
    path = tmp_path / "former-keys.json"
    told = json.loads(path.read_text())
    told["keys"][new.id] = told["keys"][new.id][:-8] + "AAAAAAA="
    path.write_text(json.dumps(told))
    with pytest.raises(BadKey, match="damaged"):
        complete(new, tmp_path)
