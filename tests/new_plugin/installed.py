"""A package that `new-plugin` wrote: built, installed beside nothing of ours, and run in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

KEY = "nimbus_care"


def run(folder: Path, *command: str | Path, path: Path | None = None) -> str:
    """What it prints; it must succeed. `path`: a folder with installed packages, besides those that are there."""
    told = {n: os.environ[n] for n in ("PATH", "LANG", "TMPDIR") if n in os.environ}
    told |= {"PIP_CONFIG_FILE": os.devnull} | ({} if path is None else {"PYTHONPATH": str(path)})
    ended = subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-3000:]
    return ended.stdout


def built(package: Path, dist: Path) -> Path:
    """Its wheel, made without a network."""
    run(package, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", dist)
    (wheel,) = dist.glob("*.whl")
    return wheel


def install(wheel: Path, *where: str | Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(wheel.parent, *pip, "install", "--no-deps", "--no-index", *where, wheel)
