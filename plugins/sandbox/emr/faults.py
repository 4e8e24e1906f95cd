"""Trouble on demand: named by a memo's text, or ordered at the control endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from plugins.sandbox.emr.clinic import Clinic

Trouble = Literal["refuse", "error", "drop", "lost", "late", "busy", "other"]

NAMED = re.compile(r"!(refuse|error|drop|lost|late|busy|other)(?:@([0-9]{1,6}))?(?![\w@])")
OTHER_TEXT = "Rewritten by the clinic."


def named(memo: str, nth: int) -> str | None:
    """The trouble that the n-th write with this very memo runs into."""
    for name, at in NAMED.findall(memo):
        # Busy means "later": for good, it would be another trouble.
        wanted = int(at) if at else 1 if name == "busy" else nth
        if wanted == nth:
            return str(name)
    return None


def trouble(clinic: Clinic, memo: str | None) -> str | None:
    """Counts this write, and tells what it runs into. Counted for ever, so that "the n-th" outlives a restart."""
    if memo is None or not NAMED.search(memo):
        return None
    row = clinic.row(
        "INSERT INTO memo_seen (clinic, memo, writes) VALUES (?, ?, 1)"
        " ON CONFLICT DO UPDATE SET writes = writes + 1 RETURNING writes",
        memo,
    )
    assert row is not None
    return named(memo, row["writes"])


class Control(BaseModel):
    """What the control endpoint takes; what is left out is as if nothing had been ordered."""

    model_config = ConfigDict(extra="forbid", strict=True)

    latency_ms: int = 0
    fail_writes: Trouble | None = None
    writes: int = 1
    """How many of the next writes `fail_writes` is for."""
    fail_reads: int = 0
    """How many of the next reads fail."""
    stages: dict[str, str] = {}
    """Stages that the staff sets now, by booking."""


@dataclass(slots=True)
class Orders:
    """What the control endpoint has ordered for one clinic. Forgotten with the process."""

    latency_s: float = 0.0
    fail_writes: str | None = None
    writes: int = 0
    reads: int = 0

    def take(self, control: Control) -> None:
        self.latency_s = control.latency_ms / 1000
        self.fail_writes, self.writes, self.reads = control.fail_writes, control.writes, control.fail_reads

    def next_write(self) -> str | None:
        if self.fail_writes is None or self.writes <= 0:
            return None
        self.writes -= 1
        return self.fail_writes

    def next_read_fails(self) -> bool:
        self.reads -= 1
        return self.reads >= 0


class Dropped(Response):
    """No answer: the connection breaks off. Once begun, an answer can't be turned into a 500 on its way out."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        raise ConnectionResetError
