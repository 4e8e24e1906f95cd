"""Asking for free time: one batch for all wishes, and one question per stretch of days."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from gateway.domain.availability import Offer, offer
from gateway.domain.capabilities import Capabilities
from gateway.domain.lower import Wish
from gateway.domain.model import Appointment, FreeTime, Span
from gateway.domain.questions import FindFreeTime, Question, ReadCalendar


def offers_for(
    wishes: Sequence[Wish], own: Sequence[Appointment], can: Capabilities
) -> Generator[tuple[Question, ...], tuple[Any, ...], dict[str, Offer]]:
    """Free time for each wish's target, asked in one batch with one question per stretch of days; and, where slots are
    records, for where each stands now (`{chain}/old`), so that its slots can be given back over their versions."""
    places = {w.chain: w.expected for w in wishes} if can.slot_check == "emr" and can.free_time != "none" else {}
    if can.slot_records:
        places |= {f"{w.chain}/old": w.before for w in wishes if w.before is not None}
    groups = _merged(places)
    free = [FindFreeTime(span, *where, ignoring=tuple(own)) for where, span, _ in groups]
    calendars = (
        [ReadCalendar(span, resource_id=where[0]) for where, span, _ in groups] if _ask_calendar(own, can) else []
    )
    if not free:
        return {}
    answers = yield (*free, *calendars)
    offers: dict[str, Offer] = {}
    for n, (where, _, chains) in enumerate(groups):
        found: FreeTime = answers[n]
        others: Sequence[Appointment] = answers[len(groups) + n] if calendars else ()
        for chain in chains:
            offers[chain] = offer(found, own, others, where[0], can)
    return offers


def _ask_calendar(own: Sequence[Appointment], can: Capabilities) -> bool:
    """Own time counts as free unless somebody else is there too: ask who is, where the EMR does not tell itself."""
    return bool(own) and can.lists and not can.own_time_shown


Where = tuple[str | None, str | None, str | None]


def _merged(places: Mapping[str, Appointment]) -> list[tuple[Where, Span, list[str]]]:
    """Places by resource, service and care unit, with neighbours less than a day apart in one stretch."""
    groups: list[tuple[Where, Span, list[str]]] = []
    by_start = sorted(places.items(), key=lambda item: (str(_where(item[1])), item[1].span.key, item[0]))
    for chain, place in by_start:
        where = _where(place)
        if groups and groups[-1][0] == where and place.span.key[0] - groups[-1][1].key[1] < 86_400:
            last = groups[-1][1]
            end = place.end if place.span.key[1] > last.key[1] else last.end
            groups[-1] = (where, Span(last.start, end), [*groups[-1][2], chain])
        else:
            groups.append((where, place.span, [chain]))
    return groups


def _where(place: Appointment) -> Where:
    return (place.resource_id, place.healthcare_service_id, place.care_unit_id)
