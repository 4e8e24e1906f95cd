"""An EMR that shows at once what it has accepted, and writes it later: what is pending proves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.model import Appointment, Status
from gateway.domain.steps import Cancel, Change, Create, Receipt
from gateway.execute.attempt import Attempt
from gateway.port import Throttled
from tests.model import CAN, Model, booked, grid, span
from tests.model_emr import Clock, ModelEmr

SLOW = replace(CAN, answers_with="nothing", settles_within_s=300.0, late_write_s=5.0, version_check=False)
BEFORE = booked("a", 0, 30)
STEPS = {
    "change": Change(chain="a", before=BEFORE, span=span(60, 90)),
    "create": Create(
        chain="new/0", span=span(60, 90), patient_id="p1", resource_id="r1", healthcare_service_id="s1", marker="m"
    ),
    "cancel": Cancel(chain="a", before=BEFORE),
}


class Pending(ModelEmr):
    """Whatever is shown of what was written is pending until `written_at`."""

    written_at = 120.0
    away = (0.0, 0.0)
    """From when to when it can't be asked."""
    reads = 0

    def _shown(self, found: Appointment | None) -> Appointment | None:
        self.reads += 1
        if self.away[0] <= self.clock.seconds < self.away[1]:
            raise Throttled
        return None if found is None else replace(found, pending=self.clock.seconds < self.written_at)

    async def appointment(self, id):
        return self._shown(await super().appointment(id))

    async def find_own(self, step):
        return self._shown(await super().find_own(step))


def opened(faults=None, can=SLOW):
    clock = Clock()
    emr = Pending(Model(can, {"r1": grid(0, 480)}, {"a": BEFORE}), clock, faults)
    return emr, Attempt(emr, sleep=clock.sleep, monotonic=clock.monotonic)


@pytest.mark.parametrize("fault", ["nothing", "lost"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
async def test_it_is_done_once_it_is_written_and_not_before(step, fault):
    emr, attempt = opened({1: fault})
    ended = await attempt.send(step)
    assert (ended.state, ended.error) == ("done", None)
    assert 120 <= emr.clock.seconds < 130
    assert emr.writes == 1


@pytest.mark.parametrize("fault", ["nothing", "lost"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
async def test_what_is_never_written_is_unknown_and_neither_done_nor_undone(step, fault):
    emr, attempt = opened({1: fault})
    emr.written_at = 1e9
    ended = await attempt.send(step)
    assert (ended.state, ended.error.code) == ("unknown", "OUTCOME_UNKNOWN")
    assert (emr.clock.seconds, emr.writes) == (300, 1)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
async def test_an_emr_that_can_not_be_asked_for_a_while_is_asked_again(step):
    emr, attempt = opened({1: "nothing"})
    emr.written_at, emr.away = 0.0, (0.0, 60.0)
    assert (await attempt.send(step)).state == "done"
    assert 60 <= emr.clock.seconds < 70


async def test_what_can_not_be_asked_for_in_the_end_is_unknown():
    emr, attempt = opened({1: "nothing"})
    emr.model.book["a"] = BEFORE
    emr.written_at, emr.away = 1e9, (200.0, 1e9)
    assert (await attempt.send(STEPS["change"])).state == "unknown"


async def test_a_change_that_the_emr_takes_back_was_not_carried_out():
    emr, attempt = opened({1: "nothing"})
    emr.clock.due.append((120, lambda: emr.model.book.update(a=BEFORE)))
    ended = await attempt.send(STEPS["change"])
    assert (ended.state, ended.error.code) == ("failed", "EMR_ERROR")


async def test_an_answer_that_is_pending_is_read_on_and_its_version_is_not_the_last():
    emr, attempt = opened(can=replace(SLOW, answers_with="appointment"))

    async def answered(step):
        receipt = await ModelEmr.change(emr, step)
        emr.clock.due.append((120, lambda: emr.model.book.update(a=replace(emr.model.book["a"], version="written"))))
        return Receipt(appointment=replace(receipt.appointment, pending=True))

    emr.change = answered
    ended = await attempt.send(STEPS["change"])
    assert (ended.state, ended.receipt.appointment.version) == ("done", "written")


async def test_the_longer_a_write_may_take_the_more_rarely_it_is_looked_at():
    emr, attempt = opened({1: "nothing"})
    emr.written_at = 1e9
    await attempt.send(STEPS["change"])
    assert emr.reads < 80


def test_whether_it_is_pending_is_no_difference_between_two():
    assert replace(BEFORE, pending=True) == BEFORE
    with pytest.raises(TypeError):
        Appointment("x", BEFORE.start, BEFORE.end, Status.BOOKED, pending=None)
