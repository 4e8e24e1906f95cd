"""`new-plugin`: a package of its own with a plugin in it that works, copied from one that is tested here."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from gateway.registry import Registry

TEMPLATE = Path(__file__).parent / "template"
"""A whole plugin for an EMR called Acme. Its files are real ones, so that they are linted, typed and tested as such."""
LONGEST = 40
_KEY = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_SUFFIXES = (".py", ".toml", ".md", ".typed")
"""What belongs to it; other files come about when it is run."""


class CantWrite(Exception):
    """A plugin can't be written as it was asked for; the text says why."""


def written(key: str, into: Path) -> Path:
    """Write the package for a plugin called `key` into a new folder in `into`, as a whole or not at all; → the folder.

    Raises CantWrite.
    """
    for mistake in _mistakes(key):
        raise CantWrite(mistake)
    folder = into.resolve() / f"emr-{key.replace('_', '-')}"
    if folder.exists() or folder.is_symlink():
        raise CantWrite(f"{folder} is there already.")
    try:
        _write(key, folder)
    except OSError as error:
        raise CantWrite(f"{folder} can't be written: {error.strerror}.") from None
    return folder


def _mistakes(key: str) -> Iterator[str]:
    if not _KEY.fullmatch(key) or len(key) > LONGEST:
        yield f"A plugin's key begins with a letter and has a-z, 0-9 and single _ in it, {LONGEST} characters at most."
    elif key in Registry.load(()).available:
        yield f"A plugin called {key} is installed already."
    elif find_spec(f"emr_{key}") is not None:
        yield f"A module called emr_{key} is installed already."


def _write(key: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".emr-{key}-", dir=folder.parent) as beside:
        whole = Path(beside) / folder.name
        for path in _files():
            target = whole / renamed(path.relative_to(TEMPLATE).as_posix(), key)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(renamed(path.read_text(encoding="utf-8"), key), encoding="utf-8")
        whole.rename(folder)


def _files() -> Iterator[Path]:
    return (path for path in sorted(TEMPLATE.rglob("*")) if path.is_file() and path.suffix in _SUFFIXES)


def renamed(text: str, key: str) -> str:
    """What is called Acme there, called as it is here."""
    title = "".join(part.capitalize() for part in key.split("_"))
    said = {"emr-acme": f"emr-{key.replace('_', '-')}", "acme": key, "Acme": title, "ACME": key.upper()}
    return re.sub("emr-acme|acme|Acme|ACME", lambda found: said[found[0]], text)
