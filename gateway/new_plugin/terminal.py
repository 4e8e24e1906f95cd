"""`new-plugin`, as it is typed and answered."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from gateway.new_plugin import CantWrite, written


def add_command(commands: Any) -> argparse.ArgumentParser:
    typed: argparse.ArgumentParser = commands.add_parser(
        "new-plugin", help="write a package with a plugin, a fake EMR, their tests and a page"
    )
    typed.add_argument("key", help="what the EMR is called in configuration files: a-z, 0-9 and _")
    typed.add_argument("--into", type=Path, default=Path(), help="the folder in which its own is made (default: here)")
    return typed


def answered(asked: argparse.Namespace) -> int:
    """Exit status: 0 written, 1 it can't be, and standard error says why."""
    try:
        folder = written(asked.key, asked.into)
    except CantWrite as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{folder}: a plugin, a fake EMR, their tests and a page. It is green at once:")
    print(f"cd {shlex.quote(str(folder))} && python -m pip install -e '.[test]' && python -m pytest")
    return 0
