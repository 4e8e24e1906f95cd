"""What answers tell, and what was spent on the EMR for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import plugins.sandbox
from gateway.manners.meter import Meter
from plugins.sandbox.emr import build_app
from tests.e2e.conftest import PERSONALITIES, Api, started

SEEN = ("start", "end", "status", "comment", "patient_id", "resource_id", "healthcare_service_id", "care_unit_id")


def on_every(scenario: Callable[[Api], Awaitable[None]]) -> Callable[[Path, pytest.MonkeyPatch], Awaitable[None]]:
    """A test of the scenario on EMRs of all personalities, at the same time and by the same gateway."""

    async def test(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # The one that writes later does it a little sooner than in life.
        monkeypatch.setattr(plugins.sandbox, "build_app", partial(build_app, settle_s=0.04))
        async with started(config) as http:
            await together({personality: scenario(Api(http, personality)) for personality in PERSONALITIES})

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test


async def together(scenarios: Mapping[str, Awaitable[None]]) -> None:
    """All at the same time; every one that fails is told, by its name."""
    ends = await asyncio.gather(*scenarios.values(), return_exceptions=True)
    failed = []
    for name, end in zip(scenarios, ends, strict=True):
        if end is not None:
            end.add_note(f"in the scenario {name}")
            failed.append(end)
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {len(ends)} failed", failed)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def patched(api: Api, id: str, body: Any, status: int = 200, **headers: str) -> Any:
    answer = await api.call("PATCH", f"appointments/{id}", body, headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def cancelled(api: Api, id: str, status: int = 200, **other: Any) -> Any:
    return await patched(api, id, {"status": "cancelled", **other}, status)


async def confirmed(api: Api, id: str, code: str, status: int = 200) -> Any:
    return await patched(api, id, {"confirmation": {"code": code}}, status)


def codes(problem: Any) -> list[str]:
    return [error["error_code"] for error in problem["errors"]]


def refused(problem: Any, code: str, *error_codes: str) -> None:
    assert (problem["code"], codes(problem)) == (code, list(error_codes))


def seen(appointment: Any) -> tuple[Any, ...]:
    """All that must not change when nothing was written."""
    return tuple(appointment[name] for name in SEEN)


async def standing(api: Api) -> list[str]:
    """Everything that is listed and not cancelled, whatever its ids."""
    return sorted(repr(seen(a)) for a in await api.everything() if a["status"] != "cancelled")


async def with_status(api: Api, status: str, service_id: str = "K1") -> Any:
    found = await api.everything()
    return next(a for a in found if a["status"] == status and a["healthcare_service_id"] == service_id)


@contextmanager
def spent(patch: pytest.MonkeyPatch) -> Iterator[list[Meter]]:
    """The meter of each command that asks its EMR anything inside, in order."""
    meters: list[Meter] = []

    count = Meter.add

    def add(self: Meter, started: float, ended: float, *, is_write: bool) -> None:
        if all(self is not known for known in meters):
            meters.append(self)
        count(self, started, ended, is_write=is_write)

    with patch.context() as patched:
        patched.setattr(Meter, "add", add)
        yield meters
