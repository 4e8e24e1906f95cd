"""What a person sees of a command, and may do about it; nothing of it is guessed, and nothing is sent to the EMR."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway import clock, mending
from gateway.attention import attending
from gateway.attention.attending import CantBe
from gateway.domain.errors import Conflict, EmrRefused, OutcomeUnknown, PartiallyApplied, Problem
from gateway.execute import codec
from gateway.ledger import Answer, LedgerDown, Remark, State, StepRow, StepState, Subject
from gateway.port import NotSent
from gateway.wire import render_error
from tests.stopped import LOCK, TOLD, House
from tests.test_run import seen

NOON = clock.now().replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(mending, "FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr(mending, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr("gateway.ending.AGAIN_S", 0.001)


@pytest.fixture
def house():
    return House()


def partial(standard: str = "leyr", *paths: str) -> Answer:
    problems = [Problem("PARTIALLY_APPLIED", "It is changed.", path) for path in paths or ("ids/1",)]
    return render_error(
        PartiallyApplied("Neither all nor nothing.", problems), "0" * 32, "http://gateway.test", standard
    )


async def waiting(house: House, **more: Any) -> None:
    """A command that waits for a person: one step is done, one unknown, one not begun."""
    fields = {"state": State.NEEDS_ATTENTION, "answer": partial()} | more
    await house.stored(**fields)
    before = house.model.book["a"]
    done = codec.dump_receipt(codec.Receipt(appointment=replace(before, resource_id="r2")), "a")
    steps = (
        StepRow(0, StepState.DONE, "change", done, NOON),
        StepRow(1, StepState.ATTEMPTING, "change", b"", NOON),
        StepRow(2, StepState.PLANNED, "change", b""),
    )
    house.change("c1", **({"steps": steps} | {k: v for k, v in more.items() if k == "steps"}))


# -- seen --------------------------------------------------------------------------------------------------------------


async def test_a_list_tells_what_is_left_and_nothing_of_an_appointment(house):
    await house.stored("running")
    await waiting(house)
    await house.stored("done", state=State.DONE)
    await house.stored("else", client="demo2", emr="north", state=State.REPAIRING, repairing_since=NOON)
    found = await house.attending.listed(settled=False, client=None, emr=None)
    assert {c.id: (c.state, c.left) for c in found} == {
        "else": (State.REPAIRING, 3),
        "c1": (State.NEEDS_ATTENTION, 1),
        "running": (State.RUNNING, 3),
    }
    assert next(c.since for c in found if c.id == "else") == NOON
    told = json.dumps([c.model_dump(mode="json") for c in found])
    assert not any(f'"{id}"' in told for id in ("a", "b", "c", "p1", "r1"))
    mine = await house.attending.listed(settled=True, client="demo", emr="clinic")
    assert {c.id for c in mine} == {"running", "c1", "done"}
    assert [c.id for c in await house.attending.listed(settled=False, client=None, emr="north")] == ["else"]


async def test_all_is_shown_that_is_needed_to_settle_it_by_hand(house):
    await waiting(house, remarks=(Remark(NOON, "gateway", "Why."),))
    it = await house.attending.shown("c1", "anna")
    assert (it.state, it.left, it.answer_status, it.answer_code, it.beyond) == (
        State.NEEDS_ATTENTION, 1, 502, "PARTIALLY_APPLIED", None,
    )  # fmt: skip
    assert [(s.action, s.appointment_id, s.state, s.attempted_at, s.open) for s in it.steps] == [
        ("change", "a", StepState.DONE, NOON, False),
        ("change", "b", StepState.ATTEMPTING, NOON, True),
        ("change", "c", StepState.PLANNED, None, True),
    ]
    second = it.appointments[1]
    assert (second.appointment_id, second.change, second.comment_changes) == ("b", "moved", True)
    assert second.problem == "PARTIALLY_APPLIED: It is changed."
    assert it.appointments[0].problem is None
    before, after = second.before, second.after
    assert (
        (before.start, before.end)
        == (after.start, after.end)
        == (house.model.book["b"].start, house.model.book["b"].end)
    )
    assert (before.resource_id, after.resource_id) == ("r1", "r2")
    assert [(r.by, r.text) for r in it.remarks] == [("gateway", "Why.")]


async def test_no_name_and_no_comment_is_shown(house):
    await waiting(house)
    row = await house.row()
    house.change(
        "c1", payload=row.payload.replace(b'"text"', b'"canary comment"').replace(b'"p1"', b'"canary-patient"')
    )
    told = (await house.attending.shown("c1", "anna")).model_dump_json()
    assert "canary" not in told


async def test_of_one_to_be_made_it_is_told_for_whom():
    house = House("reschedule, creating")
    await house.stored(state=State.NEEDS_ATTENTION, answer=partial("leyr", "ids/0"))
    made = next(a for a in (await house.attending.shown("c1", "anna")).appointments if a.before is None)
    assert (made.appointment_id, made.change, made.patient_id, made.healthcare_service_id) == (
        None,
        "created",
        "p1",
        "s1",
    )


async def test_what_a_client_was_told_in_fhir_is_understood_as_well(house):
    await waiting(house, answer=partial("fhir", "ids/0", "ids/2"))
    it = await house.attending.shown("c1", "anna")
    assert (it.left, it.answer_code) == (2, "PARTIALLY_APPLIED")
    assert [a.problem is not None for a in it.appointments] == [True, False, True]


@pytest.mark.parametrize("answer", [None, TOLD, Answer(200, b"[]"), Answer(500, b"\xff"), Answer(502, b"")])
async def test_any_answer_can_be_shown(house, answer):
    await waiting(house, answer=answer)
    it = await house.attending.shown("c1", "anna")
    assert it.answer_status == (None if answer is None else answer.status)
    assert it.left == 2


async def test_what_can_not_be_read_is_said_to_be_so(house):
    await house.stored(state=State.NEEDS_ATTENTION, unreadable=True, payload=b"")
    it = await house.attending.shown("c1", "anna")
    assert "can't be opened" in it.beyond
    assert (it.left, it.appointments) == (None, [])
    assert [step.appointment_id for step in it.steps] == [None] * 3


async def test_an_unknown_command_is_refused_with_a_sentence(house):
    for asked in (
        house.attending.shown("nix", "anna"),
        house.attending.retry("nix", 1, "anna"),
        house.attending.settle("nix", "done", "note", "me"),
    ):
        with pytest.raises(CantBe, match="no such command"):
            await asked


# -- settled by hand ---------------------------------------------------------------------------------------------------


async def test_done_by_hand_answers_the_appointments_as_they_should_be_without_a_tag(house):
    await waiting(house)
    before, asked = seen(house.model), house.model.calls.total()
    ended = await house.attending.settle("c1", "done", "Moved b and c in the EMR.", "anna")
    row = await house.row()
    assert (ended.state, row.state, row.payload, ended.left) == (State.DONE, State.DONE, b"", 0)
    assert [(r.by, r.text) for r in row.remarks] == [("anna", "Moved b and c in the EMR.")]
    told = json.loads(row.answer.body)
    assert row.answer.status == 200
    assert [(a["id"], a["resource_id"], a["change"], a["comment"]) for a in told] == [
        (id, "r2", "moved", "text") for id in ("a", "b", "c")
    ]
    assert "etag" not in dict(row.answer.headers)
    assert [json.loads(s.payload)["appointment_id"] if s.payload else None for s in row.steps] in (
        ["a", None, None],
        [None] * 3,
    )
    assert (seen(house.model), house.model.calls.total()) == (before, asked)


async def test_undone_by_hand_answers_what_had_gone_wrong(house):
    failed = codec.dump_failure(EmrRefused(problems=[Problem("EMR_REFUSED", "A rule of the EMR forbids it.")]), "b")
    unknown = codec.dump_failure(OutcomeUnknown(), "a")
    steps = (
        StepRow(0, StepState.ATTEMPTING, "change", unknown, NOON),
        StepRow(1, StepState.FAILED, "change", failed, NOON),
    )
    await waiting(house, steps=steps)
    await house.attending.settle("c1", "undone", "Moved a back.", "anna")
    row = await house.row()
    assert (row.state, row.answer.status, json.loads(row.answer.body)["code"]) == (State.UNDONE, 409, "EMR_REFUSED")


async def test_undone_by_hand_says_so_where_nothing_is_known_to_have_gone_wrong(house):
    await waiting(house)
    await house.attending.settle("c1", "undone", "Moved a back.", "anna")
    told = json.loads((await house.row()).answer.body)
    assert (told["status"], "by hand" in told["detail"]) == (500, True)


async def test_what_can_not_be_read_can_be_settled_and_says_that_nobody_knows_more(house):
    for id, how in (("c1", "done"), ("c2", "undone")):
        await house.stored(id, state=State.NEEDS_ATTENTION, unreadable=True, payload=b"")
        await house.attending.settle(id, how, "Looked at each.", "anna")
        row = await house.row(id)
        assert row.state == how
        assert json.loads(row.answer.body)["status"] == (502 if how == "done" else 500)


@pytest.mark.parametrize("state", [State.RUNNING, State.DONE, State.REFUSED, State.UNDONE])
async def test_only_what_is_repaired_or_needs_attention_can_be_settled(house, state):
    await house.stored(state=state)
    before = await house.row()
    with pytest.raises(CantBe, match="can be settled"):
        await house.attending.settle("c1", "done", "note", "anna")
    assert await house.row() == before


async def test_settling_what_is_repaired_ends_the_repair_and_gives_its_locks_back(house):
    await house.stored()
    house.emr.down = True
    await house.repair.recover()
    await asyncio.sleep(0.02)
    assert not house.locks.grab(LOCK)
    await house.attending.settle("c1", "undone", "Looked at it.", "anna")
    assert await house.ended() is State.UNDONE
    house.emr.down = False
    await asyncio.sleep(0.02)
    assert (await house.row()).state is State.UNDONE


def slow(house: House, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The EMR answers only when told so."""
    gate = asyncio.Event()
    ask = house.emr.appointment

    async def waits(id: str) -> Any:
        await gate.wait()
        return await ask(id)

    monkeypatch.setattr(house.emr, "appointment", waits)
    return gate


