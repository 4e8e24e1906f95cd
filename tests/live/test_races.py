"""Eight clinic apps at once, by two gateways in front of each real server: nobody gets what somebody else got, nobody
is told so, and nothing stands half."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import httpx
import pytest

from tests.live.clinics import HALF_HOUR, Clinic, Facts, starts
from tests.live.gateway import Client, errors, span
from tests.live.shown import Shown
from tests.live.sites import ALL

pytestmark = [
    pytest.mark.live,
    pytest.mark.usefixtures("agreeing", "raced"),
    pytest.mark.parametrize("site", ALL, indirect=True, scope="module"),
]

REFUSALS = [
    (400, ["NO_TIMESLOTS_AVAILABLE"]),
    (409, ["NO_TIMESLOTS_AVAILABLE"]),
    (409, ["CHANGED_MEANWHILE"]),
    (503, []),
    (502, ["EMR_ERROR"]),
]
"""What those are told who come too late: gone before, or while, we wrote; or another command has the resource; or what
they read went on changing, or failed, under so many at once. Who is told so has written nothing: that is looked at."""

Ask = Callable[[], httpx.Response]


class Racer(NamedTuple):
    """An app with appointments of its own, at a colleague's."""

    app: Client
    who: str
    ids: list[str]


@pytest.fixture
def raced(shown: Shown) -> None:
    shown.add("races")


def at_once(asks: Sequence[Ask]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(asks)) as pool:
        return [one.result(timeout=120) for one in [pool.submit(ask) for ask in asks]]


def won(answers: Sequence[httpx.Response]) -> list[bool]:
    """Who got it. The others are told why, and not by halves."""
    for answer in answers:
        told = answer.status_code, errors(answer) if answer.status_code >= 400 else []
        codes = sorted(set(told[1]))
        assert told[0] in (200, 201) or (told[0], codes) in REFUSALS, answer.text
    return [answer.status_code in (200, 201) for answer in answers]


# -- one --------------------------------------------------------------------------------------------------------------


def test_of_eight_that_want_one_slot_exactly_one_gets_it(apps: list[Client], clinic: Clinic):
    """Those who move and those who book."""
    ids, wanted = clinic.booked(9, 10, 11), span(clinic.at(15))
    booking = {"patient_id": clinic.patient, "resource_id": clinic.anna, "healthcare_service_id": clinic.service}
    moves = [partial(app.change, id, wanted) for app, id in zip(apps, ids, strict=False)]
    books = [partial(app.send, "POST", "/appointments", {**booking, **wanted}) for app in apps[len(ids) :]]
    assert sum(won(at_once([*moves, *books]))) == 1
    assert starts(clinic, clinic.anna).count("15:00") == 1


def test_of_eight_that_change_one_appointment_all_are_told_the_truth(apps: list[Client], clinic: Clinic):
    """What stands in the end is the last that was said to have been done."""
    (id, *_) = clinic.booked(9, 10, 11)
    wanted = [span(clinic.at(hour, minute)) for hour in (8, 12, 13, 14) for minute in (0, 30)]
    wanted[3] = span(clinic.at(9, 30))  # half past twelve is somebody's
    answers = at_once([partial(app.change, id, body) for app, body in zip(apps, wanted, strict=True)])
    done = [answer.json()["start"] for answer, got in zip(answers, won(answers), strict=True) if got]
    stands = clinic.facts(id)
    assert stands is not None
    assert stands.start.isoformat() in done
    assert len(starts(clinic, clinic.anna)) == 3


# -- many -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def racers(apps: list[Client], clinic: Clinic) -> list[Racer]:
    """Each has two half hours that follow on each other, and that meet those of the next."""
    return [Racer(app, *_pair(clinic, n % 3)) for n, app in enumerate(apps)]


def _pair(clinic: Clinic, place: int) -> tuple[str, list[str]]:
    start = clinic.at(9) + place * HALF_HOUR
    return clinic.colleague(start, start + HALF_HOUR)


def raced_for(racers: Sequence[Racer], clinic: Clinic, wanted: Sequence[dict[str, Any]]) -> list[bool]:
    """All want time of Bo's for both of theirs, and who is too late tries again: by then there is a winner."""
    before = {racer.who: whole(clinic, racer) for racer in racers}
    asks = [
        partial(racer.app.change_many, racer.ids, resource_id=clinic.bo, **body)
        for racer, body in zip(racers, wanted, strict=True)
    ]
    first = won(at_once(asks))
    told = [got or won([ask()])[0] for got, ask in zip(first, asks, strict=True)]
    assert any(told)
    for racer, got in zip(racers, told, strict=True):
        after = whole(clinic, racer)
        assert after == before[racer.who] or (got and {one.resource_id for one in after} == {clinic.bo}), racer.who
    here = sorted(one for one in clinic.standing().values() if one.resource_id == clinic.bo)
    assert all(earlier.end <= later.start for earlier, later in pairwise(here))
    return told


def whole(clinic: Clinic, racer: Racer) -> list[Facts]:
    """What stands of a racer's own."""
    found = [clinic.facts(id) for id in racer.ids]
    return [one for one in found if one is not None and one.stands]


def test_of_eight_bulk_updates_none_is_half_at_the_new_resource(racers: list[Racer], clinic: Clinic):
    told = raced_for(racers, clinic, [{}] * len(racers))
    assert len(starts(clinic, clinic.bo)) == 2 * sum(told)


def test_of_eight_reschedules_the_winners_ranges_do_not_meet(racers: list[Racer], clinic: Clinic):
    """Into two half hours, into three of which one is new, or into one so that the other is cancelled."""
    lengths = [(2, 3, 1)[n // 3] for n in range(len(racers))]
    begins = [clinic.at(13) + n % 3 * HALF_HOUR for n in range(len(racers))]
    wanted = [span(start, start + length * HALF_HOUR) for start, length in zip(begins, lengths, strict=True)]
    told = raced_for(racers, clinic, wanted)
    assert len(starts(clinic, clinic.bo)) == sum(length for length, got in zip(lengths, told, strict=True) if got)
