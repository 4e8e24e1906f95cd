"""A command of a clinic app to which something happens; and how it ended, held against what the server itself shows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

import httpx

from tests.live.clinics import HALF_HOUR, Clinic, Facts, doubled
from tests.live.gateway import Client, span
from tests.live.proxy import Lane
from tests.live.witness import State

Stands = list[tuple[str, datetime]]
Fault = tuple[str, str]
"""A word of `shown.FAULTS`, and what it was."""

Act = Callable[["Trial", int], None]
"""Of the staff, at a write of this number."""

BUSY = (503, 504)
"""Nothing was written; whoever asks again may have better luck."""
ASKED_AT_MOST = 20

_numbers = count(1)


class Deed(NamedTuple):
    """What is asked for Anna's half hours at `hours`, and where what is then left of them stands."""

    name: str
    hours: tuple[int, ...]
    body: Callable[[Clinic], dict[str, Any]]
    stands: Callable[[Clinic], Stands]


def _row(who: str, start: datetime, count: int) -> Stands:
    return [(who, start + n * HALF_HOUR) for n in range(count)]


MOVE = Deed("a move", (9,), lambda c: span(c.at(13)), lambda c: _row(c.anna, c.at(13), 1))
BULK = Deed(
    "a bulk update",
    (9, 10),
    lambda c: {"resource_id": c.bo},
    lambda c: [*_row(c.bo, c.at(9), 1), *_row(c.bo, c.at(10), 1)],
)
CREATING = Deed(
    "a reschedule that creates",
    (9, 10),
    lambda c: span(c.at(13), c.at(14, 30)),
    lambda c: _row(c.anna, c.at(13), 3),
)
CANCELLING = Deed(
    "a reschedule that cancels",
    (9, 10, 11),
    lambda c: span(c.at(13), c.at(14)),
    lambda c: _row(c.anna, c.at(13), 2),
)
CANCEL = Deed("a bulk cancellation", (9, 10, 11), lambda _: {"status": "cancelled"}, lambda _: [])
DEEDS = (MOVE, BULK, CREATING, CANCELLING, CANCEL)


class End(NamedTuple):
    """What a client is told of a command at last."""

    state: str
    body: Any

    @property
    def entries(self) -> list[dict[str, Any]]:
        return self.body if isinstance(self.body, list) else [self.body]


