"""`python -m gateway connect`: the owner of an EMR account lets the gateway in, by a browser on this machine.

OAuth 2 for native apps: the authorization code comes back to a port of the loopback interface (RFC 8252), is good only
with a proof that never leaves this process (PKCE, RFC 7636), and only for the question that was asked (`state`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import socket
from collections.abc import Callable

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.credentials import CantOpen
from gateway.serving import Server
from gateway.vendor.answer import SENSELESS
from gateway.vendor.consent import TIMEOUT_S, Consent, Send, Tokens

PATIENCE_S = 600.0
"""How long somebody may take to consent, in seconds."""
_PATH = "/callback"
_CODE = re.compile(r"[a-z_]{1,40}")
_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


class Connecting:
    """One attempt. `say` shows a line to whoever sits before it."""

    def __init__(self, consent: Consent, send: Send, say: Callable[[str], None]) -> None:
        self._consent, self._send, self._say = consent, send, say
        self._state, self._verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)

    async def refresh_token(self, listening: socket.socket) -> str:
        """Raises CantOpen."""
        redirect_uri = f"http://127.0.0.1:{listening.getsockname()[1]}{_PATH}"
        self._say("Open this in a browser on this machine, and let the gateway in:")
        self._say(str(self.address(redirect_uri)))
        code = await self._code(listening)
        return await self._redeemed(code, redirect_uri)

    def address(self, redirect_uri: str) -> httpx.URL:
        digest = hashlib.sha256(self._verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._consent.client_id,
            "redirect_uri": redirect_uri,
            "state": self._state,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        scope = {"scope": self._consent.scope} if self._consent.scope else {}
        return httpx.URL(self._consent.authorize_url).copy_merge_params({**self._consent.parameters, **scope, **asked})

    async def _code(self, listening: socket.socket) -> str:
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def callback(request: Request) -> Response:
            return self._heard(request, told)

        server = Server(Starlette(routes=[Route(_PATH, callback)]), drain_s=1)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await told
        except TimeoutError:
            raise CantOpen(f"Nobody has let the gateway in for {PATIENCE_S / 60:.0f} minutes.") from None
        finally:
            server.should_exit = True
            await serving

    def _heard(self, request: Request, told: asyncio.Future[str]) -> Response:
        """What is not an answer to our question is not heard, whoever sends it."""
        given = request.query_params
        if told.done() or not hmac.compare_digest(given.get("state", "").encode(), self._state.encode()):
            return PlainTextResponse("This is no answer to what was asked.", 400, _HEADERS)
        if code := given.get("code"):
            told.set_result(code)
            return PlainTextResponse("The gateway has its answer. This window can be closed.", headers=_HEADERS)
        said = given.get("error", "")
        told.set_exception(CantOpen(f"The gateway was not let in ({said if _CODE.fullmatch(said) else 'no reason'})."))
        return PlainTextResponse("The gateway was not let in. This window can be closed.", headers=_HEADERS)

    async def _redeemed(self, code: str, redirect_uri: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": self._verifier,
        }
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._send(self._consent.request(form))
                await answer.aread()
            if not answer.is_success:
                raise CantOpen(f"The code was not taken: it was answered with {answer.status_code}. Try again.")
            refresh = Tokens.of(answer).refresh
        except (httpx.HTTPError, OSError, *SENSELESS) as error:
            raise CantOpen(f"The code could not be redeemed ({type(error).__name__}). Try again.") from None
        if refresh is None:
            raise CantOpen("No refresh token was given: the scope has to ask for one, and the EMR has to allow it.")
        return refresh
