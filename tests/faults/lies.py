"""Lies on the wire: a write that the EMR carries out, and an answer that does not say so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from gateway.vendor.transport import AiohttpTransport

HOLD = "x-hold"
"""The header of a request that the EMR is to carry out a little later."""
LOGINS = ("/authenticates", "/oauth2/v1/token", "/o/token/")
"""Where vendors give tokens, which is no write."""
LOST, SLOW, LATE = "connection lost", "timeout", "timeout, and written later"
ANSWERS = {
    "500": {"status_code": 500, "json": {"error": "an error"}},
    "a page": {"status_code": 200, "html": "<html>Welcome</html>"},
}
LIES = (LOST, SLOW, LATE, *ANSWERS)


@dataclass(frozen=True, slots=True)
class Lie:
    """`at`: the number of the write that it is about, from one."""

    kind: str
    at: int


def is_write(method: str, path: str) -> bool:
    return method != "GET" and not path.endswith(LOGINS)


def lying(transport: type[AiohttpTransport], lie: Lie) -> type[AiohttpTransport]:
    class Lying(transport):  # type: ignore[misc, valid-type]
        writes = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if not is_write(request.method, request.url.path):
                return await super().handle_async_request(request)
            Lying.writes += 1
            if Lying.writes != lie.at:
                return await super().handle_async_request(request)
            await self._carried_out(request)
            return _lie(request, lie.kind)

        async def _carried_out(self, request: httpx.Request) -> None:
            if lie.kind == LATE:
                request.headers[HOLD] = "yes"
                self.left = asyncio.create_task(super().handle_async_request(request))
                await self._arrived(request)
            else:
                await (await super().handle_async_request(request)).aread()

        async def _arrived(self, request: httpx.Request) -> None:
            """However busy the machine is, what is late is so by what the EMR holds it back for, and by no more."""
            clinic = request.url.path.split("/")[2]
            asked = httpx.Request("GET", request.url.join("/_seen"), params={"clinic": clinic})
            arrived = False
            while not arrived and not self.left.done():
                answer = await AiohttpTransport.handle_async_request(self, asked)
                await answer.aread()
                arrived = bool(answer.json()["flying"])

    return Lying


def _lie(request: httpx.Request, kind: str) -> httpx.Response:
    if kind == LOST:
        raise httpx.ReadError("on purpose", request=request)
    if kind in (SLOW, LATE):
        raise httpx.ReadTimeout("on purpose", request=request)
    return httpx.Response(request=request, **ANSWERS[kind])
