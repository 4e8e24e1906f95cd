"""API8:2023 Security Misconfiguration: nothing is open, told or kept that need not be."""

from __future__ import annotations

import stat

import pytest

from gateway.configuration.settings import examine

pytestmark = pytest.mark.security
PUBLIC = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/errors", "/errors/BUSY")


@pytest.mark.parametrize("path", [*PUBLIC, "/api/emrs", "/api/emrs/in-place/patients", "/nowhere"])
async def test_the_headers_of_every_answer(api, path):
    answer = await api.http.get(path, headers={**api.headers, "origin": "https://evil.invalid"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    told = {
        name
        for name in answer.headers
        if name.startswith("access-control") or name in ("server", "x-powered-by", "set-cookie")
    }
    assert told == set()
    if answer.headers["content-type"].startswith("text/html"):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script" not in answer.text


async def test_an_error_of_ours_tells_nothing_of_the_inside(api, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("Test Testsson")

    monkeypatch.setattr("gateway.wire.render.render_accounts", fails)
    answer = await api.http.get("/api/emrs", headers=api.headers)
    assert (answer.status_code, answer.json()["code"]) == (500, "UNKNOWN_ERROR")
    assert not any(word in answer.text for word in ("Testsson", "ZeroDivision", "Traceback", ".py"))


async def test_what_is_kept_is_its_owner_s_alone(http, config):
    state = config.parent / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for path in state.iterdir():
        if path.name.startswith(("gateway.key", "ledger", "control")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def test_known_secrets_are_not_served_to_others(config):
    assert any("others can reach" in said for said in examine({"HOST": "0.0.0.0"}, config=config)[1])
