"""A read is for its client alone: it ends when the client hangs up, and does not last longer than one waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from gateway.api import DEFAULT_WAIT_S
from gateway.manners.errand import errand

Endpoint = Callable[[Request], Awaitable[Response]]


def while_waited_for(endpoint: Endpoint) -> Endpoint:
    """For endpoints that write nothing and read no body."""

    async def reading(request: Request) -> Response:
        with errand(DEFAULT_WAIT_S):
            answer = asyncio.ensure_future(endpoint(request))
            gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and gone.exception() is None:
                raise ClientDisconnect
            return await answer
        finally:
            answer.cancel()
            gone.cancel()
            # What they raise now is nobody's any more.
            await asyncio.gather(answer, gone, return_exceptions=True)

    return reading


async def _gone(request: Request) -> None:
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":
        # Whoever goes on sending must not keep the answer from being found.
        await asyncio.sleep(0)
        message = await request.receive()
