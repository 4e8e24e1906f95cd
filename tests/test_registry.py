"""Plugins that keep their promises, and all the ways in which others don't."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel

from gateway.hookspecs import ENTRY_POINTS
from gateway.port import Account
from gateway.registry import PluginError, Registry
from gateway.vendor.http import Door

GOOD = """
from pydantic import BaseModel
from gateway.plugin import Appointment, Capabilities, Emr, Kind, Vendor, hookimpl

class Settings(BaseModel):
    pass

class AcmeEmr(Emr):
    async def appointment(self, id):
        return None

    async def cancel(self, step):
        return None

CAN = Capabilities(cancel=True)
KEY, API, SETTINGS, EMR = "acme", 1, Settings, AcmeEmr

@hookimpl
def emr_vendor():
    return Vendor(key=KEY, name="Acme", api=API, settings=SETTINGS, emr=EMR, capabilities=CAN)

@hookimpl
def emr_open(account):
    return AcmeEmr(CAN, "acme:1")
"""

Plugin = Callable[..., EntryPoint]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """Writes a plugin's module; → its entry point."""
    written: list[str] = []

    def write(source: str, name: str = "acme", attribute: str = "") -> EntryPoint:
        module = f"hostile_{tmp_path.name.replace('-', '_')}_{len(written)}"
        (tmp_path / f"{module}.py").write_text(source)
        written.append(module)
        return EntryPoint(name=name, value=module + attribute, group=ENTRY_POINTS)

    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for module in written:
        sys.modules.pop(module, None)


class NoSettings(BaseModel):
    pass


def account() -> Account:
    return Account("clinic", NoSettings(), Door(httpx.AsyncBaseTransport()))


def refusal(*points: EntryPoint, name: str = "acme") -> str:
    registry = Registry.load({name}, points)
    assert name not in registry.vendors
    return " / ".join(registry.broken[name])


def test_a_plugin_that_keeps_its_promises_is_loaded_and_opened(plugin):
    registry = Registry.load({"acme"}, [plugin(GOOD)])
    assert registry.broken == {}
    assert registry.vendor("acme").name == "Acme"
    assert registry.open(account(), "acme").tenant == "acme:1"


def test_the_plugins_beside_the_gateway_keep_their_promises():
    registry = Registry.load()
    assert registry.broken == {}
    assert {"sandbox", "fhir"} <= set(registry.vendors)


def test_only_what_is_asked_for_is_imported(plugin):
    bomb = plugin("raise RuntimeError", name="bomb")
    registry = Registry.load({"acme"}, [bomb, plugin(GOOD)])
    assert registry.broken == {}
    assert bomb.value not in sys.modules


def test_a_broken_plugin_does_not_stop_the_others(plugin):
    registry = Registry.load(None, [plugin("raise RuntimeError", name="bomb"), plugin(GOOD)])
    assert set(registry.vendors) == {"acme"}
    assert set(registry.broken) == {"bomb"}


