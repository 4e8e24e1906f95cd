"""Repair as an adversary sees it: bugs, a store that fails, restarts, and commands that can't be gone on with."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway import clock, mending
from gateway.execute.together import together
from gateway.ledger import State, StepRow, StepState
from gateway.mending import GATEWAY
from tests.model_emr import ModelEmr
from tests.stopped import LOCK, TOLD, House
from tests.test_run import seen


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(mending, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(mending, "LONGEST_PAUSE_S", 0.005)
    monkeypatch.setattr("gateway.ending.AGAIN_S", 0.001)


def patience(monkeypatch, seconds):
    for place in ("gateway.mending", "gateway.repair"):
        monkeypatch.setattr(f"{place}.PATIENCE_S", seconds)


@pytest.fixture
def house():
    return House()


# -- a bug of ours, or of a plugin's -----------------------------------------------------------------------------------


def fails(house, times, monkeypatch):
    """The plugin's read runs into a bug, so many times."""
    read, left = ModelEmr.appointment, [times]

    async def broken(self, id):
        if left[0]:
            left[0] -= 1
            assert len(house.locks) > 0, "the locks were given back in the middle"
            raise KeyError("name of nobody")
        return await read(self, id)

    monkeypatch.setattr(ModelEmr, "appointment", broken)


async def test_a_bug_does_not_end_a_repair_nor_give_its_locks_back(house, monkeypatch, caplog):
    await house.stored()
    fails(house, 5, monkeypatch)
    await house.repair.recover()
    assert await house.ended() is State.REFUSED
    assert seen(house.model) == house.before
    assert "name of nobody" not in caplog.text
    assert "KeyError" in caplog.text


async def test_after_a_bug_nobody_else_gets_the_locks_before_a_late_write_can_not_come_any_more(house, monkeypatch):
    patience(monkeypatch, 0.0)
    house.emr.capabilities = replace(house.emr.capabilities, late_write_s=0.2)
    await house.stored()
    fails(house, 10**9, monkeypatch)
    began = clock.monotonic()
    await house.repair.recover()
    assert await house.ended() is State.NEEDS_ATTENTION
    assert clock.monotonic() - began >= 0.2


