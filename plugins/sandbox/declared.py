"""What the sandbox EMR can do, by a clinic's personality."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal
from zoneinfo import ZoneInfo

import gateway.plugin as gw

ZONE = ZoneInfo("Europe/Stockholm")

Personality = Literal[
    "in-place",
    "new-id",
    "no-move",
    "windows",
    "windows-new-id",
    "starts",
    "slot-records",
    "no-content",
    "async",
    "no-refusal",
]

IN_PLACE = gw.Capabilities(
    directories=frozenset(gw.Kind),
    lists=True,
    free_time="slots",
    own_time_shown=True,
    move="in_place",
    reassign="in_place",
    create=True,
    discard=True,
    cancel=True,
    cancel_comment="with",
    cancel_code=True,
    comment=True,
    comment_max=1000,
    confirm="code",
    confirmed_flag=True,
    notifies="switch",
    late_write_s=5.0,
    version_check=True,
    local_zone=ZONE.key,
)
NEW_ID: dict[str, Any] = {"move": "new_id", "reassign": "new_id"}


def _edition(name: Personality, title: str, **otherwise: Any) -> gw.Edition:
    can = replace(IN_PLACE, **otherwise)
    return gw.Edition(name=name, title=title, capabilities=can, tested="own", against="the sandbox itself")


EDITIONS = (
    _edition("in-place", "slots, moved in place"),
    _edition("new-id", "slots, moved under a new id", **NEW_ID),
    _edition("no-move", "slots, never moved", move="none", reassign="none"),
    _edition("windows", "open time, moved in place", free_time="windows"),
    _edition("windows-new-id", "open time, moved under a new id", free_time="windows", **NEW_ID),
    _edition("starts", "starts only"),
    _edition("slot-records", "slots that the caller marks", refuses_overlap=False, slot_records=True),
    _edition("no-content", "writes without an answer", answers_with="nothing"),
    _edition("async", "writes that show later", answers_with="nothing", settles_within_s=2.0),
    _edition("no-refusal", "double bookings are taken", refuses_overlap=False),
)
DECLARED = {edition.name: edition.capabilities for edition in EDITIONS}
WIDEST = replace(IN_PLACE, slot_records=True)
"""What some account can do and no account is without a word for."""