def test_a_plugin_that_is_not_installed_is_named_with_those_that_are(plugin):
    assert refusal(plugin(GOOD), name="ghost") == "plugin ghost is not installed; installed are: acme"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError (No module named 'nothing_of_that_name')"),
        ("def (", "SyntaxError"),
        ("raise RuntimeError('the password is hunter2')", "RuntimeError"),
        ("import sys; sys.exit(3)", "SystemExit"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused_with_its_error(plugin, source, told):
    sentence = refusal(plugin(source))
    assert sentence.startswith("plugin acme can't be imported")
    assert told in sentence
    assert "hunter2" not in sentence


def test_an_entry_point_must_name_a_module(plugin):
    point = plugin(GOOD, attribute=":AcmeEmr")
    assert refusal(point) == f"plugin acme: its entry point must name a module ({point.value} is none)"


def test_an_entry_point_of_a_name_that_is_there_twice_is_refused(plugin):
    assert refusal(plugin(GOOD), plugin(GOOD)) == "plugin acme is offered by 2 packages: uninstall all but one"


def test_an_entry_points_name_must_be_a_slug(plugin):
    sentence = refusal(plugin(GOOD, name="Acme EMR"), name="Acme EMR")
    assert sentence == "plugin Acme EMR: its entry point's name must be a slug of a-z, 0-9, - and _"


def test_two_plugins_of_one_module_are_refused(plugin):
    point = plugin(GOOD)
    second = EntryPoint(name="zeta", value=point.value, group=ENTRY_POINTS)
    registry = Registry.load(None, [point, second])
    assert set(registry.vendors) == {"acme"}
    assert registry.broken["zeta"] == ("plugin zeta names a module that another plugin names, too",)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("", "plugin acme has no hook: mark emr_vendor and emr_open with gateway.plugin.hookimpl"),
        (
            GOOD.replace("@hookimpl\ndef emr_open", "def emr_open"),
            "plugin acme has no hook emr_open: it needs both emr_vendor and emr_open",
        ),
        (
            GOOD.replace("def emr_open", "def emr_opne"),
            "plugin acme has an unknown hook 'emr_opne': the hooks are emr_vendor and emr_open",
        ),
        (
            GOOD.replace("def emr_vendor", "async def emr_vendor"),
            "plugin acme: emr_vendor is async; hooks are plain functions",
        ),
        (
            GOOD.replace("return Vendor", "yield Vendor"),
            "plugin acme: emr_vendor is a generator; hooks are plain functions that return",
        ),
        (
            GOOD.replace("@hookimpl\ndef emr_open", "@hookimpl(wrapper=True)\ndef emr_open").replace(
                "return AcmeEmr", "return (yield) or AcmeEmr"
            ),
            "plugin acme: emr_open is a generator; hooks are plain functions that return",
        ),
    ],
)
def test_hooks_are_checked(plugin, source, sentence):
    assert refusal(plugin(source)) == sentence


def test_a_hook_that_asks_for_more_than_there_is_is_refused(plugin):
    sentence = refusal(plugin(GOOD.replace("emr_open(account)", "emr_open(account, database)")))
    assert sentence.startswith("plugin acme: ")
    assert "database" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "return Vendor(",
            "return dict(",
            "plugin acme: emr_vendor gives a value of type dict, it must give one Vendor",
        ),
        ("return Vendor(", "dict(", "plugin acme: emr_vendor gives nothing, it must give one Vendor"),
        ("return Vendor(", "return 1 / 0, dict(", "plugin acme: emr_vendor raises ZeroDivisionError"),
        ('"acme", 1,', '"acme", 2,', "plugin acme speaks plugin API 2, this gateway speaks 1: "),
        ('"acme", 1,', '"zeta", 1,', "plugin acme: its key is 'zeta', it must be the entry point's name"),
        ('"acme", 1,', '"Ac me", 1,', "plugin acme: its key must be a slug of a-z, 0-9, - and _"),
        ("1, Settings,", "1, dict,", "plugin acme: its settings are the class dict, they must be a pyd"),
        (
            "1, Settings,",
            "1, Settings(),",
            "plugin acme: its settings are a value of type Settings, they must be a pyd",
        ),
        ("Settings, AcmeEmr", "Settings, Settings", "plugin acme: its emr is the class Settings, it must be a subcl"),
        ("capabilities=CAN", "capabilities=None", "plugin acme: its capabilities are nothing, they must be Capabil"),
        ("name='Acme'", "name=''", "plugin acme: its name must be a text"),
        ("capabilities=CAN", "capabilities=CAN, embedded=1", "plugin acme: its embedded must be a function"),
        ("capabilities=CAN", "capabilities=CAN, consent=1", "plugin acme: its consent must be a function"),
    ],
)
def test_an_introduction_is_checked(plugin, old, new, sentence):
    source = GOOD.replace('name="Acme"', "name='Acme'")
    assert old in source
    assert refusal(plugin(source.replace(old, new))).startswith(sentence)


CAPABILITIES = [
    ("lists=True", "calendar"),
    ("free_time='slots'", "free_time"),
    ("free_time='windows'", "free_time"),
    ("directories=frozenset(Kind)", "directory"),
    ("move='in_place'", "change"),
    ("move='new_id'", "change"),
    ("reassign='in_place'", "change"),
    ("comment=True", "change"),
    ("create=True", "create"),
    ("discard=True", "discard"),
    ("confirm='flag'", "confirm"),
    ("bundle_max=100", "bundle"),
    ("slot_records=True", "mark_slot"),
]


@pytest.mark.parametrize(("declared", "method"), CAPABILITIES)
def test_what_is_declared_must_be_implemented(plugin, declared, method):
    sentence = refusal(plugin(GOOD.replace("cancel=True", f"cancel=True, {declared}")))
    assert sentence.startswith("plugin acme: it declares ")
    assert f"AcmeEmr does not implement {method}" in sentence


