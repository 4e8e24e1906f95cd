"""What can be read: appointments, calendars, free time, directories."""

from __future__ import annotations

from collections.abc import Set
from datetime import timedelta

from gateway.domain.model import Kind, Span, Status
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.port import Refused
from gateway.testing.cases.refused import refused
from gateway.testing.claims import case
from gateway.testing.practice import Practice

ODD_IDS = ("../x", "a b", "a/b", "a?b=c", "a,b", "å", "%2e%2e", "x" * 300)


class ReadCases:
    @case()
    async def test_an_appointment_is_read_as_it_stands(self, at: Practice) -> None:
        made = await at.book()
        read = await at.there(made.id)
        assert read.span.same(at.openings[0])
        assert (read.patient_id, read.resource_id) == (at.world.patient_id, at.resource(0))
        assert read.healthcare_service_id in (None, at.world.healthcare_service_id)
        assert at.world.care_unit_id is None or read.care_unit_id in (None, at.world.care_unit_id)
        assert (read.status, read.confirms) == (Status.BOOKED, None)

    @case()
    async def test_an_unknown_id_is_nobodys(self, at: Practice) -> None:
        assert await at.emr.appointment(at.world.unknown_id) is None

    @case()
    async def test_an_odd_id_reaches_nothing(self, at: Practice) -> None:
        for id in ODD_IDS:
            try:
                assert await at.emr.appointment(id) is None
            except Refused:
                continue

    @case()
    async def test_many_are_read_at_once_under_the_ids_that_were_asked_for(self, at: Practice) -> None:
        first, second = await at.book(0), await at.book(1)
        ids = [second.id, at.world.unknown_id, first.id]
        found = await at.emr.appointments(ids)
        assert [found[id] for id in ids] == [second, None, first]
        assert not await at.emr.appointments([])

    @case("lists")
    async def test_the_calendar_holds_what_overlaps(self, at: Practice) -> None:
        made, (begins, ends) = await at.book(), (at.openings[0].start, at.openings[0].end)
        moment = timedelta(minutes=1)
        around = {
            "all of it": (Span(begins, ends), True),
            "its beginning": (Span(begins - moment, begins + moment), True),
            "its end": (Span(ends - moment, ends + moment), True),
            "its inside": (Span(begins + moment, ends - moment), True),
            "more than it": (Span(begins - moment, ends + moment), True),
            "what ends where it begins": (Span(begins - moment, begins), False),
            "what begins where it ends": (Span(ends, ends + moment), False),
        }
        for what, (span, is_there) in around.items():
            listed = await at.emr.calendar(ReadCalendar(span, resource_id=at.resource(0)))
            assert (made in listed) is is_there, what

    @case("lists")
    async def test_the_calendar_is_of_one_resource_or_patient(self, at: Practice) -> None:
        here, there = await at.book(0, 0), await at.book(0, 1)
        day, patient = at.day, at.world.patient_id
        assert here in await at.emr.calendar(ReadCalendar(day, resource_id=at.resource(0), patient_id=patient))
        assert there not in await at.emr.calendar(ReadCalendar(day, resource_id=at.resource(0)))
        both = await at.emr.calendar(ReadCalendar(day, patient_id=patient))
        assert here in both
        assert there in both

    @case("lists", "cancel")
    async def test_the_calendar_holds_the_cancelled_too(self, at: Practice) -> None:
        made = await at.cancelled(await at.book())
        listed = await at.emr.calendar(ReadCalendar(at.day, resource_id=at.resource(0)))
        assert [a.status for a in listed if a.id == made.id] == [Status.CANCELLED]

    @case("free_time")
    async def test_what_is_free_is_offered(self, at: Practice) -> None:
        for on in (0, 1):
            for opening in at.openings:
                await at.expect(opening, on, free=True)

    @case("free_time")
    async def test_free_time_needs_no_more_to_be_named_than_is_claimed(self, at: Practice) -> None:
        found = await at.emr.free_time(_asking(at, at.can.free_time_by | {Kind.RESOURCE}))
        assert any(slot.span.overlaps(at.openings[0]) for slot in found.slots)

    @case("free_time_by")
    async def test_free_time_is_not_told_where_what_it_is_asked_by_is_left_out(self, at: Practice) -> None:
        for kind in sorted(at.can.free_time_by):
            await refused(at.emr.free_time(_asking(at, at.can.free_time_by - {kind})), "unsupported")

    @case("directories")
    async def test_directories_list_and_look_up(self, at: Practice) -> None:
        known: dict[Kind, tuple[str, ...]] = {
            Kind.RESOURCE: at.world.resource_ids,
            Kind.SERVICE: (at.world.healthcare_service_id,),
            Kind.PATIENT: (at.world.patient_id,),
        }
        if Kind.CARE_UNIT in at.can.directories:
            known[Kind.CARE_UNIT] = (at.need(at.world.care_unit_id, "care_unit_id", "lists care units"),)
        for kind in at.can.directories:
            listed = await at.emr.directory(kind)
            for id in known[kind]:
                found = await at.emr.look_up(kind, id)
                assert found is not None, f"an entry of {kind} is not found"
                assert found in listed, f"an entry of {kind} is looked up, and not listed as such"
            assert await at.emr.look_up(kind, at.world.unknown_id) is None


def _asking(at: Practice, named: Set[Kind]) -> FindFreeTime:
    return FindFreeTime(
        at.day,
        at.resource(0) if Kind.RESOURCE in named else None,
        at.world.healthcare_service_id if Kind.SERVICE in named else None,
        at.world.care_unit_id if Kind.CARE_UNIT in named else None,
    )