async def test_what_is_cut_off_gives_its_locks_to_nobody_who_is_cut_off_too(house):
    await house.stored()
    house.emr.down = True
    await house.repair.recover()
    other = house.locks.session(10)
    waiting = asyncio.create_task(other.take(LOCK))
    await asyncio.sleep(0.02)
    repairs = house.repair.cut_off()
    waiting.cancel()
    await asyncio.gather(*repairs, waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert waiting.cancelled()
    assert len(house.locks) == 0


async def test_a_bug_that_stays_is_a_persons_to_see_when_patience_ends(house, monkeypatch):
    patience(monkeypatch, 0.05)
    await house.stored()
    fails(house, 10**9, monkeypatch)
    await house.repair.recover()
    assert await house.ended() is State.NEEDS_ATTENTION
    row = await house.row()
    assert row.answer.status == 502
    assert json.loads(row.answer.body)["code"] == "PARTIALLY_APPLIED"
    assert [remark.by for remark in row.remarks] == [GATEWAY]
    assert row.payload, "it is kept for whoever goes on with it"


async def test_a_bug_in_writing_the_end_down_is_tried_again_until_it_is_written(house):
    await house.stored()
    house.ledger.bugs = 4
    await house.repair.recover()
    assert await house.ended() is State.REFUSED


async def test_a_repair_that_can_not_be_written_down_goes_on_beyond_its_patience_and_never_spins(house, monkeypatch):
    patience(monkeypatch, 0.01)
    await house.stored()
    house.ledger.bugs = 10**9
    await house.repair.recover()
    await asyncio.sleep(0.1)
    assert house.repair.at("c1") is not None
    assert 10**9 - house.ledger.bugs < 100
    house.ledger.bugs = 0
    assert await house.ended() is State.REFUSED


async def test_a_command_that_the_ledger_has_lost_is_not_repaired_for_ever(house, caplog):
    await house.stored()

    async def lost(*_, **__):
        from gateway.ledger import NoSuchCommand

        raise NoSuchCommand

    house.ledger.settle = house.ledger.advance = lost
    await house.repair.recover()
    await house.ended()
    assert "not in the ledger any more" in caplog.text


async def test_no_work_goes_on_alone_when_another_one_fails():
    ended = []

    async def slow(name):
        await asyncio.sleep(0.01)
        ended.append(name)
        return name

    async def failing():
        raise ZeroDivisionError

    assert await together(slow("a"), slow("b")) == ["a", "b"]
    with pytest.raises(ZeroDivisionError):
        await together(slow("c"), failing(), slow("d"))
    assert ended == ["a", "b", "c", "d"]


async def test_who_is_cancelled_stops_all_of_its_works():
    stopped = []

    async def work():
        try:
            await asyncio.sleep(10)
        finally:
            stopped.append(1)

    task = asyncio.create_task(together(work(), work()))
    await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == [1, 1]


# -- a store that fails ------------------------------------------------------------------------------------------------


async def test_a_store_that_is_down_in_the_middle_is_waited_for(house):
    await house.stored()
    house.ledger.down = 7
    await house.repair.recover()
    assert await house.ended() is State.REFUSED
    assert house.ledger.down == 0


async def test_a_store_that_can_not_be_written_does_not_keep_the_gateway_from_starting(house, monkeypatch):
    monkeypatch.setattr("gateway.repair._START_WAITS_S", 0.01)
    await house.stored("never", planned=False)
    await house.stored("gone", emr="elsewhere")
    house.ledger.down = 10**9
    await house.repair.recover()
    assert (await house.row("never")).state is State.RUNNING
    house.ledger.down = 0
    await asyncio.sleep(0.05)
    assert (await house.row("never")).state is State.REFUSED
    assert (await house.row("gone")).state is State.NEEDS_ATTENTION


# -- patience, over restarts -------------------------------------------------------------------------------------------


async def test_what_is_taken_up_is_said_to_be_repaired_before_anything_is_done(house):
    await house.stored()
    states = []
    settle = house.ledger.settle

    async def noted(id, state, *rest, **more):
        states.append((state, house.model.calls.total()))
        await settle(id, state, *rest, **more)

    house.ledger.settle = noted
    await house.repair.recover()
    assert await house.ended() is State.REFUSED
    assert states == [(State.REPAIRING, 0), (State.REFUSED, 0)]


@pytest.mark.parametrize(
    ("minutes", "ends"), [(14, State.REPAIRING), (15, State.NEEDS_ATTENTION), (300, State.NEEDS_ATTENTION)]
)
async def test_patience_counts_from_when_repair_began_and_not_from_the_restart(house, minutes, ends):
    began = clock.now() - timedelta(minutes=minutes)
    await house.stored(state=State.REPAIRING, repairing_since=began, answer=TOLD)
    house.emr.down = True
    await house.repair.recover()
    found = house.repair.at("c1")
    await asyncio.wait_for(found._round_over.wait(), 5)
    row = await house.row()
    assert (row.state, row.repairing_since) == (ends, began if ends is State.REPAIRING else None)
    house.emr.down = False
    await house.ended()


async def test_however_late_it_is_it_is_tried_once(house):
    began = clock.now() - timedelta(days=2)
    await house.stored(state=State.REPAIRING, repairing_since=began, answer=TOLD)
    await house.repair.recover()
    assert await house.ended() is State.REFUSED


async def test_a_clock_that_was_put_back_gives_no_more_than_the_whole_patience(house):
    await house.stored(state=State.REPAIRING, repairing_since=clock.now() + timedelta(hours=5), answer=TOLD)
    house.emr.down = True
    await house.repair.recover()
    assert house.repair.at("c1")._it.left_s == mending.PATIENCE_S
    await asyncio.gather(*house.repair.cut_off(), return_exceptions=True)


# -- what can't be gone on with ----------------------------------------------------------------------------------------

GARBAGE = StepRow(0, StepState.DONE, "change", b'{"receipt": {"appointment": {"id": 3}}}')
TOO_MANY = StepRow(9, StepState.DONE, "change", b"")
BEYOND = {
    "account": ({"emr": "elsewhere"}, "not configured any more"),
    "client": ({"client": "nobody"}, "not configured any more"),
    "tenant": ({"tenant": "another clinic"}, "leads to another EMR"),
    "key": ({"payload": b"", "unreadable": True}, "can't be opened"),
    "version": ({"payload": b'{"version": 99, "standard": "leyr"}'}, "by another gateway"),
    "shape": ({"payload": b'{"version": 1, "standard": "leyr", "stages": "Test Testsson"}'}, "not what this gateway"),
    "no JSON": ({"payload": b"\xff"}, "can't be read"),
    "empty": ({"payload": b""}, "can't be read"),
    "receipt": ({"steps": (GARBAGE,)}, "does not fit together"),
    "steps": ({"steps": (TOO_MANY,)}, "does not fit together"),
}


@pytest.mark.parametrize("what", BEYOND)
async def test_what_can_not_be_gone_on_with_is_a_persons_and_stops_nobody_else(house, what, caplog):
    changed, said = BEYOND[what]
    await house.stored("broken", **changed)
    payload = (await house.row("broken")).payload
    await house.stored("whole")
    await house.repair.recover()
    row = await house.row("broken")
    assert row.state is State.NEEDS_ATTENTION
    assert said in row.remarks[0].text
    assert (row.remarks[0].by, row.payload) == (GATEWAY, payload)
    assert json.loads(row.answer.body)["code"] == "OUTCOME_UNKNOWN"
    assert await house.ended("whole") is State.REFUSED
    assert "Testsson" not in caplog.text + repr(row.remarks) + str(row.answer.body)


async def test_what_the_client_was_told_before_stays(house):
    await house.stored(state=State.REPAIRING, repairing_since=clock.now(), answer=TOLD, tenant="another clinic")
    await house.repair.recover()
    row = await house.row()
    assert (row.state, row.answer) == (State.NEEDS_ATTENTION, TOLD)


async def test_what_needs_a_person_is_left_alone_by_a_restart(house):
    await house.stored(state=State.NEEDS_ATTENTION, answer=TOLD)
    before = await house.row()
    await house.repair.recover()
    assert house.repair.at("c1") is None
    assert await house.row() == before


# -- one at a time -----------------------------------------------------------------------------------------------------


async def test_a_command_is_repaired_by_one_task_only(house):
    await house.stored()
    await house.repair.recover()
    assert house.repair.take_up(await house.row()) is house.repair.at("c1")
    assert await house.ended() is State.REFUSED


async def test_two_commands_that_want_the_same_locks_come_to_their_ends_one_after_the_other(house):
    await house.stored("c1")
    await house.stored("c2")
    await house.repair.recover()
    both = [house.repair.at(id).task for id in ("c1", "c2")]
    await asyncio.wait_for(asyncio.gather(*both), 10)
    await asyncio.sleep(0)
    assert [(await house.row(id)).state for id in ("c1", "c2")] == [State.REFUSED] * 2
    assert len(house.locks) == 0


async def test_the_locks_are_held_from_before_the_first_request_until_it_is_written_down(house):
    await house.stored()
    house.emr.down = True
    await house.repair.recover()
    assert not house.locks.grab(LOCK)
    house.emr.down = False
    house.ledger.down = 20
    while house.ledger.down:
        assert not house.locks.grab(LOCK)
        await asyncio.sleep(0.001)
    assert await house.ended() is State.REFUSED


async def test_each_change_of_state_is_one_line_without_a_patient(house, caplog):
    caplog.set_level(logging.INFO)
    await house.stored()
    house.emr.down = True
    await house.repair.recover()
    await asyncio.sleep(0.03)
    house.emr.down = False
    await house.ended()
    said = [record.getMessage() for record in caplog.records if record.name == "gateway.commands"]
    assert said == ["command c1: bulk_update is repairing", "command c1: bulk_update is refused"]