@pytest.mark.parametrize("method", sorted({method for _, method in CAPABILITIES}))
def test_what_is_implemented_must_be_declared(plugin, method):
    more = f"class AcmeEmr(Emr):\n    async def {method}(self, asked):\n        return None\n"
    sentence = refusal(plugin(GOOD.replace("class AcmeEmr(Emr):", more)))
    assert sentence.startswith(f"plugin acme: AcmeEmr implements {method}, but its capabilities do not declare ")


@pytest.mark.parametrize(("declared", "method"), CAPABILITIES[:-1])
def test_what_is_declared_and_implemented_is_taken(plugin, declared, method):
    more = f"class AcmeEmr(Emr):\n    async def {method}(self, asked):\n        return None\n"
    source = GOOD.replace("class AcmeEmr(Emr):", more).replace("cancel=True", f"cancel=True, {declared}")
    assert Registry.load({"acme"}, [plugin(source)]).broken == {}


def test_slots_are_marked_only_where_they_can_be_found(plugin):
    more = "\n    ".join(f"async def {method}(self, asked): return None" for method in ("mark_slot", "free_time"))
    source = GOOD.replace("class AcmeEmr(Emr):", f"class AcmeEmr(Emr):\n    {more}")
    blind = source.replace("async def free_time", "async def other")
    assert refusal(plugin(blind.replace("cancel=True", "slot_records=True"))).endswith(
        "its edition standard declares slot_records, which are found by the free time that is told"
    )
    both = source.replace("cancel=True", "cancel=True, slot_records=True, free_time='slots'")
    assert Registry.load({"acme"}, [plugin(both)]).broken == {}


def test_an_emr_that_can_only_look_up_lists_no_directory_but_may_declare_one(plugin):
    more = "class AcmeEmr(Emr):\n    async def look_up(self, kind, id):\n        return None\n"
    source = GOOD.replace("class AcmeEmr(Emr):", more)
    declared = source.replace("cancel=True", "cancel=True, directories=frozenset(Kind)")
    assert Registry.load({"acme"}, [plugin(source)]).broken == {}
    assert Registry.load({"acme"}, [plugin(declared)]).broken == {}


def test_an_emr_that_cannot_read_an_appointment_is_refused(plugin):
    sentence = refusal(plugin(GOOD.replace("async def appointment(", "async def nothing(")))
    assert sentence == "plugin acme: AcmeEmr does not implement appointment, without which nothing can be read"


def test_all_mistakes_of_a_plugin_are_told_at_once(plugin):
    registry = Registry.load({"acme"}, [plugin(GOOD.replace("cancel=True", "create=True, lists=True"))])
    assert len(registry.broken["acme"]) == 3


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ("Emr(CAN, 'acme:1')", "plugin acme: emr_open gives no AcmeEmr"),
        ("None", "plugin acme: emr_open gives no AcmeEmr"),
        ("AcmeEmr(None, 'acme:1')", "plugin acme: the account that emr_open gives has no capabilities"),
        ("AcmeEmr(CAN, '')", "plugin acme: the account that emr_open gives names no tenant"),
        ("int('hunter2')", "plugin acme: emr_open raises ValueError"),
    ],
)
def test_what_a_plugin_opens_is_checked(plugin, result, sentence):
    registry = Registry.load({"acme"}, [plugin(GOOD.replace('AcmeEmr(CAN, "acme:1")', result))])
    with pytest.raises(PluginError) as refused:
        registry.open(account(), "acme")
    assert str(refused.value) == sentence


def test_an_account_is_opened_by_its_own_plugin_only(plugin):
    greedy = GOOD.replace('"acme", 1', '"zeta", 1').replace('"acme:1"', '"captured"')
    registry = Registry.load(None, [plugin(GOOD), plugin(greedy, name="zeta")])
    assert registry.open(account(), "acme").tenant == "acme:1"
    assert registry.open(account(), "zeta").tenant == "captured"


def test_a_refused_plugin_answers_no_hook_any_more(plugin):
    refused = plugin(GOOD.replace("cancel=True", "create=True"), name="acme")
    registry = Registry.load(None, [refused, plugin(GOOD.replace('"acme", 1', '"zeta", 1'), name="zeta")])
    assert set(registry.vendors) == {"zeta"}
    with pytest.raises(PluginError, match="plugin acme"):
        registry.open(account(), "acme")


