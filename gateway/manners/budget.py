"""What may still be spent on an EMR: of a quota that is known, and of what the EMR itself says is left."""

from __future__ import annotations

import math
from collections import deque

from gateway.manners.errand import Errand

_SLICES = 60
"""A window is counted in so many parts: what is spent in one comes back together, at the end of the last."""


class Budget:
    """Counts calls, none of which comes back before its window has certainly passed by the EMR's own count.

    A twentieth of the quota is a reserve for those who have begun to write: to end it, or to undo it.
    """

    def __init__(self) -> None:
        self._quota: int | None = None
        self._window_s = 3600.0
        self._spent: deque[tuple[float, int]] = deque()
        """(when they come back, calls), the oldest first."""
        self._kept: dict[Errand, int] = {}
        self._told: tuple[int, float] | None = None
        """What the EMR said is left, less what was begun since; and until when that holds."""
        self.flying = 0
        """Calls under way: they count, and nobody knows yet when for the EMR."""

    def declare(self, quota: int | None, window_s: float) -> None:
        self._quota, self._window_s = quota, window_s

    # -- spending -----------------------------------------------------------------------------------------------------

    def begin(self, who: Errand) -> None:
        self.flying += 1
        if self._kept.get(who):
            self._kept[who] -= 1
        if self._told is not None:
            self._told = (self._told[0] - 1, self._told[1])

    def end(self, calls: int, at: float) -> None:
        """A call has ended, and was so many requests: none, if it never left; two, with a token refused in between."""
        self.flying -= 1
        if self._quota is None or not calls:
            return
        while self._spent and self._spent[0][0] <= at:
            self._spent.popleft()
        slice_s = self._window_s / _SLICES
        back = (math.floor(at / slice_s) + 1) * slice_s + self._window_s
        if self._spent and self._spent[-1][0] >= back:
            back, before = self._spent.pop()
            calls += before
        self._spent.append((back, calls))

    def hear(self, left: int, until: float) -> None:
        """The EMR's own count. What is under way may not be in it yet."""
        self._told = (left - self.flying, until)

    def keep(self, who: Errand, calls: int) -> None:
        """So many of what is left are for `who` alone."""
        self._kept[who] = calls

    def give_back(self, who: Errand) -> None:
        self._kept.pop(who, None)

    # -- asking -------------------------------------------------------------------------------------------------------

    def left(self, who: Errand, at: float) -> float:
        """How many calls `who` may certainly begin at `at`, if nobody else begins any until then."""
        if self._quota is None and self._told is None:
            return math.inf
        return min(self._known(who, at), self._said(at)) - self._others(who)

    def frees(self, who: Errand, calls: int, at: float) -> float:
        """From when `who` may hope to begin so many; a whole window from now where it can't be foreseen."""
        if self._hoped(who, at) >= calls:
            return at
        moments = [back for back, _ in self._spent] + ([self._told[1]] if self._told is not None else [])
        fitting = (moment for moment in sorted(moments) if moment > at and self._hoped(who, moment) >= calls)
        return next(fitting, at + self._window_s)

    def _hoped(self, who: Errand, at: float) -> float:
        """What is under way may turn out to be in the EMR's count already."""
        return min(self._known(who, at), self._said(at) + self.flying) - self._others(who)

    def _known(self, who: Errand, at: float) -> float:
        if self._quota is None:
            return math.inf
        reserve = 0 if who.committed else min(max(1, self._quota // 20), self._quota - 1)
        return self._quota - reserve - self.flying - sum(calls for back, calls in self._spent if back > at)

    def _said(self, at: float) -> float:
        return math.inf if self._told is None or at >= self._told[1] else self._told[0]

    def _others(self, who: Errand) -> int:
        return sum(calls for errand, calls in self._kept.items() if errand is not who)
