"""A back-up of the state directory while the gateway works: all that another start needs, but for the master key."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.keys import sync_directory

_DATABASES = ("ledger.sqlite", "credentials.sqlite")
"""In this order: a command in the first may need what the second holds."""
_FILES = ("former-keys.json",)
_PATIENCE_S = 30.0


class CantBackUp(Exception):
    """There is nothing to back up, or no place for it. The text says which."""


def back_up(state_dir: Path, target: Path) -> list[str]:
    """Into a new directory (0700), which is there only when it is whole and durable. → the names of its files.

    Raises CantBackUp.
    """
    if not (state_dir / _DATABASES[0]).exists():
        raise CantBackUp(f"STATE_DIR {state_dir} has no ledger.")
    if target.exists():
        raise CantBackUp(f"{target} is there already; name a new directory.")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(mode=0o700)
        copied = [*_databases(state_dir, draft), *_files(state_dir, draft)]
        sync_directory(draft)
        draft.rename(target)
        sync_directory(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise CantBackUp(f"{target} can't be written ({type(error).__name__}); {draft} may be left over.") from None
    return copied


def _databases(state_dir: Path, draft: Path) -> Iterator[str]:
    for name in _DATABASES:
        if (state_dir / name).exists():
            _copy(state_dir / name, _made(draft / name))
            yield name


def _files(state_dir: Path, draft: Path) -> Iterator[str]:
    for name in _FILES:
        if (state_dir / name).exists():
            with _made(draft / name).open("wb") as file:
                file.write((state_dir / name).read_bytes())
                file.flush()
                os.fsync(file.fileno())
            yield name


def _copy(source: Path, copy: Path) -> None:
    """As of one moment; those who write meanwhile don't wait for it. Raises sqlite3.Error, OSError."""
    uri = f"{source.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S)) as origin, closing(sqlite3.connect(copy)) as made:
        origin.backup(made)
        made.execute("PRAGMA journal_mode = DELETE")  # one file, whole by itself
        (found,) = made.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError("the copy is damaged")
    descriptor = os.open(copy, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _made(path: Path) -> Path:
    """Empty, and for its owner's eyes only before anything is in it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return path
