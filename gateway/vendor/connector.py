"""Connections to EMRs: aiohttp's, without what it does on its own that nobody may do who writes to an EMR."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError)
"""What aiohttp raises where there is no answer, or none that can be read."""

_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_MOST_INTERIM = 16


def check_aiohttp() -> None:
    """What makes a request go out once, and an answer be its own, is private there: an upgrade must not lose it."""
    private = all(hasattr(aiohttp.BaseConnector, name) for name in ("_get", "_create_connection"))
    private = private and hasattr(ResponseHandler, "feed_data")
    if "_retry_connection" not in aiohttp.ClientSession.ATTRS or not private:
        raise RuntimeError("this version of aiohttp can't be told to send a request only once")


class NoTunnel(aiohttp.ClientConnectionError):
    """There was no connection yet, so nothing was sent over it."""


class _Answers(ResponseHandler):
    """Interim answers (1xx) say nothing that we heed: they are dropped. aiohttp would take a stream of them for ever,
    from its own queue, so that nobody else had a turn."""

    _interim = 0

    def feed_data(self, data: Any, size: int = 0) -> None:
        message, _ = data
        if not 100 <= message.code < 200 or message.code == 101:
            self._interim = 0
            super().feed_data(data, size)
            return
        self._interim += 1
        if self._interim > _MOST_INTERIM and self.transport is not None:
            self.transport.close()
            self.set_exception(HttpProcessingError(message="too many interim answers"))


class _Connector(aiohttp.TCPConnector):
    """A pool that never takes up a connection on which something came unasked: it would pass for our answer."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._factory = cast(partial[ResponseHandler], partial(_Answers, loop=asyncio.get_running_loop()))

    async def _create_connection(self, *args: Any, **kwargs: Any) -> ResponseHandler:
        """What a proxy does wrong before there is a tunnel is told by aiohttp as if the request had been sent."""
        try:
            return await super()._create_connection(*args, **kwargs)
        except aiohttp.ClientProxyConnectionError:
            what = "no connection to it"
        except (aiohttp.ClientConnectorError, TimeoutError):
            raise
        except (*BROKEN, ValueError) as error:
            what = str(getattr(error, "status", None) or type(error).__name__)
        # Not from the error: it may hold the headers that were sent.
        raise NoTunnel(what)

    async def _get(self, key: Any, traces: Any) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        return None


def new_session(context: ssl.SSLContext | None, keepalive_s: float) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=_Connector(limit=0, keepalive_timeout=keepalive_s, ssl=True if context is None else context),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_AUTO_HEADERS,
        auto_decompress=True,
        trust_env=False,
        max_field_size=32 * 1024,
    )
    # Without this aiohttp silently sends a PUT, DELETE or GET twice when a kept connection drops.
    session._retry_connection = False
    return session
