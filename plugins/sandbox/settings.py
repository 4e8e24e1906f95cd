"""What an account is configured with, and what an EMR of each personality can do."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.plugin import BaseUrl, Capabilities, Kind

ZONE = "Europe/Stockholm"

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


class Settings(BaseModel):
    """One clinic of a sandbox EMR. Without a `base_url` it is the one inside the gateway."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: BaseUrl = "http://sandbox.invalid"
    clinic: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    api_key: SecretStr
    personality: Personality = "in-place"

    @property
    def address(self) -> str:
        return f"{self.base_url}/{self.personality}/{self.clinic}"


IN_PLACE = Capabilities(
    directories=frozenset(Kind),
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
    local_zone=ZONE,
)

DECLARED: dict[Personality, Capabilities] = {
    "in-place": IN_PLACE,
    "new-id": replace(IN_PLACE, move="new_id", reassign="new_id"),
    "no-move": replace(IN_PLACE, move="none", reassign="none"),
    "windows": replace(IN_PLACE, free_time="windows"),
    "windows-new-id": replace(IN_PLACE, free_time="windows", move="new_id", reassign="new_id"),
    "starts": IN_PLACE,
    "slot-records": replace(IN_PLACE, refuses_overlap=False, slot_records=True),
    "no-content": replace(IN_PLACE, answers_with="nothing"),
    "async": replace(IN_PLACE, answers_with="nothing", settles_within_s=2.0),
    "no-refusal": replace(IN_PLACE, refuses_overlap=False),
}

TITLES: dict[Personality, str] = {
    "in-place": "slots, moved in place",
    "new-id": "slots, moved under a new id",
    "no-move": "slots, never moved",
    "windows": "open time, moved in place",
    "windows-new-id": "open time, moved under a new id",
    "starts": "starts only",
    "slot-records": "slots that the caller marks",
    "no-content": "writes without an answer",
    "async": "writes that show later",
    "no-refusal": "double bookings are taken",
}

WIDEST = replace(IN_PLACE, slot_records=True)
"""What some account can do and no account is without a word for."""
