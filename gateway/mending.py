"""One command that is neither all nor nothing yet, on its way to one of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway import clock
from gateway.answering import Form
from gateway.audit import GATEWAY
from gateway.domain.errors import Busy
from gateway.ending import Ending
from gateway.execute.run import End, Run
from gateway.execute.stuck import stuck
from gateway.frames import frames
from gateway.ledger import Answer, LedgerDown, NoSuchCommand, Remark, State
from gateway.locks import Session
from gateway.manners.errand import errand

log = logging.getLogger("gateway.repair")

PATIENCE_S = 15 * 60.0
"""How long a command is repaired before a person has to decide, in all, restarts included."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A command to be repaired, with all that belongs to it."""

    id: str
    run: Run
    form: Form
    held: Session
    keys: Sequence[str] = ()
    """The locks that `held` has, or will have to wait for."""
    state: State = State.REPAIRING
    """As it is stored."""
    answer: Answer | None = None
    left_s: float = PATIENCE_S


class Mending:
    """`turn` is held by whoever is at work on the command: the rounds of its repair, or a person."""

    def __init__(self, broken: Broken, ending: Ending) -> None:
        self._it, self._ending, self._state = broken, ending, broken.state
        self._until = clock.monotonic() + broken.left_s
        self._last: End | None = None
        self._awake, self._round_over = asyncio.Event(), asyncio.Event()
        self.turn = asyncio.Lock()
        self.task = asyncio.create_task(self._go())
        # However it ends, even before it has begun.
        self.task.add_done_callback(lambda _: broken.held.release())

    async def _go(self) -> None:
        """Round by round, until it is at an end or patience is."""
        pause = FIRST_PAUSE_S
        with errand(self._it.left_s, written=1):
            while not await self._round():
                left_s = self._until - clock.monotonic()
                await self._rest(min(pause, left_s) if left_s > 0 else pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)

    async def hurry(self, wait_s: float) -> None:
        """Try again now. Returns when that has been done, or after `wait_s` seconds."""
        self._round_over.clear()
        self._awake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._round_over.wait()

    def end(self) -> None:
        """Somebody who has its turn has brought it to an end."""
        self.task.cancel()

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        self._awake.clear()

    async def _round(self) -> bool:
        """→ whether it is over. Nothing else ends it: this task is all that knows of the command."""
        async with self.turn:
            try:
                return await self._tried()
            except NoSuchCommand:
                log.error("command %s is not in the ledger any more: its repair ends", self._it.id)
                return True
            except Exception as error:  # noqa: BLE001  our own bug
                log.error("command %s can't be repaired: %s at %s", self._it.id, type(error).__name__, frames(error))
                return False
            finally:
                self._round_over.set()

    async def _tried(self) -> bool:
        it = self._it
        if self._state is not State.REPAIRING:
            await self._ending.write(it.id, it.run.plan.operation, State.REPAIRING, it.answer, before=self._state)
            self._state = State.REPAIRING
        end, remark = await self._resumed(), None
        if end.state is State.REPAIRING and clock.monotonic() >= self._until:
            end = End(State.NEEDS_ATTENTION, end.error)
            remark = Remark(
                clock.now(), GATEWAY, f"It was repaired for {PATIENCE_S / 60:.0f} minutes, without success."
            )
        await self._ending.of_run(it.id, it.run, end, it.form, before=State.REPAIRING, remark=remark)
        return end.state is not State.REPAIRING

    async def _resumed(self) -> End:
        """How far it has come; as far as before, if nothing could be done."""
        try:
            await self._it.held.take(*self._it.keys)
            self._last = await self._it.run.resume()
        except (Busy, LedgerDown):
            log.warning("command %s: its locks or the store can't be had", self._it.id)
        except NoSuchCommand:
            raise
        except Exception as error:  # noqa: BLE001  our own bug, or a plugin's
            log.error("command %s: repair failed: %s at %s", self._it.id, type(error).__name__, frames(error))
            # What it may have sent must not come through when its locks are somebody else's.
            await asyncio.sleep(self._it.run.emr.capabilities.late_write_s)
        return self._last or stuck(self._it.run)
