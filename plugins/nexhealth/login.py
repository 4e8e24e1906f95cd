"""An API key is exchanged for a token."""

from __future__ import annotations

import httpx
from pydantic import SecretStr

from gateway.plugin import Login, Proof
from plugins.nexhealth import words

VERSION = {"Nex-Api-Version": "v3.0.0"}
LIFE_S = 3600.0
"""In production; of a sandbox it is a day."""


class Tokens(Login):
    def __init__(self, address: str, key: SecretStr) -> None:
        super().__init__()
        self._url, self._key = f"{address}/authenticates", key

    def login(self, request: httpx.Request) -> httpx.Request:
        key = {"Authorization": self._key.get_secret_value()}
        return self.beside(request, "POST", self._url, headers={**VERSION, **key})

    def proof(self, answer: httpx.Response) -> Proof:
        token = words.data(answer)["token"]
        if not isinstance(token, str) or not token:
            raise TypeError("no token")
        return Proof({"Authorization": f"Bearer {token}"}, LIFE_S)

    def __repr__(self) -> str:
        return "Tokens()"
