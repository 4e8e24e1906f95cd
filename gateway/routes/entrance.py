"""The outermost door: byte-exact paths, an id for every request, and an answer whatever happens inside."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from gateway import tracing
from gateway.clock import monotonic
from gateway.domain.errors import Busy, GatewayError, MethodNotAllowed, NotFound
from gateway.ledger import Answer, LedgerDown
from gateway.routes import conditions
from gateway.wire import render_error

log = logging.getLogger(__name__)

Heard = Callable[[str, str | None, int, float], None]
"""Is told of every request: method, template of its path, status, seconds."""
_HUNG_UP = 499
"""What is counted where nobody waited for the answer; it is never sent."""

_MACHINE_MADE = re.compile(
    rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # UUID
    rb"|(?=[0-9]*[a-fA-F])[0-9a-fA-F]{16,64}"  # ids of requests and traces; not digits alone, which number people
    rb"|[0-7][0-9A-HJKMNP-TV-Z]{25}"  # ULID
)
"""What a client's own id of a request may be: it is logged and recorded, so nothing that could say who somebody is."""
_STANDING_HEADERS = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))


class Entrance:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, public_url: str, heard: Heard = lambda *_: None) -> None:
        self._app, self._public_url, self._heard = app, public_url, heard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = _request_id(scope)
        scope = {**scope, "path": _exact_path(scope), "state": {**scope.get("state", {}), "request_id": id}}
        door, since = _Outgoing(send, id, head=scope["method"] == "HEAD"), monotonic()
        try:
            with tracing.request(scope["method"], scope["headers"]) as span:
                await self._served(scope, receive, door)
                tracing.answered(span, scope["method"], _template(scope), door.status or _HUNG_UP)
        finally:
            self._heard(scope["method"], _template(scope), door.status or _HUNG_UP, monotonic() - since)

    async def _served(self, scope: Scope, receive: Receive, door: _Outgoing) -> None:
        try:
            await self._app(scope, receive, door)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - a server would log its text, which may hold patient data
            answer = _unexpected(error, Request(scope), self._public_url)
            if not door.status:
                await respond(answer)(scope, receive, door)


def _template(scope: Scope) -> str | None:
    """Of the path, as it stands in the table of routes; `None`: there is no such path."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path


class _Outgoing:
    """Adds the standing headers to an answer; a HEAD has no body."""

    def __init__(self, send: Send, request_id: str, *, head: bool) -> None:
        self._send = send
        self._headers = (("x-request-id", request_id), *_STANDING_HEADERS)
        self._head = head
        self.status = 0
        """As it was told; 0: not yet."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=list(message["headers"]))
            for name, value in self._headers:
                headers.setdefault(name, value)
            message = {**message, "headers": headers.raw}
        elif self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def respond(answer: Answer) -> Response:
    """The answer as it is, as a response."""
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers.append(name, value)
    return response


def refusals(public_url: str) -> dict[Any, ExceptionHandler]:
    """Exception handlers: what the gateway means to say, and what the router says, in the standard asked for."""

    async def on_error(request: Request, error: Exception) -> Response:
        known = _known(error)
        answer = _refusal(known, instance := str(uuid4()), request, public_url)
        codes = ",".join(problem.error_code for problem in known.problems)
        log.info("%s %s instance=%s request=%s", known.code, codes, instance, request.state.request_id)
        response = respond(answer)
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    return {GatewayError: on_error, HTTPException: on_error, LedgerDown: on_error}


def _known(error: Exception) -> GatewayError:
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, LedgerDown):
        return Busy("The gateway's own store is down: nothing was written.", retry_after=5)
    if isinstance(error, HTTPException) and error.status_code == 405:
        return MethodNotAllowed("This path knows no such method.")
    return NotFound("There is no such path.")


def _refusal(error: GatewayError, instance: str, request: Request, public_url: str) -> Answer:
    return render_error(error, instance, public_url, conditions.standard_of_refusal(request))


def _unexpected(error: Exception, request: Request, public_url: str) -> Answer:
    """Where it happened goes to the log; what it says does not, and nothing of it to the client."""
    instance = str(uuid4())
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    id = request.state.request_id
    log.error("%s instance=%s request=%s at %s", type(error).__name__, instance, id, where)
    detail = "Something went wrong inside the gateway. Its log knows more under this instance."
    return _refusal(GatewayError(detail), instance, request, public_url)


def _request_id(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _MACHINE_MADE.fullmatch(given[0]):
        return str(given[0], "ascii")
    return str(uuid4())


def _exact_path(scope: Scope) -> str:
    """The path as it was sent, each segment escaped in one way only, so that an id may hold a slash (`%2F`)."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        raw = scope["path"].encode()
    segments = raw.partition(b"?")[0].split(b"/")
    return "/".join(quote_from_bytes(unquote_to_bytes(segment), safe="") for segment in segments)