async def test_a_write_that_is_under_way_is_waited_for_and_what_it_came_to_stands(house, monkeypatch):
    await house.stored()
    gate = slow(house, monkeypatch)
    await house.repair.recover()
    await asyncio.sleep(0.01)
    settling = asyncio.create_task(house.attending.settle("c1", "done", "note", "anna"))
    await asyncio.sleep(0.01)
    assert not settling.done()
    gate.set()
    with pytest.raises(CantBe, match="It is refused"):
        await settling
    assert await house.ended() is State.REFUSED


async def test_a_write_that_does_not_end_is_not_waited_for_for_ever(house, monkeypatch):
    monkeypatch.setattr(attending, "_TURN_S", 0.01)
    await house.stored()
    gate = slow(house, monkeypatch)
    await house.repair.recover()
    await asyncio.sleep(0.01)
    with pytest.raises(CantBe, match="Try again in a minute"):
        await house.attending.settle("c1", "done", "note", "anna")
    gate.set()
    assert await house.ended() is State.REFUSED


async def test_while_the_store_is_down_nothing_is_settled_and_repair_goes_on(house):
    await house.stored()
    house.emr.down = True
    await house.repair.recover()
    await asyncio.sleep(0.02)
    async with house.repair.at("c1").turn:
        house.ledger.down = 1
    with pytest.raises(LedgerDown):
        await house.attending.settle("c1", "done", "note", "anna")
    house.emr.down = False
    assert await house.ended() is State.REFUSED


