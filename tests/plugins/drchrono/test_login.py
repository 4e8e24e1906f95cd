"""How somebody is asked to let the gateway in."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx
import pytest

from gateway.plugin import Account, BadAccount, Door
from plugins.drchrono import Settings, consent, emr_open
from tests.plugins.drchrono.wire import TOLD


def test_how_somebody_is_asked_and_how_tokens_are_asked_for():
    asked = consent(Settings.model_validate(TOLD))
    assert asked.authorize_url == "https://app.drchrono.com/o/authorize/"
    assert asked.scope == "calendar:read calendar:write user:read patients:summary:read"
    assert asked.rotates
    request = asked.request({"grant_type": "refresh_token", "refresh_token": "r"})
    assert (request.method, str(request.url)) == ("POST", "https://app.drchrono.com/o/token/")
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r"],
        "client_id": ["gateway"],
        "client_secret": ["what they know us by"],
    }
    assert "authorization" not in request.headers


def test_nobody_is_asked_for_anything_before_somebody_has_let_the_gateway_in(drchrono):
    door = Door(httpx.MockTransport(drchrono.async_handler))
    with pytest.raises(BadAccount):
        emr_open(Account("clinic", Settings.model_validate(TOLD), door))
