"""What is spent on EMRs: counted per command, and known to tests as rounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Meter:
    """The HTTP requests that were spent on EMRs; requests for tokens are not counted."""

    reads: int = 0
    writes: int = 0
    spans: list[tuple[float, float, bool]] = field(default_factory=list)
    """(started, ended, is_write) of each, in seconds of the monotonic clock, in the order in which they ended."""

    @property
    def calls(self) -> int:
        return self.reads + self.writes

    @property
    def rounds(self) -> int:
        """How many times somebody waited: requests that overlap in time are one round."""
        count, busy_until = 0, float("-inf")
        for started, ended, _ in sorted(self.spans):
            count += started >= busy_until
            busy_until = max(busy_until, ended)
        return count

    def add(self, started: float, ended: float, *, is_write: bool) -> None:
        self.reads += not is_write
        self.writes += is_write
        self.spans.append((started, ended, is_write))


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


def current_meter() -> Meter | None:
    """The innermost meter around the running task, if any."""
    return _meter.get()


@contextmanager
def meter() -> Iterator[Meter]:
    """Counts what is sent inside, also by tasks that are started inside. The innermost meter counts."""
    counting = Meter()
    token = _meter.set(counting)
    try:
        yield counting
    finally:
        _meter.reset(token)
