"""A lock file, taken apart: what it names, with which hashes, and what wants it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PIN = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))?\s*(?:\\|$)", re.MULTILINE
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_WANTED_BY = re.compile(r"^\s+#\s+(?:via\s+)?(?P<name>[a-z0-9][a-z0-9-]*)(?:\s+\(pyproject\.toml.*\))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pinned:
    """One package at one version."""

    name: str
    version: str
    marker: str
    """Where it is installed; empty: everywhere."""
    hashes: tuple[str, ...]
    """SHA-256, of each file that it may be installed from."""
    wanted_by: tuple[str, ...]
    """The packages that need it; the project itself is one."""


def read(path: Path) -> tuple[Pinned, ...]:
    """In the order of the file. Raises ValueError for what is not pinned by version and hash."""
    return tuple(map(_pinned, re.split(r"\n(?=[a-z0-9])", path.read_text().strip())))


def _pinned(text: str) -> Pinned:
    found, hashes = _PIN.match(text), tuple(_HASH.findall(text))
    if found is None or not hashes:
        raise ValueError(f"{text.splitlines()[0]}: should be pinned by version and hash")
    wanted_by = tuple(m["name"] for m in _WANTED_BY.finditer(text))
    return Pinned(found["name"], found["version"], found["marker"] or "", hashes, wanted_by)
