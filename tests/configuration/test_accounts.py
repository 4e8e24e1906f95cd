"""Accounts: opened as configured, or refused with all that is wrong and nothing of what is secret."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel, SecretBytes, SecretStr, field_validator

from gateway.configuration.accounts import open_accounts, plugins_of
from gateway.configuration.probing import probe
from gateway.configuration.settings import Settings, examine, load
from gateway.configuration.toml_files import ConfigError
from gateway.configuration.validating import plain_secrets, secrets_in
from gateway.domain.capabilities import Capabilities
from gateway.port import BadAccount, Emr, Vendor
from gateway.registry import PluginError, Registry
from gateway.vendor.way import DIRECT, Proxy, Tls
from tests.config_files import CLIENT, HMAC, SECRET, placeless, write
from tests.tls import AUTHORITY, GATEWAY
from tests.vendor.test_way import UNSPOKEN

SANDBOX = '[clients.emrs.north]\nplugin = "sandbox"\nsettings = { clinic = "north", api_key = "env:API_KEY" }\n'
NORTH = "clients.toml: client app: emrs.north"


def fhir(line: str = "", more: str = "") -> str:
    """An account with a line of its own, and with more settings of its plugin."""
    return f'[clients.emrs.north]\nplugin = "fhir"\nsettings = {{ base_url = "https://emr.example"{more} }}\n{line}\n'


@pytest.fixture
def config(tmp_path: Path):
    return partial(write, tmp_path)


def account_mistakes(path: Path, environ: dict[str, str] | None = None) -> list[str]:
    settings, found = examine(environ or {}, config=path)
    assert found == []
    with pytest.raises(ConfigError) as refused:
        open_accounts(settings, Registry.load(plugins_of(settings)), nowhere)
    return placeless(list(refused.value.args), path)


def opened(settings: Settings):
    return open_accounts(settings, Registry.load(plugins_of(settings)), nowhere)


def nowhere(_vendor, _settings, _way) -> httpx.AsyncBaseTransport:
    return httpx.AsyncBaseTransport()


def test_an_account_is_opened_with_what_its_references_refer_to(config, tmp_path):
    (tmp_path / "api-key").write_text(f"{SECRET}\n")
    clients = CLIENT + SANDBOX.replace("env:API_KEY", "file:api-key") + 'slot_check = "off"\nname = "North"\n'
    settings = load(
        {}, config=config(clients=clients.replace("settings", "#settings").replace("#settings", "settings"))
    )
    assert settings.clients[0].emrs[0].values["api_key"] == SECRET
    assert SECRET not in repr(settings)
    account = opened(settings)["app", "north"]
    assert (account.name, account.plugin) == ("North", "sandbox")
    assert account.emr.capabilities.slot_check == "off"


def test_an_account_without_a_name_bears_its_plugins(config):
    account = opened(load({"API_KEY": "k"}, config=config(clients=CLIENT + SANDBOX)))["app", "north"]
    assert account.name == "Sandbox EMR"
    assert account.emr.capabilities.slot_check == "emr"


TWINS = """
[[clients]]
id = "{id}"
secret = "{hmac}"
[clients.emrs.a]
plugin = "sandbox"
settings = {{ clinic = "{clinic}", api_key = "env:{key}" }}
"""


def test_accounts_that_are_one_for_their_emr_are_called_as_one(config):
    told = [("one", "north", "KEY"), ("two", "north", "KEY"), ("three", "north", "OTHER"), ("four", "south", "KEY")]
    clients = "".join(TWINS.format(id=id, clinic=clinic, key=key, hmac=HMAC) for id, clinic, key in told)
    accounts = opened(load({"KEY": "k", "OTHER": "o"}, config=config(clients=clients)))
    one, two, three, four = (accounts[id, "a"].door for id, _, _ in told)
    assert one is not two
    assert one.manners is two.manners
    assert len({id(door.manners) for door in (one, three, four)}) == 3
    assert one.manners.name == "EMR a of client one"


def test_secrets_are_found_wherever_they_are():
    settings = Secretive(first="a", nested={"token": "b", "names": ["c"]}, more={"x": {"token": "d"}}, raw=b"e")
    assert set(secrets_in(settings)) == {"a", "b", "c", "d", b"e"}


def test_a_secret_that_is_written_out_is_refused_but_in_a_demonstration(config):
    clients = CLIENT + SANDBOX.replace("env:API_KEY", SECRET)
    place = "clients.toml: client app: emrs.north.settings.api_key"
    assert account_mistakes(config(clients=clients)) == [f"{place} is a secret; refer to it as env:NAME or file:PATH"]
    assert opened(load({}, config=config(clients="demo = true\n" + clients)))


def test_a_plugins_settings_are_checked_without_showing_them(config):
    clients = CLIENT + SANDBOX.replace('clinic = "north"', f'clinic = "{SECRET}!", personalty = "x"')
    found = account_mistakes(config(clients=clients), {"API_KEY": "k"})
    assert found == [
        "clients.toml: client app: emrs.north.settings: clinic should match pattern '^[a-z0-9][a-z0-9-]{0,63}$'",
        "clients.toml: client app: emrs.north.settings: personalty is not known here; did you mean personality?",
    ]


def test_a_plugin_that_is_not_there_is_said_once(config):
    ghost = '[clients.emrs.{}]\nplugin = "ghost"\n'
    found = account_mistakes(config(clients=CLIENT + ghost.format("a") + ghost.format("b")))
    assert len(found) == 1
    assert found[0].startswith("clients.toml: client app: emrs.a: plugin ghost is not installed; installed are: ")


def test_mistakes_of_all_accounts_are_said_at_once(config):
    other = '[clients.emrs.b]\nplugin = "fhir"\nsettings = { base_url = "ftp://a", auth = "bearer" }\n'
    clients = CLIENT + SANDBOX.replace('clinic = "north"', "clinic = 3") + other
    assert len(account_mistakes(config(clients=clients), {"API_KEY": "k"})) == 2


class Nested(BaseModel):
    token: SecretStr
    names: list[SecretStr] = []


class Secretive(BaseModel):
    first: SecretStr
    nested: Nested
    more: dict[str, Nested] = {}
    raw: SecretBytes
    plain: str = "not one"


class Talkative(BaseModel):
    secret: SecretStr | None = None
    plain: str = ""
    nested: Nested | None = None
    more: dict[str, Nested] = {}

    @field_validator("plain")
    @classmethod
    def _tells(cls, value: str) -> str:
        if value == "explode":
            raise KeyError(value)
        raise ValueError(f"{value} is no good")


def test_secrets_are_found_wherever_a_plugin_keeps_them():
    given = {
        "secret": "written out",
        "plain": "written out",
        "nested": {"token": "env:A", "names": ["file:b", "written out"]},
        "more": {"x": {"token": "written out"}},
    }
    assert sorted(plain_secrets(Talkative, given)) == ["more.x.token", "nested.names.1", "secret"]


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        (SECRET, ".settings: plain has something that the plugin refuses"),
        ("xy", ".settings: plain xy is no good"),
        ("explode", ".settings: plugin talkative raises KeyError"),
    ],
)
def test_a_validator_that_quotes_a_value_is_not_quoted(config, plain, sentence):
    path = config(clients=CLIENT + f'[clients.emrs.a]\nplugin = "talkative"\nsettings = {{ plain = "{plain}" }}\n')
    registry = Registry.load(())
    registry.vendors["talkative"] = Vendor(
        key="talkative", name="Talkative", settings=Talkative, emr=Emr, capabilities=Capabilities()
    )
    with pytest.raises(ConfigError) as refused:
        open_accounts(load({}, config=path), registry, nowhere)
    assert [s.partition("emrs.a")[2] for s in refused.value.args] == [sentence]


def test_an_emr_that_cannot_be_asked_for_conflicts_is_not_checked_after_the_write(config, monkeypatch):
    clients = CLIENT + SANDBOX + 'slot_check = "after_write"\n'
    path = config(clients=clients)
    settings = load({"API_KEY": "k"}, config=path)
    assert opened(settings)["app", "north"].emr.capabilities.slot_check == "after_write"
    registry = Registry.load({"sandbox"})
    blind = registry.open
    monkeypatch.setattr(registry, "open", lambda account, plugin: without_lists(blind(account, plugin)))
    with pytest.raises(ConfigError, match="can't be asked for conflicts"):
        open_accounts(settings, registry, nowhere)


NOTIFY = "clients.toml: client app: emrs.north.notify"


@pytest.mark.parametrize(
    ("notify", "notifies", "sentence"),
    [
        ("true", "switch", None),
        ("false", "switch", None),
        ("true", "emr", None),
        ("false", "emr", "plugin sandbox can't keep its EMR from messaging patients; leave it out"),
        ("true", "never", "the EMR of plugin sandbox never messages patients; leave it out"),
        ("false", "never", None),
    ],
)
def test_whether_patients_are_messaged_is_told_where_the_plugin_can_see_to_it(
    config, monkeypatch, notify, notifies, sentence
):
    path = config(clients=CLIENT + SANDBOX + f"notify = {notify}\n")
    settings, registry, asked = load({"API_KEY": "k"}, config=path), Registry.load({"sandbox"}), []
    honest = registry.open

    def open_as_such(account, plugin):
        asked.append(account.notify)
        emr = honest(account, plugin)
        emr.capabilities = replace(emr.capabilities, notifies=notifies)
        return emr

    monkeypatch.setattr(registry, "open", open_as_such)
    if sentence is None:
        account = open_accounts(settings, registry, nowhere)["app", "north"]
        assert asked == [account.emr.capabilities.notify] == [notify == "true"]
        return
    with pytest.raises(ConfigError) as refused:
        open_accounts(settings, registry, nowhere)
    assert placeless(list(refused.value.args), path) == [f"{NOTIFY}: {sentence}"]


def test_nothing_is_said_of_messages_unless_it_is_configured(config):
    account = opened(load({"API_KEY": "k"}, config=config(clients=CLIENT + SANDBOX)))["app", "north"]
    assert account.emr.capabilities.notify is None
    found = mistakes_in(config(clients=CLIENT + SANDBOX + 'notify = "yes"\n'), {"API_KEY": "k"})
    assert found == [f"{NORTH}: notify should be a valid boolean"]


async def test_a_probe_takes_nothing_away_that_the_account_is_configured_with(config, monkeypatch):
    clients = CLIENT + SANDBOX + 'notify = false\nslot_check = "off"\n'
    account = opened(load({"API_KEY": "k"}, config=config(clients=clients)))["app", "north"]

    async def narrowed() -> Capabilities:
        return Capabilities(notifies="switch")

    monkeypatch.setattr(account.emr, "probe", narrowed)
    await probe(account)
    assert account.emr.capabilities == Capabilities(notifies="switch", notify=False, slot_check="off")


def test_all_that_a_plugin_can_not_do_for_an_account_is_said_at_once(config, monkeypatch):
    path = config(clients=CLIENT + SANDBOX + 'notify = false\nslot_check = "after_write"\n')
    registry = Registry.load({"sandbox"})
    blind = registry.open
    monkeypatch.setattr(registry, "open", lambda account, plugin: without_lists(blind(account, plugin)))
    with pytest.raises(ConfigError) as refused:
        open_accounts(load({"API_KEY": "k"}, config=path), registry, nowhere)
    assert len(refused.value.args) == 2


GNUHEALTH = (
    '[clients.emrs.north]\nplugin = "gnuhealth"\n'
    'settings = { base_url = "https://his.example", database = "d", username = "u", password = "env:API_KEY", '
    'zone = "Europe/Stockholm" }\n'
)
CANVAS = fhir(more=', dialect = "canvas"')
MEDPLUM = fhir(more=', dialect = "medplum"')
MILLENNIUM = fhir(more=', dialect = "millennium", services = "serviceType"')
NO_CODE = "cancel_reason: plugin {} can't give a cancellation a code; leave it out"


@pytest.mark.parametrize(
    ("account", "code", "sentence"),
    [
        (fhir(), "pat-crs", None),
        (fhir(), "two words", None),
        (MILLENNIUM, "pat-crs", None),
        (CANVAS, "pat-crs", NO_CODE.format("fhir")),
        (MEDPLUM, "pat-crs", NO_CODE.format("fhir")),
        (GNUHEALTH, "patient", None),
        (GNUHEALTH, "centre", None),
        (GNUHEALTH, "nobody", "cancel_reason should be centre or patient with plugin gnuhealth"),
        (SANDBOX, "patient", NO_CODE.format("sandbox")),
    ],
)
def test_a_reason_for_cancellations_is_a_code_that_the_plugin_can_give(config, account, code, sentence):
    path = config(clients=CLIENT + account + f'cancel_reason = "{code}"\n')
    if sentence is None:
        assert opened(load({"API_KEY": "k"}, config=path))
    else:
        assert account_mistakes(path, {"API_KEY": "k"}) == [f"{NORTH}.{sentence}"]


@pytest.mark.parametrize("code", ["", " x", "x ", "two  words", "x\\n"])
def test_a_reason_that_is_no_code_is_refused(config, code):
    found = mistakes_in(config(clients=CLIENT + fhir(f'cancel_reason = "{code}"')))
    assert found == [f"{NORTH}: cancel_reason should match pattern '^\\S+(\\s\\S+)*$'"]


def test_a_setting_of_the_account_among_the_plugins_is_sent_where_it_belongs(config):
    clients = CLIENT + fhir(more=', cancel_reason = "other", proxi = "x"')
    assert account_mistakes(config(clients=clients)) == [
        f"{NORTH}.settings: cancel_reason is a setting of the account itself; put it beside plugin",
        f"{NORTH}.settings: proxi is not known here; remove it",
    ]


def test_what_a_plugin_says_of_an_account_is_said_unless_it_quotes_a_value(config, monkeypatch):
    path = config(clients=CLIENT + fhir(more=', cancel_reason_system = "urn:clinic"'))
    assert account_mistakes(path) == [
        f"{NORTH}: settings.cancel_reason_system needs a code of it, as the account's cancel_reason"
    ]
    registry = Registry.load({"fhir"})
    monkeypatch.setattr(registry, "open", raising(BadAccount("urn:clinic is no good")))
    with pytest.raises(ConfigError) as refused:
        open_accounts(load({}, config=path), registry, nowhere)
    assert placeless(list(refused.value.args), path) == [f"{NORTH}: has something that the plugin refuses"]


def raising(error: Exception):
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


def without_lists(emr: Emr) -> Emr:
    emr.capabilities = Capabilities()
    return emr


# -- ways -------------------------------------------------------------------------------------------------------------

OWN = 'tls = { ca = "file:ca.pem", certificate = "file:own.pem", private_key = "file:own.key" }'


@pytest.fixture
def pems(tmp_path: Path) -> Path:
    for name, text in (("ca.pem", AUTHORITY.pem), ("own.pem", GATEWAY.pem), ("own.key", GATEWAY.key_pem())):
        (tmp_path / name).write_text(text)
    return tmp_path


def mistakes_in(path: Path, environ: dict[str, str] | None = None) -> list[str]:
    found = placeless(examine(environ or {}, config=path)[1], path)
    assert SECRET not in "".join(found)
    return found


def test_a_way_is_read_with_what_its_references_refer_to(config, pems):
    clients = CLIENT + fhir(f'{OWN}\nproxy = "env:PROXY"')
    settings = load({"PROXY": f"http://user:{SECRET}@proxy:3128"}, config=config(clients=clients))
    (account,) = settings.clients[0].emrs
    assert account.way.tls == Tls(
        ca=AUTHORITY.pem.strip(), certificate=GATEWAY.pem.strip(), private_key=GATEWAY.key_pem().strip()
    )
    assert account.way.proxy == Proxy.parse(f"http://user:{SECRET}@proxy:3128")
    assert SECRET not in repr(settings)
    assert "PRIVATE KEY" not in repr(settings)
    taken = []
    open_accounts(
        settings, Registry.load({"fhir"}), lambda _v, _s, way: taken.append(way) or httpx.AsyncBaseTransport()
    )
    assert taken == [account.way]


def test_an_account_without_a_way_of_its_own_goes_directly(config):
    settings = load({}, config=config(clients=CLIENT + fhir()))
    assert settings.clients[0].emrs[0].way == DIRECT


@pytest.mark.parametrize(
    ("lines", "sentences"),
    [
        ('tls = { ca = "ca.pem" }', [".tls.ca holds no readable certificate in PEM"]),
        ('tls = { ca = "file:gone" }', [
            ".tls.ca refers to a file that can't be read (FileNotFoundError); see to gone",
        ]),
        ('tls = { certificate = "file:own.pem", private_key = "file:own.pem" }', [
            ".tls.private_key is no private key in PEM",
        ]),
        (f'tls = {{ certificate = "file:own.pem", private_key = "{SECRET}" }}', [
            ".tls.private_key is a secret; refer to it as env:NAME or file:PATH",
        ]),
        (f'tls = {{ certificate = "file:own.pem", private_key = "file:own.key", key_password = "{SECRET}" }}', [
            ".tls.key_password is a secret; refer to it as env:NAME or file:PATH",
        ]),
        ('tls = { verify = false }', [": tls.verify is not known here; remove it"]),
        ('tls = {}', [".tls.ca is missing, and certificate with private_key; give the one or the other"]),
        ('proxy = "proxy:3128"', [".proxy should be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"]),
        ('proxy = "env:GONE"', [".proxy refers to GONE, which the environment does not have; set it"]),
        (f'proxy = "http://user:{SECRET}@proxy:3128"', [
            ".proxy holds a password, which is a secret; refer to it as env:NAME or file:PATH",
        ]),
        (f'tls = {{ ca = "x" }}\nproxy = "https://user:{SECRET}@proxy:3128"', [
            ".tls.ca holds no readable certificate in PEM",
            f".proxy {UNSPOKEN}",
        ]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_way_is_said_before_anything_is_sent(config, pems, lines, sentences):
    found = mistakes_in(config(clients=CLIENT + fhir(lines)))
    assert found == [NORTH + sentence for sentence in sentences]


def test_a_proxy_without_a_password_and_a_demonstration_may_be_written_out(config):
    plain = fhir('proxy = "http://proxy:3128"')
    assert mistakes_in(config(clients=CLIENT + plain)) == []
    secret = fhir(f'proxy = "http://user:{SECRET}@proxy:3128"')
    assert mistakes_in(config(clients=f"demo = true\n{CLIENT}{secret}")) == []


def test_one_certificate_of_many_accounts_is_tried_once(config, pems, monkeypatch):
    tried = []
    monkeypatch.setattr(Tls, "mistakes", lambda tls: tried.append(tls) or iter(()))
    many = "".join(fhir(OWN).replace("north", f"north{n}") for n in range(5))
    load({}, config=config(clients=CLIENT + many))
    assert len(tried) == 1


@pytest.mark.parametrize("line", [OWN, 'proxy = "http://proxy:3128"'])
def test_nothing_leads_through_a_network_to_an_emr_that_lives_in_the_gateway(config, pems, line):
    path = config(clients=CLIENT + SANDBOX + line + "\n")
    sentence = f"{NORTH}: its EMR lives in the gateway itself; leave out tls and proxy"
    assert account_mistakes(path, {"API_KEY": "k"}) == [sentence]
    elsewhere = SANDBOX.replace('clinic = "north"', 'clinic = "north", base_url = "https://sandbox.example"')
    assert opened(load({"API_KEY": "k"}, config=config(clients=CLIENT + elsewhere + line + "\n")))


# -- editions ------------------------------------------------------------------------------------------------------


def test_an_account_bears_its_edition(config):
    clients = CLIENT + SANDBOX.replace(" }", ', personality = "no-move" }')
    account = opened(load({"API_KEY": "k"}, config=config(clients=clients)))["app", "north"]
    assert (account.edition.name, account.edition.capabilities) == ("no-move", account.emr.capabilities)


@pytest.mark.parametrize(("found", "kept"), [({"comment": False}, True), ({"moves_awaiting": True}, False)])
async def test_a_probe_takes_away_and_adds_nothing(config, monkeypatch, found, kept):
    account = opened(load({"API_KEY": "k"}, config=config(clients=CLIENT + SANDBOX)))["app", "north"]
    told = replace(account.emr.capabilities, **found)

    async def probing() -> Capabilities:
        return told

    monkeypatch.setattr(account.emr, "probe", probing)
    if kept:
        await probe(account)
        assert account.emr.capabilities == told
        return
    with pytest.raises(PluginError, match="a probe finds more than the edition in-place claims: moves_awaiting"):
        await probe(account)
    assert account.emr.capabilities == account.edition.capabilities
