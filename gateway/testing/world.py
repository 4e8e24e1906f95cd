"""What a plugin's tests say of the vendor that they are run against."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import httpx

from gateway.domain.model import Span
from gateway.port import Emr, Vendor

Made = Callable[[Span, str], Awaitable[str]]
"""Makes an appointment of the world's patient and service, given its time and resource. → its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeService:
    """A service whose bookings wait until the patient has said a code, and whose codes are known."""

    id: str
    right: str
    wrong: str
    expired: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A practice with an account, made anew for every case: what one case leaves, no other finds."""

    vendor: Vendor
    """The plugin's introduction."""
    emr: Emr
    other: Emr
    """The account of another practice, opened beside the first and still open."""
    patient_id: str
    resource_ids: tuple[str, str]
    """Two resources that can be booked for the service, the first one with room for races."""
    healthcare_service_id: str
    openings: tuple[Span, ...]
    """Two or more adjoining stretches of one day, each as long as a slot, that are free on both resources."""
    unknown_id: str
    """An id as the EMR's are, of nothing."""
    transport: httpx.AsyncBaseTransport
    """What `emr` reaches its vendor through."""
    open_over: Callable[[httpx.AsyncBaseTransport], Emr]
    """The same account once more, over another transport (one that breaks)."""
    care_unit_id: str | None = None
    beyond_clock_change: Span | None = None
    """A free stretch of the first resource on a day whose UTC offset is not that of the openings; `None` where the
    practice's clock never changes."""
    code_service: CodeService | None = None
    """Needed where a code is asked for (`confirm = "code"`, `cancel_code`)."""
    book_directly: Made | None = None
    """The staff books, past the gateway. Needed where the account can't create."""
    make_unconfirmed: Made | None = None
    """The staff notes what the patient has still to confirm. Needed with `confirm = "flag"`."""
    messages: Callable[[], Awaitable[Sequence[str]]] | None = None
    """What the EMR has told patients so far, a text each. Needed with `notifies = "switch"`."""
    open_notifying: Callable[[bool | None], Emr] | None = None
    """The same account once more, with this as its `notify`. Needed with `notifies = "switch"`."""

    def mistakes(self) -> list[str]:
        """Sentences on what no case could work with."""
        wrong = {
            "two openings at least are needed": len(self.openings) < 2,
            "the openings must be aware": any(o.start.tzinfo is None or o.end.tzinfo is None for o in self.openings),
            "the two resources must differ": self.resource_ids[0] == self.resource_ids[1],
            "the other account must be another one": self.other is self.emr,
        }
        found = [sentence for sentence, is_wrong in wrong.items() if is_wrong]
        if not found and any(one.end.timestamp() != next_.start.timestamp() for one, next_ in pairwise(self.openings)):
            found.append("the openings must adjoin, in order")
        return found
