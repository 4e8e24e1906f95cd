"""References to secrets: of the gateway's own kinds, and of a third party's package that is really installed."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from gateway.configuration.references import Stored, is_reference, looked_up, replaced, stored_in, with_stored
from gateway.configuration.settings import examine
from gateway.configuration.validating import plain_secrets
from plugins.sandbox import Settings
from tests.config_files import CLIENT, placeless, write
from tests.vaults import installed  # noqa: F401

ACCOUNT = '[clients.emrs.north]\nplugin = "sandbox"\nsettings = {{ clinic = "north", api_key = "{key}" }}\n{more}'
NORTH = "clients.toml: client app: emrs.north"


def told(reference: str) -> str:
    with pytest.raises(LookupError) as refused:
        looked_up(reference, Path(), {})
    return str(refused.value)


# -- a third party's ---------------------------------------------------------------------------------------------------


def test_a_third_partys_kind_is_asked_when_the_configuration_is_read(installed, tmp_path):  # noqa: F811
    module = installed()
    settings, found = examine(
        {}, config=write(tmp_path, clients=CLIENT + ACCOUNT.format(key="vault:emr/north#token", more=""))
    )
    assert found == []
    (account,) = settings.clients[0].emrs
    assert account.values["api_key"] == "out-of-the-vault"
    assert importlib.import_module(module).asked == ["emr/north#token"]
    assert not list(plain_secrets(Settings, account.given))
    assert "out-of-the-vault" not in repr(settings)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("vault:gone", "can't be had from vault (KeyError); see to it there"),
        ("silent:x", "refers to something of which silent has no text; see to it there"),
        ("hostile:x", "can't be had from hostile (SystemExit); see to it there"),
        ("gone:x", "can't be had from gone (AttributeError); see to it there"),
    ],
)
def test_what_a_third_party_fails_at_is_said_without_its_words(installed, tmp_path, reference, sentence):  # noqa: F811
    installed()
    path = write(tmp_path, clients=CLIENT + ACCOUNT.format(key=reference, more=""))
    assert placeless(examine({}, config=path)[1], path) == [f"{NORTH}.settings.api_key {sentence}"]


def test_no_package_can_take_a_kind_of_the_gateways_or_what_addresses_begin_with(installed):  # noqa: F811
    installed()
    assert looked_up("env:NAME", Path(), {"NAME": "ours"}) == "ours"
    assert not is_reference("https://emr.example")


def test_a_kind_that_two_packages_offer_is_nobodys(installed):  # noqa: F811
    installed({"vault": "vault"})
    assert is_reference("vault:x")
    installed({"vault": "silent"})
    assert not is_reference("vault:x")


def test_without_such_a_package_its_reference_is_a_secret_that_is_written_out():
    assert not is_reference("vault:emr/north#token")
    assert list(plain_secrets(Settings, {"api_key": "vault:emr/north#token"})) == ["api_key"]


# -- the gateway's own store -------------------------------------------------------------------------------------------


def test_a_reference_to_the_store_stands_for_its_credential_until_that_is_known():
    found: list[str] = []
    given = {"key": "store:key", "more": ["store:b", "plain"], "in": {"it": "store:c"}}
    values = replaced(given, "place", Path(), {}, found, storable=True)
    assert found == []
    assert list(stored_in(values)) == ["key", "b", "c"]
    known = with_stored(values, {"key": "1", "b": "2", "c": "3"})
    assert known == {"key": "1", "more": ["2", "plain"], "in": {"it": "3"}}
    assert not list(stored_in(known))
    with pytest.raises(KeyError):
        with_stored(values, {"key": "1"})


def test_what_a_variable_holds_is_never_taken_for_a_reference():
    found: list[str] = []
    values = replaced({"key": "env:KEY"}, "place", Path(), {"KEY": "store:key"}, found, storable=True)
    assert (values, found, list(stored_in(values))) == ({"key": "store:key"}, [], [])


@pytest.mark.parametrize("name", ["", "Key", "a b", "../key"])
def test_a_credential_is_called_by_a_slug(name):
    assert told(f"store:{name}") == "should be store:NAME, with a name of a-z, 0-9, - and _"


def test_the_way_to_an_emr_needs_its_secrets_at_once(tmp_path):
    more = 'proxy = "store:proxy"\n'
    path = write(tmp_path, clients=CLIENT + ACCOUNT.format(key="env:KEY", more=more))
    sentence = f"{NORTH}.proxy can't be in the gateway's own store; refer to it as env:NAME or file:PATH"
    assert placeless(examine({"KEY": "k"}, config=path)[1], path) == [sentence]


def test_a_stored_name_is_told_from_a_text():
    assert not list(stored_in({"key": "key", "more": ["a"]}))
    assert list(stored_in(Stored("key"))) == ["key"]
