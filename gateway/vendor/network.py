"""What leads to EMRs: one transport to the outside for all accounts of one way, and one to each EMR in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel
from starlette.applications import Starlette

from gateway.port import Vendor
from gateway.vendor.transport import AiohttpTransport, InProcessTransport
from gateway.vendor.way import Way


def lives_here(vendor: Vendor, settings: BaseModel) -> bool:
    """Is it the vendor's embedded EMR: one that is there, where the account names no address?"""
    return vendor.embedded is not None and "base_url" not in settings.model_fields_set


class Network:
    """Closed by leaving `open`. Embedded EMRs keep their data in `state_dir`.

    What leads nowhere any more stays until then: a command that is under way may have begun on it. It costs no
    connection, since idle ones are closed soon.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._outside: dict[Way, AiohttpTransport] = {}
        self._embedded: dict[str, tuple[Any, InProcessTransport]] = {}
        self._begun: set[str] = set()
        self._closing = AsyncExitStack()

    def route(self, vendor: Vendor, settings: BaseModel, way: Way) -> httpx.AsyncBaseTransport:
        """A vendor's embedded EMR where the account means that; else the outside, by the account's way."""
        if vendor.embedded is not None and lives_here(vendor, settings):
            return self._inside(vendor.key, vendor.embedded)
        if way not in self._outside:
            context = None if way.tls is None else way.tls.context()
            self._outside[way] = AiohttpTransport(ssl_context=context, proxy=way.proxy)
        return self._outside[way]

    def _inside(self, key: str, embedded: Callable[[Path], Any]) -> InProcessTransport:
        if key not in self._embedded:
            self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            app = embedded(self._state_dir)
            self._embedded[key] = (app, InProcessTransport(app))
        return self._embedded[key][1]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self._closing:
            await self.begin()
            try:
                yield
            finally:
                for outside in self._outside.values():
                    await outside.aclose()

    async def begin(self) -> None:
        """Start the embedded EMRs that were asked for since the last time."""
        for key in self._embedded.keys() - self._begun:
            app, transport = self._embedded[key]
            # Nobody else runs the lifespan of an app that no server serves.
            if isinstance(app, Starlette):
                await self._closing.enter_async_context(app.router.lifespan_context(app))
            self._closing.push_async_callback(transport.aclose)
            self._begun.add(key)
