"""What needs no credentials: health, metrics, and the documentation that the gateway serves itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from gateway import pages
from gateway.api import Configured, Gateway
from gateway.domain.errors import NotFound
from gateway.ledger import LedgerDown

Count = Callable[[], Awaitable[None]]

# The pages load nothing and run nothing.
_PAGE_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


class Public:
    def __init__(self, gateway: Gateway, document: dict[str, Any], docs: str) -> None:
        self._gateway = gateway
        self._document = document
        self._docs = docs
        self._index = pages.error_index()

    async def healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        try:
            ready = await self._gateway.ready()
        except LedgerDown:
            ready = False
        told = {"status": "ok" if ready else "unavailable", "configuration": _told(self._gateway.configuration())}
        return JSONResponse(told, 200 if ready else 503)

    async def openapi(self, _: Request) -> Response:
        return JSONResponse(self._document)

    async def docs(self, _: Request) -> Response:
        return HTMLResponse(self._docs, headers=_PAGE_HEADERS)

    async def errors(self, _: Request) -> Response:
        return HTMLResponse(self._index, headers=_PAGE_HEADERS)

    async def error(self, request: Request) -> Response:
        page = pages.error(request.path_params["code"])
        if page is None:
            raise NotFound("There is no such error code.")
        return HTMLResponse(page, headers=_PAGE_HEADERS)


def _told(configured: Configured | None) -> dict[str, Any] | None:
    if configured is None:
        return None
    return {
        "digest": configured.digest,
        "since": configured.since.isoformat(timespec="seconds"),
        "differs_on_disk": configured.differs,
    }


async def metrics(registry: CollectorRegistry, count: Count, _: Request) -> Response:
    await count()
    return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})
