"""How an account proves itself, as its settings say."""

from __future__ import annotations

import httpx

from gateway.plugin import (
    Account,
    AuthorizationCode,
    Basic,
    Bearer,
    ClientCredentials,
    Consent,
    SmartBackend,
)
from plugins.fhir.settings import Settings


def consent(settings: Settings) -> Consent | None:
    """SMART App Launch, standalone: somebody lets the gateway in, with their own rights."""
    if settings.auth != "authorization_code":
        return None
    assert settings.authorize_url is not None
    assert settings.token_url is not None
    assert settings.client_id is not None
    return Consent(
        authorize_url=settings.authorize_url,
        token_url=settings.token_url,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        style=settings.client_auth,
        scope=settings.scope or "",
        parameters={"aud": settings.base_url},
    )


def credentials(settings: Settings, account: Account) -> httpx.Auth | None:
    """`None` where the server asks for nothing. What a kind needs is there: the settings have seen to it."""
    asked = consent(settings)
    if asked is not None:
        return AuthorizationCode.of(account, asked)
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
