"""Cancelling and confirming, with and without a code."""

from __future__ import annotations

from gateway.domain.compare import same_text
from gateway.domain.model import Appointment, Status
from gateway.domain.steps import Cancel, Change, Confirm
from gateway.testing.cases.refused import refusal, refused
from gateway.testing.claims import case
from gateway.testing.practice import Practice


def confirming(before: Appointment, code: str | None = None) -> Confirm:
    return Confirm(chain=before.id, before=before, code=code)


class EndingCases:
    @case("cancel")
    async def test_a_cancellation_frees_the_time_and_leaves_the_comment(self, at: Practice) -> None:
        before = await at.book(comment="stays" if at.can.comment else None)
        now = await at.cancelled(before)
        assert (now.id, now.status) == (before.id, Status.CANCELLED)
        assert same_text(now.comment, before.comment, at.can)
        await at.expect(at.openings[0], free=True)

    @case("cancel", "create")
    async def test_time_that_was_freed_can_be_booked_again(self, at: Practice) -> None:
        first = await at.cancelled(await at.book())
        assert (await at.book()).id != first.id

    @case("cancel_comment")
    async def test_a_cancellation_says_why(self, at: Practice) -> None:
        before, reason = await at.book(), "Patienten ringde.\nNy tid önskas."
        if at.can.cancel_comment == "before":
            before = await at.write(Change(chain=before.id, before=before, comment=reason))
            now = await at.cancelled(before)
        else:
            now = await at.carry_out(Cancel(chain=before.id, before=before, comment=reason))
        assert now.status is Status.CANCELLED
        assert same_text(now.comment, reason, at.can)

    @case("cancel")
    async def test_cancelled_again_it_stays_cancelled(self, at: Practice) -> None:
        stale = await at.book(comment="stays" if at.can.comment else None)
        now = await at.cancelled(stale)
        for before in (now, stale):
            await refusal(at.send(Cancel(chain="x", before=before)), "state", "stale", "rule")
        read = await at.there(now.id)
        assert read.status is Status.CANCELLED
        assert same_text(read.comment, stale.comment, at.can)

    @case("cancel")
    async def test_what_does_not_exist_can_not_be_cancelled(self, at: Practice) -> None:
        made = await at.book()
        await refused(at.send(Cancel(chain="x", before=at.nobody(made))), "not_found")
        assert await at.there(made.id) == made

    # -- with a code -----------------------------------------------------------------------------------------------

    @case("cancel_code")
    async def test_a_cancellation_waits_for_the_code_and_then_stands(self, at: Practice) -> None:
        codes, before = at.codes(), await at.unconfirmed()
        assert before.code_to_cancel, "a cancellation will ask for a code, and the appointment does not tell"
        asked = await at.carry_out(Cancel(chain=before.id, before=before))
        assert (asked.status, asked.confirms) == (Status.AWAITING, before.id)
        assert await at.there(before.id) == before, "it was changed before the patient has said the code"
        await at.expect(at.openings[0], free=False)
        await refused(at.send(confirming(asked, codes.wrong)), "wrong_code")
        await refused(at.send(confirming(asked, codes.expired)), "expired_code")
        assert (await at.there(before.id)).status is before.status
        done = await at.write(confirming(asked, codes.right))
        assert done.status is Status.CANCELLED
        cancelled = await at.there(before.id)
        assert cancelled.status is Status.CANCELLED
        await at.give_back(before)

    @case("cancel_code")
    async def test_a_cancellation_asked_for_twice_is_one(self, at: Practice) -> None:
        before = await at.unconfirmed()
        first = await at.carry_out(Cancel(chain=before.id, before=before))
        second = await at.carry_out(Cancel(chain=before.id, before=before))
        assert (second.status, second.confirms) == (Status.AWAITING, before.id)
        assert first.span.same(second.span)
        assert (await at.there(before.id)).status is before.status

    @case("confirming by code")
    async def test_only_the_right_code_confirms(self, at: Practice) -> None:
        codes, before = at.codes(), await at.unconfirmed()
        await refused(at.send(confirming(before, codes.wrong)), "wrong_code")
        await refused(at.send(confirming(before)), "wrong_code", "invalid")
        await refused(at.send(confirming(before, codes.expired)), "expired_code")
        assert (await at.there(before.id)).status is Status.AWAITING
        now = await at.write(confirming(await at.there(before.id), codes.right))
        assert (now.id, now.status, now.span.key) == (before.id, Status.BOOKED, before.span.key)

    @case("confirm")
    async def test_confirmed_again_it_stays_confirmed(self, at: Practice) -> None:
        code = at.codes().right if at.can.confirm == "code" else None
        before = await at.unconfirmed()
        now = await at.write(confirming(before, code))
        assert now.status is Status.BOOKED
        for image in (now, before):
            await refusal(at.send(confirming(image, code)), "state", "stale", "expired_code")
        assert (await at.there(now.id)).status is Status.BOOKED

    @case("confirm")
    async def test_what_does_not_exist_can_not_be_confirmed(self, at: Practice) -> None:
        code = at.codes().right if at.can.confirm == "code" else None
        made = await at.unconfirmed()
        await refused(at.send(confirming(at.nobody(made), code)), "not_found")
        assert at.waits(await at.there(made.id))

    @case("confirmed_flag")
    async def test_it_tells_whether_it_was_confirmed(self, at: Practice) -> None:
        code = at.codes().right if at.can.confirm == "code" else None
        before = await at.unconfirmed()
        assert before.confirmed is False, "what waits for its confirmation must say that it is not confirmed"
        now = await at.write(confirming(before, code))
        assert now.confirmed is True

    @case()
    async def test_a_confirmation_that_nothing_waits_for_changes_nothing(self, at: Practice) -> None:
        made = await at.book()
        no = await refusal(at.send(confirming(made, "000000")), "state", "rule", "invalid", "wrong_code", "unsupported")
        now = await at.there(made.id)
        assert now.status is Status.BOOKED
        assert now == made or no is None, "it was refused, and changed all the same"
