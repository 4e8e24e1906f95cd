"""What a person does at a terminal: recorded before it is done, and how it ended."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from gateway import clock
from gateway.audit import Event, Fact
from gateway.ledger import LedgerDown

_LOGIN = Path("/proc/self/loginuid")
_NOBODY = 4294967295


class Notes(Protocol):
    """Where entries are written."""

    def note(self, event: Event, now: datetime) -> None:
        """Returns when the entry is durable."""
        ...


@contextmanager
def acting(notes: Notes, kind: str, by: str, facts: Mapping[str, Fact]) -> Iterator[None]:
    """Around the act. What can't be recorded is not done; an act of which no end is recorded may have been done.

    Raises what `note` does.
    """
    whole = {"act": uuid4().hex, **facts}

    def told(state: str, **more: Fact) -> None:
        notes.note(Event(kind=kind, by=by, facts={**whole, "state": state, **more}), clock.now())

    told("begun")
    try:
        yield
    except BaseException as error:
        told("failed", error=type(error).__name__)
        raise
    try:
        told("done")
    except LedgerDown as error:
        raise LedgerDown(f"It is done; that it is could not be recorded. {error}") from None


def who() -> str:
    """The operating system's name for who runs this: as they logged in, where it knows, whoever they have become."""
    uid = _logged_in()
    return _name(os.getuid() if uid is None else uid)


def _logged_in() -> int | None:
    """Kept by the kernel, and what `sudo` and `su` leave as it is."""
    try:
        uid = int(_LOGIN.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if uid == _NOBODY else uid


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
