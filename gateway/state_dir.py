"""The state directory belongs to one process at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self


class StateDirBusy(Exception):
    """Another gateway process uses this state directory."""


class StateDirUnusable(Exception):
    """The state directory can't be created or written."""


class StateDir:
    """A claimed state directory. The kernel gives it back when the process ends, however it ends."""

    def __init__(self, path: Path, locked: ExitStack) -> None:
        self.path = path
        self._locked = locked

    def release(self) -> None:
        """Let others claim it; a second call does nothing. The lock file stays: it tells who was the last."""
        self._locked.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def claim(path: Path) -> StateDir:
    """Make `path` (0700) if need be and claim it for this process' life.

    Raises `StateDirBusy`, `StateDirUnusable`.
    """
    with ExitStack() as locked:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory = _opened(locked, path, os.O_RDONLY | os.O_DIRECTORY)
            descriptor = _opened(locked, path / "lock", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StateDirUnusable(f"STATE_DIR {path} can't be used ({type(error).__name__}).") from None
        _lock(path, directory, descriptor)
        return StateDir(path, locked.pop_all())


def _opened(locked: ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    locked.callback(os.close, descriptor)
    return descriptor


def _lock(path: Path, directory: int, descriptor: int) -> None:
    try:
        _lock_directory(directory)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        owner = _owner(descriptor)
        raise StateDirBusy(f"STATE_DIR {path} is used by another gateway process{owner}.") from None
    except OSError as error:
        raise StateDirUnusable(f"STATE_DIR {path} can't be locked ({type(error).__name__}).") from None


def _lock_directory(directory: int) -> None:
    """Whoever takes the lock file for a stale one and deletes it must not let a second process in by that."""
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # some file systems lock files only


def _owner(descriptor: int) -> str:
    written = os.pread(descriptor, 20, 0).strip()
    return f" (pid {int(written)})" if written.isdigit() else ""
