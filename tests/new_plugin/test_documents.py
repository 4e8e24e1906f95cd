"""docs/write-a-plugin.md: what it shows is what `new-plugin` writes, and what it names is there."""

from __future__ import annotations

import ast
import builtins
import re
import shlex
import tomllib
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import pytest

import gateway.plugin
from gateway.domain.capabilities import Capabilities
from gateway.new_plugin import TEMPLATE
from gateway.terminal.arguments import parser

GUIDE = (Path(__file__).parents[2] / "docs" / "write-a-plugin.md").read_text()
BLOCKS = re.findall(r"(?:<!-- from (\S+) -->\n)?```(\w+)\n(.*?)```", GUIDE, re.DOTALL)
SHOWN = [(source, text) for source, _, text in BLOCKS if source]
EXAMPLES = [text for source, kind, text in BLOCKS if kind == "python" and not source]
LONGEST = 250


def test_it_takes_few_lines():
    assert len(GUIDE.splitlines()) < LONGEST


@pytest.mark.parametrize(("source", "text"), SHOWN)
def test_what_it_shows_is_what_is_written(source, text):
    assert text in (TEMPLATE / source).read_text()


def test_it_shows_something_of_every_part():
    assert {source for source, _ in SHOWN} >= {
        path.relative_to(TEMPLATE).as_posix() for path in (TEMPLATE / "src").rglob("*.py")
    } | {"tests/fake.py", "docs/acme.md"}


@pytest.mark.parametrize("text", EXAMPLES)
def test_its_other_examples_are_python_and_use_what_the_facade_has(text):
    tree = compile(text, "example", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called
    assert called <= {*gateway.plugin.__all__, *vars(builtins)}


def test_every_file_that_it_names_is_written():
    named = re.findall(r"^\| `([\w./*]+)` \|", GUIDE, re.MULTILINE)
    assert len(named) >= 5
    assert all(list(TEMPLATE.glob(name)) for name in named)


def test_what_it_tells_to_declare_can_be_declared():
    table = [line.split("|")[2] for line in GUIDE.splitlines() if line.startswith("| ") and "`" in line.split("|")[2]]
    told = {name for cell in table for name in re.findall(r"`(\w+)=", cell)}
    assert len(told) > 8
    assert told <= {one.name for one in fields(Capabilities)}


def test_its_commands_can_be_typed():
    typed = re.findall(r"python -m gateway ([^\n`]+)", GUIDE)
    commands = parser(defaultdict(lambda: lambda _: 0), "x")
    assert [commands.parse_args(shlex.split(one)) for one in typed]
    assert "new-plugin acme" in " ".join(typed)


def test_the_account_that_it_configures_is_one_that_a_clients_file_can_have():
    (told,) = [tomllib.loads(text) for _, kind, text in BLOCKS if kind == "toml"]
    account = told["clients"]["emrs"]["clinic"]
    assert account["plugin"] == "acme"
    declared = re.findall(r"^    (\w+): ", (TEMPLATE / "src" / "emr_acme" / "__init__.py").read_text(), re.MULTILINE)
    assert set(account["settings"]) <= set(declared)
