"""Where a vendor has the entries of a directory, and what a row of it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.model import Entry
from gateway.vendor.fields import id_of

Row = Mapping[str, Any]
"""A record as the vendor shows it."""
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Directory:
    """Where one kind of entries is, and what a row of it says."""

    path: str
    names: tuple[str, ...] = ("name",)
    """The fields that make its name, joined by spaces; null is none."""
    id: str = "id"
    query: Query = ()
    """What is asked along with the list."""
    one: bool | str = True
    """A single entry can be read by its id, below the path or another one; else it is looked for in the list."""
    ids: str | None = None
    """A pattern of its ids, where they look otherwise than those of appointments."""
    is_gone: Callable[[Row], bool] = lambda _: False
    """Is it not to be used any more? Then it is as if it were not there."""
    several: Callable[[Row], Sequence[Entry]] | None = None
    """What a row says where that is not just one entry."""

    def entries(self, row: Row) -> Sequence[Entry]:
        if self.several is not None and not self.is_gone(row):
            return self.several(row)
        entry = self.entry(row)
        return () if entry is None else (entry,)

    def entry(self, row: Row) -> Entry | None:
        if self.is_gone(row):
            return None
        return Entry(id_of(row[self.id]), " ".join(row[name] or "" for name in self.names).strip())
