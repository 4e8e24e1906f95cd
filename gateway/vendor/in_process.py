"""An EMR that lives in this process, reached as if it were behind a network."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx

_log = logging.getLogger(__name__)

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Asgi = Callable[[_Message, _Receive, _Send], Awaitable[None]]


class InProcessTransport(httpx.AsyncBaseTransport):
    """An ASGI app as if behind a network: it can drop the connection, be slow, and outlive its caller.

    An exception of the app is a dropped connection (`RemoteProtocolError`, maybe delivered); slowness is
    `ReadTimeout`. The lifespan is the owner's to run.
    """

    def __init__(self, app: _Asgi) -> None:
        self._app = app
        self._running: set[asyncio.Task[None]] = set()
        self._asgi = httpx.ASGITransport(self._served)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        try:
            async with asyncio.timeout(timeouts.get("read")):
                return await self._asgi.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        except ConnectionAbortedError:
            raise httpx.RemoteProtocolError("disconnected without an answer", request=request) from None

    async def aclose(self) -> None:
        """Lets what runs end, for up to 5 s, as a server's shutdown does."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=5)
            for task in late:
                task.cancel()

    async def _served(
        self,
        scope: _Message,
        receive: _Receive,
        send: _Send,
    ) -> None:
        """Runs the app in a task and a context of its own: neither our cancellation nor our context reaches it."""
        answered = asyncio.Event()

        async def sent(message: _Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                answered.set()

        async def run() -> None:
            await self._app(scope, receive, sent)

        task = asyncio.create_task(run(), context=contextvars.Context())
        self._running.add(task)
        task.add_done_callback(self._ended)
        waiting = asyncio.create_task(answered.wait())
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not answered.is_set():
            raise ConnectionAbortedError

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # the caller sees no more of it than of any server: that the connection dropped
            _log.warning("the app in this process failed: %s", type(error).__name__)
