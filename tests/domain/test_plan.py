"""The planner, by tables and by laws; its oracle is brute force on a model EMR that counts what it is asked to do."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import combinations, pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.commands import Book, Cancel, Command, Confirm, Reschedule, Update
from gateway.domain.errors import BadRequest, Conflict, NotFound, PreconditionFailed
from gateway.domain.model import FreeTime, Slot, Span, Status
from gateway.domain.plan import plan
from gateway.domain.questions import Claim, ReadAppointments
from gateway.execute import codec
from tests.model import CAN, Model, at, booked, grid, minutes, no_etag, span

IN_PLACE = CAN
NEW_ID = replace(CAN, move="new_id", reassign="new_id")
NO_MOVE = replace(CAN, move="none", reassign="none")
WINDOWS = replace(CAN, free_time="windows")
SPAN_ONLY = replace(CAN, own_time_shown=False)
PIECEMEAL = replace(CAN, combines=False, books_comment=False)
RECORDS = replace(CAN, slot_records=True, refuses_overlap=False)
NO_REFUSAL = replace(CAN, refuses_overlap=False)
ALL = {
    "in place": IN_PLACE,
    "new id": NEW_ID,
    "no move": NO_MOVE,
    "windows": WINDOWS,
    "own time by its span": SPAN_ONLY,
    "one field a write": PIECEMEAL,
    "slot records": RECORDS,
    "never refuses": NO_REFUSAL,
}
SHAPES = tuple(ALL.values())
each = pytest.mark.parametrize("can", ALL.values(), ids=ALL.keys())


def a_day(can=CAN, *appointments) -> Model:
    """Two resources with slots from 0 to 480 minutes, and the appointments."""
    told = [
        replace(a, slot_ids=tuple(f"{a.resource_id}@{m}" for m in range(minutes(a.start), minutes(a.end), 30)))
        if can.slot_records
        else a
        for a in appointments
    ]
    return Model(can, {"r1": grid(0, 480), "r2": grid(0, 480)}, {a.id: a for a in told})


def made(model, intent, *, single=True, **other):
    return model.ask(plan(Command(intent, single=single, **other), model.can, no_etag))


def refused(model, intent, kind, code, *, single=True, **other):
    before = model.copy()
    with pytest.raises(kind) as caught:
        made(model, intent, single=single, **other)
    assert model.calls == before.calls == {}
    assert [p.error_code for p in caught.value.problems] == ([code] if isinstance(code, str) else code)
    return caught.value


# -- one appointment ------------------------------------------------------------------------------------------------


@each
def test_a_move_ends_where_it_was_asked_to(can):
    model = a_day(can, booked("a", 0, 30))
    images = model.execute(made(model, Update(("a",), span(60, 90), "r2", "later")))
    assert (images["a"].span.same(span(60, 90)), images["a"].resource_id, images["a"].comment) == (True, "r2", "later")
    assert [a.id for a in model.standing()] == [images["a"].id]


def test_after_a_move_the_slots_agree_with_the_appointments():
    model = a_day(RECORDS, booked("a", 0, 60))
    stages = made(model, Update(("a",), span(30, 90))).stages
    assert [[s.kind for s in stage] for stage in stages] == [["mark_slot"], ["change"], ["mark_slot"]]
    model.execute(made(model, Update(("a",), span(30, 90))))
    busy = {id for id, (state, _) in model.slot_state.items() if state == "busy"}
    assert busy == {"r1@30", "r1@60"}


@each
def test_values_equal_to_the_current_ones_need_no_write_and_no_check(can):
    model = a_day(can, booked("a", 0, 30, comment="as is"))
    assert made(model, Update(("a",), span(0, 30), "r1", "as is")).stages == ()
    assert model.rounds == 1


def test_a_move_is_read_check_write_and_a_comment_is_read_write():
    model = a_day(CAN, booked("a", 0, 30))
    assert len(made(model, Update(("a",), span(60, 90))).stages) == 1
    assert model.rounds == 2
    model.rounds = 0
    assert len(made(model, Update(("a",), comment="new")).stages) == 1
    assert model.rounds == 1


def test_a_resource_alone_is_checked_at_the_current_times():
    model = a_day(CAN, booked("a", 0, 30), booked("b", 0, 30, resource_id="r2", patient_id="p2"))
    refused(model, Update(("a",), resource_id="r2"), BadRequest, "NO_TIMESLOTS_AVAILABLE")


@each
def test_own_time_counts_as_free_unless_somebody_else_is_there_too(can):
    model = a_day(can, booked("a", 0, 60))
    made(model, Update(("a",), span(30, 90)) if can.own_time_shown else Update(("a",), span(0, 90)))
    double = a_day(can, booked("a", 0, 60), booked("b", 30, 60, patient_id="p2"))
    refused(double, Update(("a",), span(30, 90)), BadRequest, "NO_TIMESLOTS_AVAILABLE")


@pytest.mark.parametrize(
    ("intent", "kind", "code"),
    [
        (Update(("zz",), comment="x"), NotFound, "INVALID_APPOINTMENT_ID"),
        (Update(("a",), resource_id="nobody"), BadRequest, "INVALID_RESOURCE_ID"),
        (Update(("a",), span(15, 45)), BadRequest, "NO_TIMESLOTS_AVAILABLE"),
        (Update(("a",), span(480, 510)), BadRequest, "NO_TIMESLOTS_AVAILABLE"),
        (Update(("a",), comment="x" * 101), BadRequest, "INVALID_COMMENT_LENGTH"),
        (Update(("gone",), comment="x"), Conflict, "INVALID_APPOINTMENT_STATUS"),
        (Update(("gone",), span(60, 90)), Conflict, "INVALID_APPOINTMENT_STATUS"),
        (Update(("past",), span(60, 90)), Conflict, "INVALID_APPOINTMENT_STATUS"),
        (Cancel(("past",)), Conflict, "INVALID_APPOINTMENT_STATUS"),
        (Cancel(("missed",)), Conflict, "INVALID_APPOINTMENT_STATUS"),
        (Confirm("a", "123456"), Conflict, "INVALID_APPOINTMENT_STATUS"),
        (Confirm("asked"), BadRequest, "MISSING_REQUIRED_FIELD"),
        (Book(span(60, 90), "nobody", "nobody", "nobody"), BadRequest,
         ["INVALID_PATIENT_ID", "INVALID_RESOURCE_ID", "INVALID_HEALTHCARE_SERVICE_ID"]),
        (Book(span(0, 30), "p1", "r1", "s1"), BadRequest, "NO_TIMESLOTS_AVAILABLE"),
    ],
)  # fmt: skip
def test_what_can_be_known_first_is_refused_before_any_write(intent, kind, code):
    model = a_day(
        CAN,
        booked("a", 0, 30),
        replace(booked("gone", 30, 60), status=Status.CANCELLED),
        replace(booked("past", 90, 120), status=Status.COMPLETED),
        replace(booked("missed", 120, 150), status=Status.NO_SHOW),
        replace(booked("asked", 150, 180), status=Status.AWAITING, confirmed=False),
    )
    refused(model, intent, kind, code)


def test_a_completed_appointment_can_still_get_a_comment():
    model = a_day(CAN, replace(booked("a", 0, 30), status=Status.COMPLETED))
    assert len(made(model, Update(("a",), comment="x")).stages) == 1


def test_a_stale_tag_is_refused_and_the_current_one_is_not():
    model = a_day(CAN, booked("a", 0, 30))
    refused(model, Update(("a",), comment="x"), PreconditionFailed, [], if_match=('"other"',))
    assert made(model, Update(("a",), comment="x"), if_match=('"other"', '"a/1"')).stages
    assert made(model, Update(("a",), comment="x"), if_match=("*",)).stages


def test_an_appointment_of_another_care_unit_is_not_found():
    model = a_day(CAN, booked("a", 0, 30))
    refused(model, Update(("a",), comment="x"), NotFound, "INVALID_APPOINTMENT_ID", care_unit_id="u2")
    refused(model, Update(("a",), comment="x"), NotFound, "INVALID_CARE_UNIT_ID", care_unit_id="nowhere")


class Visiting(Model):
    """Its resource works in several care units, so that only the slots tell in which."""

    def free_time(self, question):
        found = super().free_time(question)
        return replace(found, slots=tuple(replace(slot, care_unit_id="u2") for slot in found.slots))


def test_a_booking_is_in_the_care_unit_of_its_slots_where_nothing_else_names_one():
    model = Visiting(replace(CAN, directories=frozenset()), {"r1": grid(0, 60)})
    made_of = made(model, Book(span(0, 30), "p1", "r1", "s1"))
    assert [step.care_unit_id for _, step in made_of.steps()] == ["u2"]
    assert [line.expected.care_unit_id for line in made_of.lines] == ["u2"]


def test_a_booking_that_can_not_take_its_comment_along_gets_it_once_it_stands():
    model = a_day(PIECEMEAL)
    book = made(model, Book(span(0, 30), "p1", "r1", "s1", "later"))
    assert [[(s.kind, s.comment) for s in stage] for stage in book.stages] == [
        [("create", None)],
        [("change", "later")],
    ]
    assert [line.expected.comment for line in book.lines] == ["later"]
    assert model.execute(book)["new/0"].comment == "later"
    assert [len(stage) for stage in made(a_day(PIECEMEAL), Book(span(0, 30), "p1", "r1", "s1")).stages] == [1]


def test_what_is_written_over_something_still_to_be_made_is_in_no_bundle():
    model = a_day(replace(PIECEMEAL, bundle_max=9))
    assert not made(model, Book(span(0, 30), "p1", "r1", "s1", "later")).bundled


def test_the_repeated_hour_of_a_clock_change_cannot_be_said_in_local_time():
    can = replace(CAN, local_zone="Europe/Stockholm")
    model = Model(can, {"r1": []}, {"a": booked("a", 0, 30)})
    night = replace(span(0, 30), start=at(0).replace(year=2030, month=10, day=27, hour=0, minute=30))
    night = replace(night, end=night.start.replace(minute=50))
    refused(model, Update(("a",), night), BadRequest, ["BAD_INPUT", "BAD_INPUT"])


def test_a_time_for_which_the_emr_has_no_words_is_refused_and_not_rounded():
    second = timedelta(seconds=1)
    model = Model(replace(CAN, start_unit_s=60, slot_check="off"), {"r1": []}, {"a": booked("a", 0, 30)})
    late = Span(at(60) + second, at(90) + second)
    refused(model, Update(("a",), late), BadRequest, "BAD_INPUT")
    refused(model, Book(late, "p1", "r1", "s1"), BadRequest, "BAD_INPUT")
    model.can = replace(CAN, length_unit_s=300, slot_check="off")
    refused(model, Update(("a",), span(60, 77)), BadRequest, "BAD_INPUT")
    assert made(model, Update(("a",), span(61, 76))).stages


def test_a_tile_in_the_repeated_hour_is_not_written_where_no_offset_is_said():
    night = at(0).replace(year=2030, month=10, day=26, hour=22)
    before = replace(booked("a", 0, 30), start=night, end=night + timedelta(minutes=90))
    can = replace(CAN, local_zone="Europe/Stockholm", free_time="slots")
    tiles = [Slot(night + n * timedelta(minutes=90), night + (n + 1) * timedelta(minutes=90), "r1") for n in range(4)]

    class ByNight(Model):
        def free_time(self, question):
            return FreeTime("slots", tuple(tiles))

    model = ByNight(can, {"r1": []}, {"a": before})
    whole = Reschedule(("a",), Span(night, tiles[-1].end))
    refused(model, whole, BadRequest, ["BAD_INPUT", "BAD_INPUT"], single=False)


def test_cancel_is_idempotent_and_confirm_of_the_confirmed_is_fine():
    model = a_day(
        CAN,
        replace(booked("gone", 0, 30), status=Status.CANCELLED),
        replace(booked("sure", 30, 60), confirmed=True),
    )
    assert made(model, Cancel(("gone",), "again")).stages == ()
    assert made(model, Confirm("sure", "any")).stages == ()


def test_an_emr_that_cannot_move_books_anew_and_only_then_cancels():
    model = a_day(NO_MOVE, booked("a", 0, 30))
    stages = made(model, Update(("a",), span(60, 90))).stages
    assert [[s.kind for s in stage] for stage in stages] == [["create"], ["cancel"]]
    overlapping = made(model, Update(("a",), span(0, 60)))
    assert [[s.kind for s in stage] for stage in overlapping.stages] == [["cancel"], ["create"]]
    assert overlapping.turning_stage == 0


def test_an_emr_that_cannot_move_without_a_code_says_so():
    model = a_day(NO_MOVE, booked("a", 0, 30, code_to_cancel=True))
    refused(model, Update(("a",), span(60, 90)), BadRequest, "NOT_SUPPORTED")


# -- many, each for itself ------------------------------------------------------------------------------------------


@each
def test_every_failing_id_is_named_and_the_first_one_decides(can):
    model = a_day(can, booked("a", 0, 30), replace(booked("gone", 30, 60), status=Status.CANCELLED))
    error = refused(
        model,
        Update(("zz", "a", "yy"), comment="x"),
        BadRequest,
        ["INVALID_APPOINTMENT_ID", "INVALID_APPOINTMENT_ID"],
        single=False,
    )
    assert [p.path for p in error.problems] == ["ids/0", "ids/2"]
    error = refused(model, Update(("a", "gone"), comment="x"), Conflict, "INVALID_APPOINTMENT_STATUS", single=False)
    assert [p.path for p in error.problems] == ["ids/1"]


def test_ids_that_want_the_same_time_of_the_new_resource_both_fail():
    model = a_day(CAN, booked("a", 0, 60), booked("b", 30, 60, resource_id="r2"), booked("c", 90, 120))
    error = refused(
        model, Update(("a", "b", "c"), resource_id="r2"), BadRequest, ["NO_TIMESLOTS_AVAILABLE"] * 2, single=False
    )
    assert [p.path for p in error.problems] == ["ids/0", "ids/1"]
    model = a_day(CAN, booked("a", 0, 60), booked("b", 30, 60), booked("c", 90, 120))
    error = refused(
        model, Update(("a", "b", "c"), resource_id="r2"), BadRequest, ["NO_TIMESLOTS_AVAILABLE"] * 2, single=False
    )
    assert [p.path for p in error.problems] == ["ids/0", "ids/1"]


def test_a_bulk_takes_the_same_rounds_as_one():
    model = a_day(CAN, *(booked(f"a{n}", 30 * n, 30 * n + 30) for n in range(10)))
    stages = made(model, Update(tuple(f"a{n}" for n in range(10)), resource_id="r2"), single=False).stages
    assert (model.rounds, [len(s) for s in stages]) == (2, [10])


def test_one_cancellation_goes_alone_so_that_a_refusal_leaves_nothing_changed():
    model = a_day(CAN, booked("a", 60, 90), booked("b", 0, 30), booked("c", 90, 120))
    stages = made(model, Cancel(("a", "b", "c")), single=False).stages
    assert [[s.chain for s in stage] for stage in stages] == [["b"], ["a", "c"]]


# -- continuous reschedule ------------------------------------------------------------------------------------------


def rescheduled(model, ids, start, end, **other):
    return made(model, Reschedule(tuple(ids), span(start, end), **other), single=False)


def changes(made_plan):
    return [(line.change, minutes(line.expected.start), minutes(line.expected.end)) for line in made_plan.lines]


@each
def test_keep_move_and_create(can):
    model = a_day(can, booked("a", 0, 30), booked("b", 240, 270))
    made_plan = rescheduled(model, ["a", "b"], 0, 90)
    assert changes(made_plan) == [("kept", 0, 30), ("moved", 30, 60), ("created", 60, 90)]
    model.execute(made_plan)
    assert [(minutes(a.start), minutes(a.end)) for a in model.standing()] == [(0, 30), (30, 60), (60, 90)]


@each
def test_the_surplus_is_cancelled_from_the_latest(can):
    model = a_day(can, booked("a", 0, 30), booked("b", 30, 60), booked("c", 60, 90))
    made_plan = rescheduled(model, ["c", "b", "a"], 120, 180)
    assert changes(made_plan) == [("moved", 120, 150), ("moved", 150, 180), ("cancelled", 60, 90)]
    model.execute(made_plan)
    assert len(model.standing()) == 2


def test_shifting_a_chain_by_one_slot_is_ordered_so_that_nothing_overlaps():
    model = a_day(CAN, *(booked(f"a{n}", 30 * n, 30 * n + 30) for n in range(5)))
    made_plan = rescheduled(model, [f"a{n}" for n in range(5)], 30, 180)
    assert [c for c, *_ in changes(made_plan)] == ["kept"] * 4 + ["moved"]
    resized = [booked(f"a{n}", 30 * n, 30 * n + 30) for n in range(3)]
    model = Model(CAN, {"r1": grid(15, 480, 30) + grid(0, 480)}, {a.id: a for a in resized})
    made_plan = rescheduled(model, ["a0", "a1", "a2"], 15, 105)
    assert [[s.chain for s in stage] for stage in made_plan.stages] == [["a2"], ["a1"], ["a0"]]
    model.execute(made_plan)


def test_a_cancellation_comes_first_only_where_the_surplus_is_in_the_way():
    model = Model(CAN, {"r1": [(0, 60), (60, 90)]}, {"a": booked("a", 0, 30), "b": booked("b", 30, 60)})
    model.offered["r1"] += grid(0, 60)
    model.__post_init__()
    model.can = replace(CAN, slots_per_appointment="one")
    made_plan = rescheduled(model, ["a", "b"], 60, 90)
    assert [[s.kind for s in stage] for stage in made_plan.stages] == [["change"], ["cancel"]]
    assert made_plan.turning_stage == 1


def test_a_surplus_that_only_a_code_can_cancel_keeps_its_time():
    one = replace(CAN, slots_per_appointment="one")
    ids = {"a": booked("a", 0, 30, code_to_cancel=True), "b": booked("b", 30, 60, code_to_cancel=True)}
    model = Model(one, {"r1": [(0, 60)]}, ids)
    with pytest.raises(BadRequest):
        rescheduled(model, ["a", "b"], 0, 60)


def test_appointments_that_differ_are_named_with_the_field():
    model = a_day(CAN, booked("a", 0, 30), booked("b", 30, 60, patient_id="p2"), booked("c", 60, 90, resource_id="r2"))
    error = refused(
        model, Reschedule(("a", "b", "c"), span(0, 90)), BadRequest, ["MIXED_APPOINTMENTS"] * 2, single=False
    )
    assert [(p.path, "patient_id" in p.details) for p in error.problems] == [("ids/1", True), ("ids/2", False)]


def test_windows_of_differing_lengths_that_fill_no_range_are_ambiguous():
    model = a_day(WINDOWS, booked("a", 0, 30), booked("b", 30, 75))
    refused(model, Reschedule(("a", "b"), span(0, 100)), BadRequest, "AMBIGUOUS_TIMESLOTS", single=False)
    refused(model, Reschedule(("a",), span(0, 100)), BadRequest, "NO_TIMESLOTS_AVAILABLE", single=False)
    refused(model, Reschedule(("a", "b"), span(450, 525)), BadRequest, "NO_TIMESLOTS_AVAILABLE", single=False)


def test_more_than_allowed_may_not_result():
    model = a_day(CAN, booked("a", 0, 30))
    refused(model, Reschedule(("a",), span(0, 150)), BadRequest, "MAX_ITEMS_EXCEEDED", single=False, max_items=4)


@each
def test_the_comment_goes_to_all_and_one_that_changes_only_by_it_is_updated(can):
    model = a_day(can, booked("a", 0, 30), booked("b", 30, 60, comment="new"), booked("c", 60, 90))
    made_plan = rescheduled(model, ["a", "b", "c"], 0, 60, comment="new")
    assert [line.change for line in made_plan.lines] == ["updated", "kept", "cancelled"]
    model.execute(made_plan)
    assert {a.comment for a in model.book.values()} == {"new"}


# -- laws -----------------------------------------------------------------------------------------------------------


@st.composite
def worlds(draw, shapes=SHAPES):
    """A day with some of one patient's appointments, some of others', and a range to fill."""
    can = draw(st.sampled_from(shapes))
    cells = draw(st.lists(st.sampled_from([None, "own", "other", "closed"]), min_size=3, max_size=6))
    resource = draw(st.sampled_from(["r1", "r2"]))
    cells[draw(st.integers(0, len(cells) - 1))] = "own"
    own = [booked(f"a{n}", 30 * n, 30 * n + 30) for n, cell in enumerate(cells) if cell == "own"]
    other = [
        booked(f"x{n}", 30 * n, 30 * n + 30, patient_id="p2", resource_id=resource)
        for n, cell in enumerate(cells)
        if cell == "other"
    ]
    model = a_day(can, *own, *other)
    closed = {30 * n for n, cell in enumerate(cells) if cell == "closed"}
    model.offered = {r: [p for p in grid(0, 30 * len(cells) + 60) if p[0] not in closed] for r in ("r1", "r2")}
    model.__post_init__()
    start = 30 * draw(st.integers(0, len(cells)))
    end = start + 30 * draw(st.integers(1, 3))
    comment = draw(st.sampled_from([None, "new"]))
    chosen = None if draw(st.booleans()) else resource
    return model, Reschedule(tuple(a.id for a in own), span(start, end), chosen, comment)


def try_plan(model, intent):
    """The plan, or `None` where it is refused."""
    try:
        return made(model, intent, single=False)
    except (BadRequest, Conflict):
        return None


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_law_the_same_question_has_the_same_plan(world):
    model, intent = world
    assert try_plan(model.copy(), intent) == try_plan(model.copy(), intent)


@settings(max_examples=400, deadline=None)
@given(worlds())
def test_law_a_plan_can_be_carried_out_fills_the_range_and_leaves_others_alone(world):
    model, intent = world
    found = try_plan(model, intent)
    if found is None:
        return
    before = {a.id: a for a in model.book.values() if a.patient_id == "p2"}
    images = model.execute(found)
    own = [a for a in model.standing() if a.patient_id == "p1"]
    assert own[0].start == intent.span.start
    assert own[-1].end == intent.span.end
    assert all(one.end == two.start for one, two in pairwise(own))
    assert {a.resource_id for a in own} == {intent.resource_id or "r1"}
    assert {id: model.book[id] for id in before} == before
    assert not any(a.span.overlaps(b.span) and a.resource_id == b.resource_id for a, b in combinations(own, 2))
    for line in found.lines:
        assert line.chain in images or line.change == "kept"


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_law_at_most_one_turning_point_and_all_before_it_can_be_undone(world):
    model, intent = world
    found = try_plan(model, intent)
    if found is None:
        return
    hopeless = [n for n, stage in enumerate(found.stages) if any(s.kind in ("cancel", "confirm") for s in stage)]
    assert found.turning_stage == (hopeless[0] if hopeless else None)
    if hopeless:
        assert len([s for s in found.stages[hopeless[0]] if s.kind == "cancel"]) == 1


@settings(max_examples=300, deadline=None)
@given(worlds((RECORDS,)))
def test_law_if_slots_are_records_they_agree_with_the_appointments_afterwards(world):
    model, intent = world
    found = try_plan(model, intent)
    if found is None:
        return
    model.execute(found)
    held = {id for a in model.standing() for id in a.slot_ids}
    assert held == {id for id, (state, _) in model.slot_state.items() if state == "busy"}


def alternatives(model, intent, own):
    """Every other way to fill the range: all compositions into single slots and all assignments, carried out by hand
    on a copy of the book; → the calls that each took, as (cancelled, created, moved, written)."""
    start, end = minutes(intent.span.start), minutes(intent.span.end)
    tiles = grid(start, end)
    resource = intent.resource_id or "r1"
    for kept in range(min(len(own), len(tiles)) + 1):
        for owners in permutations(own, kept):
            for places in combinations(range(len(tiles)), kept):
                placed = dict(zip(places, owners, strict=True))
                moved = written = 0
                for n, (a, b) in enumerate(tiles):
                    owner = placed.get(n)
                    if owner is None:
                        continue
                    stays = owner.span.same(span(a, b)) and owner.resource_id == resource
                    text = intent.comment is not None and owner.comment != intent.comment
                    moved += not stays
                    written += not stays or text
                created, cancelled = len(tiles) - kept, len(own) - kept
                yield (cancelled, created, moved, written + created + cancelled)


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_law_no_other_way_costs_less(world):
    """The planner's own costs are not asked: the book counts the calls that it gets."""
    model, intent = world
    model.can = replace(IN_PLACE, slots_per_appointment="one")
    found = try_plan(model, intent)
    if found is None:
        return
    own = [model.book[id] for id in intent.ids]
    before = dict(model.book)
    model.execute(found)
    moved = sum(
        not (before[id].span.same(model.book[id].span) and before[id].resource_id == model.book[id].resource_id)
        for id in intent.ids
        if model.book[id].status is not Status.CANCELLED
    )
    got = (model.calls["cancel"], model.calls["create"], moved, sum(model.calls.values()))
    assert got == min(alternatives(model, intent, own))


def test_a_cancellation_is_confirmed_while_its_appointment_is_held():
    """The request has an id of its own; another command may be writing to what it is about."""
    asked = replace(booked("asked", 150, 180), status=Status.AWAITING, confirms="about")
    planning = plan(Command(Confirm("asked", "123456"), single=True), CAN, no_etag)
    claims, batch = [], next(planning)
    with suppress(StopIteration):
        while True:
            claims += [question for question in batch if isinstance(question, Claim)]
            reading = any(isinstance(question, ReadAppointments) for question in batch)
            batch = planning.send(({"asked": asked},) if reading else (None,))
    assert [claim.appointments for claim in claims] == [("asked",), ("about",)]


def test_a_confirmation_is_told_as_an_update_and_can_be_stored():
    model = a_day(CAN, replace(booked("asked", 150, 180), status=Status.AWAITING, confirmed=False))
    made_plan = made(model, Confirm("asked", "123456"))
    assert [line.change for line in made_plan.lines] == ["updated"]
    stored = codec.load(codec.dump(made_plan, standard="leyr", single=True, created=False, claims=("asked",)))
    assert stored.plan().stages[0][0].code == "123456"
