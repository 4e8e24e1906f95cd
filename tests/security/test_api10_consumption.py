"""API10:2023 Unsafe Consumption of APIs: what an EMR says is data. (All its ways to do harm: test_hostile_emrs.py.)"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.clinic import staff_of

pytestmark = pytest.mark.security
EVIL = "\x00\x1b[31m\r\nX-Evil: 1\r\n\r\n<script>\u202e\u2028"


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    return config


@pytest.mark.parametrize("standard", ["leyr", "fhir"])
async def test_control_characters_of_an_emr_stay_within_their_string(api, staff, standard):
    (own,) = await api.booked(1)
    await staff.note(api, own["id"], EVIL)
    for method, path, body in (
        ("GET", f"appointments/{own['id']}", None),
        ("GET", "appointments", None),
        ("PATCH", f"appointments/{own['id']}", {"resource_id": "D2"}),
        ("PATCH", "appointments", {"ids": [own["id"]], "status": "cancelled"}),
    ):
        answer = await api.http.request(
            method, f"/api/emrs/in-place/{path}", json=body, headers={**api.headers, "x-leyr-standard": standard}
        )
        assert answer.status_code == 200
        assert "evil" not in str(answer.headers).lower()
        raw = answer.content.decode("utf-8")
        assert not set(raw) & {chr(code) for code in range(32)}
        assert EVIL in strings(json.loads(raw))


def strings(told: Any) -> set[str]:
    if isinstance(told, str):
        return {told}
    inside = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    return {text for one in inside for text in strings(one)}
