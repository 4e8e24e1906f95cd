"""What the EMR tells patients of what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.domain.steps import Cancel
from gateway.testing.claims import case
from gateway.testing.practice import Practice

NEEDED = "tells patients only what it is let tell"


class TellingCases:
    @case("notifies")
    async def test_patients_hear_of_what_is_written_where_the_account_says_so(self, at: Practice) -> None:
        assert await _heard(_notifying(at, True)), "the account lets its EMR message patients, and it never does"

    @case("notifies")
    async def test_patients_hear_nothing_where_the_account_says_so(self, at: Practice) -> None:
        assert not await _heard(_notifying(at, False)), "the account has its EMR keep quiet, and it does not"

    @case("notifies")
    async def test_patients_hear_nothing_of_a_step_that_is_quiet(self, at: Practice) -> None:
        for notify in (True, None):
            heard = await _heard(_notifying(at, notify), quiet=True)
            assert not heard, "a step is quiet, and the EMR messages the patient all the same"


def _notifying(at: Practice, notify: bool | None) -> Practice:
    opening = at.need(at.world.open_notifying, "open_notifying", NEEDED)
    return Practice(replace(at.world, emr=opening(notify)))


async def _heard(at: Practice, *, quiet: bool = False) -> Sequence[str]:
    """What patients are told while one is booked and withdrawn, another moved and cancelled, as far as is possible."""
    messages = at.need(at.world.messages, "messages", NEEDED)
    made = None if at.can.create else await at.book()
    before = len(await messages())
    if at.can.create and at.can.discard:
        step = replace(await at.creation(at.openings[0]), quiet=quiet)
        await at.discard(step, await at.carry_out(step))
    if made is None:
        made = await at.carry_out(replace(await at.creation(at.openings[0]), quiet=quiet))
    if at.can.move != "none":
        made = await at.carry_out(replace(await at.changing(made, span=at.openings[1]), quiet=quiet))
    if at.can.cancel:
        await at.carry_out(Cancel(chain=made.id, before=made, quiet=quiet))
    return (await messages())[before:]
