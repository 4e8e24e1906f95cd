"""Changing what stands: time, resource, comment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.commands import Update
from gateway.domain.compare import same_text
from gateway.domain.errors import BadRequest
from gateway.domain.model import Appointment, Span, Status
from gateway.domain.steps import Cancel, Change
from gateway.testing.cases.refused import refused
from gateway.testing.claims import case
from gateway.testing.practice import Practice

TEXT = 'Två rader:\n"citat" & <b>tecken</b>; 100 % – ok? 🙂'


def kept(now: Appointment, before: Appointment, *but: str) -> None:
    """What was not asked to change has not changed."""
    fields = ("patient_id", "resource_id", "healthcare_service_id", "care_unit_id", "comment", "status")
    lost = [name for name in fields if name not in but and getattr(now, name) != getattr(before, name)]
    assert not lost, f"it changed what it was not asked to change: {', '.join(lost)}"


class ChangingCases:
    @case("move")
    async def test_another_time(self, at: Practice) -> None:
        before = await at.book(0)
        step = await at.changing(before, span=at.openings[1])
        now = await at.carry_out(step)
        assert (now.id != before.id) is step.new_id, "its id changed, or not, other than the account claims"
        kept(now, before)
        await at.expect(at.openings[0], free=True)
        await at.expect(at.openings[1], free=False)
        back = await at.carry_out(await at.changing(now, span=at.openings[0]))
        assert back.span.same(before.span)

    @case("reassign")
    async def test_another_resource(self, at: Practice) -> None:
        before = await at.book(0, 0)
        step = await at.changing(before, on=1)
        now = await at.carry_out(step)
        assert (now.id != before.id) is step.new_id, "its id changed, or not, other than the account claims"
        assert (now.resource_id, now.span.key) == (at.resource(1), before.span.key)
        kept(now, before, "resource_id")
        await at.expect(at.openings[0], on=0, free=True)
        await at.expect(at.openings[0], on=1, free=False)

    @case("new id")
    async def test_an_old_id_leads_to_its_successor(self, at: Practice) -> None:
        before = await at.book(0)
        step = await _moving(at, before, at.can.move == "new_id")
        now = await at.carry_out(step)
        assert await at.emr.find_own(step) == now
        old = await at.emr.appointment(before.id)
        assert old is None or old.status is Status.CANCELLED, "the old id still holds its time"

    @case("new id")
    async def test_an_id_without_a_successor_leads_nowhere(self, at: Practice) -> None:
        before = await at.book(0)
        step = await _moving(at, before, at.can.move == "new_id")
        assert await at.emr.find_own(step) is None

    @case("rebooking")
    async def test_what_can_not_be_moved_is_booked_anew(self, at: Practice) -> None:
        before = await at.book(0)
        wish = Update((before.id,), span=at.openings[1]) if at.can.move == "none" else None
        await at.desk.do(wish or Update((before.id,), resource_id=at.resource(1)))
        now = await at.there(await at.desk.current(before.id))
        assert now.id != before.id
        assert now.span.same(at.openings[1] if wish else at.openings[0])
        kept(now, before, "resource_id")
        old = await at.emr.appointment(before.id)
        assert old is None or old.status is Status.CANCELLED

    @case("comment")
    async def test_a_comment_is_set_and_cleared(self, at: Practice) -> None:
        before = await at.book()
        for text in ("One.", TEXT, "Å" * 80, ""):
            now = await at.write(await at.changing(before, comment=text))
            assert (now.id, now.span.key) == (before.id, before.span.key)
            assert same_text(now.comment, text, at.can)
            kept(now, before, "comment")
            before = now

    @case("comment_max")
    async def test_a_comment_may_be_as_long_as_it_is_claimed_and_no_longer(self, at: Practice) -> None:
        before, longest = await at.book(), "ö" * (at.can.comment_max or 0)
        now = await at.write(await at.changing(before, comment=longest))
        assert now.comment == longest
        with pytest.raises(BadRequest):
            await at.desk.do(Update((before.id,), comment=longest + "!"))
        assert (await at.there(before.id)).comment == longest

    @case("trims_comment")
    async def test_white_space_around_a_comment_is_no_difference(self, at: Practice) -> None:
        before = await at.book()
        now = await at.write(await at.changing(before, comment="  a word \n"))
        assert (now.comment or "").strip() == "a word"

    @case("combines")
    async def test_everything_in_one_write(self, at: Practice) -> None:
        before = await at.book(0, 0, comment="old")
        span = at.openings[1] if at.can.move != "none" else None
        on = 1 if at.can.reassign != "none" else None
        now = await at.carry_out(await at.changing(before, span=span, on=on, comment="new"))
        kept(now, before, "resource_id", "comment")
        assert same_text(now.comment, "new", at.can)
        assert now.resource_id == at.resource(on or 0)
        assert now.span.same(span or before.span)

    @case("combines")
    async def test_a_move_leaves_the_comment_alone(self, at: Practice) -> None:
        before = await at.book(0, 0, comment="stays")
        now = await at.carry_out(await _moving(at, before, at.can.move != "none"))
        assert same_text(now.comment, "stays", at.can)

    @case("moves_awaiting")
    async def test_what_waits_for_its_confirmation_is_moved_and_goes_on_waiting(self, at: Practice) -> None:
        before = await at.unconfirmed()
        await at.desk.do(Update((before.id,), span=at.openings[1]))
        now = await at.there(await at.desk.current(before.id))
        assert (now.status, now.span.key) == (Status.AWAITING, at.openings[1].key)

    @case("own_time_shown")
    async def test_own_time_is_shown_as_free_unless_somebody_else_is_there_too(self, at: Practice) -> None:
        late = await at.creation(at.openings[0]) if at.can.create else None
        own = await at.book(0)
        assert await at.offered(at.openings[0], 0) is None
        assert await at.offered(at.openings[0], 0, own) is not None, "the appointment's own time is not shown as free"
        assert await at.offered(at.openings[0], 1, own) is not None
        if late is None or at.can.refuses_overlap:
            return
        stranger = await at.write(late)
        assert await at.offered(at.openings[0], 0, own) is None, "time is shown as free that somebody else holds too"
        assert await at.offered(at.openings[0], 0, own, stranger) is not None
        await at.write(Cancel(chain="x", before=stranger))

    @case("own_time_shown", "slots_per_appointment", "move")
    async def test_an_appointment_grows_over_its_own_time(self, at: Practice) -> None:
        before, both = await at.book(0), Span(at.openings[0].start, at.openings[1].end)
        await at.desk.do(Update((before.id,), span=both))
        grown = await at.desk.current(before.id)
        assert (await at.there(grown)).span.same(both)
        await at.desk.do(Update((before.id,), span=at.openings[1]))
        assert (await at.there(await at.desk.current(grown))).span.same(at.openings[1])

    @case("version_check")
    async def test_a_stale_version_is_refused(self, at: Practice) -> None:
        stale = await at.book(0, comment="first" if at.can.comment else None)
        assert stale.version is not None, "versions are checked, and none is told"
        now = await at.carry_out(await _altering(at, stale, "second", at.openings[1]))
        assert now.version != stale.version, "a write has left the version as it was"
        late = replace(await _altering(at, now, "third", at.openings[0]), before=stale)
        await refused(at.send(late), *(("stale",) if now.id == stale.id else ("stale", "state", "not_found")))
        if at.can.cancel and now.id == stale.id:
            await refused(at.send(Cancel(chain="x", before=stale)), "stale")
        assert await at.there(now.id) == now

    @case("comment")
    async def test_what_does_not_exist_can_not_be_changed(self, at: Practice) -> None:
        made = await at.book()
        step = await at.changing(made, comment="to nobody")
        await refused(at.send(replace(step, before=at.nobody(made))), "not_found")
        assert await at.there(made.id) == made

    @case("several at once")
    async def test_several_are_moved_by_one_command(self, at: Practice) -> None:
        made = [await at.book(0), await at.book(1)]
        await at.desk.do(Update(tuple(a.id for a in made), resource_id=at.resource(1)))
        now = [await at.there(await at.desk.current(a.id)) for a in made]
        assert [a.resource_id for a in now] == [at.resource(1)] * 2
        assert [a.span.key for a in now] == [a.span.key for a in made]


async def _moving(at: Practice, before: Appointment, in_time: bool) -> Change:
    """To the second opening, or to the second resource."""
    return await at.changing(before, span=at.openings[1] if in_time else None, on=None if in_time else 1)


async def _altering(at: Practice, before: Appointment, comment: str, span: Span) -> Change:
    """The comment where it can be written, else the time."""
    if at.can.comment:
        return await at.changing(before, comment=comment)
    return await at.changing(before, span=span)
