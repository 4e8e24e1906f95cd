"""All, or nothing, or exactly what is told: the clinic's book, held against what it was and what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.book import NAMED, Desk, Emr, View, Wrong


@dataclass(slots=True)
class Record:
    """What a run leaves, after each of its requests."""

    views: list[View] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    own: list[Any] = field(default_factory=list)
    """The appointments at the end, asked for by the ids that the app has known from the first."""


class Judge:
    """`reference`: what an uninterrupted run leaves; `None`: this is that run. All raise Wrong."""

    def __init__(self, emr: Emr, desk: Desk, reference: Record | None) -> None:
        self._emr, self._desk, self._reference = emr, desk, reference
        self.record = Record()

    async def begin(self, own: Sequence[str]) -> None:
        """`own`: the appointments that may change."""
        self._own, self._first = own, await self._desk.view()
        self._before = self._first

    async def answered(self, answer: Any) -> None:
        """A request is done with, and the next one begins from here."""
        now = await self._desk.view()
        self._is_all(now)
        if self._reference is not None:
            _alike("untrue", answer, self._reference.answers[len(self.record.answers)])
        self.record.views.append(now)
        self.record.answers.append(answer)
        self._before = now

    async def ended(self, own: list[Any]) -> None:
        self.record.own = own
        if self._reference is not None:
            _alike("lost", own, self._reference.own)
        if unannounced := (await self._desk.seen())["unannounced"]:
            raise Wrong("untrue", f"the ledger knew nothing of {unannounced}")

    async def is_true(self, state: str, answer: Any) -> None:
        """A command's state, and the answer that is kept of it."""
        now = await self._desk.view()
        if state == "done":
            self._is_all(now)
        elif state == "needs_attention":
            await self._is_reported(answer, now)
        else:
            self._bystanders(now)
            self._same(now, self._before, but=self._emr.undone_but)

    def _is_all(self, now: View) -> None:
        self._bystanders(now)
        if self._reference is not None:
            self._same(now, self._reference.views[len(self.record.views)], but=NAMED)

    async def _is_reported(self, answer: Any, now: View) -> None:
        self._bystanders(now)
        changed = [f"ids/{n}" for n, id in enumerate(self._own) if await self._changed(id)]
        named = sorted(error["path"] or "" for error in answer["body"]["errors"])
        unknown = answer["body"]["code"] == "OUTCOME_UNKNOWN" and not changed
        if answer["status"] != 502 or (named != changed and not unknown):
            raise Wrong("untrue", f"changed are {changed}, and it says {answer['body']}")

    async def _changed(self, id: str) -> bool:
        before = self._first.of([id])[id]
        after = await self._desk.booking(id)
        return any(before[name] != after[name] for name in before.keys() - NAMED)

    def _bystanders(self, now: View) -> None:
        before = self._first.of(self._own, others=True)
        if touched := [ref for ref, row in before.items() if now.of([ref]).get(ref) != row]:
            raise Wrong("lost", f"somebody else's {touched} were touched")

    def _same(self, now: View, wanted: View, *, but: frozenset[str]) -> None:
        more, fewer = now.beyond(wanted, but, traces=self._emr.withdraws), wanted.beyond(now, but)
        if more or fewer:
            kind = "doubled" if len(now.standing) > len(wanted.standing) else "lost"
            raise Wrong(kind, f"there is {more} instead of {fewer}")
        if now.said() != wanted.said():
            raise Wrong("untrue", f"patients were told {now.said()} instead of {wanted.said()}")


def _alike(kind: str, shown: Any, wanted: Any) -> None:
    if _masked(shown) != _masked(wanted):
        raise Wrong(kind, f"shown is {shown}")


def _masked(shown: Any) -> Any:
    """Without what another run would name otherwise."""
    if isinstance(shown, list):
        return [_masked(one) for one in shown]
    return {name: value for name, value in shown.items() if name not in ("id", "emr_id", "previous_ids")}
