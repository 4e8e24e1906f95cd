"""Serving an ASGI app until a signal asks to stop: nothing that is under way is cut off before its time."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import uvicorn

from gateway.connection import Connection

_new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
if sys.platform != "win32" and sys.implementation.name == "cpython":
    import uvloop

    _new_loop = uvloop.new_event_loop

_LET_IN_S = 0.5
"""How long whoever was let in before the others had to wait for the next start has to say what for, in seconds."""
_LOOKS_S = 0.05
_FIRST_PASSED = 3
"""The descriptor of the first socket that a supervisor passes on, by convention."""
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


def inherited(environ: Mapping[str, str]) -> socket.socket | None:
    """The listening socket that a supervisor holds for us (as systemd passes it on), if there is one.

    It outlives this process: who connects while nobody listens waits in its line. Raises PortTaken for what is none.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()) or environ.get("LISTEN_FDS", "0") == "0":
        return None
    if environ["LISTEN_FDS"] != "1":
        raise PortTaken("LISTEN_FDS should be 1: the gateway takes one socket over")
    try:
        found = socket.socket(fileno=_FIRST_PASSED)
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise PortTaken(f"the socket of LISTEN_FDS can't be used ({error.strerror})") from None
    if not listens or found.family not in (socket.AF_INET, socket.AF_INET6):
        found.close()
        raise PortTaken("the socket of LISTEN_FDS should listen on a TCP port")
    os.set_inheritable(_FIRST_PASSED, False)
    return found


class Doors(Protocol):
    """What is served, as far as an orderly end goes."""

    @property
    def busy(self) -> bool:
        """Something is under way that no request may be waiting for."""
        ...

    def close(self) -> None:
        """Take nothing new from now on; who asks is told so."""
        ...

    async def hand_over(self) -> None:
        """Stop what is under way, for the next start to go on with; who waits for it is told so."""
        ...


class Server(uvicorn.Server):
    """`announce` is called once, when requests are taken. Signals are for `run` to handle.

    `drain_s`: how long requests may take to end, once it was asked to. `hands_on`: somebody else has the socket, too;
    who connects from then on waits there for the next start.
    """

    def __init__(
        self,
        app: Any,
        *,
        drain_s: float,
        announce: Callable[[], None] = lambda: None,
        lifespan: bool = False,
        hands_on: bool = False,
    ) -> None:
        self.closing = False
        """Every answer is the last one on its connection."""
        self.hands_on = hands_on
        config = uvicorn.Config(
            self._saying_goodbye(app),
            http=Connection,
            log_config=None,
            access_log=False,  # its lines hold whole addresses, and these hold ids
            server_header=False,
            lifespan="on" if lifespan else "off",
            ws="none",
            timeout_graceful_shutdown=math.ceil(drain_s),
        )
        super().__init__(config)
        self._announce = announce

    def _saying_goodbye(self, app: Any) -> Any:
        async def served(scope: Any, receive: Any, send: Any) -> None:
            async def last(message: Any) -> None:
                if self.closing and message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
                await send(message)

            await app(scope, receive, last)

        return served

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    def say_goodbye(self) -> None:
        """Take nothing new on a connection; where others will, take no connection either."""
        self.closing = True
        if self.hands_on:
            for listening in self.servers:
                listening.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise them again as soon as it has stopped, and kill what is still to be drained and closed.
        yield


class Stop:
    """What a signal does: before there is a server it cancels the work. From then on the first one lets what is under
    way end, and the second one waits for nothing."""

    def __init__(self) -> None:
        self._servers: list[Server] = []
        self._work: asyncio.Task[Any] | None = None
        self._doors: Doors | None = None
        self._drain_s = 0.0
        self._draining: asyncio.Task[None] | None = None
        self._hurried = False
        self.hung_up: Callable[[], None] | None = None
        """What SIGHUP does; without it, and when the terminal is gone that all began in, it ends everything, unless
        that was to be ignored (`nohup`)."""
        self._outlives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._began_in_terminal = _in_terminal()

    async def serve(
        self, *servers: tuple[Server, socket.socket], doors: Doors | None = None, drain_s: float = 0.0
    ) -> None:
        """Until asked to stop, or until one of them ends.

        `doors`: of what the first of them serves. It is served on after they are closed, for `drain_s` seconds at most,
        so that nobody finds nobody there as long as something is under way; then the rest is handed over.
        """
        self._servers, self._doors, self._drain_s = [server for server, _ in servers], doors, drain_s
        await asyncio.gather(*(self._until_stopped(server, listening) for server, listening in servers))
        if self._draining is not None:
            await self._draining

    async def _until_stopped(self, server: Server, listening: socket.socket) -> None:
        try:
            await server.serve(sockets=[listening])
        finally:
            self._end()

    def _end(self) -> None:
        for server in self._servers:
            server.should_exit = True
            server.force_exit = self._hurried

    def watch(self) -> None:
        """Heed signals from now on, on behalf of the running task."""
        self._work = asyncio.current_task()
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._asked)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up)

    def _hung_up(self) -> None:
        is_the_terminal = self._began_in_terminal and not _in_terminal()
        if self.hung_up is not None and not is_the_terminal:
            self.hung_up()
        elif not self._outlives_terminal:
            self._asked()

    def _asked(self) -> None:
        if not self._servers:
            if self._work is not None:
                self._work.cancel()
        elif self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())
        else:
            self._hurried = True
            if self._draining.done():
                self._end()

    async def _drain(self) -> None:
        try:
            if self._doors is not None:
                for server in self._servers:
                    server.say_goodbye()
                if any(server.hands_on for server in self._servers):
                    await asyncio.sleep(_LET_IN_S)
                self._doors.close()
                await self._idle(self._doors, self._servers[0].server_state.tasks.copy())
                await self._doors.hand_over()
        finally:
            self._end()

    async def _idle(self, doors: Doors, requests: set[asyncio.Task[None]]) -> None:
        """Until nothing is under way any more of what was when the doors were closed, or there is no more time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._drain_s
        while loop.time() < until and not self._hurried:
            if not doors.busy and all(request.done() for request in requests):
                return
            await asyncio.sleep(_LOOKS_S)


def _in_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


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
