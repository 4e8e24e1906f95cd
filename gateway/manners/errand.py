"""On whose behalf EMRs are called: how long that somebody waits, and whether it has begun to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gateway import clock

LEAST_S = 20.0
"""What a call is given at least, in seconds, once its errand has begun to write."""


class Errand:
    """What one read, command or repair asks of EMRs. All moments are of the monotonic clock, in seconds.

    As soon as a write of it may have been executed, nothing of it is cut short any more for a client's sake.
    """

    __slots__ = ("_later", "_until", "written")

    def __init__(self, until: float, later: float | None = None, *, written: int = 0) -> None:
        self._until = until
        self._later = until if later is None else later
        self.written = written
        """The writes that were begun, without those that the EMR certainly did not execute."""

    @property
    def committed(self) -> bool:
        return self.written > 0

    def lasts(self, at: float) -> float:
        """Until when a call may begin that is wanted at `at`."""
        return max(self._until, at + LEAST_S) if self.committed else self._until

    def waits(self, at: float) -> float:
        """Until when it waits for an EMR that wants to be called later."""
        return self.lasts(at) if self.committed else self._later


_errand: ContextVar[Errand | None] = ContextVar("errand", default=None)


def current_errand() -> Errand | None:
    """The innermost errand around the running task, if any."""
    return _errand.get()


@contextmanager
def errand(wait_s: float, later_s: float | None = None, *, written: int = 0) -> Iterator[Errand]:
    """Calls made inside, also by tasks that are started inside, begin within `wait_s`.

    They wait `later_s` at most for an EMR that wants to be called later (without it: `wait_s`).
    """
    now = clock.monotonic()
    going = Errand(now + wait_s, None if later_s is None else now + later_s, written=written)
    token = _errand.set(going)
    try:
        yield going
    finally:
        _errand.reset(token)
