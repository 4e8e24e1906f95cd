"""EMRs that speak local time without an offset: what a clock shows is what is read, and what is read is what is said,
in all zones that there are. What a clock shows twice is neither said nor, where it can be told, offered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from gateway.plugin import Change, Emr, FindFreeTime, Refused, Span
from tests.plugins.athenahealth import samples as athena
from tests.plugins.athenahealth.conftest import Practice
from tests.plugins.drchrono import samples as drchrono
from tests.plugins.drchrono.wire import opened as drchrono_opened
from tests.plugins.opendental import samples as opendental
from tests.plugins.opendental.asking import opened as opendental_opened
from tests.vendor.test_local_time import NAMES, offset, set_in

LENGTH, STEP = timedelta(minutes=30), timedelta(minutes=30)
Answers = Callable[[httpx.Request], httpx.Response]


class Router:
    """What a plugin's tests take for a vendor: here a function that answers all."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def async_handler(self, request: httpx.Request) -> httpx.Response:
        return self._answers(request)


def shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the zone's clock shows."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def begins(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """The instants at which the zone's clock shows this: one, two, or none."""
    readings = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return [instant for instant in readings if shown(instant, zone) == wall]


def comes_twice(moment: datetime, zone: ZoneInfo) -> bool:
    return len(begins(shown(moment, zone), zone)) > 1


def moments(name: str) -> Iterator[datetime]:
    """Half hours around both settings of a zone's clock in a year, and one in the middle of its summer and winter."""
    zone = ZoneInfo(name)
    yield from (datetime(2026, month, 15, 9, tzinfo=UTC) for month in (1, 7))
    for low in set_in(name):
        halves = [low + n * STEP for n in range(25)]
        by = next(late for early, late in pairwise(halves) if offset(early, zone) != offset(late, zone))
        yield from (by + n * STEP for n in range(-5, 6))


@cache
def clocks() -> dict[str, list[datetime]]:
    """A zone for each clock that is unlike all others around these moments, of all zones that there are."""
    each: dict[object, tuple[str, list[datetime]]] = {}
    for name in NAMES:
        there = list(moments(name))
        each.setdefault(tuple((moment, offset(moment, ZoneInfo(name))) for moment in there), (name, there))
    return dict(each.values())


@dataclass(frozen=True)
class Writer:
    """A vendor whose appointments are changed by saying a wall time."""

    opened: Callable[..., Emr]
    row: Callable[[datetime], dict[str, Any]]
    """An appointment of half an hour as the vendor shows it, that begins when the clock shows this."""
    said: Callable[[dict[str, Any]], str]


WRITERS = {
    "drchrono": Writer(
        drchrono_opened,
        lambda wall: {**drchrono.BOOKED, "scheduled_time": f"{wall:%Y-%m-%dT%H:%M:%S}", "duration": 30},
        lambda body: body["scheduled_time"],
    ),
    "opendental": Writer(
        opendental_opened,
        lambda wall: {**opendental.BOOKED, "AptDateTime": f"{wall:%Y-%m-%d %H:%M:%S}", "Pattern": "XXXXXX"},
        lambda body: body["AptDateTime"],
    ),
}


@pytest.mark.parametrize("vendor", WRITERS)
async def test_wall_time_in_is_wall_time_out_or_refused(vendor):
    """Moved from any moment to itself: the vendor is told the very time that it has shown."""
    writer, told, twice = WRITERS[vendor], list[str](), 0

    def answers(request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            told.append(writer.said(json.loads(request.content)))
            return httpx.Response(204)
        return httpx.Response(200, json=row)

    for name, there in clocks().items():
        zone = ZoneInfo(name)
        emr = writer.opened(Router(answers), zone=name)
        for moment in there:
            wall = shown(moment, zone)
            row = writer.row(wall)
            before = await emr.appointment(str(row["id" if "id" in row else "AptNum"]))
            assert before is not None
            assert (before.start.replace(tzinfo=None, fold=0), before.span.length) == (wall, LENGTH), (name, wall)
            told.clear()
            step = Change(chain="x", before=before, span=Span(moment, moment + LENGTH))
            if comes_twice(moment, zone):
                twice += 1
                with pytest.raises(Refused, match="repeated hour"):
                    await emr.change(step)
                assert not told
            elif not comes_twice(moment + LENGTH, zone):
                assert before.start == moment, (name, wall)
                await emr.change(step)
                assert [datetime.fromisoformat(one) for one in told] == [wall], (name, wall)
    assert twice > 50


def walls(name: str) -> list[datetime]:
    """What a zone's clock shows at these moments, and half an hour later: that it may skip."""
    shown_then = {shown(moment, ZoneInfo(name)) for moment in clocks()[name]}
    return sorted(shown_then | {wall + STEP for wall in shown_then})


async def test_slots_are_offered_when_the_clock_shows_their_time_once():
    """Of athenahealth, where no time is said but slots are taken by their ids."""
    skipped = twice = 0
    for name in clocks():
        zone = ZoneInfo(name)
        rows = dict(enumerate(walls(name), 1))

        def answers(request: httpx.Request, rows: dict[int, datetime] = rows, name: str = name) -> httpx.Response:
            if "token" in request.url.path:
                return httpx.Response(200, json=athena.TOKEN)
            if request.url.path.endswith("/departments"):
                here = {"departmentid": "1", "name": "Test Street", "timezonename": name}
                return httpx.Response(200, json=athena.listed(here, name="departments"))
            slots = [
                {**athena.SLOT, "appointmentid": n, "date": f"{wall:%m/%d/%Y}", "starttime": f"{wall:%H:%M}"}
                for n, wall in rows.items()
            ]
            return httpx.Response(200, json=athena.listed(*slots))

        emr = Practice().opened(httpx.MockTransport(answers), zone=name, page_size=5000)
        year = Span(datetime(2025, 12, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
        free = await emr.free_time(FindFreeTime(year, "528", "4", "1"))
        offered = {int(slot.id or ""): slot for slot in free.slots}
        for n, wall in rows.items():
            instants = begins(wall, zone)
            skipped, twice = skipped + (not instants), twice + (len(instants) > 1)
            is_certain = len(instants) == 1 and not comes_twice(instants[0] + LENGTH, zone)
            assert (n in offered) is is_certain, (name, wall)
            if is_certain:
                assert (offered[n].start, offered[n].span.length) == (instants[0], LENGTH), (name, wall)
    assert min(skipped, twice) > 25
