"""The processes: each forked from one that has imported everything and has no thread, loop or connection yet."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.faults import dying, emr

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["pytest", dying.__name__, emr.__name__])
PATIENCE_S = 60.0


class Process:
    """Runs `work` with `arguments` and a line to tell something on; a number is the port that it listens on."""

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        self._heard, told = FORKED.Pipe(duplex=False)
        self._process = FORKED.Process(target=work, args=(*arguments, told), daemon=True)
        self._process.start()
        told.close()
        self.told: list[Any] = []
        self._open = True

    async def port(self) -> int | None:
        """`None`: it has ended before it could listen."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self._hear()
            port = next((word for word in self.told if isinstance(word, int)), None)
            if port is not None or not self._open:
                return port
            await asyncio.sleep(0.005)
        raise TimeoutError("a process did not listen")

    async def ended(self) -> None:
        """Until it has, by itself."""
        deadline = time.monotonic() + PATIENCE_S
        while self._process.is_alive():
            if time.monotonic() > deadline:
                raise TimeoutError("a process did not end")
            self._hear()
            await asyncio.sleep(0.005)
        self._hear()

    async def kill(self) -> None:
        self._process.kill()
        await self.ended()
        self._close()

    def _hear(self) -> None:
        try:
            while self._open and self._heard.poll():
                self.told.append(self._heard.recv())
        except EOFError:
            self._close()

    def _close(self) -> None:
        self._open = False
        self._heard.close()


class Gateway(Process):
    def __init__(self, life: dying.Life) -> None:
        super().__init__(dying.live, life)
        self._until = life.until
        self._killed = False

    def boundaries_now(self) -> list[str]:
        """Those that it has come to so far, in order."""
        self._hear()
        return [word for word in self.told if isinstance(word, str)]

    async def kill(self) -> None:
        self._killed = True
        await super().kill()

    async def buried(self) -> list[str]:
        """What it died at, if it died as it was to. Raises RuntimeError where it ended otherwise."""
        await self.ended()
        passed = self.boundaries_now()
        if self._killed:
            return []
        if self._process.exitcode != -signal.SIGKILL or self._until is None or len(passed) < self._until:
            raise RuntimeError(f"the gateway ended by {self._process.exitcode} after {passed}")
        return [passed[self._until - 1]]
