"""Plugins that lie, each in one way, and the cases of the contract that have to find it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gateway.domain.model import Entry, Kind, Status
from gateway.port import Emr, Receipt
from gateway.testing import World
from tests import lying
from tests.lying import (
    Lie,
    answering,
    asking,
    both,
    claiming,
    instead,
    listing,
    of_appointments,
    of_reasons,
    of_receipts,
    of_steps,
    offering,
    refusing,
    swallowing,
)


@dataclass(frozen=True)
class Liar:
    """`lie` bends an account of an EMR of such a personality; `caught_by` are cases, without their `test_`."""

    lie: Lie
    caught_by: str
    personality: str = "in-place"

    def world(self, world: World) -> World:
        def opened(transport: Any) -> Emr:
            emr = world.open_over(transport)
            self.lie(emr)
            return emr

        def notifying(notify: bool | None) -> Emr:
            assert world.open_notifying is not None
            emr = world.open_notifying(notify)
            self.lie(emr)
            return emr

        self.lie(world.emr)
        return replace(world, open_over=opened, open_notifying=world.open_notifying and notifying)


COMMENTS = {
    "loses comments": Liar(
        of_steps("change", lambda s: replace(s, comment=None)),
        "a_comment_is_set_and_cleared everything_in_one_write one_is_rescheduled_by_one_command",
    ),
    "loses the comments of bookings": Liar(
        of_steps("create", lambda s: replace(s, comment=None)),
        "a_booking_takes_its_comment_along a_booking_has_its_comment_in_the_end",
    ),
    "loses the reason of a cancellation": Liar(
        of_steps("cancel", lambda s: replace(s, comment=None)), "a_cancellation_says_why"
    ),
    "empties the comment with a move": Liar(
        of_steps("change", lambda s: s if s.span is None else replace(s, comment=s.comment or "")),
        "a_move_leaves_the_comment_alone",
    ),
    "empties the comment with a cancellation": Liar(
        of_steps("cancel", lambda s: replace(s, comment=s.comment or "")),
        "a_cancellation_frees_the_time_and_leaves_the_comment cancelled_again_it_stays_cancelled",
    ),
    "cuts comments": Liar(
        of_steps("change", lambda s: replace(s, comment=s.comment and s.comment[:500])),
        "a_comment_may_be_as_long_as_it_is_claimed_and_no_longer",
    ),
    "writes over white space": Liar(
        of_steps("change", lambda s: replace(s, comment=s.comment and "x")),
        "white_space_around_a_comment_is_no_difference",
        "fhir",
    ),
}

TIMES = {
    "tells naive times": Liar(
        of_appointments(lying.naive), "an_appointment_is_read_as_it_stands another_time a_booking_takes_its_time"
    ),
    "tells summer by winter": Liar(
        of_appointments(lying.in_winter), "beyond_a_clock_change_the_instant_is_kept_and_the_offset_is_not"
    ),
    "books by the wall": Liar(
        of_steps("create", lying.by_the_wall), "a_time_is_the_same_by_whatever_offset_it_is_said"
    ),
    "moves by the wall": Liar(
        of_steps("change", lying.by_the_wall), "a_change_is_to_the_same_time_by_whatever_offset_it_is_said"
    ),
    "guesses the repeated hour": Liar(
        both(instead("create", lying.guessing), instead("change", lying.guessing)),
        "an_hour_that_the_clock_shows_twice_is_refused",
    ),
    "rounds its starts": Liar(claiming(start_unit_s=60), "a_start_that_can_not_be_said_is_refused_and_not_rounded"),
    "rounds its lengths": Liar(claiming(length_unit_s=300), "a_length_that_can_not_be_said_is_refused_and_not_rounded"),
}

WRITES = {
    "ignores versions": Liar(
        both(of_steps("change", lying.versionless), of_steps("cancel", lying.versionless)),
        "a_stale_version_is_refused of_eight_writes_over_one_version_one_counts",
    ),
    "marks over any version": Liar(
        of_steps("mark_slot", lambda s: replace(s, slot=replace(s.slot, version=None))),
        "a_slot_record_is_taken_and_given_back of_eight_who_take_one_slot_record_one_gets_it",
        "slot-records",
    ),
    "writes twice": Liar(instead("change", lying.twice), "another_time another_resource a_comment_is_set_and_cleared"),
    "answers with what was": Liar(
        of_receipts("change", lambda a: replace(a, version="0")), "every_answer_is_the_appointment_as_it_now_is"
    ),
    "leaves out the resource": Liar(
        of_steps("change", lambda s: replace(s, resource_id=None)),
        "another_resource everything_in_one_write several_are_moved_by_one_command",
    ),
    "takes one slot of several": Liar(of_steps("create", lying.shorter), "a_booking_may_take_several_adjoining_slots"),
    "settles later than it claims": Liar(
        claiming(settles_within_s=0.001), "what_was_accepted_shows_within_the_time_that_is_claimed", "async"
    ),
    "discards by cancelling": Liar(instead("discard", lying.stays_in_the_book), "what_is_discarded_leaves_nothing"),
    "pretends to cancel": Liar(
        instead("cancel", lying.pretended),
        "a_cancellation_frees_the_time_and_leaves_the_comment time_that_was_freed_can_be_booked_again"
        " cancelled_again_it_stays_cancelled a_cancellation_asked_for_twice_is_one",
    ),
    "pretends to cancel what it has booked anew": Liar(
        instead("cancel", lying.pretended), "what_can_not_be_moved_is_booked_anew", "no-move"
    ),
    "cancels no second time": Liar(
        of_reasons("cancel", refusing("not_found", "state")), "cancelled_again_it_stays_cancelled"
    ),
    "takes any code": Liar(
        of_steps("confirm", lambda s: replace(s, code="123456")),
        "only_the_right_code_confirms a_cancellation_waits_for_the_code_and_then_stands",
    ),
    "knows no expired code": Liar(
        of_reasons("confirm", refusing("wrong_code", "expired_code")), "only_the_right_code_confirms"
    ),
    "confirms no second time": Liar(
        instead("confirm", lying.confirms_no_second_time), "confirmed_again_it_stays_confirmed"
    ),
    "cancels what has nothing to confirm": Liar(
        instead("confirm", lying.cancels_what_needs_no_code), "a_confirmation_that_nothing_waits_for_changes_nothing"
    ),
    "never tells who has confirmed": Liar(
        of_appointments(lambda a: replace(a, confirmed=None)), "it_tells_whether_it_was_confirmed"
    ),
    "does not tell that a code is asked for": Liar(
        of_appointments(lambda a: replace(a, code_to_cancel=False)),
        "a_cancellation_waits_for_the_code_and_then_stands",
    ),
    "moves nothing that waits": Liar(
        instead("change", lying.moves_no_awaiting),
        "what_waits_for_its_confirmation_is_moved_and_goes_on_waiting",
        "fhir",
    ),
    "does not know who is nobody": Liar(
        both(*(of_reasons(m, refusing("rule", "not_found")) for m in ("change", "cancel", "confirm", "discard"))),
        "what_does_not_exist_can_not_be_changed what_does_not_exist_can_not_be_cancelled"
        " what_does_not_exist_can_not_be_confirmed what_does_not_exist_can_not_be_discarded",
    ),
}

MESSAGES = {
    "never tells": Liar(
        both(*(of_steps(method, lambda s: replace(s, quiet=True)) for method in ("create", "change", "cancel"))),
        "patients_hear_of_what_is_written_where_the_account_says_so",
    ),
    "always tells": Liar(
        lambda emr: setattr(emr, "_tells", lambda _: True),
        "patients_hear_nothing_where_the_account_says_so patients_hear_nothing_of_a_step_that_is_quiet",
    ),
    "tells of what it takes back": Liar(
        of_steps("discard", lambda s: replace(s, quiet=False)), "patients_hear_nothing_of_a_step_that_is_quiet"
    ),
}

BUNDLES = {
    "sends a bundle step by step": Liar(
        instead("bundle", lying.step_by_step),
        "a_bundle_is_carried_out_as_a_whole a_bundle_with_a_stale_step_leaves_nothing",
        "fhir, transactions",
    ),
    "carries out what it can of a bundle": Liar(
        instead("bundle", lying.left_standing),
        "a_bundle_with_a_stale_step_leaves_nothing a_booking_stands_and_falls_with_its_bundle",
        "fhir, transactions",
    ),
    "books though it refuses": Liar(
        instead("bundle", lying.booking_all_the_same),
        "a_booking_stands_and_falls_with_its_bundle",
        "fhir, transactions",
    ),
    "forgets the last step of a bundle": Liar(
        instead("bundle", lying.without_the_last), "a_bundle_is_carried_out_as_a_whole", "fhir, transactions"
    ),
    "carries out as many as it claims": Liar(
        instead("bundle", lying.as_many_as_asked), "no_more_is_bundled_than_is_claimed", "fhir, transactions"
    ),
}

IDS = {
    "finds no booking of its own": Liar(
        answering("find_own", lambda _: None),
        "a_booking_is_found_by_its_marker_and_no_other_is a_booking_whose_answer_is_lost_is_found_and_not_made_twice",
    ),
    "finds no successor": Liar(answering("find_own", lambda _: None), "an_old_id_leads_to_its_successor", "new-id"),
    "finds the newest as its own": Liar(
        instead("find_own", lying.the_newest), "a_booking_is_found_by_its_marker_and_no_other_is"
    ),
    "finds the same as its successor": Liar(
        instead("find_own", lying.the_same), "an_id_without_a_successor_leads_nowhere", "new-id"
    ),
    "moves to a new id, and claims that it does not": Liar(
        claiming(move="in_place", reassign="in_place"), "another_time another_resource", "new-id"
    ),
    "lets the old one stand": Liar(
        of_appointments(lambda a: replace(a, status=Status.BOOKED) if a.native.get("moved_to") else a),
        "an_old_id_leads_to_its_successor",
        "new-id",
    ),
    "invents appointments": Liar(
        instead("appointment", lying.inventing), "an_unknown_id_is_nobodys an_odd_id_reaches_nothing"
    ),
}

FREE_TIME = {
    "refuses wrongly what is taken": Liar(
        of_reasons("create", refusing("rule", "taken")), "time_that_is_taken_is_refused"
    ),
    "moves wrongly onto what is taken": Liar(
        of_reasons("change", refusing("invalid", "taken")), "time_that_is_taken_is_refused"
    ),
    "does not show own time": Liar(
        asking("free_time", lambda w: replace(w, ignoring=())),
        "own_time_is_shown_as_free_unless_somebody_else_is_there_too an_appointment_grows_over_its_own_time",
    ),
    "shows own time whoever is there": Liar(
        offering(lying.own_and_everybodys), "own_time_is_shown_as_free_unless_somebody_else_is_there_too", "no-refusal"
    ),
    "offers too little": Liar(offering(lying.fewer), "what_is_free_is_offered"),
    "offers what is taken": Liar(offering(lying.everything), "a_booking_takes_its_time"),
    "offers what is taken and sees no conflict": Liar(
        both(offering(lying.everything), answering("conflicts", lambda *_: False)),
        "of_eight_who_want_one_slot_one_gets_it",
        "no-refusal",
    ),
    "offers nothing to who names no service": Liar(
        offering(lambda free, w: free if w.healthcare_service_id else replace(free, slots=())),
        "free_time_needs_no_more_to_be_named_than_is_claimed",
    ),
    "offers whatever is named": Liar(
        claiming(free_time_by=frozenset({Kind.SERVICE})),
        "free_time_is_not_told_where_what_it_is_asked_by_is_left_out",
    ),
    "offers slots as windows": Liar(
        offering(lambda free, _: replace(free, shape="windows")), "what_is_free_is_offered"
    ),
    "sees no conflict": Liar(
        answering("conflicts", lambda *_: False), "a_conflict_is_told_where_none_is_refused", "no-refusal"
    ),
    "sees conflicts with what is about to go": Liar(
        instead("conflicts", lying.ignoring_nobody), "a_conflict_is_told_where_none_is_refused", "no-refusal"
    ),
    "sees conflicts everywhere": Liar(
        answering("conflicts", lambda *_: True), "a_conflict_is_told_where_none_is_refused", "no-refusal"
    ),
}

READS = {
    "leaves out the unknown": Liar(
        instead("appointments", lying.without_the_unknown),
        "many_are_read_at_once_under_the_ids_that_were_asked_for",
    ),
    "forgets whose they are": Liar(
        of_appointments(lambda a: replace(a, patient_id=None)), "an_appointment_is_read_as_it_stands"
    ),
    "lists neighbours": Liar(asking("calendar", lying.wider), "the_calendar_holds_what_overlaps"),
    "lists only what lies inside": Liar(
        listing(lambda a, w: w.span.contains(a.span)), "the_calendar_holds_what_overlaps"
    ),
    "lists no cancelled ones": Liar(
        listing(lambda a, _: a.status is not Status.CANCELLED), "the_calendar_holds_the_cancelled_too"
    ),
    "lists every resource": Liar(
        asking("calendar", lambda w: replace(w, resource_id=None)), "the_calendar_is_of_one_resource_or_patient"
    ),
    "knows every entry": Liar(
        answering("look_up", lambda _, what: Entry(what, "Anybody")), "directories_list_and_look_up"
    ),
    "lists no entries": Liar(answering("directory", lambda _: []), "directories_list_and_look_up"),
}

CLAIMS = {
    "takes what it can't do": Liar(
        swallowing("change", Receipt()), "a_move_that_is_not_declared_is_refused", "no-move"
    ),
    "takes what it does not declare": Liar(
        answering("mark_slot", lambda _: Receipt()), "what_is_not_declared_is_refused"
    ),
    "probes more than it claims": Liar(
        instead("probe", lying.adding_slot_records), "a_probe_proves_the_account_and_adds_nothing"
    ),
}

FAILURES = {
    "takes a broken list for an empty one": Liar(swallowing("calendar", []), "a_read_that_breaks_says_so"),
    "calls a lost booking not sent": Liar(
        of_reasons("create", lying.promising),
        "a_write_that_breaks_says_what_may_have_become_of_it"
        " a_booking_whose_answer_is_lost_is_found_and_not_made_twice",
    ),
    "quotes what the vendor said": Liar(of_reasons("appointment", lying.quoting), "a_read_that_breaks_says_so"),
    "names whom it was about": Liar(
        of_reasons("cancel", lying.naming), "a_write_that_breaks_says_what_may_have_become_of_it"
    ),
    "lets others' errors through": Liar(
        of_reasons("cancel", lambda _: KeyError()), "a_write_that_breaks_says_what_may_have_become_of_it"
    ),
}

LIARS = COMMENTS | TIMES | WRITES | MESSAGES | BUNDLES | IDS | FREE_TIME | READS | CLAIMS | FAILURES