class Trial:
    """One command on a day of its own."""

    app: Client
    lane: Lane

    def __init__(self, deed: Deed, clinic: Clinic) -> None:
        self.deed, self.clinic = deed, clinic
        self.ids = clinic.booked(*deed.hours)
        self.theirs: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """What the staff have written since, by appointment and field."""
        self.met = ""
        """What happened to it."""
        self.key = f"trial-{next(_numbers)}"

    def begins(self, state: State, lane: Lane) -> None:
        """From this state of the server, by this way to it."""
        self.lane = lane
        self.clinic.seen = state
        self.before = {id: self.clinic.facts(id) for id in self.ids}
        self._others = self.clinic.standing().keys() - set(self.ids)
        self.clinic.seen = None

    def ask(self) -> httpx.Response | None:
        """`None`: the gateway has died."""
        body, headers = self.deed.body(self.clinic), {"Idempotency-Key": self.key}
        with suppress(httpx.TransportError):
            if self.deed is MOVE:
                return self.app.send("PATCH", f"/appointments/{self.ids[0]}", body, headers=headers)
            return self.app.send("PATCH", "/appointments", {"ids": self.ids, **body}, headers=headers)
        return None

    def insists(self) -> None:
        """Ask until something has happened to it: a server that was too busy before the first write is asked again."""
        for _ in range(ASKED_AT_MOST):
            answer = self.ask()
            if self.met or answer is None or answer.status_code not in BUSY:
                return
            time.sleep(1)

    def end(self) -> End:
        command = self.app.settled(self.key)
        return End("refused", {}) if command is None else End(command["state"], (command["answer"] or {}).get("body"))

    def meets(self, what: str) -> None:
        self.met = what

    # -- what the staff do --------------------------------------------------------------------------------------------

    def noted(self, n: int) -> None:
        id = self.ids[n % len(self.ids)]
        self.clinic.note(id, "theirs")
        self.theirs[id]["comment"] = "theirs"

    def cancelled(self, n: int) -> None:
        self._closed(n, self.clinic.cancel, "cancelled")

    def finished(self, n: int) -> None:
        self._closed(n, self.clinic.finish, "completed")

    def taken(self, n: int) -> None:
        """The last time that is wanted. Where it is taken already, all that they do is note something."""
        if self.clinic.take(*self.deed.stands(self.clinic)[-1]) is None:
            self.noted(n)

    def _closed(self, n: int, close: Callable[[str], None], status: str) -> None:
        """Of one that is not booked any more, all that they do is note something."""
        id = self.ids[n % len(self.ids)]
        now = self.clinic.facts(id)
        if now is None or now.status != "booked":
            self.noted(n)
        else:
            close(id)
            self.theirs[id]["status"] = status

    # -- how it ended -------------------------------------------------------------------------------------------------

    def faults(self, end: End, state: State) -> list[Fault]:
        """Where it is neither all nor nothing nor just what is reported, or the staff's change does not stand."""
        self.clinic.seen = state
        now = {id: self.clinic.facts(id) for id in self.ids}
        found = [*self._lost(now), *self._told(end, now)]
        found += [("doubled", f"{pair} stand together") for pair in doubled(self.clinic)]
        found += [("half", told) for told in self.clinic.disagreements()]
        found += [] if self.met else [("half", "nothing has happened to it")]
        seen = {id: one and one.status for id, one in now.items()}
        return [(kind, f"{self.deed.name}, {self.met}: {text} ({seen} {end})") for kind, text in found]

    def _lost(self, now: dict[str, Facts | None]) -> Iterator[Fault]:
        for id, one in now.items():
            if one is None:
                yield "lost", f"{id} is gone"
            elif one._asdict() | self.theirs[id] != one._asdict():
                yield "lost", f"of {id} the staff's {self.theirs[id]} was overwritten"

    def _told(self, end: End, now: dict[str, Facts | None]) -> Iterator[Fault]:
        own, theirs = {*self.ids, *self._others}, self.clinic.theirs
        new = [id for id in self.clinic.standing() if id not in own | theirs]
        changed = [id for id in self.ids if self._masked(id, now[id]) != self._masked(id, self.before[id])]
        match end.state:
            case "done":
                yield from self._done(end, now, new)
            case "refused" | "undone":
                yield from (("half", f"{id} is changed") for id in changed)
                yield from (("doubled", f"{id} was created") for id in new)
            case "needs_attention":
                yield from self._reported(end, changed, new)
            case state:
                yield "half", f"it is {state}"

    def _done(self, end: End, now: dict[str, Facts | None], new: list[str]) -> Iterator[Fault]:
        stand = sorted((e["resource_id"], datetime.fromisoformat(e["start"])) for e in end.entries if _standing(e))
        if stand != sorted(self.deed.stands(self.clinic)):
            yield "half", "it was done, and not that which was asked for"
        shown = {entry["id"]: entry for entry in end.entries}
        yield from (("doubled", f"{id} was created") for id in new if id not in shown)
        yield from (("lost", f"{id} is not in the answer") for id in self.ids if id not in shown)
        for id, entry in shown.items():
            if self._masked(id, _facts(entry)) != self._masked(id, now[id] if id in now else self.clinic.facts(id)):
                yield "half", f"{id} is another than its answer"

    def _reported(self, end: End, changed: list[str], new: list[str]) -> Iterator[Fault]:
        paths = [problem["path"] for problem in end.body["errors"]]
        named = {self.ids[int(path.removeprefix("ids/"))] for path in paths if path is not None}
        if self.deed is MOVE:
            named, paths = set(self.ids), []
        yield from (("half", f"{id} is changed, and not reported") for id in changed if id not in named)
        yield from (("half", f"{id} is reported") for id in named - {*changed, *self.clinic.theirs})
        if paths.count(None) != len(new):
            yield "doubled", f"{new} were created, and {paths.count(None)} are reported"

    def _masked(self, id: str, one: Facts | None) -> Any:
        """But for what the staff have written since."""
        return one and one._asdict() | self.theirs[id]


def _standing(entry: dict[str, Any]) -> bool:
    return bool(entry["status"] != "cancelled")


def _facts(entry: dict[str, Any]) -> Facts:
    edges = (datetime.fromisoformat(entry[edge]) for edge in ("start", "end"))
    return Facts(entry["resource_id"], *edges, entry["status"], entry["comment"] or "", entry["patient_id"])
