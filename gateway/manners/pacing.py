"""When an account's calls may begin, so that its EMR gets no more than it bears: as declared, and as learned from it.

A "later" is heard by all calls, not only by the one that was told. Nobody waits in silence: who would have to wait
longer than they do is turned away at once, and told when to come again.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.clock import monotonic
from gateway.domain.capabilities import Capabilities
from gateway.manners.budget import Budget
from gateway.manners.errand import Errand
from gateway.port import NotSent

MARGIN_S = 0.05
"""How much later than told the EMR is called again: its seconds may be rounded, and the way there takes some time."""
LONGEST_HOLD_S = 24 * 3600.0
"""Who is told to come even later asks once a day."""
FIRST_PAUSE_S = 0.7
LONGEST_PAUSE_S = 60.0
"""A "later" without a time: longer each time in a row, up to this."""


class TurnedAway(NotSent):
    """Not even tried. Trying again before `retry_after` is in vain."""


Turn = asyncio.Future[float | TurnedAway]
"""Is told when it began, or why it does not."""


class Pace:
    """First come, first served within an errand; errands take turns, so that a long one does not keep the others.

    `sleep` is trusted to sleep for so long.
    """

    def __init__(
        self,
        can: Capabilities,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._budget = Budget()
        self._waiting: dict[Errand, deque[Turn]] = {}
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf
        self._next = self._held = self._cut = -math.inf
        """From when another call may begin; from when any may, as told; since when the limit is as low as it is."""
        self._pause_s = 0.0
        self._most = self._limit = 1.0
        self.declare(can)

    def declare(self, can: Capabilities) -> None:
        """The limits that are known beforehand."""
        self._limit = float(can.concurrency) if self._limit == self._most else min(self._limit, can.concurrency)
        self._most, self._interval_s = float(can.concurrency), can.min_interval_s
        self._budget.declare(can.quota, can.quota_window_s)

    # -- a call -------------------------------------------------------------------------------------------------------

    async def enter(self, who: Errand) -> float:
        """Wait for the turn. → when it came. Raises TurnedAway where that would take longer than `who` waits."""
        at = self._clock()
        refusal = self._too_long(who, at)
        if refusal is not None:
            raise refusal
        if not self._waiting and self._is_open(at) and self._budget.left(who, at) >= 1:
            return self._begin(who, at)
        return await self._turn(who, at)

    def leave(self, requests: int) -> None:
        """A call that has entered has ended; it was so many requests to the EMR."""
        self._budget.end(requests, self._clock())
        self._go_on(self._clock())

    async def once_more(self) -> None:
        """Another request of a call that is under way."""
        at = self._clock()
        begins = max(at, self._next)
        self._next = begins + self._interval_s
        if begins > at:
            await self._sleep(begins - at)

    # -- what is learned ----------------------------------------------------------------------------------------------

    def fine(self, began: float) -> None:
        """The EMR took a call: in time, as many as before may be under way again."""
        if began > self._cut:
            self._pause_s = 0.0
            self._limit = min(self._most, self._limit + 1 / self._limit)

    def later(self, seconds: float | None, began: float) -> None:
        """The EMR wants to be called later, maybe without saying when; half as many are enough then."""
        at = self._clock()
        if began > self._cut:  # else it was under way when another one was told, and is no news
            self._cut = at
            self._limit = max(1.0, self._limit / 2)
            self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        wait = self._pause_s if seconds is None else min(seconds, LONGEST_HOLD_S) + MARGIN_S
        self._held = max(self._held, at + wait)
        self._sift(at)

    def hear(self, left: int, seconds: float) -> None:
        """The EMR says how many calls are left for how long."""
        at = self._clock()
        self._budget.hear(left, at + min(seconds, LONGEST_HOLD_S) + MARGIN_S)
        if left <= 0:
            self._sift(at)
        self._go_on(at)

    def turn_all_away(self, refusal: Callable[[], TurnedAway]) -> None:
        """Nobody's turn will come."""
        for turns in self._waiting.values():
            for turn in turns:
                _tell(turn, refusal())
        self._waiting.clear()
        self._set_alarm(self._clock())

    # -- what is foreseen ---------------------------------------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        """Is the EMR not to be called just now, by what it said and what is known?"""
        at = self._clock()
        return self._opens(Errand(at), at) > at

    def waits_for(self, who: Errand) -> bool:
        """Will `who` wait for its next call as long as the EMR wants?"""
        return not self._keeps_too_long(who, self._clock())

    def takes(self, calls: int) -> float:
        """The least number of seconds that so many more calls take."""
        at = self._clock()
        before = sum(map(len, self._waiting.values()))
        return max(0.0, self._held - at) + (before + calls) * self._interval_s

    def keep(self, who: Errand, calls: int) -> float:
        """Keep so many calls for `who` until they are given back. → 0, or in how many seconds there are enough."""
        at = self._clock()
        self._budget.give_back(who)
        left = self._budget.left(who, at)
        if left < calls:
            return max(MARGIN_S, self._budget.frees(who, calls, at) - at)
        if left < math.inf:
            self._budget.keep(who, calls)
        return 0.0

    def give_back(self, who: Errand) -> None:
        self._budget.give_back(who)
        self._go_on(self._clock())

    # -- whose turn it is ---------------------------------------------------------------------------------------------

    async def _turn(self, who: Errand, at: float) -> float:
        turn: Turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        self._go_on(at)
        try:
            async with asyncio.timeout(who.lasts(at) - at):
                told = await turn
        except TimeoutError:
            self._withdraw(who, turn)
            raise TurnedAway("the account's requests are queueing") from None
        except asyncio.CancelledError:
            self._withdraw(who, turn)
            raise
        if isinstance(told, TurnedAway):
            raise told
        return told

    def _withdraw(self, who: Errand, turn: Turn) -> None:
        if not turn.cancelled():
            if not isinstance(turn.result(), TurnedAway):
                self.leave(0)  # its turn came in the moment in which it gave up
            return
        turns = self._waiting.get(who, deque())
        with suppress(ValueError):
            turns.remove(turn)
        if not turns:
            self._waiting.pop(who, None)
        self._set_alarm(self._clock())

    def _is_open(self, at: float) -> bool:
        return at >= self._held and at >= self._next and self._budget.flying < int(self._limit)

    def _begin(self, who: Errand, at: float) -> float:
        self._budget.begin(who)
        self._next = at + self._interval_s
        return at

    def _go_on(self, at: float) -> None:
        while self._waiting and self._is_open(at):
            who = next((who for who in self._waiting if self._budget.left(who, at) >= 1), None)
            if who is None:
                break
            turns = self._waiting.pop(who)
            if _tell(turns.popleft(), at):
                self._begin(who, at)
            if turns:
                self._waiting[who] = turns  # behind all others
        self._set_alarm(at)

    def _sift(self, at: float) -> None:
        """Turn those away who do not wait as long as it now takes."""
        for who in list(self._waiting):
            if self._keeps_too_long(who, at):
                for turn in self._waiting.pop(who):
                    _tell(turn, self._refusal(who, at))
        self._set_alarm(at)

    def _too_long(self, who: Errand, at: float) -> TurnedAway | None:
        if at > who.lasts(at):
            return TurnedAway("nobody waits for it any more")
        if self._keeps_too_long(who, at):
            return self._refusal(who, at)
        if not self._interval_s:
            return None
        own = len(self._waiting.get(who, ()))
        before = sum(min(len(turns), own + 1) for turns in self._waiting.values())
        begins = max(at, self._next) + before * self._interval_s
        if begins > who.lasts(at):
            return TurnedAway("the account's requests are queueing", retry_after=begins - at)
        return None

    def _keeps_too_long(self, who: Errand, at: float) -> bool:
        return self._opens(who, at) > max(at, who.waits(at))

    def _refusal(self, who: Errand, at: float) -> TurnedAway:
        return TurnedAway("the EMR is to be called later", retry_after=self._opens(who, at) - at)

    def _opens(self, who: Errand, at: float) -> float:
        return max(self._held, self._budget.frees(who, 1, at))

    # -- the alarm ----------------------------------------------------------------------------------------------------

    def _set_alarm(self, at: float) -> None:
        """The moment at which somebody's turn comes without anybody's doing."""
        moment = math.inf
        if self._waiting and self._budget.flying < int(self._limit):
            moment = max(self._held, self._next, min(self._budget.frees(who, 1, at) for who in self._waiting))
        if moment == self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, math.inf
        if at < moment < math.inf:
            self._alarm, self._alarm_at = asyncio.create_task(self._ring(moment, moment - at)), moment

    async def _ring(self, moment: float, wait: float) -> None:
        with suppress(asyncio.CancelledError):
            await self._sleep(wait)
            self._alarm, self._alarm_at = None, math.inf
            self._go_on(max(moment, self._clock()))


def _tell(turn: Turn, told: float | TurnedAway) -> bool:
    """→ whether it was still waiting to be told."""
    if turn.done():
        return False
    turn.set_result(told)
    return True
