"""The EMR's journal, read as the lives of its appointments: who wrote what over what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tests.histories.history import Entry, History

View = dict[str, Any]
GONE = ("ANNULLED", "MOVED")
FIELDS = ("begins", "ends", "who", "with", "kind", "memo", "stage", "agreed")


def content(view: View | None) -> View | None:
    """What people care about; `None` where there is nothing (any more)."""
    if view is None or view["stage"] == "MOVED":
        return None
    return {name: view[name] for name in FIELDS}


def is_booking(ref: str) -> bool:
    """Neither a slot record nor a request to annul one."""
    return ref.startswith("B")


@dataclass
class Line:
    """One appointment's life, under all the references that the EMR gave it."""

    refs: list[str]
    entries: list[Entry] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        if entry.ref not in self.refs:
            self.refs.append(entry.ref)
        self.entries.append(entry)

    def writers(self) -> set[int]:
        """The requests that wrote."""
        return {e.hand for e in self.entries if e.hand is not None}

    def mingled(self) -> list[tuple[int, int]]:
        """Pairs of requests of which the second wrote while something of the first stood, which then wrote again."""
        found = []
        for hand in sorted(self.writers()):
            own = [n for n, e in enumerate(self.entries) if e.hand == hand]
            for n, entry in enumerate(self.entries[own[0] : own[-1]], start=own[0]):
                another = entry.hand not in (hand, None)
                found += [(hand, entry.hand or 0)] if another and _net(self, hand, upto=n).differs else []
        return found

    def made_by(self) -> int | None:
        first = self.entries[0]
        return first.hand if first.was is None else None


@dataclass(frozen=True)
class Net:
    """What one command has made of one appointment, all its writes together."""

    line: Line
    expected: View | None
    """As it would be without them: as it was, with what the staff changed in between."""
    actual: View | None
    staffs: frozenset[str]
    """The fields that the staff changed while something of the command's stood."""

    @property
    def differs(self) -> bool:
        last = content(self.line.entries[-1].now)
        if self.expected is None and (last is None or last["stage"] == "ANNULLED"):
            return False  # made by us, and cancelled since: nothing stands
        return self.expected != self.actual

    @property
    def overwritten(self) -> set[str]:
        """What the staff changed in between and is not as they left it."""
        if self.actual is None:
            return {f"{name}, withdrawn" for name in self.staffs}
        if self.expected is None:
            return set()
        return {name for name in self.staffs if self.expected[name] != self.actual[name]}


class Lines:
    def __init__(self, history: History) -> None:
        self._journal = history.journal
        self.of: dict[str, Line] = {}
        for entry in history.journal:
            if is_booking(entry.ref):
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        successor = entry.now and entry.now["moved_to"]
        if not successor:
            self.of.setdefault(entry.ref, Line([])).take(entry)
            return
        # The successor was written just before, as if it were something new.
        line = self.of[entry.ref]
        made = self.of[successor].entries.pop()
        line.take(replace(entry, ref=successor, now=made.now))
        self.of[successor] = line

    @cached_property
    def all(self) -> list[Line]:
        return list({id(line): line for line in self.of.values()}.values())

    def written_by(self, tag: int) -> list[Net]:
        return [_net(line, tag) for line in self.all if any(e.hand == tag for e in line.entries)]

    def at(self, ref: str, begin: float, end: float) -> list[View]:
        """What the EMR held under the reference at some moment between these."""
        entries = [e for e in self._journal if e.ref == ref]
        earlier = [e for e in entries if e.at < begin][-1:]
        within = [e for e in entries if begin <= e.at <= end]
        views = [e.now for e in (*earlier, *within)]
        if within and not earlier:
            views.insert(0, within[0].was)
        return [view for view in views if view is not None]


def _net(line: Line, tag: int, upto: int | None = None) -> Net:
    own = [n for n, e in enumerate(line.entries[:upto]) if e.hand == tag]
    span = line.entries[own[0] : own[-1] + 1]
    expected = content(span[0].was)
    staffs: set[str] = set()
    for entry in span:
        if entry.hand != tag:
            changed, stood = _changed(entry), content(entry.was) != expected
            staffs |= changed.keys() if entry.hand is None and stood else set()
            expected = None if expected is None else {**expected, **changed}
    return Net(line, expected, content(span[-1].now), frozenset(staffs))


def _changed(entry: Entry) -> View:
    was, now = content(entry.was), content(entry.now)
    if was is None or now is None:
        return {}
    return {name: now[name] for name in FIELDS if now[name] != was[name]}


def overlapping(bookings: Iterable[View]) -> list[tuple[View, View]]:
    """Pairs that stand with the same person at the same time."""
    by_staff: dict[str, list[View]] = defaultdict(list)
    for booking in bookings:
        if booking["stage"] not in GONE:
            by_staff[booking["with"]].append(booking)
    pairs = []
    for own in by_staff.values():
        own.sort(key=lambda b: (b["begins"], b["ref"]))
        for n, one in enumerate(own):
            pairs += [(one, other) for other in own[n + 1 :] if other["begins"] < one["ends"]]
    return pairs
