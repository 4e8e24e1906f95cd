"""What `GET /api/emrs` calls unsupported is refused as NOT_SUPPORTED, and nothing else is, whatever an EMR can do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.domain.capabilities import Capabilities, Support
from gateway.domain.commands import Book, Cancel, Command, Confirm, Intent, Reschedule, Update
from gateway.domain.errors import BadRequest
from gateway.domain.model import Entry, Kind, Status
from gateway.domain.plan import plan
from gateway.domain.steps import Plan
from gateway.ledger import Ledger
from gateway.reading import Reading
from gateway.wire import abilities
from tests.model import CAN, Model, booked, grid, minutes, no_etag, span
from tests.model_emr import Clock, ModelEmr

BLIND = Capabilities(move="in_place", reassign="in_place", create=True, refuses_overlap=False)
"""It would write anything, and nothing would tell."""
flags = st.booleans()


@st.composite
def accounts(draw: st.DrawFn) -> Capabilities:
    """Whatever an account may say of itself. Slots that are records are found by the free time that is told."""
    free_time = draw(st.sampled_from(["slots", "windows", "none"]))
    lists = draw(flags)
    return Capabilities(
        directories=draw(st.frozensets(st.sampled_from(Kind))),
        lists=lists,
        free_time=free_time,
        own_time_shown=draw(flags),
        move=draw(st.sampled_from(["in_place", "new_id", "none"])),
        reassign=draw(st.sampled_from(["in_place", "new_id", "none"])),
        combines=draw(flags),
        books_comment=draw(flags),
        refuses_overlap=draw(flags),
        slots_per_appointment=draw(st.sampled_from(["one", "many"])),
        slot_records=free_time == "slots" and draw(flags),
        create=draw(flags),
        discard=draw(flags),
        cancel=draw(flags),
        cancel_comment=draw(st.sampled_from(["with", "before", "none"])),
        comment=draw(flags),
        confirm=draw(st.sampled_from(["code", "flag", "none"])),
        confirmed_flag=draw(flags),
        version_check=draw(flags),
        slot_check=draw(st.sampled_from(["emr", "after_write", "off"] if lists else ["emr", "off"])),
    )


def a_morning(can: Capabilities) -> Model:
    """`a` and `b` stand one after the other, `w` waits to be confirmed; all else is free."""
    standing = [booked("a", 0, 30), booked("b", 30, 60), replace(booked("w", 240, 270), status=Status.AWAITING)]
    held = lambda a: tuple(f"r1@{m}" for m in range(minutes(a.start), minutes(a.end), 30))  # noqa: E731
    told = [replace(a, slot_ids=held(a)) if can.slot_records else a for a in standing]
    return Model(can, {"r1": grid(0, 480), "r2": grid(0, 480)}, {a.id: a for a in told})


def asked(model: Model, intent: Intent, *, single: bool) -> Plan:
    return model.ask(plan(Command(intent, single=single), model.can, no_etag))


def supported(can: Capabilities, cells: list[str]) -> bool:
    """Nothing of it is unsupported, by what a client is told."""
    told: dict[str, Any] = abilities(can).model_dump()

    def support(cell: str) -> Support:
        operation, _, field = cell.partition(".")
        return told[operation][field] if field else told[operation]

    return all(support(cell) is not Support.UNSUPPORTED for cell in cells)


def agree(can: Capabilities, intent: Intent, cells: list[str], *, single: bool) -> None:
    """Refused as NOT_SUPPORTED, and as nothing else, where one of the cells is."""
    if supported(can, cells):
        model = a_morning(can)
        model.execute(asked(model, intent, single=single))
        assert model.calls
        return
    with pytest.raises(BadRequest) as no:
        asked(a_morning(can), intent, single=single)
    assert [problem.error_code for problem in no.value.problems] == ["NOT_SUPPORTED"]


spans = st.sampled_from([None, span(120, 150)])
resources = st.sampled_from([None, "r2"])
comments = st.sampled_from([None, "bring the form"])


@example(BLIND, span(120, 150), None, None)
@given(accounts(), spans, resources, comments)
def test_one_is_updated_field_by_field(can, where, resource, comment):
    given = {"start_end": where, "resource_id": resource, "comment": comment}
    cells = [f"update.{name}" for name, value in given.items() if value]
    if cells:
        agree(can, Update(("a",), where, resource, comment), cells, single=True)


@example(BLIND, "r2", None)
@given(accounts(), resources, comments)
def test_many_are_updated_field_by_field(can, resource, comment):
    given = {"resource_id": resource, "comment": comment}
    cells = [f"bulk_update.{name}" for name, value in given.items() if value]
    if cells:
        agree(can, Update(("a", "b"), None, resource, comment), cells, single=False)


@given(accounts(), comments)
def test_one_and_many_are_cancelled(can, comment):
    fields = ["status"] if comment is None else ["status", "comment"]
    agree(can, Cancel(("a",), comment), [f"cancel.{name}" for name in fields], single=True)
    agree(can, Cancel(("a", "b"), comment), [f"bulk_cancel.{name}" for name in fields], single=False)


@given(accounts())
def test_what_waits_is_confirmed(can):
    agree(can, Confirm("w", "123456"), ["confirm"], single=True)


@example(BLIND, None)
@given(accounts(), comments)
def test_an_appointment_is_booked(can, comment):
    fields = ["booking"] if comment is None else ["booking", "comment"]
    agree(can, Book(span(120, 150), "p1", "r1", "s1", comment), [f"create.{name}" for name in fields], single=True)


RANGES = {
    span(0, 60): [],
    span(120, 180): ["start_end"],
    span(0, 90): ["more"],
    span(120, 210): ["start_end", "more"],
    span(0, 30): ["fewer"],
    span(120, 150): ["start_end", "fewer"],
}
"""Where `a` and `b` may go, and what that takes: to move, to create, to cancel."""


@settings(max_examples=500)
@example(replace(CAN, cancel_comment="none"), span(0, 30), None, "bring the form")
@example(replace(CAN, move="none", reassign="none", cancel=False), span(0, 90), None, None)
@given(accounts(), st.sampled_from(sorted(RANGES, key=lambda s: s.key)), resources, comments)
def test_a_range_is_filled_by_what_it_takes(can, where, resource, comment):
    takes = [*RANGES[where], *(["resource_id"] if resource else []), *(["comment"] if comment else [])]
    cells = [f"continuous_reschedule.{field}" for field in takes]
    if comment and "fewer" in takes:
        cells.append("bulk_cancel.comment")
    if cells:
        agree(can, Reschedule(("a", "b"), where, resource, comment), cells, single=False)


# -- reads ----------------------------------------------------------------------------------------------------------


class Listing(ModelEmr):
    async def directory(self, kind: Kind) -> list[Entry]:
        return []


class NoSuccessors(Ledger):
    """No appointment ever had another id."""

    async def successors(self, tenant, ids):
        return {}

    async def ancestors(self, tenant, id):
        return ()


def reads(can: Capabilities) -> dict[str, Coroutine[Any, Any, object]]:
    """By the name of the cell, and as the routes ask."""
    emr, reading, day = Listing(a_morning(can), Clock()), Reading(NoSuccessors()), span(0, 480)
    return {
        "appointment": reading.appointment(emr, "a", None),
        "appointments": reading.appointments(emr, day, None, None, None),
        "timeslots": reading.timeslots(emr, day, "r1", None, None),
        **{kind.replace("-", "_"): reading.directory(emr, kind, None) for kind in Kind},
    }


@given(accounts())
def test_reads_answer_or_are_not_supported(can):
    asking = reads(can)
    assert set(asking) == set(abilities(can).reads.model_dump())

    async def refused() -> set[str]:
        answers = await asyncio.gather(*asking.values(), return_exceptions=True)
        errors = {name: a for name, a in zip(asking, answers, strict=True) if isinstance(a, BaseException)}
        assert {p.error_code for e in errors.values() for p in e.problems} <= {"NOT_SUPPORTED"}
        return set(errors)

    assert asyncio.run(refused()) == {name for name in asking if not supported(can, [f"reads.{name}"])}


# -- what only one appointment or another lacks -----------------------------------------------------------------------

ANEW = replace(CAN, move="none", reassign="none")


def not_supported(can: Capabilities, intent: Intent, before: Any, *, single: bool = True) -> str | None:
    """The place that the refusal names."""
    model = Model(can, {"r1": grid(0, 480), "r2": grid(0, 480)}, {before.id: before})
    with pytest.raises(BadRequest) as no:
        asked(model, intent, single=single)
    (problem,) = no.value.problems
    assert (problem.error_code, model.calls) == ("NOT_SUPPORTED", {})
    return problem.path


def test_what_only_a_code_can_cancel_is_not_booked_anew():
    assert not_supported(ANEW, Update(("a",), span(60, 90)), booked("a", 0, 30, code_to_cancel=True)) is None


@pytest.mark.parametrize("lack", [{"patient_id": None}, {"resource_id": None}])
def test_what_is_nobodys_is_neither_booked_anew_nor_given_a_neighbour(lack):
    nobodys = booked("a", 0, 30, **lack)
    assert not_supported(ANEW, Update(("a",), span(60, 90)), nobodys) is None
    if "patient_id" in lack:
        assert not_supported(CAN, Reschedule(("a",), span(0, 60)), nobodys, single=False) is None


def test_a_refusal_names_the_field_that_the_emr_can_not_change():
    both = Update(("a",), span(60, 90), "r2")
    times_only = replace(CAN, reassign="none", create=False)
    resource_only = replace(CAN, move="none", create=False)
    assert not_supported(times_only, both, booked("a", 0, 30)) == "body/resource_id"
    assert not_supported(resource_only, both, booked("a", 0, 30)) == "body/start"


# -- what a client is told beside it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("can", "told"),
    [
        ({"free_time": "slots", "slot_check": "emr"}, "emr"),
        ({"free_time": "slots", "slot_check": "after_write", "lists": True}, "after_write"),
        ({"free_time": "slots", "slot_check": "off"}, "off"),
        ({"slot_check": "emr", "refuses_overlap": True}, "off"),
        ({"slot_check": "emr", "refuses_overlap": False, "lists": True}, "after_write"),
    ],
)
def test_when_free_time_is_checked_is_told_as_it_is(can, told):
    assert abilities(Capabilities(move="in_place", **can)).facts.slot_check == told


@pytest.mark.parametrize(
    "more", [{"refuses_overlap": True}, {"lists": True}, {"free_time": "slots"}, {"slot_check": "off"}]
)
def test_one_thing_that_keeps_two_from_one_time_is_enough(more):
    assert not BLIND.guards_time
    assert replace(BLIND, **more).guards_time


@pytest.mark.parametrize(
    ("more", "asked_for"),
    [
        ({}, False),
        ({"lists": True}, True),
        ({"lists": True, "refuses_overlap": True}, False),
        ({"lists": True, "free_time": "slots", "slot_records": True}, False),
        ({"lists": True, "slot_check": "off"}, False),
        ({"slot_check": "after_write"}, True),
    ],
)
def test_conflicts_are_asked_for_where_nothing_else_prevents_them(more, asked_for):
    assert replace(BLIND, **more).checks_afterwards is asked_for
