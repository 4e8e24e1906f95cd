"""The house's own rules, held by a test each."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from importlib.metadata import entry_points
from io import StringIO
from pathlib import Path
from statistics import median

import pytest

import gateway.plugin
from gateway import __version__, hookspecs
from gateway.hookspecs import PROJECT

ROOT = Path(__file__).parents[1]
LONGEST_FILE = 320
SOURCES = sorted(path for room in ("gateway", "plugins") for path in (ROOT / room).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """The absolute names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} has a relative import"
            assert node.module is not None
            found.add(node.module)
            # `from gateway import keys` imports a module, too.
            found |= {f"{node.module}.{a.name}" for a in node.names if node.module in ("gateway", "plugins")}
    return found


def _constants_classes_functions(name: str) -> tuple[bool, bool, str]:
    return not name.isupper(), name[0].islower(), name


# -- the façade and the hooks -----------------------------------------------------------------------------------------


def test_the_facade_names_all_that_it_promises_in_order():
    exported = gateway.plugin.__all__
    assert exported == sorted(exported, key=_constants_classes_functions)
    public = {name for name in vars(gateway.plugin) if not name.startswith("_")} - {"annotations"}
    assert set(exported) == public


def test_every_hook_says_what_it_is_for_and_has_arguments_that_pluggy_passes():
    hooks = [hook for hook in vars(hookspecs).values() if hasattr(hook, f"{PROJECT}_spec")]
    assert [hook.__name__ for hook in hooks] == ["emr_vendor", "emr_open"]
    for hook in hooks:
        assert hook.__doc__
        assert hook.__defaults__ is None
        assert hook.__kwdefaults__ is None


# -- who may import whom: what the import contracts of pyproject.toml can't say ----------------------------------------


@pytest.mark.parametrize("path", [p for p in SOURCES if name(p).startswith("gateway/domain/")], ids=name)
def test_the_domain_imports_the_standard_library_and_itself(path):
    for module in imported(path):
        assert module.partition(".")[0] in sys.stdlib_module_names or module.startswith("gateway.domain"), module


@pytest.mark.parametrize("path", [p for p in SOURCES if name(p).startswith("plugins/")], ids=name)
def test_a_plugin_imports_nothing_of_the_gateway_but_the_facade(path):
    assert {module for module in imported(path) if module.partition(".")[0] == "gateway"} <= {"gateway.plugin"}


@pytest.mark.parametrize("path", [p for p in SOURCES if name(p).startswith("gateway/")], ids=name)
def test_only_the_registry_and_the_hooks_know_pluggy(path):
    if "pluggy" in imported(path):
        assert name(path) in ("gateway/registry.py", "gateway/hookspecs.py")


def test_the_import_contracts_are_run_by_lint():
    assert "bin/lint-imports" in (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_is_short_enough_to_be_read_and_says_what_it_is(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text)), "it has no docstring"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is not a checkout")
def test_no_file_names_a_machine_or_a_registry():
    # Written so that this file names none.
    banned = re.compile(r"/ro{2}t/|/w[o]rk/|/ho[m]e/\w|py[p]i\.org|pytho[n]hosted")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for tracked in filter(None, listed.split("\0")):
        path = ROOT / tracked
        if path.is_file():
            found = banned.search(path.read_bytes().decode(errors="replace"))
            assert found is None, f"{tracked} has {found}"


def test_every_lock_holds_hashes_for_all_that_it_names():
    for lock in ROOT.rglob("*.lock"):
        if ".venv" in name(lock):
            continue
        requirements = re.split(r"\n(?=[a-z0-9])", lock.read_text().strip())
        assert requirements
        assert all("==" in r and "--hash=sha256:" in r for r in requirements), name(lock)


# -- plugins ----------------------------------------------------------------------------------------------------------

THIN = 200
"""Lines of code that most vendors' plugins do with, as the rest is in the gateway."""
NO_VENDORS = {"sandbox"}
"""What lets several EMRs be tried out is several plugins in one."""


def lines_of_code(path: Path) -> int:
    """Those with something in them that is neither a comment nor a docstring."""
    text = path.read_text()
    said = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    code = (token for token in tokens if token.type not in (tokenize.COMMENT, tokenize.NL) and token.string.strip())
    return len({line for token in code for line in range(token.start[0], token.end[0] + 1)} - said)


def test_most_plugins_are_thin():
    length: defaultdict[str, int] = defaultdict(int)
    for path in (ROOT / "plugins").rglob("*.py"):
        length[path.relative_to(ROOT / "plugins").parts[0].removesuffix(".py")] += lines_of_code(path)
    vendors = {plugin.name for plugin in entry_points(group="emr_gateway.v1")} - NO_VENDORS
    assert vendors <= set(length)
    assert median(length[name] for name in vendors) < THIN, dict(length)


def test_the_gateway_names_no_vendor():
    """Nor does what it writes or ships: removing a vendor removes its plugin and nothing else."""
    vendors = [path.stem for path in (ROOT / "plugins").glob("[a-z]*") if path.suffix in ("", ".py")]
    vendors += ["open dental", "gnu health", "tryton", "medplum", "canvas"]
    named = re.compile("|".join(sorted(set(vendors) - {"fhir", "sandbox"})), re.IGNORECASE)
    for path in (ROOT / "gateway").rglob("*"):
        if path.suffix in (".py", ".md", ".toml", ".html", ".json"):
            assert not named.search(path.read_text()), name(path)
    assert named.search("Cliniko's")


# -- what people read -------------------------------------------------------------------------------------------------


def test_the_readme_changes_an_appointment_before_line_40():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any("curl" in line and "PATCH" in line for line in lines[:39])


def test_links_between_the_documents_lead_somewhere():
    documents = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
            assert "://" in target or (document.parent / target).exists(), f"{name(document)} leads to {target}"


def test_every_setting_is_documented():
    documented = (ROOT / "docs" / "configuration.md").read_text()
    settings = re.findall(r"^#?(\w+) = ", (ROOT / "config" / "gateway.toml").read_text(), re.MULTILINE)
    assert len(settings) >= 10
    for setting in settings:
        assert re.search(rf"`(\w+\.)?{setting}`", documented), setting


def test_changes_are_led_by_what_they_are_about():
    text = (ROOT / "CHANGELOG.md").read_text()
    entries = re.findall(r"^- (.*)", text, re.MULTILINE)
    assert entries
    plugins = {path.stem for path in (ROOT / "plugins").glob("[a-z]*")}
    for entry in entries:
        led = re.match(r"\*\*(\w+)\*\*: ", entry)
        assert led, entry
        assert led[1] in {"gateway", *plugins}


def test_the_version_is_said_once():
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
