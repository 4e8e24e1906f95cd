"""A write fails in the middle of a command: all of it, or nothing, or exactly what is said (contract §5)."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.clinic import on_each, staff_of
from tests.e2e.conftest import at, span
from tests.e2e.ends import Trial

EMRS = ("slot-records",)
MORE = ("in-place", "no-move", "new-id", "no-content")
some_or_all = pytest.mark.parametrize(
    "emrs", [EMRS, pytest.param(MORE, marks=pytest.mark.faults)], ids=["some", "more"]
)
"""The others are tried beside `tests/faults`."""

UNDONE = {
    "!refuse": {"EMR_REFUSED"},
    "!refuse@2": {"EMR_REFUSED"},
    "!error@1": {"EMR_ERROR"},
    "!error@3": {"EMR_ERROR"},
    "!drop@2": {"EMR_ERROR"},
    "!other@2": {"EMR_DEVIATION"},
    "!lost@2": {"done"},
    "!late@2": {"done"},
    "!busy": {"done", "EMR_UNAVAILABLE"},
}
"""What becomes of it as long as there is a way back."""


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    return config


async def tried(http, count, body, faults, emrs):
    """The same command with each fault, each on a day of its own, on all the EMRs at once.

    Those that are late come first and by themselves: as late as the EMR says, and not as late as this machine is slow.
    """

    async def one(api, day, fault, ends):
        trial = Trial(api, day, await api.booked(count, day=day))
        await trial.run(body(day) | {"comment": f"moved {fault}"})
        end = await trial.holds()
        if api.emr == "no-content" and ends == {"EMR_DEVIATION"}:
            ends = {"PARTIALLY_APPLIED"}  # no answer shows it: it may be the staff's
        assert end in ends, f"{api.emr} {fault}: {trial.answer}"

    for late in (True, False):
        chosen = [
            (day, *fault) for day, fault in enumerate(faults.items(), start=5) if fault[0].startswith("!la") is late
        ]

        async def scenario(api, chosen=chosen):
            for error in await asyncio.gather(*(one(api, *trial) for trial in chosen), return_exceptions=True):
                if error is not None:
                    raise error

        await on_each(http, scenario, *emrs)


@some_or_all
async def test_a_bulk_update(http, emrs):
    await tried(http, 3, lambda _: {"resource_id": "D2"}, UNDONE, emrs)


async def test_a_comment_for_each(http):
    await tried(http, 3, lambda _: {}, UNDONE, ("in-place", "no-content"))


@some_or_all
async def test_a_reschedule_that_books_new_ones(http, emrs):
    await tried(http, 2, lambda day: span(at(day, 13), at(day, 15)), UNDONE, emrs)


@some_or_all
async def test_a_reschedule_that_cancels_the_surplus(http, emrs):
    """Two move, two are cancelled. The third write that bears the comment cancels, maybe beyond the way back."""
    faults = {
        **{
            f: e for f, e in UNDONE.items() if f in ("!refuse", "!refuse@2", "!error@1", "!drop@2", "!other@2", "!busy")
        },
        "!lost": {"done"},
        "!late@3": {"done"},
        "!refuse@3": {"done", "EMR_REFUSED"},
        "!error@3": {"done", "EMR_ERROR"},
        "!drop@4": {"done"},
        "!other@3": {"PARTIALLY_APPLIED"},
    }
    await tried(http, 4, lambda day: span(at(day, 13), at(day, 14)), faults, emrs)


@some_or_all
async def test_a_bulk_cancellation(http, emrs):
    """The first one is the turning point: from then on there is only forward."""
    faults = {
        "!refuse@1": {"EMR_REFUSED"},
        "!refuse@2": {"done"},
        "!error@1": {"EMR_ERROR"},
        "!error@2": {"done"},
        "!drop@1": {"EMR_ERROR"},
        "!drop@3": {"done"},
        "!lost": {"done"},
        "!late@2": {"done"},
        "!busy": {"done", "EMR_UNAVAILABLE"},
        "!other@2": {"PARTIALLY_APPLIED"},
    }
    await tried(http, 3, lambda _: {"status": "cancelled"}, faults, emrs)
