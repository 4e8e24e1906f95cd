"""Who a case is about, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    three: tuple[str, ...]
    """Three appointments that adjoin, each half an hour of one patient with one resource."""
    half_hours: tuple[tuple[str, str], ...]
    """Those of the three, and then free ones that adjoin; each from when to when."""
    other: str
    """Another resource, which is free whenever the three are."""
    patient: str
    """Somebody else, for bookings."""
    service: str
    waiting: str
    """An appointment that waits for its confirmation."""
    code: str | None = None
    """What confirms it; `None`: nothing has to be said."""
    visit: str | None = None
    """An appointment that can only be cancelled with that code."""

    def span(self, first: int, last: int | None = None) -> dict[str, str]:
        """From the beginning of one half hour to the end of another."""
        return {"start": self.half_hours[first][0], "end": self.half_hours[first if last is None else last][1]}
