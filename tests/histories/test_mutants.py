"""The checker finds what is broken on purpose, within a bounded number of runs: else it would prove nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

import gateway.execute.attempt
import gateway.execute.run
import gateway.execute.undo
from gateway.execute.attempt import Attempt
from gateway.execute.run import Run
from gateway.execute.undo import Undo
from gateway.ledger import StepState
from gateway.ledger.sqlite import SqliteLedger
from gateway.locks import Held
from gateway.port import MaybeDone
from tests.histories.checker import breaches
from tests.histories.history import Setting, run
from tests.histories.wire import Weather

pytestmark = pytest.mark.faults

STORMY = Setting(weather=Weather(0.15), mischief=0.2, deaths=0, trouble=0.3)

REFUSING = Setting(weather=Weather(), mischief=0.0, deaths=0, trouble=0.6)


def found(rules, setting=STORMY, seeds=40):
    """→ after how many runs one of the rules is broken."""
    for seed in range(seeds):
        broken = {said.partition(":")[0] for said in breaches(run(seed, setting))}
        if broken & rules:
            return seed + 1
    raise AssertionError(f"not found in {seeds} runs")


@pytest.fixture
def noted(record_property, request):
    def note(runs):
        record_property("mutants, found after so many runs", {request.node.name.removeprefix("test_"): runs})

    return note


def test_locks_that_do_nothing(monkeypatch, noted):
    async def take(self, *keys):
        await asyncio.sleep(0)

    monkeypatch.setattr(Held, "take", take)
    # Without weather or staff nothing but other commands can keep an undo from coming through.
    noted(found({"partial_names_exactly_what_differs", "refused_and_undone_change_nothing"}, REFUSING))


def test_a_lost_write_that_is_sent_again(monkeypatch, noted):
    once = Attempt._write

    async def twice(self, step):
        try:
            return await once(self, step)
        except MaybeDone:
            return await once(self, step)

    monkeypatch.setattr(Attempt, "_write", twice)
    noted(found({"refused_and_undone_change_nothing", "no_double_booking", "answers_are_true"}))


def test_an_undo_that_overwrites_what_the_staff_has_changed(monkeypatch, noted):
    monkeypatch.setattr(gateway.execute.undo, "untouched", lambda *_: True)
    noted(found({"the_staffs_changes_stand"}, replace(REFUSING, mischief=0.4, trouble=0.8)))


def test_an_old_slot_that_is_not_given_back(monkeypatch, noted):
    monkeypatch.setattr(gateway.execute.run, "left_behind", lambda _: [])
    noted(found({"slot_records_agree"}, Setting(personality="slot-records", mischief=0.4, deaths=0, trouble=0.8), 80))


def test_what_is_untold_and_taken_for_a_deviation(monkeypatch, noted):
    monkeypatch.setattr(gateway.execute.attempt, "proven", lambda _, now, __: now)
    noted(found({"the_staffs_changes_stand"}, Setting(personality="async", mischief=0.4, deaths=0, trouble=0.0), 80))


def test_undone_that_is_said_and_not_done(monkeypatch, noted):
    async def undo(self, at):
        at.state = StepState.UNDONE

    monkeypatch.setattr(Undo, "undo", undo)
    noted(found({"refused_and_undone_change_nothing"}))


def test_a_key_that_is_remembered_after_the_work(monkeypatch, noted):
    begin, settle, keys = SqliteLedger.begin, SqliteLedger.settle, {}

    async def begun(self, row):
        known = await self.commands(row.client, key=row.key) if row.key else []
        keys[row.id] = row.key
        return known[0] if known else await begin(self, replace(row, key=None))

    async def settled(self, id, state, *rest, release_key=False, **more):
        await settle(self, id, state, *rest, **more)
        if keys.get(id) and not release_key:
            told = "UPDATE OR IGNORE commands SET key = ? WHERE id = ?"
            await self._writes.run(lambda db: db.execute(told, (keys[id], id)) and None)

    monkeypatch.setattr(SqliteLedger, "begin", begun)
    monkeypatch.setattr(SqliteLedger, "settle", settled)
    # While it runs, slowly, the same comes again, and finds what the staff has made of the first one's work.
    noted(found({"a_key_takes_effect_once"}, Setting(weather=Weather(0.3), mischief=0.4, deaths=0, trouble=0.0), 80))


def test_intents_that_are_not_written_down(monkeypatch, noted):
    async def record(self, indices):
        await asyncio.sleep(0)

    monkeypatch.setattr(Run, "_record", record)
    noted(found({"no_write_without_intent"}))


def test_a_late_write_that_is_not_waited_for(monkeypatch, noted):
    async def moments(self, since, patience):
        yield

    monkeypatch.setattr(Attempt, "_moments", moments)
    noted(
        found({"refused_and_undone_change_nothing"}, Setting(weather=Weather(0.2, ("late",)), mischief=0.0, deaths=0))
    )
