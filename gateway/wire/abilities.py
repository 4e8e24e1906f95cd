"""Capabilities in the client's words: per operation and field native, emulated or unsupported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from pydantic import BaseModel

from gateway.domain.capabilities import Capabilities, Support
from gateway.domain.editions import Edition, Operation
from gateway.domain.model import Kind
from gateway.wire import answers

_NATIVE, _EMULATED, _UNSUPPORTED = Support.NATIVE, Support.EMULATED, Support.UNSUPPORTED


def abilities(can: Capabilities) -> answers.Capabilities:
    """What an account can do, for `GET /api/emrs` and the support table."""
    update, cancel = _update(can), _cancel(can)
    return answers.Capabilities(
        update=update,
        cancel=cancel,
        confirm=_native(can.confirm != "none"),
        create=_create(can),
        bulk_update=answers.BulkUpdateFields(
            resource_id=_at_most_emulated(update.resource_id),
            comment=_at_most_emulated(update.comment),
        ),
        bulk_cancel=answers.CancelFields(
            status=_at_most_emulated(cancel.status), comment=_at_most_emulated(cancel.comment)
        ),
        continuous_reschedule=_reschedule(can, update),
        reads=_reads(can),
        guards=answers.Guards(
            dry_run=_EMULATED,
            idempotency_key=_EMULATED,
            if_match=_NATIVE if can.version_check else _EMULATED,
        ),
        facts=_facts(can),
    )


def tested(edition: Edition, told: answers.Capabilities) -> answers.Tested:
    """How each operation was tested of which the account can do anything at all."""
    support = cells(told)
    able = {operation: set(support[operation].values()) != {_UNSUPPORTED} for operation in get_args(Operation)}
    ways = {operation: edition.how(operation) if able[operation] else None for operation in able}
    return answers.Tested(against=edition.against, **ways)


def cells(told: answers.Capabilities) -> Mapping[str, Mapping[str, Support]]:
    """By operation and field; an operation without fields has one that has no name."""
    groups = {name: dict(value) if isinstance(value, BaseModel) else {"": value} for name, value in told}
    supports = {name: {f: s for f, s in group.items() if isinstance(s, Support)} for name, group in groups.items()}
    return {name: fields for name, fields in supports.items() if fields}


def _native(able: bool) -> Support:
    return _NATIVE if able else _UNSUPPORTED


def _at_most_emulated(support: Support) -> Support:
    return _UNSUPPORTED if support is _UNSUPPORTED else _EMULATED


def _moving(how: str, can: Capabilities) -> Support:
    if not can.guards_time:
        return _UNSUPPORTED
    if how != "none":
        return _NATIVE
    return _EMULATED if can.create and can.cancel else _UNSUPPORTED


def _update(can: Capabilities) -> answers.UpdateFields:
    return answers.UpdateFields(
        start_end=_moving(can.move, can),
        resource_id=_moving(can.reassign, can),
        comment=_native(can.comment),
    )


def _cancel(can: Capabilities) -> answers.CancelFields:
    written = _at_most_emulated(_native(can.comment))
    comment = {"with": _NATIVE, "before": written, "none": _UNSUPPORTED}[can.cancel_comment]
    return answers.CancelFields(status=_native(can.cancel), comment=comment if can.cancel else _UNSUPPORTED)


def _create(can: Capabilities) -> answers.CreateFields:
    able = can.create and can.guards_time
    comment = _native(able and can.comment)
    return answers.CreateFields(
        booking=_native(able), comment=comment if can.books_comment else _at_most_emulated(comment)
    )


def _reschedule(can: Capabilities, update: answers.UpdateFields) -> answers.RescheduleFields:
    """A range is filled with free time, so an EMR must tell it."""

    def field(support: Support) -> Support:
        return _UNSUPPORTED if can.free_time == "none" else _at_most_emulated(support)

    return answers.RescheduleFields(
        start_end=field(update.start_end),
        resource_id=field(update.resource_id),
        comment=field(update.comment),
        more=field(_native(can.create)),
        fewer=field(_native(can.cancel)),
    )


def _reads(can: Capabilities) -> answers.Reads:
    return answers.Reads(
        appointment=_NATIVE,
        appointments=_native(can.lists),
        timeslots=_native(can.free_time != "none"),
        care_units=_native(Kind.CARE_UNIT in can.directories),
        resources=_native(Kind.RESOURCE in can.directories),
        healthcare_services=_native(Kind.SERVICE in can.directories),
        patients=_native(Kind.PATIENT in can.directories),
    )


def _facts(can: Capabilities) -> answers.Facts:
    return answers.Facts(
        slot_check=can.checks,
        free_time=can.free_time,
        free_time_by=sorted(can.free_time_by),
        slots_per_appointment=can.slots_per_appointment,
        ids_stable=can.move == "in_place" and can.reassign == "in_place",
        version_check=can.version_check,
        confirmation=can.confirm,
        cancel_code=can.cancel_code,
        comment_max=can.comment_max,
        moves_awaiting=can.moves_awaiting,
        cancel_reasons="none" if can.cancel_reasons == "none" else "coded",
        notifies=can.notifies,
        notify=can.notify,
        settles_within_s=can.settles_within_s,
        start_unit_s=can.start_unit_s,
        length_unit_s=can.length_unit_s,
        bundle_max=can.bundle_max,
    )
