"""The state directory belongs to one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class StateDirBusy(Exception):
    """Another gateway process uses this state directory."""


class StateDirUnusable(Exception):
    """The state directory can't be created or written."""


class StateDir:
    """A claimed state directory. The kernel gives it back when the process ends, however it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others claim it; a second call does nothing. The lock file stays: without it two could claim."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

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
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StateDirUnusable(f"STATE_DIR {path} can't be used ({type(error).__name__}).") from None
    try:
        _lock(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return StateDir(path, descriptor)


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        owner = _owner(descriptor)
        raise StateDirBusy(f"STATE_DIR {path} is used by another gateway process{owner}.") from None
    except OSError as error:
        raise StateDirUnusable(f"STATE_DIR {path} can't be locked ({type(error).__name__}).") from None


def _owner(descriptor: int) -> str:
    written = os.pread(descriptor, 20, 0).strip()
    return f" (pid {int(written)})" if written.isdigit() else ""