# -- tried again -------------------------------------------------------------------------------------------------------


async def test_a_retry_gives_new_patience_and_new_locks(house):
    await house.stored(state=State.NEEDS_ATTENTION, answer=partial())
    house.emr.down = True
    found = await house.attending.retry("c1", 5, "anna")
    row = await house.row()
    assert (found.state, row.state) == (State.REPAIRING, State.REPAIRING)
    assert clock.now() - row.repairing_since < timedelta(minutes=1)
    assert house.repair.at("c1")._it.left_s == mending.PATIENCE_S
    assert not house.locks.grab(LOCK)
    house.emr.down = False
    assert (await house.attending.retry("c1", 5, "anna")).state is State.REFUSED
    assert await house.ended() is State.REFUSED


async def test_a_retry_of_what_is_repaired_does_not_wait_for_its_pause(house, monkeypatch):
    monkeypatch.setattr(mending, "FIRST_PAUSE_S", 3600.0)
    await house.stored()
    house.emr.down = True
    await house.repair.recover()
    await asyncio.sleep(0.02)
    house.emr.down = False
    assert (await house.attending.retry("c1", 5, "anna")).state is State.REFUSED
    assert await house.ended() is State.REFUSED


async def test_two_retries_at_once_are_one_repair(house):
    await house.stored(state=State.NEEDS_ATTENTION, answer=partial())
    house.emr.down = True
    both = await asyncio.gather(house.attending.retry("c1", 5, "anna"), house.attending.retry("c1", 5, "anna"))
    assert [found.state for found in both] == [State.REPAIRING] * 2
    house.emr.down = False
    assert await house.ended() is State.REFUSED