# -- editions ---------------------------------------------------------------------------------------------------------

EDITIONS = GOOD.replace("capabilities=CAN)", "capabilities=CAN, editions=EDITIONS)").replace(
    "import Appointment", "import Edition, Appointment"
)


def with_editions(editions: str, open_as: str = "standard") -> str:
    source = EDITIONS.replace("KEY, API", f"EDITIONS = {editions}\nKEY, API")
    return source.replace('"acme:1")', f'"acme:1", "{open_as}")')


ONE = "Edition(name='one', title='One', capabilities=CAN)"


def test_a_plugin_without_editions_comes_in_one_that_can_do_all_it_declares(plugin):
    registry = Registry.load({"acme"}, [plugin(GOOD)])
    (edition,) = registry.vendor("acme").comes_in
    assert (edition.name, edition.title, edition.tested) == ("standard", "Acme", "document")
    assert edition.capabilities == registry.vendor("acme").capabilities
    assert registry.open(account(), "acme").edition == "standard"


def test_an_account_says_of_which_edition_it_is(plugin):
    two = f"({ONE}, Edition(name='two', title='Two', capabilities=Capabilities()))"
    registry = Registry.load({"acme"}, [plugin(with_editions(two, "one"))])
    assert registry.broken == {}
    assert registry.open(account(), "acme").edition == "one"


@pytest.mark.parametrize(
    ("editions", "sentence"),
    [
        ("[]", "its editions are a value of type list, they must be a tuple of Edition"),
        ("(CAN,)", "its editions are a value of type tuple, they must be a tuple of Edition"),
        (f"({ONE}, {ONE})", "it has 2 editions called one"),
        (f"({ONE[:-1]}, against=5),)", "its edition 'one': against what it was tested must be a text"),
        (f"({ONE[:-1]}, tested=[]),)", "its edition 'one': each of update, cancel, confirm, create, bulk_update, "),
        (f"({ONE[:-1]}, otherwise=5),)", "its edition 'one': each of update, cancel, confirm, create, bulk_update, "),
        ("(Edition(name=[], title='One', capabilities=CAN),)", "its edition []: its name must be a slug of a-z, 0-9, "),
        (f"({ONE.replace('one', 'O ne')},)", "its edition 'O ne': its name must be a slug of a-z, 0-9, - and _"),
        (f"({ONE.replace('One', '')},)", "its edition 'one': its title must be a text"),
        (f"({ONE.replace('CAN', 'None')},)", "its edition 'one': its capabilities are nothing, they must be Capa"),
        (f"({ONE[:-1]}, tested='live'),)", "its edition 'one': what is tested live must say against which server"),
        (f"({ONE[:-1]}, otherwise={{'cancel': 'live'}}),)", "its edition 'one': what is tested live must say against"),
        (f"({ONE[:-1]}, tested='well'),)", "its edition 'one': each of update, cancel, confirm, create, bulk_update, "),
        (f"({ONE[:-1]}, otherwise={{'fly': 'own'}}),)", "its edition 'one': each of update, cancel, confirm, create, "),
        (f"({ONE[:-1]}, otherwise={{'reads': ''}}),)", "its edition 'one': each of update, cancel, confirm, create, "),
        (f"({ONE.replace('CAN', 'Capabilities(create=True, cancel=True)')},)",
         "its edition one claims more than its capabilities declare: create"),
        (f"({ONE.replace('CAN', 'Capabilities()')},)", "it declares cancel, which none of its editions can do"),
    ],
)  # fmt: skip
def test_editions_are_checked(plugin, editions, sentence):
    assert refusal(plugin(with_editions(editions))).startswith(f"plugin acme: {sentence}")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (with_editions(f"({ONE},)", "two"), "the account that emr_open gives is of no edition of the plugin's"),
        (
            GOOD.replace('AcmeEmr(CAN, "acme:1")', 'AcmeEmr(Capabilities(cancel=True, comment=True), "acme:1")'),
            "the account claims more than the edition standard: comment",
        ),
    ],
)
def test_an_account_is_held_against_its_edition(plugin, source, sentence):
    registry = Registry.load({"acme"}, [plugin(source)])
    with pytest.raises(PluginError) as refused:
        registry.open(account(), "acme")
    assert str(refused.value) == f"plugin acme: {sentence}"
