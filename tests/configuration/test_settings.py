"""Configuration: what is read from where, and that every mistake is said, with its place and without secrets."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from gateway.clients.admission import Allowance
from gateway.configuration.settings import DEFAULT_CONFIG, examine, load, load_without_clients
from gateway.configuration.toml_files import ConfigError
from tests.config_files import CLIENT, HMAC, SECRET, placeless, write

CONFIG_ADVICE = "name another one with GATEWAY_CONFIG, or work in the directory that holds config/"
CLIENTS_ADVICE = "copy clients.example.toml there, or try the demonstration with `serve --demo`"
UNREADABLE = "a file that can't be read (FileNotFoundError)"


@pytest.fixture
def config(tmp_path: Path):
    return partial(write, tmp_path)


def mistakes(path: Path, environ: dict[str, str] | None = None, **more) -> list[str]:
    return placeless(examine(environ or {}, config=path, **more)[1], path)


# -- where values come from -------------------------------------------------------------------------------------------


def test_an_empty_file_has_the_defaults_that_the_documentation_names(config):
    settings = load({}, config=(path := config()))
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings.state_dir.resolve() == path.parent.parent / ".state"
    assert settings.key == ""
    assert settings.limits.model_dump() == {
        "max_items": 100,
        "lock_wait_s": 10,
        "key_ttl_h": 24,
        "audit_days": 1830,
        "renamed_days": 730,
        "drain_s": 20,
        "client_rate": 1000,
        "client_burst": 2000,
        "client_concurrency": 500,
    }


def test_the_commented_lines_of_the_shipped_file_are_the_defaults(config):
    shipped = DEFAULT_CONFIG.read_text()
    stated = "\n".join(
        line.removeprefix("#")
        for line in shipped.splitlines()
        if not line.startswith("# ") and "public_url" not in line and "endpoint" not in line
    )
    assert load({}, config=config(stated)) == load({}, config=config())
    named = {line.removeprefix("#").partition(" = ")[0] for line in shipped.splitlines() if " = " in line}
    settings = load({}, config=config())
    sections = (settings.server, settings.limits, settings.tracing)
    assert {name for section in sections for name in type(section).model_fields} <= named


def test_the_environment_goes_before_the_file(config):
    path = config('state_dir = "there"\n[server]\nhost = "127.0.0.2"\nport = 1\n')
    settings = load({"HOST": "::1", "PORT": "9000", "STATE_DIR": "/somewhere"}, config=path)
    assert settings.public_url == "http://[::1]:9000"
    assert settings.state_dir == Path("/somewhere")
    assert load({"GATEWAY_CONFIG": str(path), "PORT": ""}).server.port == 1


def test_paths_are_relative_to_the_file_that_names_them(config):
    settings = load({}, config=(path := config('state_dir = "state"\nkey = "file:master"\n')))
    assert settings.state_dir == path.parent / "state"
    assert settings.key == f"file:{path.parent / 'master'}"


def test_a_public_url_goes_before_host_and_port(config):
    path = config('[server]\npublic_url = "https://gateway.example/emr/"\n')
    assert load({"PORT": "1"}, config=path).public_url == "https://gateway.example/emr"
    assert load({"HOST": "0.0.0.0", "GATEWAY_DEMO": "1"}, config=config()).public_url == "http://localhost:8080"


def test_metrics_have_an_address_of_their_own_if_one_is_given(config):
    assert load({}, config=config()).metrics_address is None
    assert load({}, config=config('[server]\nmetrics = "[::1]:9090"\n')).metrics_address == ("::1", 9090)
    for wrong in ("9090", ":9090", "localhost:", "localhost:x", "localhost:70000"):
        found = mistakes(config(f'[server]\nmetrics = "{wrong}"\n'))
        assert found == ["gateway.toml: server.metrics should be HOST:PORT, such as 127.0.0.1:9090"]


def test_settings_without_clients_are_read_before_there_is_a_clients_file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text('state_dir = "state"\n')
    assert load_without_clients({}, config=path).state_dir == tmp_path / "state"
    path.write_text("port = 1\n")
    with pytest.raises(ConfigError, match="port is not known here"):
        load_without_clients({}, config=path)


# -- mistakes ---------------------------------------------------------------------------------------------------------


def test_every_mistake_is_said_at_once(config):
    found = mistakes(
        config(
            'keys = ""\nkey = "0123"\n[server]\nport = "x"\npublic_url = "ftp://a"\n'
            "[limits]\nmax_item = 3\ndrain_s = -1\n",
            '[[clients]]\nid = "a b"\nsecret = "x"\n[clients.emrs.North]\nplugin = 3\n'
            + CLIENT
            + CLIENT
            + '[clients.emrs.a]\nplugin = "x"\nslot_check = "no"\nsettings = { t = "env:GONE", u = ["file:gone"] }\n',
        ),
        {"PORT": "70000"},
    )
    assert found == [
        "environment: PORT should be less than or equal to 65535",
        "gateway.toml: key should be a reference, env:NAME or file:PATH, never the key itself",
        "gateway.toml: server.port should be a valid integer, unable to parse string as an integer",
        "gateway.toml: server.public_url should be an address such as https://gateway.example, without a query",
        "gateway.toml: limits.drain_s should be greater than or equal to 0",
        "gateway.toml: limits.max_item is not known here; did you mean max_items?",
        "gateway.toml: keys is not known here; did you mean key?",
        "clients.toml: client no. 1: id should match pattern '^[!-~]{1,128}$'",
        "clients.toml: client no. 1: emrs.North should be a slug of a-z, 0-9, - and _: it stands in addresses",
        "clients.toml: client no. 1: emrs.North: plugin should be a valid string",
        "clients.toml: client no. 1: secret should be hmac:… or argon2:… as `python -m gateway secret` prints it",
        "clients.toml: client app: emrs.a: slot_check should be 'emr', 'after_write' or 'off'",
        "clients.toml: client app: emrs.a.settings.t refers to GONE, which the environment does not have; set it",
        f"clients.toml: client app: emrs.a.settings.u.0 refers to {UNREADABLE}; see to gone",
        "clients.toml: client app is there more than once; keep one",
    ]


def test_files_that_are_not_there_are_said_with_what_to_do(tmp_path):
    path = tmp_path / "gateway.toml"
    assert mistakes(path) == [
        f"gateway.toml: there is no such file; {CONFIG_ADVICE}",
        f"clients.toml: there is no such file; {CLIENTS_ADVICE}",
    ]


def test_a_file_that_is_not_toml_is_said_with_its_line(config):
    assert mistakes(config(clients='[[clients]]\nid = "app\n'))[0].startswith("clients.toml: is not TOML: ")
    assert "line 2" in mistakes(config(clients='[[clients]]\nid = "app\n'))[0]


def test_a_clients_file_must_name_a_client(config):
    assert mistakes(config(clients="")) == ["clients.toml: names no client; add a [[clients]] table"]
    assert mistakes(config(clients="clients = 3")) == ["clients.toml: clients should be a valid list"]


@pytest.mark.parametrize(
    "secret", [f'"{SECRET}"', f'"hmac:{SECRET}"', f'"argon2:{SECRET}"', f'"plain:{SECRET}"', "[]", f'["md5:{SECRET}"]']
)
def test_a_client_secret_must_be_kept_as_a_hash_and_is_never_shown(config, secret):
    found = mistakes(config(clients=f'[[clients]]\nid = "app"\nsecret = {secret}\n'))
    assert len(found) == 1
    assert found[0].startswith("clients.toml: client app: ")
    assert "python -m gateway secret" in found[0]
    assert SECRET not in found[0]


def test_a_client_may_have_several_secrets(config):
    phc = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(SECRET)
    settings = load({}, config=config(clients=f'[[clients]]\nid = "app"\nsecret = ["{HMAC}", "argon2:{phc}"]\n'))
    assert settings.clients[0].secrets == (HMAC, f"argon2:{phc}")
    assert HMAC not in repr(settings)


def test_a_secret_may_have_an_end_that_is_an_instant(config):
    kept = f"{HMAC} until 2031-03-03T09:00:00+01:00"
    settings = load({}, config=config(clients=f'[[clients]]\nid = "app"\nsecret = ["{HMAC}", "{kept}"]\n'))
    assert settings.clients[0].secrets == (HMAC, kept)
    for end in ("2031-03-03T09:00:00", "tomorrow"):
        found = mistakes(config(clients=f'[[clients]]\nid = "app"\nsecret = "{HMAC} until {end}"\n'))
        assert found == [
            "clients.toml: client app: secret should end with an instant after `until`, such as 2031-03-03T09:00:00Z"
        ]


def test_a_client_may_be_allowed_less_or_more_than_the_others(config):
    path = config(
        "[limits]\nclient_rate = 7\nclient_concurrency = 9\n",
        f'[[clients]]\nid = "app"\nsecret = "{HMAC}"\nlimits = {{ rate = 0.5, burst = 3 }}\n'
        f'[[clients]]\nid = "other"\nsecret = "{HMAC}"\n',
    )
    settings = load({}, config=path)
    assert settings.allowance == Allowance(rate=7, concurrency=9)
    assert settings.allowances == {"app": Allowance(rate=0.5, burst=3, concurrency=9)}
    wrong = config("[limits]\nclient_rate = 0\n", f'[[clients]]\nid = "app"\nsecret = "{HMAC}"\nlimits.rat = 1\n')
    assert mistakes(wrong) == [
        "gateway.toml: limits.client_rate should be greater than 0",
        "clients.toml: client app: limits.rat is not known here; did you mean rate?",
    ]


# -- the demonstration ------------------------------------------------------------------------------------------------


def demo(path: Path) -> Path:
    (path.parent / "demo-clients.toml").write_text(
        'demo = true\n[[clients]]\nid = "demo"\nsecret = "plain:demo-secret"\n'
    )
    return path


def test_the_demonstrations_clients_are_used_only_when_asked_for(config):
    path = demo(config())
    assert [c.id for c in load({}, config=path).clients] == ["app"]
    assert [c.id for c in load({}, config=path, demo=True).clients] == ["demo"]
    assert [c.id for c in load({"GATEWAY_DEMO": "1"}, config=path).clients] == ["app"]
    (path.parent / "clients.toml").unlink()
    assert [c.id for c in load({"GATEWAY_DEMO": "1"}, config=path).clients] == ["demo"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
def test_the_demonstration_is_refused_beyond_loopback_unless_that_is_meant(config, host):
    path = demo(config())
    assert "others can reach host" in mistakes(path, {"HOST": host}, demo=True)[0]
    assert mistakes(path, {"HOST": host, "GATEWAY_DEMO": "1"}, demo=True) == []
    assert mistakes(path, {"HOST": host}) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_the_demonstration_runs_on_loopback(config, host):
    assert mistakes(demo(config()), {"HOST": host}, demo=True) == []
