"""An EMR that does not answer is left alone for a while; then one call finds out whether it is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from gateway.clock import monotonic
from gateway.manners.pacing import TurnedAway

FAILURES = 5
"""So many calls in a row without an answer open the circuit."""
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0
_PROBING_S = 1.0
"""When to come back while somebody is finding out, in seconds."""

Circuit = Literal["closed", "open", "probing"]


class Breaker:
    """The circuit of what an account's calls reach. Any answer closes it, whatever it says.

    An open one keeps calls from being begun and has no part in those that are under way.
    """

    def __init__(
        self, *, clock: Callable[[], float] = monotonic, changed: Callable[[Circuit], None] = lambda _: None
    ) -> None:
        self._clock, self._changed = clock, changed
        self._failed = 0
        self._pause_s = FIRST_PAUSE_S
        self._until: float | None = None
        """Open until then, and from then on until somebody has found out; `None`: closed."""
        self._probing = False

    @property
    def circuit(self) -> Circuit:
        if self._until is None:
            return "closed"
        return "probing" if self._probing else "open"

    def refuse(self) -> None:
        """Raises TurnedAway where a call has no chance to be begun now."""
        if self._until is not None and (self._probing or self._until > self._clock()):
            raise self.refusal()

    def refusal(self) -> TurnedAway:
        """What a call is told that is not begun."""
        wait = 0.0 if self._until is None else self._until - self._clock()
        return TurnedAway("the EMR does not answer", retry_after=max(wait, _PROBING_S))

    def admit(self) -> bool:
        """A call begins. → is it the one that finds out? Raises TurnedAway."""
        self.refuse()
        self._probing = self._until is not None
        return self._probing

    def note(self, answered: bool | None, *, probe: bool) -> None:
        """A call has ended; `None`: in a way that says nothing about the EMR."""
        if probe:
            self._probing = False
        if answered:
            self._close()
        elif answered is False:
            self._count(probe=probe)

    def _close(self) -> None:
        was, self._until = self._until, None
        self._failed, self._pause_s = 0, FIRST_PAUSE_S
        if was is not None:
            self._changed("closed")

    def _count(self, *, probe: bool) -> None:
        if self._until is not None:
            if probe:
                self._open(min(self._pause_s * 2, LONGEST_PAUSE_S))
            return
        self._failed += 1
        if self._failed >= FAILURES:
            self._open(FIRST_PAUSE_S)

    def _open(self, pause_s: float) -> None:
        self._pause_s, self._until = pause_s, self._clock() + pause_s
        self._changed("open")
