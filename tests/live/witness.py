"""Nothing else changes: a server's whole state before a scenario and after it, and what the scenario was about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple, Protocol

State = Mapping[str, Any]
"""Everything in a server: what it holds, with its version, by what names it."""
TOLD = re.compile(r"(?:It is now|It was created as) (\S+)\.$")


class Wanted(NamedTuple):
    """Time that was asked for. `None`: the appointments' own."""

    resource_id: str | None
    start: datetime | None
    end: datetime | None


class Place(NamedTuple):
    """Time of a resource in a care unit, which a scenario may have taken or given back."""

    resource_id: str | None
    unit_id: str | None
    start: datetime
    end: datetime

    def meets(self, other: Place) -> bool:
        return self[:2] == other[:2] and self.start < other.end and other.start < self.end


@dataclass
class Asked:
    """One request, and whom it and its answer name."""

    ids: set[str]
    wanted: Wanted

    def answer(self, body: Any) -> None:
        told = body if isinstance(body, list) else [body] if isinstance(body, dict) else []
        self.ids |= {one["id"] for one in told if "id" in one}
        for problem in (one for part in told for one in part.get("errors", ())):
            self.ids |= set(TOLD.findall(problem["details"]))

    def places(self, place: Callable[[str], Iterable[Place]]) -> set[Place]:
        """Where the named were and are, as `place` tells, and where they were to be."""
        stood, wanted = {one for id in self.ids for one in place(id)}, self.wanted
        return stood | {
            Place(wanted.resource_id or s.resource_id, s.unit_id, wanted.start or s.start, wanted.end or s.end)
            for s in stood
        }


@dataclass
class Said:
    """What was asked for and answered in a scenario: that is what it is about. And what the staff did in it."""

    asked: list[Asked] = field(default_factory=list)
    theirs: set[str] = field(default_factory=set)

    @property
    def ids(self) -> set[str]:
        return set[str]().union(*(one.ids for one in self.asked))

    def request(self, path: str, body: Any) -> Asked:
        told = body if isinstance(body, dict) else {}
        times = [datetime.fromisoformat(told[edge]) if edge in told else None for edge in ("start", "end")]
        ids = {path.rpartition("/")[2], *told.get("ids", ())}
        self.asked.append(Asked(ids, Wanted(told.get("resource_id"), *times)))
        return self.asked[-1]

    def places(self, place: Callable[[str], Iterable[Place]]) -> list[Place]:
        theirs = {one for id in self.theirs for one in place(id)}
        return list(theirs.union(*(one.places(place) for one in self.asked)))


class World(Protocol):
    def look(self) -> State:
        """Everything that there is."""

    def unasked(self, before: State, after: State, said: Said) -> list[str]:
        """What has changed and is not what the scenario was about."""


class Witness:
    """Looks when a clinic app first speaks, and when the scenario is over."""

    def __init__(self, world: World) -> None:
        self._world, self._before, self._lock = world, None, Lock()
        self.said = Said()

    def begins(self) -> State:
        with self._lock:
            if self._before is None:
                self._before: State | None = self._world.look()
            return self._before

    def hears(self, method: str, path: str, body: Any) -> Asked | None:
        """`None`: only a question, which is about nobody."""
        self.begins()
        with self._lock:
            return self.said.request(path, body) if method != "GET" else None

    def ends(self) -> State:
        return self._world.look()

    def unasked(self, after: State, theirs: set[str]) -> list[str]:
        """Raises AssertionError where nobody has spoken: then it would prove nothing."""
        assert self._before is not None, "the scenario asked for nothing"
        self.said.theirs |= theirs
        return self._world.unasked(self._before, after, self.said)
