"""What a configuration has changed is named for the audit, and no value of it."""

from __future__ import annotations

from gateway.configuration.difference import difference
from gateway.configuration.settings import load
from tests.config_files import CLIENT, write

NORTH = '[clients.emrs.north]\nplugin = "fhir"\nsettings = { base_url = "https://emr.example", token = "file:token" }\n'
SOUTH = NORTH.replace("north", "south")
OTHER = CLIENT.replace("app", "other")


def read(folder, clients, token="canary-1"):
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    return load({}, config=write(folder, "", clients))


def test_clients_and_accounts_that_come_and_go_are_named(tmp_path):
    one = read(tmp_path, CLIENT + NORTH)
    assert difference(None, one) == {"clients_added": ("app",), "accounts_added": ("app/north",)}
    two = read(tmp_path, OTHER + SOUTH)
    assert difference(one, two) == {
        "clients_added": ("other",),
        "clients_removed": ("app",),
        "accounts_added": ("other/south",),
        "accounts_removed": ("app/north",),
    }


def test_another_secret_limit_or_credential_is_named_by_whose_it_is(tmp_path):
    one = read(tmp_path, CLIENT + NORTH)
    assert difference(one, read(tmp_path, CLIENT + NORTH)) == {}
    assert difference(one, read(tmp_path, CLIENT + NORTH, token="canary-2")) == {"accounts_changed": ("app/north",)}
    two = read(tmp_path, CLIENT.replace("0", "1") + "limits = { rate = 1 }\n" + NORTH)
    found = difference(one, two)
    assert found == {"secrets_changed": ("app",), "limits_changed": ("app",)}
    assert "canary" not in str(found)
