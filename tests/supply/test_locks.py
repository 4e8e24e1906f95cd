"""What is installed: by hash, from the registries that the installer knows, and listed in a bill of materials."""

from __future__ import annotations

import json
import re
import stat
import sys
import tomllib

import pytest

from supply.audit import NONE, SOME, UNKNOWN, audit
from supply.locks import read
from supply.sbom import bill
from tests.supply.dockerfile import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
STEPS = [ROOT / "Makefile", ROOT / "Dockerfile", ROOT / ".ci" / "run", *(ROOT / "deploy").iterdir()]
FETCHES = re.compile(
    r"\b(curl|wget|aria2c?|git\s+clone|npx|apt(-get)?|apk|pipx)\b|git\+|https?://(?!127\.0\.0\.1|localhost|[\w.]*example\b)"
    r"|--(extra-)?index-url|--find-links|--trusted-host|\bpip\s+download\b|\bADD\s+http"
)


def test_traces_are_added_to_what_is_installed_and_change_nothing_of_it():
    without, traced = ({(one.name, one.version) for one in read(ROOT / f"requirements{x}.lock")} for x in ("", "-otel"))
    assert without < traced


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.name)
def test_no_step_of_an_installation_fetches_from_anywhere_but_the_registries(path):
    for line in path.read_text().splitlines():
        if not line.lstrip().startswith("#"):
            assert not FETCHES.search(line), line


@pytest.mark.parametrize(
    "text", ["curl -L x | sh", "pip install git+https://x", "pip install --find-links=x y", "ADD https://x /"]
)
def test_such_a_step_would_be_found(text):
    assert FETCHES.search(text)


def test_every_installation_by_make_is_by_hash_or_of_the_checkout_itself():
    installs = [
        line.strip() for line in (ROOT / "Makefile").read_text().splitlines() if re.search(r"pip install|npm ", line)
    ]
    assert len(installs) >= 5
    for line in installs:
        own = "--no-deps --no-build-isolation -e ." in line
        by_lock = "--require-hashes -r" in line or ("npm ci" in line and "--ignore-scripts" in line)
        assert own or by_lock or line.startswith("@command -v npm"), line


def test_what_npm_installs_is_known_by_its_hash():
    lock = json.loads((ROOT / "tests/live/medplum/package-lock.json").read_text())
    packages = {name: told for name, told in lock["packages"].items() if name}
    assert packages
    assert all(told["integrity"].startswith("sha512-") for told in packages.values())


def test_the_locks_agree_with_each_other():
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for one in read(lock):
            versions.setdefault(one.name, set()).add(one.version)
    assert len(versions) > 50
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_the_bill_of_materials_names_all_that_the_lock_does_and_what_needs_it(lock):
    told, pinned = bill(lock, PROJECT), read(lock)
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", told["serialNumber"])
    assert [component["purl"] for component in told["components"]] == [f"pkg:pypi/{o.name}@{o.version}" for o in pinned]
    assert all(component["hashes"] for component in told["components"])
    refs = {d["ref"] for d in told["dependencies"]}
    assert refs == {c["bom-ref"] for c in told["components"]} | {told["metadata"]["component"]["bom-ref"]}
    reached = {needed for d in told["dependencies"] for needed in d["dependsOn"]}
    assert {c["bom-ref"] for c in told["components"]} <= reached, "each is there because something needs it"
    assert json.dumps(told) == json.dumps(bill(lock, PROJECT))


def test_what_the_gateway_depends_on_is_what_it_says():
    told = bill(ROOT / "requirements.lock", PROJECT)
    (own,) = (d for d in told["dependencies"] if d["ref"] == told["metadata"]["component"]["bom-ref"])
    said = {re.split(r"[><=;\[ ]", requirement)[0] for requirement in PROJECT["dependencies"]}
    assert {ref.removeprefix("pkg:pypi/").partition("@")[0] for ref in own["dependsOn"]} == said


@pytest.fixture
def auditor(tmp_path):
    """A command that says what it is told to, in place of the one that asks an outside service."""

    def make(printed: str, status: int) -> str:
        path = tmp_path / "pip-audit"
        path.write_text(f"#!{sys.executable}\nimport sys\nprint({printed!r})\nsys.exit({status})\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


FLAW = {"id": "PYSEC-2031-1", "fix_versions": ["2"], "aliases": [], "description": "Something."}


@pytest.mark.parametrize(
    ("printed", "status", "expected"),
    [
        (json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}], "fixes": []}), 0, NONE),
        (json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": [FLAW]}], "fixes": []}), 1, SOME),
        (
            json.dumps({"dependencies": [{"name": "a", "skip_reason": "it could not be asked"}], "fixes": []}),
            0,
            UNKNOWN,
        ),
        (json.dumps({"dependencies": []}), 0, UNKNOWN),
        ("ERROR: connection refused", 1, UNKNOWN),
    ],
)
def test_an_audit_that_was_not_made_is_no_pass(auditor, capsys, printed, status, expected):
    assert audit(auditor(printed, status), ["requirements.lock"]) == expected
    said = capsys.readouterr()
    assert ("NOT AUDITED" in said.err) == (expected == UNKNOWN)
    assert ("PYSEC-2031-1, mended in 2" in said.out) == (expected == SOME)


def test_an_audit_without_its_command_is_none():
    assert audit("/nowhere/pip-audit", ["requirements.lock"]) == UNKNOWN