async def test_a_retry_that_nobody_waits_for_goes_on(house, monkeypatch):
    await house.stored(state=State.NEEDS_ATTENTION, answer=partial())
    gate = slow(house, monkeypatch)
    found = await house.attending.retry("c1", 0.01, "anna")
    assert found.state is State.REPAIRING
    gate.set()
    assert await house.ended() is State.REFUSED


@pytest.mark.parametrize("state", [State.DONE, State.REFUSED, State.UNDONE])
async def test_what_is_at_an_end_is_not_tried_again(house, state):
    await house.stored(state=state)
    with pytest.raises(CantBe, match=f"It is {state} already"):
        await house.attending.retry("c1", 1, "anna")


async def test_what_runs_is_not_tried_again_but_what_a_crash_left_running_is():
    running = House()
    await running.stored()
    with pytest.raises(CantBe, match="It is running"):
        await running.attending.retry("c1", 1, "anna")
    crashed = House(serving=False)
    await crashed.stored()
    assert (await crashed.attending.retry("c1", 0, "anna")).state is State.REFUSED
    assert await crashed.ended() is State.REFUSED


async def test_what_a_crash_left_before_anything_was_written_is_refused():
    house = House(serving=False)
    await house.stored(planned=False)
    assert (await house.attending.retry("c1", 0, "anna")).state is State.REFUSED
    assert (await house.row()).answer.status == 503


async def test_where_no_gateway_runs_it_is_tried_to_the_end():
    house = House(serving=False)
    await house.stored(state=State.NEEDS_ATTENTION, answer=partial())
    tries, ask = [], house.emr.appointment

    async def down_at_first(id: str) -> Any:
        tries.append(id)
        if len(tries) < 5:
            raise NotSent
        return await ask(id)

    house.emr.appointment = down_at_first
    assert (await house.attending.retry("c1", 0, "anna")).state is State.REFUSED


async def test_what_is_beyond_repair_is_not_tried_again(house):
    await house.stored(state=State.NEEDS_ATTENTION, answer=TOLD, emr="elsewhere")
    with pytest.raises(CantBe, match=r"can't be repaired\. Its EMR account is not configured"):
        await house.attending.retry("c1", 1, "anna")
    assert (await house.row()).state is State.NEEDS_ATTENTION


async def test_what_somebody_else_has_changed_stays_a_persons():
    house = House("move")
    await house.stored(state=State.NEEDS_ATTENTION, answer=partial())
    left = codec.dump_failure(Conflict(problems=[Problem("CHANGED_MEANWHILE", "Changed.")]), "a")
    house.change("c1", steps=(StepRow(0, StepState.LEFT, "change", left, NOON),))
    assert (await house.attending.retry("c1", 5, "anna")).state is State.NEEDS_ATTENTION
    assert await house.ended() is State.NEEDS_ATTENTION


async def test_who_looks_at_a_command_or_wants_it_to_go_on_is_recorded_and_so_is_an_erasure_that_cant_be(house):
    await waiting(house)
    await house.attending.shown("c1", "anna")
    with pytest.raises(CantBe, match="Nothing was erased"):
        await house.attending.erase(Subject("client", "demo"), "anna")
    await house.attending.retry("c1", 0.01, "berit")
    seen_ = [(event.kind, event.by) for event in house.ledger.events]
    assert seen_ == [("command.show", "anna"), ("erase.refused", "anna"), ("command.retry", "berit")]
    facts = [event.facts for event in house.ledger.events]
    assert (facts[0]["command"], facts[0]["client"], facts[0]["stands"]) == ("c1", "demo", "needs_attention")
    assert facts[1] == {"what": "client", "unsettled": ("c1",)}
