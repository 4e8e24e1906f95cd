"""What kind of EMR a clinic has: the first part of its address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    offers: Literal["slots", "windows", "starts"] = "slots"
    """How free time is listed. Open windows can be booked at any time within; else whole half hours only."""
    moves: Literal["in_place", "new_id", "never"] = "in_place"
    refuses_overlap: bool = True
    slot_records: bool = False
    """Half hours are records that whoever books must mark; a booking names them and never changes them."""
    answers: Literal["booking", "nothing", "ticket"] = "booking"
    """What a write is answered with. `ticket`: accepted, written a little later, maybe refused then without a word."""


PERSONALITIES: dict[str, Personality] = {
    "in-place": Personality(),
    "new-id": Personality(moves="new_id"),
    "no-move": Personality(moves="never"),
    "windows": Personality(offers="windows"),
    "windows-new-id": Personality(offers="windows", moves="new_id"),
    "starts": Personality(offers="starts"),
    "slot-records": Personality(refuses_overlap=False, slot_records=True),
    "no-content": Personality(answers="nothing"),
    "async": Personality(answers="ticket"),
    "no-refusal": Personality(refuses_overlap=False),
}
