"""Which test against a real server shows each thing that an edition calls tested live: without one it is not live."""

from __future__ import annotations

from collections.abc import Mapping

DIRECTORIES = {
    f"reads.{directory}": "test_directories_list_and_look_up"
    for directory in ("care_units", "resources", "healthcare_services", "patients")
}

SHOWN: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("fhir", "standard"): {
        "update.start_end": "test_a_move_takes_the_new_slots_and_gives_the_old_ones_back",
        "update.resource_id": "test_a_reassignment_moves_to_the_other_ones_slots",
        "update.comment": "test_a_comment_is_written_and_cleared_without_touching_slots",
        "cancel.status": "test_a_cancellation_frees_the_slots_and_can_be_said_twice",
        "cancel.comment": "test_a_cancellation_frees_the_slots_and_can_be_said_twice",
        "confirm": "test_a_request_is_confirmed",
        "create.booking": "test_a_booking_takes_a_slot_that_was_shown",
        "create.comment": "test_a_booking_takes_a_slot_that_was_shown",
        "bulk_update.resource_id": "test_many_are_reassigned_together",
        "bulk_update.comment": "test_many_are_reassigned_together",
        "bulk_cancel.status": "test_many_are_cancelled_together",
        "bulk_cancel.comment": "test_many_are_cancelled_together",
        "continuous_reschedule.start_end": "test_a_chain_shifts_by_one_slot_within_itself",
        "continuous_reschedule.resource_id": "test_a_chain_moves_to_somebody_else",
        "continuous_reschedule.comment": "test_a_longer_range_creates_what_is_missing",
        "continuous_reschedule.more": "test_a_longer_range_creates_what_is_missing",
        "continuous_reschedule.fewer": "test_a_shorter_range_cancels_the_surplus",
        "reads.appointment": "test_an_old_etag_is_refused",
        "reads.appointments": "test_a_booking_takes_a_slot_that_was_shown",
        "reads.timeslots": "test_a_booking_takes_a_slot_that_was_shown",
        **DIRECTORIES,
    },
    ("gnuhealth", "standard"): {
        "update.start_end": "test_a_move_takes_the_free_record_and_leaves_another",
        "update.resource_id": "test_a_reassignment_moves_to_the_other_ones_time",
        "update.comment": "test_a_comment_is_written_and_cleared_and_what_is_so_already_is_not_written",
        "cancel.status": "test_a_cancellation_makes_the_time_free_again_and_can_be_said_twice",
        "cancel.comment": "test_a_cancellation_makes_the_time_free_again_and_can_be_said_twice",
        "create.booking": "test_a_booking_takes_the_time_that_was_shown",
        "create.comment": "test_a_booking_takes_the_time_that_was_shown",
        "bulk_update.resource_id": "test_many_are_reassigned_together",
        "bulk_update.comment": "test_many_are_reassigned_together",
        "bulk_cancel.status": "test_many_are_cancelled_together",
        "bulk_cancel.comment": "test_many_are_cancelled_together",
        "continuous_reschedule.start_end": "test_a_chain_shifts_within_itself",
        "continuous_reschedule.resource_id": "test_a_chain_moves_to_somebody_else",
        "continuous_reschedule.comment": "test_a_longer_range_creates_what_is_missing",
        "continuous_reschedule.more": "test_a_longer_range_creates_what_is_missing",
        "continuous_reschedule.fewer": "test_a_shorter_range_cancels_the_surplus",
        "reads.appointment": "test_an_old_etag_is_refused",
        "reads.appointments": "test_a_booking_takes_the_time_that_was_shown",
        "reads.timeslots": "test_a_booking_takes_the_time_that_was_shown",
        **DIRECTORIES,
    },
}
"""By plugin and edition: `operation.field` → a test of `test_{plugin}_*.py`, or a case of the contract that is run
there."""

SERVERS = {
    "SEKMET 0.1.1": ("sekmet.lock", "sekmet-fhir==0.1.1 "),
    "Medplum FHIR router 4.5.2": ("medplum/package.json", '"@medplum/fhir-router": "4.5.2"'),
    "GNU Health HIS 5.0.6": ("gnuhealth.lock", "gnuhealth==5.0.6 "),
}
"""What the tests are run against, and the line by which `make live` installs it."""
