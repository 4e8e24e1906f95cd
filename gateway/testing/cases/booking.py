"""Booking: time that is free becomes an appointment, once."""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.commands import Book
from gateway.domain.model import Span, Status
from gateway.domain.steps import Discard
from gateway.testing.cases.refused import refused
from gateway.testing.claims import case
from gateway.testing.practice import Practice


class BookingCases:
    @case("create")
    async def test_a_booking_takes_its_time(self, at: Practice) -> None:
        await at.expect(at.openings[0], free=True)
        made = await at.book()
        assert made.status is Status.BOOKED
        await at.expect(at.openings[0], free=False)
        await at.expect(at.openings[1], free=True)
        await at.expect(at.openings[0], on=1, free=True)

    @case("create")
    async def test_a_booking_is_found_by_its_marker_and_no_other_is(self, at: Practice) -> None:
        first, second = await at.creation(at.openings[0]), await at.creation(at.openings[1])
        made = await at.carry_out(first)
        assert await at.emr.find_own(first) == made
        assert await at.emr.find_own(second) is None
        await at.carry_out(second)
        assert await at.emr.find_own(first) == made

    @case("books_comment")
    async def test_a_booking_takes_its_comment_along(self, at: Practice) -> None:
        made = await at.carry_out(await at.creation(at.openings[0], comment="Fasting since midnight."))
        assert made.comment == "Fasting since midnight."

    @case("create", "comment")
    async def test_a_booking_has_its_comment_in_the_end(self, at: Practice) -> None:
        who, what = at.world.patient_id, at.world.healthcare_service_id
        run = await at.desk.do(Book(at.openings[0], who, at.resource(0), what, "Fasting since midnight."))
        (made,) = run.images.values()
        assert await at.there(made.id) == made
        assert made.comment == "Fasting since midnight."

    @case("slots_per_appointment")
    async def test_a_booking_may_take_several_adjoining_slots(self, at: Practice) -> None:
        made = await at.book(Span(at.openings[0].start, at.openings[1].end))
        assert made.span.key == (at.openings[0].key[0], at.openings[1].key[1])

    @case("answers_with")
    async def test_every_answer_is_the_appointment_as_it_now_is(self, at: Practice) -> None:
        """`Practice.write` holds each answer against what is read afterwards."""
        made = await at.book(comment="one" if at.can.comment else None)
        if at.can.comment:
            made = await at.write(await at.changing(made, comment="two"))
        if at.can.move != "none":
            made = await at.carry_out(await at.changing(made, span=at.openings[1]))
        if at.can.cancel:
            await at.cancelled(made)

    @case("settles_within_s")
    async def test_what_was_accepted_shows_within_the_time_that_is_claimed(self, at: Practice) -> None:
        step = await at.creation(at.openings[0])
        made = await at.carry_out(step)
        assert await at.emr.find_own(step) == made

    @case("refuses_overlap")
    async def test_time_that_is_taken_is_refused(self, at: Practice) -> None:
        late = await at.creation(at.openings[0])
        made = await at.book(0)
        if at.can.create:
            await refused(at.send(late), "taken")
        if at.can.move != "none":
            other = await at.book(1)
            step = replace(await at.changing(other, span=other.span), span=at.openings[0], slots=late.slots)
            await refused(at.send(step), "taken")
            assert await at.there(other.id) == other
        assert await at.there(made.id) == made

    @case("telling of conflicts")
    async def test_a_conflict_is_told_where_none_is_refused(self, at: Practice) -> None:
        late = await at.creation(at.openings[0])
        made = await at.book(0)
        assert not await at.emr.conflicts(made)
        await at.book(1)
        assert not await at.emr.conflicts(made), "a neighbour is no conflict"
        # The slot is the first one's: it stays taken when this one goes.
        second = await at.write(late)
        assert await at.emr.conflicts(second)
        assert await at.emr.conflicts(made)
        assert not await at.emr.conflicts(made, [second.id]), "what is about to be cancelled is no conflict"
        if at.can.discard:
            await at.send(Discard(chain=late.chain, before=second, marker=late.marker))
            assert not await at.emr.conflicts(made)

    @case("discard")
    async def test_what_is_discarded_leaves_nothing(self, at: Practice) -> None:
        before = await at.standing(0)
        step = await at.creation(at.openings[0])
        made = await at.carry_out(step)
        await at.discard(step, made)
        assert await at.emr.appointment(made.id) is None
        assert await at.emr.find_own(step) is None
        assert await at.standing(0) == before
        await at.expect(at.openings[0], free=True)

    @case("discard")
    async def test_what_does_not_exist_can_not_be_discarded(self, at: Practice) -> None:
        step = await at.creation(at.openings[0])
        made = await at.carry_out(step)
        nobody = Discard(chain="x", before=at.nobody(made), marker=step.marker)
        await refused(at.send(nobody), "not_found")
        assert await at.there(made.id) == made
