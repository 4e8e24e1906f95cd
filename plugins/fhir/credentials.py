"""How an account proves itself, as its settings say."""

from __future__ import annotations

import httpx

from gateway.plugin import Basic, Bearer, ClientCredentials, SmartBackend
from plugins.fhir.settings import Settings


def credentials(settings: Settings) -> httpx.Auth | None:
    """`None` where the server asks for nothing. What a kind needs is there: the settings have seen to it."""
    match settings:
        case Settings(auth="basic", user=str(user), password=password) if password is not None:
            return Basic(user, password)
        case Settings(auth="bearer", token=token) if token is not None:
            return Bearer(token)
        case Settings(auth="client_credentials", token_url=str(url), client_id=str(client), client_secret=secret):
            assert secret is not None
            return ClientCredentials(url, client, secret, settings.scope, style=settings.client_auth)
        case Settings(auth="smart_backend", client_id=str(client), private_key=key, scope=str(scope)):
            assert key is not None
            where, kid = settings.token_url, settings.key_id
            return SmartBackend(settings.base_url, client, key, scope, key_id=kid, token_url=where)
        case _:
            return None
