"""Serving an ASGI app until a signal asks to stop: nothing that is under way is cut off before its time."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

_new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
if sys.platform != "win32" and sys.implementation.name == "cpython":
    import uvloop

    _new_loop = uvloop.new_event_loop

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class PortTaken(Exception):
    """The address can't be listened on."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that has its port but does not listen yet. Raises PortTaken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTaken(f"host {host} is no address of this machine ({error.strerror})") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        found.close()
        raise PortTaken(f"port {port} of {host} can't be listened on ({error.strerror}); set PORT") from None
    return found


class Server(uvicorn.Server):
    """`announce` is called once, when requests are taken. Signals are for `run` to handle."""

    def __init__(
        self, app: Any, *, drain_s: float, announce: Callable[[], None] = lambda: None, lifespan: bool = False
    ) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # its lines hold whole addresses, and these hold ids
            server_header=False,
            lifespan="on" if lifespan else "off",
            ws="none",
            timeout_graceful_shutdown=math.ceil(drain_s),
        )
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise them again as soon as it has stopped, and kill what is still to be drained and closed.
        yield


class Stop:
    """What a signal does: before there is a server it cancels the work, from then on it asks the servers to end."""

    def __init__(self) -> None:
        self._servers: list[Server] = []
        self._work: asyncio.Task[Any] | None = None

    async def serve(self, *servers: tuple[Server, socket.socket]) -> None:
        """Until asked to stop, or until one of them ends; requests under way are given their time."""
        self._servers = [server for server, _ in servers]
        await asyncio.gather(*(self._until_stopped(server, listening) for server, listening in servers))

    async def _until_stopped(self, server: Server, listening: socket.socket) -> None:
        try:
            await server.serve(sockets=[listening])
        finally:
            self._end()

    def _end(self) -> None:
        for server in self._servers:
            server.should_exit = True

    def watch(self) -> None:
        """Heed signals from now on, on behalf of the running task."""
        self._work = asyncio.current_task()
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._asked)

    def _asked(self) -> None:
        if self._servers:
            self._end()
        elif self._work is not None:
            self._work.cancel()


def run(work: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
    """Run `work` in an event loop of its own, until it ends or a signal stops it."""
    stop = Stop()

    async def watched() -> None:
        stop.watch()
        await work(stop)

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        try:
            runner.run(watched())
        except asyncio.CancelledError:
            return
