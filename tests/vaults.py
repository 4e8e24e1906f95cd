"""A third party's package with kinds of references, installed as packages are: by its metadata beside its module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.configuration import references

MODULE = """
asked = []

def vault(where):
    asked.append(where)
    return {"emr/north#token": "out-of-the-vault"}[where]

def silent(where):
    return None

def hostile(where):
    raise SystemExit("the secret is out-of-the-vault")
"""
KINDS = {"vault": "vault", "silent": "silent", "hostile": "hostile", "gone": "gone", "env": "vault", "https": "vault"}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Installs a package that offers kinds; → the name of its module."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)
    count = 0

    def install(kinds: dict[str, str] = KINDS) -> str:
        nonlocal count
        count += 1
        module = f"acme_vault_{tmp_path.name.replace('-', '_')}_{count}"
        about = site / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{module}.py").write_text(MODULE)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        points = "".join(f"{kind} = {module}:{function}\n" for kind, function in kinds.items())
        (about / "entry_points.txt").write_text(f"[{references.ENTRY_POINTS}]\n{points}")
        references._others.cache_clear()
        return module

    yield install
    references._others.cache_clear()
