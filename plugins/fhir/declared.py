"""What a FHIR R4 server can do for the gateway: the most of it, and what a CapabilityStatement leaves of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.plugin import Capabilities, Kind
from plugins.fhir.settings import Settings

FULL = Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    own_time_shown=True,
    move="in_place",
    reassign="in_place",
    combines=True,
    moves_awaiting=True,
    refuses_overlap=False,
    slots_per_appointment="many",
    slot_records=True,
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    cancel_reasons="any",
    comment=True,
    confirm="flag",
    confirmed_flag=True,
    bundle_max=100,
    answers_with="appointment",
    late_write_s=10.0,
    version_check=True,
    trims_comment=True,
)
JSON_PATCH = "application/json-patch+json"


def declared(settings: Settings, differences: Mapping[str, Any]) -> Capabilities:
    """Of one account, in its dialect, before anything is known of its server."""
    directories = set(Kind) if settings.care_units == "Location" else set(Kind) - {Kind.CARE_UNIT}
    told = {"slot_records": settings.marks_slots, "bundle_max": 0, **differences}
    told["directories"] = frozenset(directories) & told.get("directories", frozenset(Kind))
    return replace(FULL, late_write_s=settings.late_write_s, **told)


def narrowed(can: Capabilities, statement: Mapping[str, Any], *, changes_by: str = "patch") -> Capabilities:
    """Less what the statement clearly leaves out. One that does not go into detail leaves out nothing."""
    formats = statement.get("patchFormat")
    patches = not formats or JSON_PATCH in formats
    told = _interactions(statement)
    if not (patches or changes_by != "patch") or not _may(told, "Appointment", changes_by):
        can = _unchangeable(can)
    if not _may(told, "Appointment", "create"):
        can = replace(can, create=False)
    if not _may(told, "Appointment", "search-type"):
        can = replace(can, lists=False)
    if not _may(told, "Slot", "search-type"):
        # What is not found can't be marked either.
        can = replace(can, free_time="none", own_time_shown=False, slot_records=False)
    if not patches or not _may(told, "Slot", "patch"):
        can = replace(can, slot_records=False)
    return can


def says_transaction(statement: Mapping[str, Any]) -> bool:
    return any(
        told.get("code") == "transaction" for rest in _servers(statement) for told in rest.get("interaction") or ()
    )


def _unchangeable(can: Capabilities) -> Capabilities:
    return replace(
        can,
        move="none",
        reassign="none",
        comment=False,
        cancel=False,
        discard=False,
        cancel_comment="none",
        cancel_reasons="none",
        confirm="none",
    )


def _interactions(statement: Mapping[str, Any]) -> dict[str, set[str]]:
    return {
        str(one.get("type")): {str(i.get("code")) for i in one.get("interaction") or ()}
        for rest in _servers(statement)
        for one in rest.get("resource") or ()
    }


def _servers(statement: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [rest for rest in statement.get("rest") or () if rest.get("mode") == "server"]


def _may(told: Mapping[str, set[str]], kind: str, interaction: str) -> bool:
    return not told.get(kind) or interaction in told[kind]
