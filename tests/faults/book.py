"""The clinic's book as its own staff sees it, past the gateway, and how two states of it are compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from tests.faults.cast import Cast

GONE = ("ANNULLED", "MOVED", "gone")
VERSIONED = frozenset({"rev"})
NAMED = VERSIONED | {"ref", "moved_to"}
"""What another run of the same would have named otherwise."""

WRONGS = ("lost", "doubled", "in progress", "untrue")
"""The ways to break a promise; `untrue`: something else is told than is."""

Row = dict[str, Any]


class Wrong(AssertionError):
    """A promise broken; `kind` is one of WRONGS."""

    def __init__(self, kind: str, what: str) -> None:
        assert kind in WRONGS
        super().__init__(f"{kind}: {what}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class View:
    bookings: tuple[Row, ...]
    free: frozenset[tuple[str, str]]
    """The half hours on offer, by who and when."""
    messages: tuple[Row, ...]

    def beyond(self, other: View, but: Collection[str], *, traces: bool = True) -> list[str]:
        """What is here and not there, names left out that `but` has; without `traces` only what stands."""
        here, there = (
            Counter(str(_without(row, but)) for row in rows) for rows in (self._rows(traces), other.bookings)
        )
        return sorted((here - there).elements())

    def _rows(self, traces: bool) -> Collection[Row]:
        return self.bookings if traces else self.standing

    def said(self) -> list[str]:
        return sorted(str(_without(row, {"about"})) for row in self.messages)

    @property
    def standing(self) -> list[Row]:
        return [row for row in self.bookings if row["stage"] not in GONE]

    def of(self, refs: Collection[str], *, others: bool = False) -> dict[str, Row]:
        return {row["ref"]: row for row in self.bookings if (row["ref"] in refs) is not others}


def _without(row: Mapping[str, Any], names: Collection[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


class Desk(ABC):
    """Where the staff of one clinic works."""

    def __init__(self, http: httpx.AsyncClient, base: str, address: str, clinic: str) -> None:
        self._http, self._base, self._address, self._clinic = http, base, address, clinic

    @abstractmethod
    async def open(self) -> tuple[Cast, Mapping[str, Any]]:
        """Who is there, and the settings of an account."""

    @abstractmethod
    async def view(self) -> View:
        """Once nothing is on its way any more. Raises Wrong where the book does not agree with itself."""

    @abstractmethod
    async def booking(self, ref: str) -> Row:
        """As it stands now, wherever it has moved to."""

    async def let_in(self) -> str | None:
        """Let the gateway in; → the refresh token, where the EMR has such a thing."""
        return None

    async def seen(self) -> Any:
        """What the EMR was asked to write."""
        return (await self._http.get(f"{self._base}/_seen", params={"clinic": self._clinic})).json()

    async def _is_still(self) -> bool:
        return bool((await self.seen())["quiet"])


class Emr(Protocol):
    """One EMR of a campaign."""

    plugin: str
    name: str
    undone_but: frozenset[str]
    """What an undo may leave otherwise than it was."""
    withdraws: bool
    """What was created and is undone is gone without a trace."""

    def desk(self, http: httpx.AsyncClient, clinic: str) -> Desk: ...
