"""An EMR that has to be let into: an OAuth server with rotating refresh tokens, and a FHIR server behind it, on a real
socket. It remembers what it gave, takes a refresh token that comes again for a thief's, and can lose its answers."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.loopback import Loopback, Peer

CLIENT, CLIENT_SECRET = "the-gateway", "what the EMR / knows us by"
EMPTY = {"resourceType": "Bundle", "type": "searchset", "entry": []}
STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"mode": "server", "resource": []}],
}


class OAuth:
    def __init__(self) -> None:
        self.server = Loopback()
        self.codes: dict[str, tuple[str, str]] = {}
        self.current: dict[str, str] = {}
        """The refresh token of each family that is good."""
        self.spent: dict[str, str] = {}
        self.access: dict[str, str] = {}
        """Access tokens that are good, with their families."""
        self.forms: list[dict[str, str]] = []
        self.stolen: list[str] = []
        """Families that were revoked, since a token came again."""
        self.lose: list[str] = []
        """What becomes of the next token requests: `before` or `after` they are carried out the connection drops, or
        they are answered by this status."""
        self.life_s = 3600
        self.rotates = True
        self.given: set[str] = {CLIENT_SECRET}
        """All secrets there ever were."""
        self.wait: Any = None

    # -- the owner, in a browser -----------------------------------------------------------------------------------

    def consent(self, address: str, *, error: str = "") -> str:
        """→ where the browser is sent."""
        asked = {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert (asked["client_id"], asked["code_challenge_method"]) == (CLIENT, "S256")
        assert urlsplit(asked["redirect_uri"]).hostname == "127.0.0.1"
        if error:
            return f"{asked['redirect_uri']}?{urlencode({'error': error, 'state': asked['state']})}"
        code = self._new()
        self.codes[code] = asked["code_challenge"], asked["redirect_uri"]
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def let_in(self) -> str:
        """As if all that had happened before; → the refresh token."""
        token: str = self._tokens(self._new())["refresh_token"]
        return token

    # -- the server ------------------------------------------------------------------------------------------------

    async def __call__(self, peer: Peer, head: bytes) -> None:
        body = self.server.bodies[-1].decode()
        line, *headers = head.decode().split("\r\n")
        told = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in headers)}
        _, path, _ = line.split(" ")
        if path == "/token":
            await self._token(peer, told, body)
            return
        token = told.get("authorization", "").removeprefix("Bearer ")
        if token not in self.access:
            await _answer(peer, 401, {})
        else:
            await _answer(peer, 200, STATEMENT if path.startswith("/fhir/metadata") else EMPTY)

    async def _token(self, peer: Peer, headers: dict[str, str], body: str) -> None:
        form = {name: value for name, (value,) in parse_qs(body).items()}
        self.forms.append(form)
        fault = self.lose.pop(0) if self.lose else ""
        if fault == "before":
            peer.reset()
            raise ConnectionAbortedError
        if fault.isdigit():
            await _answer(peer, int(fault), {})
            return
        expected = base64.b64encode(urlencode({CLIENT: CLIENT_SECRET}).replace("=", ":").encode()).decode()
        if headers.get("authorization") != f"Basic {expected}":
            await _answer(peer, 401, {"error": "invalid_client"})
            return
        if self.wait is not None:
            await self.wait()
        answer = self._redeem(form) if form["grant_type"] == "authorization_code" else self._refresh(form)
        if fault == "after":
            peer.reset()
            raise ConnectionAbortedError
        await _answer(peer, 400 if "error" in answer else 200, answer)

    def _redeem(self, form: dict[str, str]) -> dict[str, Any]:
        challenge, redirect = self.codes.pop(form["code"], ("", ""))
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (base64.urlsafe_b64encode(digest).decode().rstrip("="), form["redirect_uri"]) != (challenge, redirect):
            return {"error": "invalid_grant"}
        return self._tokens(self._new())

    def _refresh(self, form: dict[str, str]) -> dict[str, Any]:
        token = form["refresh_token"]
        if token in self.spent:
            family = self.spent[token]
            self.current.pop(family, None)
            self.access = {t: f for t, f in self.access.items() if f != family}
            self.stolen.append(family)
            return {"error": "invalid_grant"}
        family = next((family for family, current in self.current.items() if current == token), None)
        if family is None:
            return {"error": "invalid_grant"}
        if self.rotates:
            self.spent[token] = family
        return self._tokens(family)

    def _tokens(self, family: str) -> dict[str, Any]:
        access = self._new()
        self.access[access] = family
        told: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "expires_in": self.life_s}
        if self.rotates or family not in self.current:
            told["refresh_token"] = self.current[family] = self._new()
        return told

    def expire(self) -> None:
        """All access tokens are old."""
        self.access.clear()

    def _new(self) -> str:
        new = secrets.token_urlsafe(24)
        self.given.add(new)
        return new


async def _answer(peer: Peer, status: int, body: Any) -> None:
    told = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(told)}\r\nContent-Type: application/json\r\n\r\n"
    await peer.send(head.encode() + told)
