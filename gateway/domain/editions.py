"""The editions that a vendor's EMR comes in: the most that an account of each can do, and how that was tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.domain.capabilities import Capabilities

STANDARD = "standard"
"""What the edition is called where there is only one."""

Tested = Literal["live", "document", "own"]
Operation = Literal[
    "update", "cancel", "confirm", "create", "bulk_update", "bulk_cancel", "continuous_reschedule", "reads"
]
"""What a client asks for, in the words of `GET /api/emrs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One kind of account of an EMR."""

    name: str = STANDARD
    """A slug, unique in its plugin; an account bears it (`Emr.edition`)."""
    title: str
    """For people to read."""
    capabilities: Capabilities
    """The most that an account of it can do."""
    tested: Tested = "document"
    """`live`: against a real server that nobody here wrote. `document`: against a fake that was written from the
    vendor's documents, which is never called live. `own`: against the EMR itself, which is the plugin's own."""
    against: str = ""
    """Which server and version, or whose documents, for people to read. Must be given with `live`."""
    otherwise: Mapping[Operation, Tested] = field(default_factory=dict)
    """Operations that were tested in another way than the rest."""

    def how(self, operation: Operation) -> Tested:
        """How an operation was tested."""
        return self.otherwise.get(operation, self.tested)


_FLAGS = (
    *("lists", "own_time_shown", "moves_awaiting", "books_comment", "slot_records"),
    *("create", "discard", "cancel", "comment", "version_check"),
)
_RANKS: Mapping[str, tuple[str, ...]] = {
    "free_time": ("none",),
    "move": ("none",),
    "reassign": ("none",),
    "confirm": ("none",),
    "cancel_comment": ("none", "before"),
    "cancel_reasons": ("none",),
}
"""The lesser words of what comes in kinds, the least first. All others are equals: accounts may differ in them."""


def beyond(can: Capabilities, most: Capabilities) -> Iterator[str]:
    """The abilities in `can` that `most` lacks."""
    yield from (name for name in _FLAGS if getattr(can, name) and not getattr(most, name))
    yield from (name for name in _RANKS if _rank(name, can) > _rank(name, most))
    if most.notifies not in ("switch", can.notifies) and can.notifies != "emr":
        yield "notifies"
    if can.bundle_max > most.bundle_max:
        yield "bundle_max"
    yield from (f"the directory {kind}" for kind in sorted(can.directories - most.directories))


def _rank(name: str, can: Capabilities) -> int:
    lesser, word = _RANKS[name], getattr(can, name)
    return lesser.index(word) if word in lesser else len(lesser)
