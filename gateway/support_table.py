"""What each plugin can do, as the table that stands in README.md: generated, so that it can't lie."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.port import Vendor
from gateway.wire.abilities import abilities

BEGIN, END = "<!-- support:begin (python -m gateway emrs --table) -->", "<!-- support:end -->"


_MOVING = ["move", "other resource", "comment", "continuous reschedule"]
_HEAD = ["plugin", *_MOVING, "cancel", "confirm", "book", "free time"]


def support_table(vendors: Iterable[Vendor]) -> str:
    """A Markdown table, a line per plugin: the most that an account of its EMR can do."""
    lines = [_HEAD, ["---"] * len(_HEAD), *map(_row, vendors)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _row(vendor: Vendor) -> list[str]:
    can = abilities(vendor.capabilities)
    return [
        f"`{vendor.key}` {vendor.name}",
        can.update.start_end,
        can.update.resource_id,
        can.update.comment,
        can.continuous_reschedule.start_end,
        can.cancel.status,
        f"{can.confirm} ({can.facts.confirmation})",
        can.create.booking,
        can.facts.free_time,
    ]
