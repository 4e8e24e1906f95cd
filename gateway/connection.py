"""One client's connection: how long it may take over a request, and how much it may send, whoever it is.

Nothing is known of a client before its request's head is complete, so what is bounded here is bounded for everybody:
others find a socket, memory and an answer, however slowly or endlessly somebody sends, or does not read.
"""

from __future__ import annotations

import asyncio
import logging
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger("gateway.connection")

HEAD_S = 10.0
"""Within how many seconds a request's head has to be there, from the connection or from its first byte."""
BODY_S = 30.0
"""Within how many seconds its body has to be there, from the head's end."""
UNREAD_S = 30.0
"""For how many seconds an answer may be left unread."""
MAX_HEAD = 64 * 1024
"""Bytes of a head: its line and its fields."""
MAX_FIELDS = 200
MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes of one request in all. A longer body than is read is refused before that; who goes on sending is cut off."""


def most_connections() -> int:
    """So many that the store and the EMRs are left as many files and sockets."""
    return max(64, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class Connection(HttpToolsProtocol):
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _in_head = True
    _begun = False
    """A request has begun in the bytes that are being read."""
    _received = 0
    _fields = 0
    _most = 64

    # -- what the loop calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._most = most_connections()
        if len(self.connections) > self._most:
            self._cut("there are too many")
        else:
            self._until(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_deadline()
        self._read_again()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._begun = False
        super().data_received(data)
        self._received = 0 if self._begun else self._received + len(data)
        if self._received > (MAX_HEAD if self._in_head else MAX_MESSAGE):
            self._cut("it sends too much")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self._cut, "it does not read")

    def resume_writing(self) -> None:
        self._read_again()
        super().resume_writing()

    # -- what the parser calls -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._begun, self._fields = True, True, 0
        self._until(HEAD_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields <= MAX_FIELDS:
            super().on_header(name, value)
        else:
            self._cut("it sends too many fields")

    def on_headers_complete(self) -> None:
        self._in_head, self._received = False, 0
        self._until(BODY_S)
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._no_deadline()
        if not self.transport.is_closing():
            super().on_message_complete()

    # -- time ------------------------------------------------------------------------------------------------------

    def _until(self, seconds: float) -> None:
        self._no_deadline()
        self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self.flow.read_paused:  # it is we who do not read: an earlier request is still being answered
            self._until(BODY_S)
        else:
            self._cut("it is too slow")

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _read_again(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _cut(self, why: str) -> None:
        if not self.transport.is_closing():
            log.info("a connection is cut off: %s", why)
            self.transport.abort()
