"""The ways to EMRs: one transport to the outside for all accounts, and one to each EMR that lives in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel
from starlette.applications import Starlette

from gateway.port import Vendor
from gateway.transport import AiohttpTransport, InProcessTransport


class Network:
    """Closed by leaving `open`. Embedded EMRs keep their data in `state_dir`."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._outside = AiohttpTransport()
        self._embedded: dict[str, tuple[Any, InProcessTransport]] = {}

    def route(self, vendor: Vendor, settings: BaseModel) -> httpx.AsyncBaseTransport:
        """A vendor's embedded EMR where it has one and the account names no address; else the outside."""
        if vendor.embedded is None or "base_url" in settings.model_fields_set:
            return self._outside
        if vendor.key not in self._embedded:
            self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            app = vendor.embedded(self._state_dir)
            self._embedded[vendor.key] = (app, InProcessTransport(app))
        return self._embedded[vendor.key][1]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._outside.aclose)
            for app, transport in self._embedded.values():
                # Nobody else runs the lifespan of an app that no server serves.
                if isinstance(app, Starlette):
                    await closing.enter_async_context(app.router.lifespan_context(app))
                closing.push_async_callback(transport.aclose)
            yield
