"""What `new-plugin` writes, what it refuses, and that a package of somebody's own is green at once."""

from __future__ import annotations

import ast
import json
import sys
import tokenize
import tomllib
from io import StringIO
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.new_plugin import LONGEST, TEMPLATE, CantWrite, written
from gateway.testing.conformance_report import CASES
from tests.new_plugin.installed import KEY, built, install, run

NAMES = {
    "docs/nimbus_care.md",
    "pyproject.toml",
    "src/emr_nimbus_care/__init__.py",
    "src/emr_nimbus_care/py.typed",
    "tests/conftest.py",
    "tests/fake.py",
    "tests/practice.py",
    "tests/test_contract.py",
    "tests/test_over_http.py",
    "tests/test_requests.py",
}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "",
        "Acme",
        "9lives",
        "a-b",
        "a b",
        "_a",
        "a_",
        "a__b",
        "../up",
        "a/b",
        "a.b",
        "å",
        "ａ",
        "a\n",
        "x" * (LONGEST + 1),
    ],
)
def test_a_key_that_is_no_plain_name_is_refused(key, tmp_path):
    with pytest.raises(CantWrite, match="begins with a letter"):
        written(key, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_taken_is_refused(tmp_path, monkeypatch):
    with pytest.raises(CantWrite, match="plugin called sandbox is installed"):
        written("sandbox", tmp_path)
    (tmp_path / "emr_tried.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CantWrite, match="module called emr_tried"):
        written("tried", tmp_path)


def test_nothing_is_written_over(tmp_path):
    folder = tmp_path / "emr-nimbus"
    folder.symlink_to(tmp_path / "nowhere")
    with pytest.raises(CantWrite, match="is there already"):
        written("nimbus", tmp_path)
    folder.unlink()
    folder.mkdir()
    with pytest.raises(CantWrite, match="is there already"):
        written("nimbus", tmp_path)
    assert not list(folder.iterdir())


def test_a_package_is_written_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    def full(path: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CantWrite, match="No space left"):
        written("nimbus", tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command_line_says_what_to_do_next_or_why_not(tmp_path, capsys):
    assert main(["new-plugin", "nimbus", "--into", str(tmp_path)]) == 0
    assert (
        f"cd {tmp_path}/emr-nimbus && python -m pip install -e '.[test]' && python -m pytest" in capsys.readouterr().out
    )
    assert main(["new-plugin", "nimbus", "--into", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/emr-nimbus is there already.\n"


# -- what is written --------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path) -> Path:
    return written(KEY, tmp_path)


def test_all_of_it_bears_its_own_name(package):
    files = {path.relative_to(package).as_posix(): path for path in package.rglob("*") if path.is_file()}
    assert set(files) == NAMES
    assert not [name for name, path in files.items() if "acme" in path.read_text().lower()]
    told = tomllib.loads(files["pyproject.toml"].read_text())
    assert told["project"]["name"] == "emr-nimbus-care"
    assert told["project"]["entry-points"] == {"emr_gateway.v1": {KEY: f"emr_{KEY}"}}


def test_no_name_of_its_own_could_be_one_that_stands_there_already():
    """A key may be any word, such as `emr` or `request`: it is only ever a part of a name."""
    for path in TEMPLATE.rglob("*.py"):
        names = {token.string for token in tokenize.generate_tokens(StringIO(path.read_text()).readline)}
        told = {name for name in names if name.isidentifier() and "acme" in name.lower()}
        assert told <= {"emr_acme", "AcmeEmr", "FakeAcme"} | {name for name in told if name.startswith("TestAcme")}


def test_a_plugin_imports_the_facade_alone_and_its_fake_nothing_of_ours():
    for path in (TEMPLATE / "src").rglob("*.py"):
        assert {name for name in imported(path) if name.partition(".")[0] == "gateway"} <= {"gateway.plugin"}
    known = {name.partition(".")[0] for name in imported(TEMPLATE / "tests" / "fake.py")}
    assert known <= {"starlette", *sys.stdlib_module_names}


def test_a_package_of_ones_own_is_green_comes_in_by_its_entry_point_and_tells_how_it_conforms(package, tmp_path):
    """All of it is run by `make drill`: its fault matrix, too, and every form of the PATCH."""
    site, report = tmp_path / "site", tmp_path / "report.md"
    install(built(package, tmp_path / "dist"), "--target", site)
    (package / "src").rename(tmp_path / "src")  # so that what is tested is what was installed
    quickly = ["-q", "-p", "no:randomly", "-k", "not WhenItBreaks and (not OverHttp or other_times or range_is)"]
    said = run(package, sys.executable, "-m", "pytest", *quickly, f"--conformance={report}", path=site)
    assert "failed" not in said.replace("0 failed", "")
    (account,) = json.loads((tmp_path / "report.md.json").read_text())["accounts"]
    assert (account["plugin"], account["package"], account["conforms"]) == (KEY, "emr-nimbus-care 0.1.0", True)
    assert {case.partition("[")[0] for case in account["cases"]} == set(CASES)
